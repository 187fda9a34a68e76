import math

import pytest
import torch
from torchmetrics.classification import MulticlassF1Score, MulticlassJaccardIndex

from petseg import metrics
from petseg.metrics.confusion import SCORES
from petseg.training.scoring import SplitConfusion

# a 2x2 image: true pet, pet, background, boundary; predicted pet, background, background, background
TRUE = torch.tensor([[[0, 0], [1, 2]]], dtype=torch.uint8)
PREDICTED = torch.tensor([[[0, 1], [1, 1]]], dtype=torch.uint8)


def test_matrix_and_scores_of_four_pixels_equal_those_on_paper():
    (matrix,) = metrics.confusion_matrices(PREDICTED, TRUE)
    assert matrix.tolist() == [[1, 1, 0], [0, 1, 0], [0, 1, 0]]
    assert metrics.iou(matrix).tolist() == [1 / 2, 1 / 3, 0]
    assert metrics.dice(matrix).tolist() == [2 / 3, 2 / 4, 0]
    assert float(metrics.mean_iou(matrix)) == pytest.approx((1 / 2 + 1 / 3 + 0) / 3)
    assert float(metrics.accuracy(matrix)) == 0.5


def test_scores_agree_with_torchmetrics():
    generator = torch.Generator().manual_seed(0)
    predicted, true = (torch.randint(0, 3, (5, 9, 7), generator=generator) for _ in range(2))
    pooled = metrics.confusion_matrices(predicted, true).sum(dim=0)
    jaccard = MulticlassJaccardIndex(3, average=None)(predicted, true)
    f1 = MulticlassF1Score(3, average=None)(predicted, true)
    torch.testing.assert_close(metrics.iou(pooled).float(), jaccard)
    torch.testing.assert_close(metrics.dice(pooled).float(), f1)


def test_matrices_of_a_batch_are_those_of_its_images():
    generator = torch.Generator().manual_seed(1)
    predicted, true = (torch.randint(0, 3, (4, 6, 6), generator=generator) for _ in range(2))
    singly = [metrics.confusion_matrices(p[None], t[None])[0] for p, t in zip(predicted, true, strict=True)]
    assert torch.equal(metrics.confusion_matrices(predicted, true), torch.stack(singly))
    assert torch.equal(metrics.batch_confusion(predicted, true), torch.stack(singly).sum(dim=0))


def test_a_class_that_is_nowhere_has_no_iou():
    matrix = metrics.confusion_matrices(torch.zeros(1, 2, 2, dtype=int), torch.zeros(1, 2, 2, dtype=int))[0]
    values = metrics.iou(matrix).tolist()
    assert values[0] == 1
    assert math.isnan(values[1])
    assert metrics.pooled_scores(matrix[None])["mean_iou"] == 1


@pytest.mark.parametrize(
    ("predicted", "ignore", "message"),
    [
        (torch.full((1, 2, 2), 3), None, "outside 0 to 2"),
        (torch.full((1, 2, 2), 255), 255, "outside 0 to 2"),  # only a target has pixels to ignore
        (torch.zeros(1, 2, 3, dtype=int), None, "must match in shape"),
    ],
)
def test_a_label_out_of_range_and_another_shape_are_refused(predicted, ignore, message):
    with pytest.raises(ValueError, match=message):
        metrics.confusion_matrices(predicted, torch.zeros(1, 2, 2, dtype=int), ignore=ignore)


class OnGpu(torch.Tensor):
    """A tensor that refuses everything but `.cpu()` and its shape, as MPS refuses float64."""

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        if func is not torch.Tensor.cpu and func.__name__ != "__get__":
            raise TypeError(f"{func.__name__}: not on this device")
        result = super().__torch_function__(func, types, args, kwargs or {})
        return result.as_subclass(torch.Tensor) if func is torch.Tensor.cpu else result


def test_pixels_of_a_device_without_float64_are_counted_and_scored_on_the_cpu():
    matrices = metrics.confusion_matrices(PREDICTED.as_subclass(OnGpu), TRUE.as_subclass(OnGpu))
    assert torch.equal(matrices, metrics.confusion_matrices(PREDICTED, TRUE))
    on_gpu = matrices[0].as_subclass(OnGpu)
    for score in (metrics.iou, metrics.dice, metrics.accuracy, metrics.mean_iou):
        assert type(score(on_gpu)) is torch.Tensor
        assert score(on_gpu).dtype == torch.float64
        torch.testing.assert_close(score(on_gpu), score(matrices[0]), equal_nan=True)


def test_pooled_iou_is_not_the_mean_over_images():
    # one large hit and one small miss: pooling weighs pixels, the per-image mean weighs images
    matrices = torch.zeros(2, 3, 3, dtype=torch.int64)
    matrices[0] = torch.tensor([[90, 0, 0], [0, 5, 0], [0, 0, 5]])
    matrices[1] = torch.tensor([[0, 10, 0], [0, 5, 0], [0, 0, 5]])
    assert metrics.pooled_scores(matrices)["iou_pet"] == pytest.approx(90 / 100)
    assert float(metrics.iou(matrices)[:, 0].mean()) == pytest.approx(0.5)


def test_an_image_that_a_sampler_repeats_counts_once():
    collected = SplitConfusion()
    collected.update(PREDICTED, TRUE, torch.tensor([4]))
    collected.update(PREDICTED.repeat(2, 1, 1), TRUE.repeat(2, 1, 1), torch.tensor([4, 1]))
    assert collected.compute().shape == (2, 3, 3)


def test_matrices_come_back_in_the_order_of_the_split():
    collected = SplitConfusion()
    flat = torch.zeros(1, 2, 2, dtype=int)
    collected.update(flat + 2, flat, torch.tensor([1]))
    collected.update(flat + 1, flat, torch.tensor([0]))
    assert collected.compute()[:, 0].tolist() == [[0, 4, 0], [0, 0, 4]]


def test_a_split_without_images_is_one_clear_sentence():
    with pytest.raises(ValueError, match="no image to score"):
        SplitConfusion().compute()
    with pytest.raises(ValueError, match="no image"):
        metrics.split_matrices(lambda image: image, [])


def test_ignored_pixels_count_nowhere_and_no_other_value_passes():
    target = torch.tensor([[[0, 255], [1, 2]]], dtype=torch.uint8)  # PREDICTED was wrong where the target is unknown
    matrix = metrics.confusion_matrices(PREDICTED, target, ignore=255)[0]
    assert matrix.tolist() == [[1, 0, 0], [0, 1, 0], [0, 1, 0]]
    with pytest.raises(ValueError, match="target: holds labels outside"):
        metrics.confusion_matrices(PREDICTED, torch.full((1, 2, 2), 254), ignore=255)


def test_pooled_scores_are_the_mean_iou_then_the_iou_of_each_class_then_the_accuracy_as_their_names_say():
    matrix = torch.tensor([[4, 1, 0], [0, 3, 1], [1, 0, 2]])
    scores = metrics.pooled_scores(matrix[None])
    assert tuple(scores) == SCORES == ("mean_iou", "iou_pet", "iou_background", "iou_boundary", "accuracy")
    wanted = [4 / 6, 3 / 5, 2 / 4]
    assert list(scores.values()) == pytest.approx([sum(wanted) / 3, *wanted, 9 / 12])
