"""A model over a whole split: counts for every score in a single pass, test-time augmentation, corruptions, annotators.

Everything is counted per image, and probabilities are dropped after each batch, so that memory does not grow with the
split.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from petseg.data.datamodule import Batch, PetDataModule, PixelDataset
from petseg.data.duplicates import Pair
from petseg.evaluation.corruptions import CORRUPTIONS, OUTSIDE, STRENGTHS
from petseg.inference.predictor import Predictor
from petseg.labels import PET
from petseg.metrics.boundary import boundary_counts
from petseg.metrics.calibration import reliability_counts
from petseg.metrics.confusion import class_map, confusion_matrices

#: Images per batch: large enough to keep a GPU busy, small enough for a laptop's memory.
BATCH = 64


@dataclass(frozen=True, eq=False)
class Counts:
    """The counts from which all scores of a split follow."""

    matrices: Tensor  # int64 (N, 3, 3), one confusion matrix per image, in the split's order
    boundary: Tensor  # int64 (N, T, 4), as metrics.boundary_counts gives them
    reliability: Tensor  # float64 (4, bins, 3), as metrics.reliability_counts gives them


def batches(dataset: PixelDataset, size: int = BATCH) -> Iterator[Batch]:
    """The examples of a split in order, `size` at a time; the last batch may be short."""
    for start in range(0, len(dataset), size):
        yield dataset.__getitems__(list(range(start, min(start + size, len(dataset)))))


def probabilities(predictor: Predictor, image: Tensor, mirrored: bool = False) -> Tensor:
    """Class probabilities of images uint8 (N, 3, H, W) of the working size.

    With `mirrored`, they are the mean of those of the image and of its mirror image: test-time augmentation.

    Returns:
        float32 (N, 3, H, W) on the CPU, 0 to 1, summing to 1 over the classes: 0.2 MB per image of 128x128.
    """
    parts = []
    for part in image.split(BATCH):
        pixels = part.float() / 255  # (B, 3, H, W)
        parts.append(both_ways(predictor.logits, pixels) if mirrored else predictor.logits(pixels).softmax(dim=1))
    return torch.cat(parts)


def both_ways(segment: Callable[[Tensor], Tensor], image: Tensor) -> Tensor:
    """Mean probabilities (B, K, H, W) of images (B, 3, H, W) and their mirror images, by a function to logits."""
    mirrored = segment(image.flip(-1)).softmax(dim=1).flip(-1)
    # probabilities are averaged, not logits: a view that is certain of a mistake then counts no more than 1
    return (segment(image).softmax(dim=1) + mirrored) / 2


def evaluate_split(predictor: Predictor, dataset: PixelDataset) -> Counts:
    """All counts of a split in a single pass: regions, the pet's contour at `TOLERANCES` in pixels, probabilities."""
    matrices, boundary, reliability = [], [], []
    for batch in batches(dataset):
        probability = probabilities(predictor, batch.image)  # (B, 3, H, W)
        prediction = class_map(probability)
        matrices.append(confusion_matrices(prediction, batch.mask))
        # the contour of the pet alone; the trimap's boundary counts as not pet
        boundary.append(boundary_counts(prediction == PET, batch.mask == PET))
        reliability.append(reliability_counts(probability, batch.mask))
    return Counts(torch.cat(matrices), torch.cat(boundary), torch.stack(reliability).sum(dim=0))


def evaluate_images(predictor: Predictor, image: Tensor, mask: Tensor) -> Tensor:
    """Confusion matrices int64 (N, 3, 3) of images uint8 (N, 3, H, W) with masks uint8 (N, H, W).

    Pixels whose label is `corruptions.OUTSIDE` do not count.
    """
    return confusion_matrices(class_map(probabilities(predictor, image)), mask, ignore=OUTSIDE)


def corruption_matrices(predictor: Predictor, image: Tensor, mask: Tensor, seed: int = 0) -> dict[str, list[Tensor]]:
    """Confusion matrices of images uint8 (N, 3, H, W) with masks uint8 (N, H, W) under each corruption, by its name.

    Each has one tensor int64 (N, 2, 3, 3) per strength: of the unchanged images, and of the changed ones. Both count
    the same pixels: where a rotation moves a part of the mask out of the image, it leaves out that part of the
    unchanged image's class map as well. `seed` is that of the noise.
    """
    clean = class_map(probabilities(predictor, image))
    matrices: dict[str, list[Tensor]] = {}
    for name, corrupt in CORRUPTIONS.items():
        for strength in STRENGTHS:
            changed, labels = corrupt(image, mask, strength, seed)
            before = confusion_matrices(corrupt.labels(clean, strength), labels, ignore=OUTSIDE)
            after = evaluate_images(predictor, changed, labels)
            matrices.setdefault(name, []).append(torch.stack([before, after], dim=1))
    return matrices


def annotator_matrices(data: PetDataModule, pairs: Sequence[Pair]) -> Tensor:
    """The masks of photos that are in the data set twice, the second of each pair scored against the first.

    Their agreement is no upper limit for a network: two masks that differ can each be nearer to the true outline.

    Returns:
        int64 (P, 3, 3), one confusion matrix per pair. IoU does not depend on which of two masks counts as true.
    """
    matrices = []
    for pair in pairs:
        true, other = (data.datasets[photo.split][photo.index].mask for photo in pair[:2])  # (1, S, S)
        matrices.append(confusion_matrices(other, true))
    return torch.cat(matrices)
