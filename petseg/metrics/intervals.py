"""Confidence intervals of scores: the bootstrap over images.

Efron, Tibshirani: An Introduction to the Bootstrap (1993), chapter 13: percentile intervals. Whole images are drawn,
because the errors of the pixels of one image are not independent.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor


class Interval(NamedTuple):
    """A score of a set of images, with the lower and upper end of its interval; tensors of one shape."""

    value: Tensor
    low: Tensor
    high: Tensor


def resampled_sums(counts: Tensor, resamples: int = 2000, seed: int = 0) -> Tensor:
    """Sums of counts over N images that are drawn with replacement from N.

    Args:
        counts: (N, ...), counts per image, for instance confusion matrices.
        resamples: R, number of draws.
        seed: of the draws.

    Returns:
        float64 (R, ...) on the CPU.

    Raises:
        ValueError: there is no image.
    """
    N = len(counts)
    if N == 0:
        raise ValueError("the bootstrap needs counts of at least one image; below 20 it means little")
    # how often each image is drawn; with these as weights, all draws are one matrix product and no image is copied
    times = np.random.default_rng(seed).multinomial(N, np.full(N, 1 / N), size=resamples)  # (R, N)
    sums = torch.from_numpy(times).double() @ counts.cpu().double().reshape(N, -1)
    return sums.view(resamples, *counts.shape[1:])


def bootstrap(counts: Tensor, score: Callable[[Tensor], Tensor], resamples: int = 2000, seed: int = 0) -> Interval:
    """A pooled score with its 95 % percentile interval.

    To compare two models on the same images, pass both their counts as (N, 2, ...) and score the difference. Each
    draw then holds the same images for both models, so images that are hard for both cancel out.

    `score` maps summed counts (R, ...) to float64 scores (R, ...), one row per draw; draws whose score is NaN are left
    out. The other arguments, and what is raised, are those of `resampled_sums`.
    """
    draws = score(resampled_sums(counts, resamples, seed))
    low, high = (torch.nanquantile(draws, quantile, dim=0) for quantile in (0.025, 0.975))
    return Interval(score(counts.cpu().double().sum(dim=0, keepdim=True))[0], low, high)
