"""Checks of the gaps of notebook 07: seeds, paired differences, many comparisons, calibration, corruption, cost."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from scipy.stats import t
from torch import Tensor

from petseg.course.checks import Wrong, gap
from petseg.course.resampling import random_matrices
from petseg.evaluation.corruptions import flattened
from petseg.metrics.calibration import expected_calibration_error
from petseg.metrics.confusion import iou, mean_iou

Segment = Callable[[Tensor], Tensor]


def _limit(scores: Sequence[float]) -> float:
    n = len(scores)
    return float(t.ppf(0.975, n - 1) * np.std(scores, ddof=1) * np.sqrt(1 + 1 / n))


RUNS = [([67.0, 67.7, 66.7, 67.2],), ([1.0, 2.0],)]


@gap("07.a", "the limit for one more run", _limit, RUNS, "With two runs it is 16 times their standard deviation.")
def _limit_mistakes(scores: Sequence[float]) -> Wrong:
    n, right = len(scores), _limit(scores)
    return {
        "the root is missing: the new run and the mean are both uncertain.": right / np.sqrt(1 + 1 / n),
        "1/n alone is for the mean of the runs. The new run adds 1.": right / np.sqrt(n + 1),
        "divide by n - 1 in the standard deviation: `ddof=1`.": right * np.sqrt((n - 1) / n),
        "1.96 is for many runs. Use the t that is given.": right / t.ppf(0.975, n - 1) * 1.959964,
    }


def _probabilities(image: Tensor) -> Tensor:
    """A network's probabilities that depend on the column, so that a mirrored image gets others."""
    column = torch.linspace(-1, 1, image.shape[-1])
    return (image * (2 + column)).softmax(dim=1)


IMAGE = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(0))


def _mirrored(segment: Segment, image: Tensor) -> Tensor:
    return (segment(image) + segment(image.flip(-1)).flip(-1)) / 2


@gap("07.b", "the mirror image", _mirrored, [(_probabilities, IMAGE)], "It costs a second pass.")
def _mirror_mistakes(segment: Segment, image: Tensor) -> Wrong:
    plain, other = segment(image), segment(image.flip(-1))
    return {
        "flip the probabilities back before you average.": (plain + other) / 2,
        "average the two: half of their sum.": plain + other.flip(-1),
        "that is the mirror image alone. Average it with the plain probabilities.": other.flip(-1),
        "that flips rows. The last axis holds the columns.": (plain + segment(image.flip(-2)).flip(-2)) / 2,
    }


FIRST, SECOND = random_matrices(12, seed=6), random_matrices(12, seed=7)
INDEX = torch.tensor([0, 0, 3, 5, 5, 5, 7, 8, 9, 11, 11, 2])


def _difference(first: Tensor, second: Tensor, index: Tensor) -> float:
    return float(mean_iou(second[index].sum(dim=0)) - mean_iou(first[index].sum(dim=0)))


@gap("07.c", "a paired difference", _difference, [(FIRST, SECOND, INDEX)], "What is hard for both cancels out.")
def _difference_mistakes(first: Tensor, second: Tensor, index: Tensor) -> Wrong:
    everything = torch.arange(len(first))
    means = iou(second[index]).mean() - iou(first[index]).mean()
    return {
        "the sign is exchanged: second minus first.": -_difference(first, second, index),
        "that is the difference on all images. Take those of the draw.": _difference(first, second, everything),
        "an image that is drawn twice counts twice.": _difference(first, second, index.unique()),
        "that is the difference of means over images. Add up the matrices first, then score once.": float(means),
    }


def _deviation(first: float, second: float, correlation: float) -> float:
    return float(np.sqrt(first**2 + second**2 - 2 * correlation * first * second))


SPREADS = [(0.3, 0.4, 0.9), (0.3, 0.4, 0.0)]


@gap("07.d", "the deviation of a difference", _deviation, SPREADS, "At a correlation of 0.95 it is 4.5 times smaller.")
def _deviation_mistakes(first: float, second: float, correlation: float) -> Wrong:
    variance = _deviation(first, second, correlation) ** 2
    return {
        "that is the variance. The standard deviation is its root.": variance,
        "deviations are not subtracted; variances are added, less what both have in common.": abs(first - second),
        "what both have in common is missing.": float(np.hypot(first, second)),
        "with a plus, that is the deviation of a sum. Take the last term away.": _deviation(
            first, second, -correlation
        ),
        "the last term has a factor 2.": float(np.sqrt(variance + correlation * first * second)),
    }


def _swapped(first: Tensor, second: Tensor, swap: Tensor) -> float:
    chosen = swap[:, None, None]
    left, right = torch.where(chosen, second, first), torch.where(chosen, first, second)
    return float(mean_iou(right.sum(dim=0)) - mean_iou(left.sum(dim=0)))


SWAP = torch.arange(12) % 3 == 0


@gap("07.e", "exchanged images", _swapped, [(FIRST, SECOND, SWAP)], "Without any effect, all exchanges are alike.")
def _swap_mistakes(first: Tensor, second: Tensor, swap: Tensor) -> Wrong:
    right = _swapped(first, second, swap)
    kept = torch.where(swap[:, None, None], first, second)
    one_side = float(mean_iou(kept.sum(dim=0)) - mean_iou(first.sum(dim=0)))
    rest = _difference(first, second, (~swap).nonzero().flatten())
    return {
        "the sign is exchanged, or the wrong images change sides.": -right,
        "no image has changed sides.": _difference(first, second, torch.arange(len(first))),
        "only the right side has changed. An image that moves there leaves the left.": one_side,
        "the images in swap are left out. They have to change sides.": rest,
    }


def _at_least_one(comparisons: int, level: float) -> float:
    return 1 - (1 - level) ** comparisons


@gap("07.f", "at least one false find", _at_least_one, [(20, 0.05), (3, 0.1)], "With 20 comparisons it is 64 %.")
def _find_mistakes(comparisons: int, level: float) -> Wrong:
    return {
        "that is how many finds to expect. A probability is at most 1.": comparisons * level,
        "that is the probability of none. Take it from 1.": (1 - level) ** comparisons,
        "that is the probability that all are false finds.": level**comparisons,
        "that is the probability that not all are false finds.": 1 - level**comparisons,
    }


def _calibration_error(probability: Tensor, correct: Tensor, bins: int = 15) -> float:
    index = (probability * bins).long().clamp(max=bins - 1)
    rows = [(index == b, probability[index == b], correct[index == b]) for b in range(bins)]
    counts = torch.tensor([[float(n.sum()), float(p.sum()), float(c.sum())] for n, p, c in rows])
    return float(expected_calibration_error(counts))


SURE = torch.rand(200, generator=torch.Generator().manual_seed(1))
RIGHT = torch.rand(200, generator=torch.Generator().manual_seed(2)) < 0.6


@gap("07.g", "the calibration error", _calibration_error, [(SURE, RIGHT, 10), (SURE, RIGHT, 3)], "Say how many bins.")
def _calibration_mistakes(probability: Tensor, correct: Tensor, bins: int = 15) -> Wrong:
    index = (probability * bins).long().clamp(max=bins - 1)
    chosen = [index == b for b in index.unique()]
    gaps = torch.stack([probability[c].mean() - correct[c].float().mean() for c in chosen])
    weights = torch.stack([c.float().mean() for c in chosen])
    return {
        "gaps above and below cancel. Take the absolute difference.": float((weights * gaps).sum()),
        "weigh each bin with the fraction of the pixels that it holds.": float(gaps.abs().mean()),
        "you add up the bins without a weight.": float(gaps.abs().sum()),
        "the weight is a fraction of all pixels, not their number.": float((weights * gaps.abs()).sum() * len(correct)),
        "squares weigh large gaps more. Take the absolute difference.": float((weights * gaps**2).sum()),
    }


LOGITS = 3 * torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(3))
TARGET = torch.randint(0, 3, (2, 4, 5), generator=torch.Generator().manual_seed(4))
PROBABILITY = LOGITS.softmax(dim=1)


def _temper(probability: Tensor, temperature: float) -> Tensor:
    return (probability.log() / temperature).softmax(dim=1)


@gap("07.h", "temperature scaling", _temper, [(PROBABILITY, 2.0), (PROBABILITY, 0.5)], "The class map stays the same.")
def _temper_mistakes(probability: Tensor, temperature: float) -> Wrong:
    log = probability.log()
    return {
        "that is the inverse. A temperature above 1 makes the probabilities more equal.": (
            (log * temperature).softmax(dim=1)
        ),
        "softmax expects logits, not probabilities: take the logarithm first.": (
            (probability / temperature).softmax(dim=1)
        ),
        "the probabilities do not sum to 1 over the classes. Softmax does that.": (log / temperature).exp(),
        "softmax goes over the classes, axis 1.": (log / temperature).softmax(dim=0),
    }


def _log_loss(probability: Tensor, target: Tensor) -> float:
    return float(-probability.gather(1, target[:, None].long()).clamp(min=1e-12).log().mean())


@gap("07.i", "the log loss", _log_loss, [(PROBABILITY, TARGET)], "It is the cross-entropy of notebook 03.")
def _log_loss_mistakes(probability: Tensor, target: Tensor) -> Wrong:
    true = probability.gather(1, target[:, None])
    return {
        "the sign: a probability below 1 has a negative logarithm.": float(true.log().mean()),
        "take the logarithm of each pixel first, then the mean.": float(-true.mean().log()),
        "that is the mean over all classes. Pick the true class of each pixel.": float(-probability.log().mean()),
        "that is the top label. Pick the true class of each pixel.": float(-probability.amax(dim=1).log().mean()),
        "the mean, not the sum, so that the number of pixels does not matter.": float(-true.log().sum()),
    }


PIXELS = torch.randint(0, 256, (2, 3, 4, 5), generator=torch.Generator().manual_seed(5), dtype=torch.uint8)
PIXELS[1] //= 2


@gap("07.j", "low contrast", flattened, [(PIXELS, 0.5), (PIXELS, 0.25)], "Rounding loses grey levels for good.")
def _contrast_mistakes(image: Tensor, contrast: float) -> Wrong:
    pixels = image.float()

    def about(mean: Tensor) -> Tensor:
        return (mean + contrast * (pixels - mean)).round().to(torch.uint8)

    return {
        "that darkens. The mean of the image stays as it is.": (contrast * pixels).round().to(torch.uint8),
        "the mean is that of all images. Each has its own.": about(pixels.mean()),
        "the mean is that of each channel. Take one per image, so that colours fade as well.": (
            about(pixels.mean(dim=(2, 3), keepdim=True))
        ),
        "the contrast is what remains: you keep 1 - contrast.": (
            (pixels + contrast * (pixels.mean(dim=(1, 2, 3), keepdim=True) - pixels)).round().to(torch.uint8)
        ),
    }


def _undominated(scores: Sequence[float], costs: Sequence[float]) -> list[bool]:
    pairs = list(zip(scores, costs, strict=True))
    return [not any(s >= score and c <= cost and (s, c) != (score, cost) for s, c in pairs) for score, cost in pairs]


NETWORKS = [([0.7, 0.8, 0.75, 0.8, 0.6], [1, 4, 5, 6, 0.5]), ([0.7, 0.7, 0.7], [2, 2, 3])]


@gap("07.k", "dominated networks", _undominated, NETWORKS, "Equal networks do not dominate each other.")
def _dominated_mistakes(scores: Sequence[float], costs: Sequence[float]) -> Wrong:
    pairs = list(zip(scores, costs, strict=True))
    right = _undominated(scores, costs)
    return {
        "that is the reverse: True for those that no other dominates.": [not value for value in right],
        "that is only the best score. A cheaper network may be worth it.": [s == max(scores) for s in scores],
        "a network with an equal score and a lower cost dominates, too.": [
            not any(s > score and c < cost for s, c in pairs) for score, cost in pairs
        ],
    }
