"""Where a model goes wrong: the worst image of each breed, the largest confusion, doubtful masks."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from scipy.ndimage import distance_transform_edt
from torch import Tensor

from petseg.data.splits import Example
from petseg.labels import BACKGROUND, BOUNDARY, PET
from petseg.metrics.confusion import iou

#: A description of each confusion: (true class, predicted class).
MISTAKES = {
    (PET, BACKGROUND): "pet missed",
    (BACKGROUND, PET): "background taken for pet",
    (PET, BOUNDARY): "boundary reaches into the pet",
    (BACKGROUND, BOUNDARY): "boundary reaches into the background",
    (BOUNDARY, PET): "boundary taken for pet",
    (BOUNDARY, BACKGROUND): "boundary taken for background",
}


class Mistake(NamedTuple):
    """The most frequent confusion in an image."""

    description: str
    fraction: float  # of the image's pixels


def indices_by(examples: Sequence[Example], key: Callable[[Example], str]) -> dict[str, list[int]]:
    """Indices of the examples per group, groups in alphabetical order: `indices_by(examples, lambda e: e.breed)`."""
    groups: dict[str, list[int]] = {}
    for index, example in enumerate(examples):
        groups.setdefault(key(example), []).append(index)
    return dict(sorted(groups.items(), key=lambda item: item[0].casefold()))


def worst_by_breed(examples: Sequence[Example], matrices: Tensor) -> list[int]:
    """For each breed the index of the image whose pet has the lowest IoU, the lowest of all first.

    Images without a pet, true or predicted, have no IoU of the pet and are left out.
    """
    pet = iou(matrices)[:, PET].nan_to_num(nan=2.0)  # 2 is above every IoU, so no image without a pet is a minimum
    by_breed = indices_by(examples, lambda example: example.breed)
    worst = [min(indices, key=lambda n: float(pet[n])) for indices in by_breed.values()]
    return sorted((index for index in worst if pet[index] <= 1), key=lambda n: float(pet[n]))


def commonest_mistake(matrix: Tensor) -> Mistake:
    """The largest cell off the diagonal of a confusion matrix (3, 3), rows true classes; `nothing` where all are 0."""
    true, predicted = max(MISTAKES, key=lambda cell: int(matrix[cell]))
    fraction = float(matrix[true, predicted] / matrix.sum().clamp(min=1))
    return Mistake(MISTAKES[true, predicted] if fraction else "nothing", fraction)


def confident_disagreement(probability: Tensor, mask: Tensor, confidence: float = 0.9) -> Tensor:
    """Fraction of each image where a confident model says pet and the mask background, or the other way round.

    Takes probabilities (N, 3, H, W) and masks uint8 (N, H, W), returns float32 (N,). Pixels that the model or the mask
    calls boundary do not count, nor do those whose probability is below `confidence`.
    """
    highest, label = probability.max(dim=1)  # (N, H, W)
    opposite = (label != mask) & (label != BOUNDARY) & (mask != BOUNDARY) & (highest >= confidence)
    return opposite.float().mean(dim=(1, 2))


def largest_boundary_radius(mask: Tensor) -> Tensor:
    """Radius in pixels of the largest disc within the boundary class: masks uint8 (N, H, W) to float64 (N,).

    It tells a thin line from a wide area. The image border ends the boundary; 0 where there is no boundary.
    """
    padded = F.pad(mask == BOUNDARY, (1, 1, 1, 1)).numpy()
    return torch.tensor([float(distance_transform_edt(boundary).max()) for boundary in padded], dtype=torch.float64)
