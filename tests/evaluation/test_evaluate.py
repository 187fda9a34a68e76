from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from petseg import metrics
from petseg.data.datamodule import PetDataModule
from petseg.data.splits import Example
from petseg.evaluation import evaluate as evaluation
from petseg.evaluation.corruptions import CORRUPTIONS, OUTSIDE
from petseg.evaluation.evaluate import View
from petseg.inference.predictor import Predictor
from petseg.labels import BACKGROUND, BOUNDARY, PET
from petseg.training.scoring import evaluate
from petseg.training.task import SegmentationTask
from petseg.training.weights import use_weights


@pytest.fixture
def predictor(small_model: Path) -> Predictor:
    return Predictor(small_model, device="cpu")


@pytest.fixture
def data(cartoons: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PetDataModule:
    monkeypatch.setenv("PETSEG_DATA_DIR", str(cartoons))
    module = PetDataModule("oxford", data_dir=cartoons, image_size=32, progress=False)
    module.prepare_data()
    module.setup()
    return module


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
    found = evaluation.probabilities(predictor, images)
    mean, std = 0.5, 0.25  # of the small model's card
    with torch.inference_mode():
        wanted = predictor.network((images.float() / 255 - mean) / std).softmax(dim=1)
    torch.testing.assert_close(found, wanted)
    monkeypatch.setattr(evaluation, "BATCH", 2)  # leaves a short last batch
    torch.testing.assert_close(evaluation.probabilities(predictor, images), found)


def test_one_pass_over_a_split_agrees_with_the_training_code_s_own_scores(predictor, small_model, data):
    counts = evaluation.count(predictor, data.datasets["test"])
    task = SegmentationTask(channels=(4, 8))
    use_weights(task, small_model)
    assert torch.equal(counts.matrices, evaluate(task, data, "test"))


def test_counts_of_a_split_are_those_of_its_parts(predictor, data):
    dataset = data.datasets["test"]
    counts = evaluation.count(predictor, dataset, tolerances=(1, 3))
    batch = dataset.__getitems__(list(range(len(dataset))))
    probability = evaluation.probabilities(predictor, batch.image)
    prediction = probability.argmax(dim=1)
    assert torch.equal(counts.matrices, metrics.confusion_matrices(prediction, batch.mask))
    assert torch.equal(counts.boundary, metrics.boundary_counts(prediction == PET, batch.mask == PET, (1, 3)))
    torch.testing.assert_close(counts.reliability, metrics.reliability_counts(probability, batch.mask))


def test_batches_go_through_a_split_once_and_in_order(data):
    dataset = data.datasets["test"]
    places = torch.cat([batch.index for batch in evaluation.batches(dataset, 5)])
    assert places.tolist() == list(range(len(dataset)))


def test_the_answer_to_a_mirrored_photo_is_mirrored_back(predictor, images):
    predictor.network = Brightness()  # the same answer from both sides, if it is turned back
    plain = evaluation.probabilities(predictor, images)
    torch.testing.assert_close(evaluation.probabilities(predictor, images, (View(flip=True),)), plain)
    predictor.network = Columns()  # an answer that ignores the photo cancels with its mirror
    both = evaluation.probabilities(predictor, images, evaluation.FLIPPED)
    torch.testing.assert_close(both, both.flip(-1))
    assert not torch.allclose(evaluation.probabilities(predictor, images), both)


def test_a_scaled_view_comes_back_to_where_it_was(predictor):
    predictor.network = Brightness()
    halves = torch.zeros(1, 3, 32, 32, dtype=torch.uint8)
    halves[..., 12:] = 255
    found = evaluation.probabilities(predictor, halves, (View(scale=1.25),))
    assert found.shape == (1, 3, 32, 32)
    torch.testing.assert_close(found.sum(dim=1), torch.ones(1, 32, 32))
    assert torch.equal(found.argmax(dim=1), evaluation.probabilities(predictor, halves).argmax(dim=1))


def test_views_are_averaged_as_probabilities(predictor, images):
    views = evaluation.SCALED
    single = torch.stack([evaluation.probabilities(predictor, images, (view,)) for view in views])
    torch.testing.assert_close(evaluation.probabilities(predictor, images, views), single.mean(dim=0))


def test_pixels_outside_of_a_rotated_photo_are_not_scored(predictor, images):
    mask = torch.zeros(3, 32, 32, dtype=torch.uint8)
    mask[:, 0] = OUTSIDE
    assert evaluation.matrices_of(predictor, images, mask).sum(dim=(1, 2)).tolist() == [31 * 32] * 3


def test_every_corruption_is_scored_beside_the_untouched_photos(predictor, images):
    mask = torch.zeros(3, 32, 32, dtype=torch.uint8)
    found = evaluation.under_corruption(predictor, images, mask, seed=5)
    assert list(found) == list(CORRUPTIONS)
    for name, rows in found.items():
        assert torch.equal(rows[0], evaluation.matrices_of(predictor, images, mask))
        strong = CORRUPTIONS[name](images, mask, "strong", 5)
        assert torch.equal(rows[3], evaluation.matrices_of(predictor, *strong))


EXAMPLES = [Example(name, 1, species) for name, species in (("pug_2", "dog"), ("Bengal_7", "cat"), ("pug_10", "dog"))]


def test_places_by_group_are_in_alphabetical_order_and_whole():
    assert evaluation.places_by(EXAMPLES, lambda example: example.breed) == {"Bengal": [1], "pug": [0, 2]}
    assert evaluation.places_by(EXAMPLES, lambda example: example.species) == {"cat": [1], "dog": [0, 2]}


def matrix(hit: int, missed: int) -> Tensor:
    return torch.tensor([[hit, missed, 0], [0, 50, 0], [0, 0, 5]])


def test_the_worst_of_each_breed_comes_worst_first():
    matrices = torch.stack([matrix(9, 1), matrix(5, 5), matrix(2, 8)])
    assert evaluation.worst_by_breed(EXAMPLES, matrices) == [2, 1]


def test_a_mask_without_a_pet_is_the_worst_only_if_one_was_predicted():
    none = torch.tensor([[0, 0, 0], [0, 50, 0], [0, 0, 5]])
    phantom = torch.tensor([[0, 0, 0], [7, 43, 0], [0, 0, 5]])
    assert evaluation.worst_by_breed(EXAMPLES, torch.stack([matrix(9, 1), none, phantom])) == [2]


@pytest.mark.parametrize(
    ("true", "predicted", "words"),
    [(PET, BACKGROUND, "pet missed"), (BACKGROUND, PET, "background taken for pet")],
)
def test_the_commonest_mistake_is_the_largest_cell_off_the_diagonal(true, predicted, words):
    counts = 60 * torch.eye(3, dtype=torch.int64)
    counts[true, predicted], counts[BOUNDARY, PET] = 15, 5
    mistake = evaluation.commonest_mistake(counts)
    assert (mistake.words, mistake.share) == (words, pytest.approx(15 / 200))


def test_every_confusion_has_its_own_words_and_none_has_none():
    assert len(set(evaluation.MISTAKES.values())) == 6
    assert evaluation.commonest_mistake(torch.eye(3, dtype=torch.int64)).words == "nothing"


def test_disagreement_counts_sure_contradictions_of_pet_and_background_only():
    mask = torch.tensor([[[PET, PET, BACKGROUND, BOUNDARY]]], dtype=torch.uint8)
    # sure background on pet; unsure background on pet; sure boundary on background; sure pet on boundary
    probability = torch.tensor([[[0.05, 0.2, 0.02, 0.97], [0.95, 0.7, 0.02, 0.02], [0.0, 0.1, 0.96, 0.01]]])
    found = evaluation.confident_disagreement(probability.view(1, 3, 1, 4), mask, sure=0.9)
    assert found.tolist() == [0.25]


def test_a_line_of_boundary_is_narrow_and_a_blob_is_wide():
    masks = torch.full((3, 21, 21), BACKGROUND, dtype=torch.uint8)
    masks[0, 9:12] = BOUNDARY  # three pixels thick
    masks[1, 5:16, 5:16] = BOUNDARY  # a square of eleven
    assert evaluation.widest_boundary(masks).tolist() == [2, 6, 0]
