"""A model over a whole split: scores by image and by group, test-time augmentation, and where it goes wrong.

Everything here counts per image and keeps no probabilities, so that memory does not grow with the split.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from scipy.ndimage import distance_transform_edt
from torch import Tensor

from petseg.data.datamodule import Batch, PixelDataset
from petseg.data.splits import Example
from petseg.evaluation.corruptions import CORRUPTIONS, OUTSIDE, STRENGTHS
from petseg.inference.predictor import Predictor
from petseg.labels import BACKGROUND, BOUNDARY, PET
from petseg.metrics.boundary import TOLERANCES, boundary_counts
from petseg.metrics.calibration import reliability_counts
from petseg.metrics.confusion import class_map, confusion_matrices, iou


@dataclass(frozen=True)
class View:
    """One way to look at an image in test-time augmentation.

    `flip`: left and right exchanged; `scale`: height and width that the network sees, as a share of the image's own.
    """

    flip: bool = False
    scale: float = 1.0


PLAIN = (View(),)
FLIPPED = (View(), View(flip=True))
SCALED = tuple(View(flip, scale) for scale in (1.0, 1.25) for flip in (False, True))

#: Images that go through the network at a time.
BATCH = 64

#: What a pixel of one class, taken for another, is called in words: (true, predicted).
MISTAKES = {
    (PET, BACKGROUND): "pet missed",
    (BACKGROUND, PET): "background taken for pet",
    (PET, BOUNDARY): "boundary reaches into the pet",
    (BACKGROUND, BOUNDARY): "boundary reaches into the background",
    (BOUNDARY, PET): "boundary taken for pet",
    (BOUNDARY, BACKGROUND): "boundary taken for background",
}


@dataclass(frozen=True, eq=False)
class Counts:
    """What one pass over a split leaves behind.

    `matrices`: int64 (N, 3, 3), one confusion matrix per image, in the split's order; `boundary`: int64 (N, T, 4), see
    `metrics.boundary_counts`; `reliability`: float64 (4, bins, 3), see `metrics.reliability_counts`.
    """

    matrices: Tensor
    boundary: Tensor
    reliability: Tensor


class Mistake(NamedTuple):
    """The commonest confusion in an image: in words, and its share of the image's pixels."""

    words: str
    share: float


def batches(dataset: PixelDataset, size: int = BATCH) -> Iterator[Batch]:
    """The examples of a split in order, `size` at a time; the last batch may be short."""
    for start in range(0, len(dataset), size):
        yield dataset.__getitems__(list(range(start, min(start + size, len(dataset)))))


@torch.inference_mode()
def probabilities(predictor: Predictor, image: Tensor, views: Sequence[View] = PLAIN) -> Tensor:
    """Class probabilities of images that have the working size, in float32, `BATCH` images at a time.

    Args:
        predictor: the model.
        image: uint8 (N, 3, H, W).
        views: the mean of the probabilities is taken over these.

    Returns:
        float32 (N, 3, H, W) on the CPU, 0 to 1, in sum 1 over the classes: 0.2 MB an image of 128x128.
    """
    parts = []
    for some in image.split(BATCH):
        normal = predictor.card.normalise(some)
        parts.append(torch.stack([_seen(predictor, normal, view) for view in views]).mean(dim=0))
    return torch.cat(parts)


def count(predictor: Predictor, dataset: PixelDataset, tolerances: Sequence[float] = TOLERANCES) -> Counts:
    """Everything that the scores of a split need, in one pass: regions, the pet's contour, probabilities.

    The contour is that of the class pet against the two others; the trimap's boundary counts as not pet.
    """
    parts = []
    for batch in batches(dataset):
        probability = probabilities(predictor, batch.image)
        prediction = class_map(probability)
        pixels = confusion_matrices(prediction, batch.mask)
        edges = boundary_counts(prediction == PET, batch.mask == PET, tolerances)
        parts.append((pixels, edges, reliability_counts(probability, batch.mask)))
    matrices, boundary, reliability = zip(*parts, strict=True)
    return Counts(torch.cat(matrices), torch.cat(boundary), torch.stack(reliability).sum(dim=0))


def matrices_of(predictor: Predictor, image: Tensor, mask: Tensor, views: Sequence[View] = PLAIN) -> Tensor:
    """Confusion matrices int64 (N, 3, 3) of images uint8 (N, 3, H, W); pixels `corrupt.OUTSIDE` do not count."""
    return confusion_matrices(class_map(probabilities(predictor, image, views)), mask, ignore=OUTSIDE)


def under_corruption(predictor: Predictor, image: Tensor, mask: Tensor, seed: int = 0) -> dict[str, list[Tensor]]:
    """Confusion matrices of images made worse.

    Args:
        predictor: the model.
        image: uint8 (N, 3, H, W).
        mask: uint8 (N, H, W), labels.
        seed: of the noise.

    Returns:
        By name of the corruption four tensors int64 (N, 3, 3): of the images as they are, and at each strength.
    """
    clean = matrices_of(predictor, image, mask)
    return {
        name: [clean] + [matrices_of(predictor, *corrupt(image, mask, strength, seed)) for strength in STRENGTHS]
        for name, corrupt in CORRUPTIONS.items()
    }


def places_by(examples: Sequence[Example], key: Callable[[Example], str]) -> dict[str, list[int]]:
    """Places of the examples by group, groups in alphabetical order: `places_by(examples, lambda e: e.breed)`."""
    groups: dict[str, list[int]] = {}
    for place, example in enumerate(examples):
        groups.setdefault(key(example), []).append(place)
    return dict(sorted(groups.items(), key=lambda item: item[0].casefold()))


def worst_by_breed(examples: Sequence[Example], matrices: Tensor) -> list[int]:
    """For each breed the image whose pet has the lowest IoU, the worst of all first; images without a pet aside."""
    pet = iou(matrices)[:, PET].nan_to_num(nan=2.0)
    worst = [min(places, key=lambda n: float(pet[n])) for places in places_by(examples, lambda e: e.breed).values()]
    return sorted((place for place in worst if pet[place] <= 1), key=lambda n: float(pet[n]))


def commonest_mistake(matrix: Tensor) -> Mistake:
    """The largest cell off the diagonal of a confusion matrix (3, 3), rows true classes; `nothing` where all are 0."""
    true, predicted = max(MISTAKES, key=lambda cell: int(matrix[cell]))
    share = float(matrix[true, predicted] / matrix.sum())
    return Mistake(MISTAKES[true, predicted] if share else "nothing", share)


def confident_disagreement(probability: Tensor, mask: Tensor, sure: float = 0.9) -> Tensor:
    """Share of each image where model and mask contradict each other flatly: one says pet, the other background.

    Args:
        probability: float (N, 3, H, W).
        mask: uint8 (N, H, W), labels.
        sure: the least probability of the model's class that counts.

    Returns:
        float32 (N,), 0 to 1. Pixels that either of them calls boundary do not count.
    """
    top, label = probability.max(dim=1)
    flat = (label != mask) & (label != BOUNDARY) & (mask != BOUNDARY) & (top >= sure)
    return flat.float().mean(dim=(1, 2))


def widest_boundary(mask: Tensor) -> Tensor:
    """Radius, in pixels, of the largest disc within the boundary of each mask uint8 (N, H, W): float64 (N,).

    It tells a line from a blob. The frame of the picture ends the boundary, 0 where there is none.
    """
    padded = F.pad(mask == BOUNDARY, (1, 1, 1, 1)).numpy()
    return torch.tensor([float(distance_transform_edt(boundary).max()) for boundary in padded], dtype=torch.float64)


def _seen(predictor: Predictor, normal: Tensor, view: View) -> Tensor:
    """Probabilities of one view, brought back to where the pixels of the image are."""
    H, W = normal.shape[-2:]
    image = normal.flip(-1) if view.flip else normal
    if view.scale != 1:
        size = (round(view.scale * H), round(view.scale * W))
        image = F.interpolate(image, size, mode="bilinear", antialias=True, align_corners=False)
    probability = predictor.logits(image).softmax(dim=1)
    if view.scale != 1:
        probability = F.interpolate(probability, (H, W), mode="bilinear", antialias=True, align_corners=False)
    return probability.flip(-1) if view.flip else probability
