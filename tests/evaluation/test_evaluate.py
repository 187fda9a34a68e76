from collections.abc import Callable
from pathlib import Path

import lightning as L
import pytest
import torch
from torch import Tensor, nn

from petseg import evaluation, metrics
from petseg.data.datamodule import PetDataModule
from petseg.evaluation.corruptions import CORRUPTIONS, OUTSIDE
from petseg.inference.predictor import Predictor
from petseg.labels import PET
from petseg.models import zoo
from petseg.training.scoring import evaluate
from petseg.training.task import SegmentationTask


@pytest.fixture
def predictor(small_model: Path) -> Predictor:
    return Predictor(small_model, device="cpu")


@pytest.fixture(scope="module")
def data(cartoons: Path, ready: Callable[..., PetDataModule]) -> PetDataModule:
    return ready(cartoons, image_size=32)


@pytest.fixture
def images() -> Tensor:
    return torch.randint(0, 256, (3, 3, 32, 32), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


class Columns(nn.Module):
    """Logits that depend on the pixel's column alone, as no mirrored view does."""

    def forward(self, image: Tensor) -> Tensor:
        B, _, H, W = image.shape
        column = torch.linspace(-1, 1, W).expand(B, H, W)
        return torch.stack([column, -column, torch.zeros(B, H, W)], dim=1)


class Brightness(nn.Module):
    """Bright pixels are pet: a network that mirrors its answer with its input."""

    def forward(self, image: Tensor) -> Tensor:
        light = image.mean(dim=1)
        return torch.stack([light, -light, torch.full_like(light, -9.0)], dim=1)


def test_probabilities_are_those_of_the_network_whatever_the_batch(predictor, images, monkeypatch):
    probability = evaluation.probabilities(predictor, images)
    mean, std = 0.5, 0.25  # of the small model's card
    with torch.inference_mode():
        wanted = predictor.segmenter.network((images.float() / 255 - mean) / std).softmax(dim=1)
    torch.testing.assert_close(probability, wanted)
    monkeypatch.setattr("petseg.evaluation.evaluate.BATCH", 2)  # leaves a short last batch
    torch.testing.assert_close(evaluation.probabilities(predictor, images), probability)


def test_one_pass_over_a_split_agrees_with_the_scores_of_lightnings_test_loop(predictor, small_model, data):
    counts = evaluation.evaluate_split(predictor, data.datasets["test"])
    task = SegmentationTask(nn.Identity())
    task.segmenter, _ = zoo.load(small_model)
    trainer = L.Trainer(accelerator="cpu", logger=False, enable_progress_bar=False)
    trainer.test(task, datamodule=data, verbose=False)
    scores = metrics.pooled_scores(counts.matrices)
    assert {name: float(trainer.callback_metrics[f"test/{name}"]) for name in scores} == pytest.approx(scores)
    assert torch.equal(counts.matrices, evaluate(task, data, "test"))
    assert torch.equal(counts.matrices, metrics.split_matrices(predictor.segmenter, data.test_dataloader()))


def test_counts_of_a_split_are_those_of_its_parts(predictor, data):
    dataset = data.datasets["test"]
    counts = evaluation.evaluate_split(predictor, dataset)
    batch = dataset.__getitems__(list(range(len(dataset))))
    probability = evaluation.probabilities(predictor, batch.image)
    prediction = probability.argmax(dim=1)
    assert torch.equal(counts.matrices, metrics.confusion_matrices(prediction, batch.mask))
    assert torch.equal(counts.boundary, metrics.boundary_counts(prediction == PET, batch.mask == PET))
    torch.testing.assert_close(counts.reliability, metrics.reliability_counts(probability, batch.mask))


def test_the_answer_to_a_mirrored_photo_is_mirrored_back_and_both_are_averaged_as_probabilities(predictor, images):
    predictor.segmenter.network = Brightness()  # the same answer from both sides, if it is turned back
    plain = evaluation.probabilities(predictor, images)
    torch.testing.assert_close(evaluation.probabilities(predictor, images, mirrored=True), plain)
    predictor.segmenter.network = Columns()  # an answer that ignores the photo cancels with its mirror
    plain = evaluation.probabilities(predictor, images)
    both = evaluation.probabilities(predictor, images, mirrored=True)
    torch.testing.assert_close(both, (plain + plain.flip(-1)) / 2)
    assert not torch.allclose(plain, both)


def test_pixels_outside_of_a_rotated_photo_are_not_scored(predictor, images):
    mask = torch.zeros(3, 32, 32, dtype=torch.uint8)
    mask[:, 0] = OUTSIDE
    assert evaluation.evaluate_images(predictor, images, mask).sum(dim=(1, 2)).tolist() == [31 * 32] * 3


def test_every_corruption_is_scored_beside_the_unchanged_photos_on_the_same_pixels(predictor, images):
    mask = torch.zeros(3, 32, 32, dtype=torch.uint8)
    matrices = evaluation.corruption_matrices(predictor, images, mask, seed=5)
    assert list(matrices) == list(CORRUPTIONS)
    for name, (*_, strong) in matrices.items():
        assert strong.shape == (3, 2, 3, 3)
        changed = CORRUPTIONS[name](images, mask, "strong", 5)
        assert torch.equal(strong[:, 1], evaluation.evaluate_images(predictor, *changed))
        # a turn by 90 degrees keeps every pixel
        assert torch.equal(strong[:, 0], evaluation.evaluate_images(predictor, images, mask))
    turned = matrices["rotation"][1]  # by 45 degrees
    assert (turned.sum(dim=(2, 3)) == turned[0, 0].sum()).all()
    assert turned[0, 0].sum() < 32 * 32
