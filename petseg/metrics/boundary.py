"""Boundary F-score: precision and recall of contour pixels at a tolerance in pixels.

Martin, Fowlkes, Malik: Learning to Detect Natural Image Boundaries (PAMI 2004), and Csurka, Larlus, Perronnin: What is
a good evaluation measure for semantic segmentation? (BMVC 2013). Martin et al. match contour pixels one to one; here,
as in Csurka et al., a pixel is a hit if any pixel of the other contour lies within the tolerance.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import binary_erosion, distance_transform_edt
from torch import Tensor

#: Tolerances in pixels that this project reports.
TOLERANCES = (1, 2, 3, 5)

#: A pixel and its neighbours above, below, left and right; in no other image of the batch.
CROSS = np.array([[[0, 1, 0], [1, 1, 1], [0, 1, 0]]])


class BoundaryScores(NamedTuple):
    """Float64 tensors of one shape, values 0 to 1; NaN where the denominator is 0."""

    precision: Tensor  # fraction of the predicted contour that lies near the true one
    recall: Tensor  # fraction of the true contour that lies near the predicted one
    f: Tensor  # their harmonic mean, 0 where only one of the two contours exists


def contour(region: Tensor) -> Tensor:
    """The outermost pixels of a region, bool (B, H, W): those with a neighbour outside it, in four directions.

    The image border is no contour: where it cuts the region off, the trimaps have no boundary either.
    """
    pixels = region.cpu().numpy()
    return torch.from_numpy(pixels & ~binary_erosion(pixels, CROSS, border_value=1))


def boundary_counts(predicted: Tensor, true: Tensor, tolerances: Sequence[float] = TOLERANCES) -> Tensor:
    """Contour pixels of each image, and how many of them lie near the other contour.

    Args:
        predicted: bool (B, H, W), the predicted region.
        true: bool (B, H, W), the true region.
        tolerances: T Euclidean distances in pixels, between pixel centres; an equal distance counts as near.

    Returns:
        int64 (B, T, 4) on the CPU: predicted contour pixels near the true contour, all predicted ones, true contour
        pixels near the predicted contour, all true ones. For pooled scores, sum over images before `boundary_scores`.
    """
    pairs = zip(contour(predicted).numpy(), contour(true).numpy(), strict=True)
    counts = [_near(p, t, tolerances) + _near(t, p, tolerances) for p, t in pairs]
    return torch.tensor(counts, dtype=torch.int64).view(-1, 4, len(tolerances)).mT.contiguous()  # (B, T, 4)


def boundary_scores(counts: Tensor) -> BoundaryScores:
    """Precision, recall and F-score of counts (..., 4) as `boundary_counts` gives them, each of shape (...)."""
    near_predicted, predicted, near_true, true = counts.cpu().double().unbind(-1)
    precision, recall = near_predicted / predicted, near_true / true
    # an empty contour has no precision, and it matches nothing: the harmonic mean is 0
    p, r = precision.nan_to_num(0), recall.nan_to_num(0)
    f = torch.where(p + r > 0, 2 * p * r / (p + r), 0.0)
    return BoundaryScores(precision, recall, f.masked_fill(predicted + true == 0, torch.nan))


def _near(contour: NDArray[np.bool_], other: NDArray[np.bool_], tolerances: Sequence[float]) -> list[list[int]]:
    """Pixels of `contour` within each tolerance of `other`, and all pixels of `contour`: two rows of T numbers."""
    total = int(contour.sum())
    if not (total and other.any()):
        return [[0] * len(tolerances), [total] * len(tolerances)]
    # one transform gives the distance of every pixel to `other`, so that no pair of pixels is compared
    distance = distance_transform_edt(~other)[contour]
    return [[int((distance <= tolerance).sum()) for tolerance in tolerances], [total] * len(tolerances)]
