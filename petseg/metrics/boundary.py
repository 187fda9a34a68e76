"""How well a contour is drawn: precision, recall and F-score of contour pixels at a tolerance in pixels.

Martin, Fowlkes, Malik: Learning to Detect Natural Image Boundaries (PAMI 2004), and Csurka, Larlus, Perronnin: What is
a good evaluation measure for semantic segmentation? (BMVC 2013). Martin et al. match contour pixels one to one; here,
as in Csurka et al., a pixel is a hit if any pixel of the other contour lies within the tolerance.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt
from torch import Tensor

#: Tolerances in pixels that this project reports.
TOLERANCES = (1, 2, 3, 5)


class BoundaryScores(NamedTuple):
    """Float64 tensors of one shape, values 0 to 1; NaN where there is nothing to divide by.

    `precision`: share of the predicted contour that lies near the true one; `recall`: share of the true contour that
    lies near the predicted one; `f`: their harmonic mean, 0 where only one of the two contours is there.
    """

    precision: Tensor
    recall: Tensor
    f: Tensor


def contour(region: Tensor) -> Tensor:
    """The innermost line of pixels along a region's edge.

    Args:
        region: bool (B, H, W).

    Returns:
        bool (B, H, W): pixels of the region with a neighbour above, below, left or right that is not of it. Where the
        frame of the picture cuts the region off, there is no edge, as there is none in the trimaps.
    """
    outside = ~region
    near = torch.zeros_like(region)
    near[:, 1:] |= outside[:, :-1]
    near[:, :-1] |= outside[:, 1:]
    near[:, :, 1:] |= outside[:, :, :-1]
    near[:, :, :-1] |= outside[:, :, 1:]
    return region & near


def boundary_counts(predicted: Tensor, true: Tensor, tolerances: Sequence[float] = TOLERANCES) -> Tensor:
    """Contour pixels of each image, and how many of them lie near the other contour.

    Args:
        predicted: bool (B, H, W), the region that was predicted.
        true: bool (B, H, W), the region that is there.
        tolerances: T Euclidean distances in pixels, between pixel centres; equal counts as near.

    Returns:
        int64 (B, T, 4): predicted contour pixels near the true contour, all predicted ones, true contour pixels near
        the predicted contour, all true ones. Add them up over images before `boundary_scores` to pool.

    Raises:
        ValueError: the shapes differ.
    """
    if predicted.shape != true.shape:
        raise ValueError(f"predicted {tuple(predicted.shape)} and true {tuple(true.shape)} must match in shape.")
    pairs = zip(contour(predicted).cpu().numpy(), contour(true).cpu().numpy(), strict=True)
    counts = [_near(ours, theirs, tolerances) + _near(theirs, ours, tolerances) for ours, theirs in pairs]
    return torch.tensor(counts, dtype=torch.int64).view(-1, 4, len(tolerances)).mT.contiguous()


def boundary_scores(counts: Tensor) -> BoundaryScores:
    """Precision, recall and F-score of counts (..., 4) as `boundary_counts` gives them, each of shape (...)."""
    near_predicted, predicted, near_true, true = counts.double().unbind(-1)
    precision, recall = near_predicted / predicted, near_true / true
    # an empty contour has no precision, but it hits nothing: 0 is what remains of the harmonic mean
    p, r = precision.nan_to_num(0), recall.nan_to_num(0)
    f = torch.where(p + r > 0, 2 * p * r / (p + r), 0.0)
    return BoundaryScores(precision, recall, f.masked_fill(predicted + true == 0, torch.nan))


def _near(ours: NDArray[np.bool_], theirs: NDArray[np.bool_], tolerances: Sequence[float]) -> list[list[int]]:
    """Two rows of one number a tolerance: our pixels within it of theirs, and all of ours."""
    total = int(ours.sum())
    if not (total and theirs.any()):
        return [[0] * len(tolerances), [total] * len(tolerances)]
    distance = distance_transform_edt(~theirs)[ours]  # from each of our pixels to the nearest of theirs
    return [[int((distance <= tolerance).sum()) for tolerance in tolerances], [total] * len(tolerances)]
