import pytest
import torch
from torch import Tensor

from petseg import evaluation
from petseg.data.splits import Example
from petseg.evaluation.mistakes import MISTAKES
from petseg.labels import BACKGROUND, BOUNDARY, PET

EXAMPLES = [Example(name, 1, species) for name, species in (("pug_2", "dog"), ("Bengal_7", "cat"), ("pug_10", "dog"))]


def test_indices_by_group_are_in_alphabetical_order_and_whole():
    assert evaluation.indices_by(EXAMPLES, lambda example: example.breed) == {"Bengal": [1], "pug": [0, 2]}
    assert evaluation.indices_by(EXAMPLES, lambda example: example.species) == {"cat": [1], "dog": [0, 2]}


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
    ("true", "predicted", "description"),
    [(PET, BACKGROUND, "pet missed"), (BACKGROUND, PET, "background taken for pet")],
)
def test_the_commonest_mistake_is_the_largest_cell_off_the_diagonal(true, predicted, description):
    counts = 60 * torch.eye(3, dtype=torch.int64)
    counts[true, predicted], counts[BOUNDARY, PET] = 15, 5
    mistake = evaluation.commonest_mistake(counts)
    assert (mistake.description, mistake.fraction) == (description, pytest.approx(15 / 200))


def test_every_confusion_has_its_own_description_and_no_mistake_has_none():
    assert len(set(MISTAKES.values())) == 6
    assert evaluation.commonest_mistake(torch.eye(3, dtype=torch.int64)).description == "nothing"


def test_disagreement_counts_sure_contradictions_of_pet_and_background_only():
    mask = torch.tensor([[[PET, PET, BACKGROUND, BOUNDARY]]], dtype=torch.uint8)
    # sure background on pet; unsure background on pet; sure boundary on background; sure pet on boundary
    probability = torch.tensor([[[0.05, 0.2, 0.02, 0.97], [0.95, 0.7, 0.02, 0.02], [0.0, 0.1, 0.96, 0.01]]])
    found = evaluation.confident_disagreement(probability.view(1, 3, 1, 4), mask, confidence=0.9)
    assert found.tolist() == [0.25]


def test_a_line_of_boundary_is_narrow_and_a_blob_is_wide():
    masks = torch.full((3, 21, 21), BACKGROUND, dtype=torch.uint8)
    masks[0, 9:12] = BOUNDARY  # three pixels thick
    masks[1, 5:16, 5:16] = BOUNDARY  # a square of eleven
    assert evaluation.largest_boundary_radius(masks).tolist() == [2, 6, 0]
