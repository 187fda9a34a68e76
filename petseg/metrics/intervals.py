"""How sure a score is: the bootstrap over images.

Efron, Tibshirani: An Introduction to the Bootstrap (1993), chapter 13: percentile intervals. The unit that is drawn is
the image, since the pixels of one image err together.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor


class Interval(NamedTuple):
    """A score of the images at hand, and the range that resampling them leaves it in; tensors of one shape."""

    value: Tensor
    low: Tensor
    high: Tensor


def resampled_sums(counts: Tensor, resamples: int = 2000, seed: int = 0) -> Tensor:
    """Sums of counts over images drawn with replacement, as many as there are.

    Args:
        counts: (N, ...), counts per image, for instance confusion matrices.
        resamples: R, how often to draw.
        seed: of the draws.

    Returns:
        float64 (R, ...). No image is gathered: each draw is a vector of how often every image came up, and all draws
        together are one matrix product.

    Raises:
        ValueError: there is no image.
    """
    N = len(counts)
    if N == 0:
        raise ValueError("counts: of no image at all; the bootstrap needs at least 1, and means little below 20.")
    times = np.random.default_rng(seed).multinomial(N, np.full(N, 1 / N), size=resamples)  # (R, N)
    sums = torch.from_numpy(times).double() @ counts.double().reshape(N, -1)
    return sums.view(resamples, *counts.shape[1:])


def bootstrap(
    counts: Tensor,
    score: Callable[[Tensor], Tensor],
    resamples: int = 2000,
    seed: int = 0,
    level: float = 0.95,
) -> Interval:
    """A pooled score with its percentile interval.

    To compare two models on the same images, give both their counts as (N, 2, ...) and score the difference: each
    draw then holds the same images for both, and what makes an image hard for both cancels out.

    Args:
        counts: (N, ...), counts per image.
        score: of summed counts: (R, ...) to (R, ...), one row a draw.
        resamples: how often to draw.
        seed: of the draws.
        level: share of the draws between `low` and `high`. A draw whose score is NaN is left out.

    Returns:
        float64 tensors of the score's shape without its first axis.

    Raises:
        ValueError: there is no image, or the level does not lie between 0 and 1.
    """
    if not 0 < level < 1:
        raise ValueError(f"level={level}: must lie between 0 and 1, for instance 0.95.")
    draws = score(resampled_sums(counts, resamples, seed))
    tail = (1 - level) / 2
    low, high = (torch.nanquantile(draws, share, dim=0) for share in (tail, 1 - tail))
    return Interval(score(counts.double().sum(dim=0, keepdim=True))[0], low, high)
