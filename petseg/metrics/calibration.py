"""Calibration: of all pixels with a predicted probability of 80 % for pet, are 80 % pet?

Guo, Pleiss, Sun, Weinberger: On Calibration of Modern Neural Networks (ICML 2017), https://arxiv.org/abs/1706.04599,
for the top label; one class at a time as Kull et al.: Beyond temperature scaling (NeurIPS 2019),
https://arxiv.org/abs/1910.12656.
"""

import torch
from torch import Tensor


def reliability_counts(probability: Tensor, target: Tensor, bins: int = 15) -> Tensor:
    """Pixels by predicted probability, of each class and of the top label. Sum over batches for a whole split.

    Args:
        probability: float (B, K, H, W), 0 to 1, summing to 1 over the classes.
        target: integer (B, H, W), true labels 0 to K - 1.
        bins: number of equally wide bins from 0 to 1; a probability of 1 falls into the last one.

    Returns:
        float64 (K + 1, bins, 3) on the CPU. Along the last axis: pixels, sum of their probabilities, and pixels whose
        prediction is true. Row k < K counts every pixel with its probability of class k; row K counts it with the
        probability of its most likely class.
    """
    probability, target = probability.detach().cpu(), target.cpu().long()
    top, label = probability.max(dim=1)  # (B, H, W): probability and label of the most likely class
    K = probability.shape[1]
    rows = [(probability[:, k], target == k) for k in range(K)] + [(top, label == target)]
    return torch.stack([_binned(p.flatten(), true.flatten(), bins) for p, true in rows])


def reliability(counts: Tensor) -> tuple[Tensor, Tensor]:
    """Mean predicted probability and observed frequency of each bin: float64 (..., bins), NaN where a bin is empty.

    `counts` (..., bins, 3) are those of `reliability_counts`, here and below.
    """
    pixels, probability, true = counts.cpu().double().unbind(-1)
    return probability / pixels, true / pixels


def expected_calibration_error(counts: Tensor) -> Tensor:
    """Mean absolute difference of probability and frequency over the bins, weighted by pixels (ECE): float64 (...).

    From 0, which is calibrated within the resolution of the bins, to 1.
    """
    pixels, probability, true = counts.cpu().double().unbind(-1)
    return (probability - true).abs().sum(-1) / pixels.sum(-1)


def mean_gap(counts: Tensor) -> Tensor:
    """Mean probability minus frequency over all pixels: float64 (...), -1 to 1.

    For the top label, above 0 means overconfident and below 0 underconfident. For a class, above 0 means that its
    probabilities are too high on average.
    """
    pixels, probability, true = counts.cpu().double().sum(-2).unbind(-1)
    return (probability - true) / pixels


def _binned(probability: Tensor, true: Tensor, bins: int) -> Tensor:
    index = (probability * bins).long().clamp_(0, bins - 1)  # the clamp puts a probability of 1 into the last bin
    weights = (None, probability.double(), true.double())
    return torch.stack([torch.bincount(index, weight, minlength=bins).double() for weight in weights], dim=-1)
