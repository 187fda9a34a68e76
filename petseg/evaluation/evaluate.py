"""A model over a whole split: counts for every score in one pass, test-time augmentation, corruptions.

Everything is counted per image, and probabilities are dropped after each batch, so that memory does not grow with the
split.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from petseg.data.datamodule import Batch, PixelDataset
from petseg.evaluation.corruptions import CORRUPTIONS, OUTSIDE, STRENGTHS
from petseg.inference.predictor import Predictor
from petseg.labels import PET
from petseg.metrics.boundary import TOLERANCES, boundary_counts
from petseg.metrics.calibration import reliability_counts
from petseg.metrics.confusion import class_map, confusion_matrices


@dataclass(frozen=True)
class View:
    """A changed copy of the image in test-time augmentation.

    Attributes:
        flip: left and right are exchanged.
        scale: height and width that the network gets, as a multiple of the image's own.
    """

    flip: bool = False
    scale: float = 1.0


#: Sets of views whose probabilities are averaged: the image alone; with its mirror image; both at two scales.
SINGLE = (View(),)
FLIPPED = (View(), View(flip=True))
MULTISCALE = tuple(View(flip, scale) for scale in (1.0, 1.25) for flip in (False, True))

#: Images per batch: large enough to keep a GPU busy, small enough for a laptop's memory.
BATCH = 64


@dataclass(frozen=True, eq=False)
class Counts:
    """The counts from which all scores of a split follow.

    Attributes:
        matrices: int64 (N, 3, 3), one confusion matrix per image, in the split's order.
        boundary: int64 (N, T, 4), see `metrics.boundary_counts`.
        reliability: float64 (4, bins, 3), see `metrics.reliability_counts`.
    """

    matrices: Tensor
    boundary: Tensor
    reliability: Tensor


def batches(dataset: PixelDataset, size: int = BATCH) -> Iterator[Batch]:
    """The examples of a split in order, `size` at a time; the last batch may be short."""
    for start in range(0, len(dataset), size):
        yield dataset.__getitems__(list(range(start, min(start + size, len(dataset)))))


@torch.inference_mode()
def probabilities(predictor: Predictor, image: Tensor, views: Sequence[View] = SINGLE) -> Tensor:
    """Class probabilities of images that have the working size, `BATCH` images at a time.

    Args:
        predictor: the model.
        image: uint8 (N, 3, H, W).
        views: the result is the mean over these.

    Returns:
        float32 (N, 3, H, W) on the CPU, 0 to 1, summing to 1 over the classes: 0.2 MB per image of 128x128.
    """
    parts = []
    for part in image.split(BATCH):
        pixels = part.float() / 255  # (B, 3, H, W)
        # probabilities are averaged, not logits: a view that is certain of a mistake then counts no more than 1
        parts.append(torch.stack([_view_probabilities(predictor, pixels, view) for view in views]).mean(dim=0))
    return torch.cat(parts)


def evaluate_split(predictor: Predictor, dataset: PixelDataset, tolerances: Sequence[float] = TOLERANCES) -> Counts:
    """Everything that the scores of a split need, in one pass: regions, the pet's contour, probabilities.

    Args:
        predictor: the model.
        dataset: the split.
        tolerances: T distances in pixels for the boundary F-score.
    """
    matrices, boundary, reliability = [], [], []
    for batch in batches(dataset):
        probability = probabilities(predictor, batch.image)  # (B, 3, H, W)
        prediction = class_map(probability)
        matrices.append(confusion_matrices(prediction, batch.mask))
        # the contour of the pet alone; the trimap's boundary counts as not pet
        boundary.append(boundary_counts(prediction == PET, batch.mask == PET, tolerances))
        reliability.append(reliability_counts(probability, batch.mask))
    return Counts(torch.cat(matrices), torch.cat(boundary), torch.stack(reliability).sum(dim=0))


def evaluate_images(predictor: Predictor, image: Tensor, mask: Tensor, views: Sequence[View] = SINGLE) -> Tensor:
    """Confusion matrices int64 (N, 3, 3) of images uint8 (N, 3, H, W) with masks uint8 (N, H, W).

    Pixels whose label is `corruptions.OUTSIDE` do not count.
    """
    return confusion_matrices(class_map(probabilities(predictor, image, views)), mask, ignore=OUTSIDE)


def corruption_matrices(predictor: Predictor, image: Tensor, mask: Tensor, seed: int = 0) -> dict[str, list[Tensor]]:
    """Confusion matrices under each corruption.

    Args:
        predictor: the model.
        image: uint8 (N, 3, H, W).
        mask: uint8 (N, H, W), labels.
        seed: of the noise.

    Returns:
        By name of the corruption, four tensors int64 (N, 3, 3): of the unchanged images, and at each strength.
    """
    clean = evaluate_images(predictor, image, mask)
    return {
        name: [clean] + [evaluate_images(predictor, *corrupt(image, mask, strength, seed)) for strength in STRENGTHS]
        for name, corrupt in CORRUPTIONS.items()
    }


def _view_probabilities(predictor: Predictor, image: Tensor, view: View) -> Tensor:
    """Probabilities of one view, mapped back to the pixels of the image: float32 (B, 3, H, W)."""
    H, W = image.shape[-2:]
    if view.flip:
        image = image.flip(-1)
    if view.scale != 1:
        image = _resized(image, round(view.scale * H), round(view.scale * W))
    probability = predictor.logits(image).softmax(dim=1)
    if view.scale != 1:
        probability = _resized(probability, H, W)
    return probability.flip(-1) if view.flip else probability


def _resized(image: Tensor, height: int, width: int) -> Tensor:
    return F.interpolate(image, (height, width), mode="bilinear", antialias=True, align_corners=False)
