"""Whether probabilities mean what they say: of all pixels called 80 % pet, are 80 % pet?

Guo, Pleiss, Sun, Weinberger: On Calibration of Modern Neural Networks (ICML 2017), https://arxiv.org/abs/1706.04599,
for the top label; one class at a time as Kull et al.: Beyond temperature scaling (NeurIPS 2019),
https://arxiv.org/abs/1910.12656.
"""

from __future__ import annotations

import torch
from torch import Tensor


def reliability_counts(probability: Tensor, target: Tensor, bins: int = 15) -> Tensor:
    """Pixels by predicted probability, of each class and of the top label.

    Args:
        probability: float (B, K, H, W), 0 to 1, in sum 1 over the classes.
        target: integer (B, H, W), true labels 0 to K - 1.
        bins: equally wide ones from 0 to 1; a probability of 1 falls into the last.

    Returns:
        float64 (K + 1, bins, 3) on the CPU. Along the last axis: pixels, sum of their probabilities, and pixels for
        which it came true. Row k < K asks of every pixel whether it is class k; row K asks whether the most likely
        class is the true one. Add them up over batches to pool.
    """
    probability, target = probability.detach().cpu(), target.cpu().long()
    top, label = probability.max(dim=1)  # (B, H, W)
    K = probability.shape[1]
    rows = [(probability[:, k], target == k) for k in range(K)] + [(top, label == target)]
    return torch.stack([_binned(p.flatten(), true.flatten(), bins) for p, true in rows])


def reliability(counts: Tensor) -> tuple[Tensor, Tensor]:
    """Mean predicted probability and observed frequency of each bin; NaN where a bin is empty.

    Args:
        counts: (..., bins, 3) as `reliability_counts` gives them.

    Returns:
        float64 (..., bins) each, 0 to 1.
    """
    pixels, probability, true = counts.double().unbind(-1)
    return probability / pixels, true / pixels


def expected_calibration_error(counts: Tensor) -> Tensor:
    """How far probability and frequency are apart, bin by bin, in a mean weighted by pixels.

    Args:
        counts: (..., bins, 3) as `reliability_counts` gives them.

    Returns:
        float64 (...), 0 (calibrated, as far as bins can tell) to 1.
    """
    pixels, probability, true = counts.double().unbind(-1)
    return (probability - true).abs().sum(-1) / pixels.sum(-1)


def mean_gap(counts: Tensor) -> Tensor:
    """Mean probability minus frequency over all pixels: float64 (...), -1 to 1.

    Of the top label, more than 0 means overconfident and less than 0 underconfident; of a class, that it is predicted
    more or less often than it is there.
    """
    pixels, probability, true = counts.double().sum(-2).unbind(-1)
    return (probability - true) / pixels


def _binned(probability: Tensor, true: Tensor, bins: int) -> Tensor:
    place = (probability * bins).long().clamp_(0, bins - 1)
    weights = (None, probability.double(), true.double())
    return torch.stack([torch.bincount(place, weight, minlength=bins).double() for weight in weights], dim=-1)
