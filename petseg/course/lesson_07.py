"""Checks of notebook 07: seeds, paired differences, many comparisons, calibration, corruption, cost, power."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from scipy import stats
from torch import Tensor

from petseg.course.checks import exercise, gap
from petseg.course.comparison import same_dtype
from petseg.course.hints import NotYetError, as_number, ask, one_of, verdict
from petseg.course.lesson_04 import random_matrices
from petseg.evaluation.corruptions import CORRUPTIONS, flattened
from petseg.metrics.calibration import expected_calibration_error
from petseg.metrics.confusion import iou, mean_iou

Segment = Callable[[Tensor], Tensor]

RUNS = [([67.0, 67.7, 66.7, 67.2],), ([1, 2],)]
IMAGE = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(0))
FIRST, SECOND = random_matrices(12, seed=6), random_matrices(12, seed=7)
INDEX = torch.tensor([0, 0, 3, 5, 5, 5, 7, 8, 9, 11, 11, 2])
SPREADS = [(0.3, 0.4, 0.9), (0.3, 0.4, 0.0)]
SWAP = torch.arange(12) % 3 == 0
SURE = torch.rand(200, generator=torch.Generator().manual_seed(1))
RIGHT = torch.rand(200, generator=torch.Generator().manual_seed(2)) < 0.6
LOGITS = 3 * torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(3))
TARGET = torch.randint(0, 3, (2, 4, 5), generator=torch.Generator().manual_seed(4), dtype=torch.uint8)
PROBABILITY = LOGITS.softmax(dim=1)
PIXELS = torch.randint(0, 256, (2, 3, 4, 5), generator=torch.Generator().manual_seed(5), dtype=torch.uint8)
PIXELS[1] //= 2
NETWORKS = [([0.7, 0.8, 0.75, 0.8, 0.6], [1, 4, 5, 6, 0.5]), ([0.7, 0.7, 0.7], [2, 2, 3]), ([0.7, 0.8], [2, 2])]


@gap("07.a", "the limit for one more run", RUNS, "With two runs it is 16 times their standard deviation.")
def _limit(scores: Sequence[float]) -> Iterator[Any]:
    n = len(scores)
    t = float(stats.t.ppf(0.975, n - 1))
    right = float(t * np.std(scores, ddof=1) * np.sqrt(1 + 1 / n))
    yield right
    yield {
        "the root is missing: the new run and the mean are both uncertain.": right / np.sqrt(1 + 1 / n),
        "1/n alone is for the mean of the runs. The new run adds 1.": right / np.sqrt(n + 1),
        "divide by n - 1 in the standard deviation: `ddof=1`.": right * np.sqrt((n - 1) / n),
        "1.96 is for many runs. Use the t that is given.": right / t * 1.959964,
    }


def _probabilities(image: Tensor) -> Tensor:
    """A network's probabilities that depend on the place, so that a mirrored image gets others."""
    row, column = (torch.linspace(-1, 1, side) for side in image.shape[-2:])
    return (image * (3 + row[:, None] + column)).softmax(dim=1)


@gap("07.b", "the mirror image", [(_probabilities, IMAGE)], "It costs a second pass.")
def _mirrored(segment: Segment, image: Tensor) -> Iterator[Any]:
    plain, other = segment(image), segment(image.flip(-1))
    yield (plain + other.flip(-1)) / 2
    yield {
        "flip the probabilities back before you average.": (plain + other) / 2,
        "average the two: half of their sum.": plain + other.flip(-1),
        "that is the mirror image alone. Average it with the plain probabilities.": other.flip(-1),
        "that flips rows. The last axis holds the columns.": (plain + segment(image.flip(-2)).flip(-2)) / 2,
    }


@gap("07.c", "a paired difference", [(FIRST, SECOND, INDEX)], "What is hard for both cancels out.")
def _difference(first: Tensor, second: Tensor, index: Tensor) -> Iterator[Any]:
    right = float(mean_iou(second[index].sum(dim=0)) - mean_iou(first[index].sum(dim=0)))
    yield right
    yield {
        "the sign is exchanged: second minus first.": -right,
        "that is the difference on all images. Take those of the draw.": _difference(first, second, slice(None)),
        "an image that is drawn twice counts twice.": _difference(first, second, index.unique()),
        "that is the difference of means over images. Add up the matrices first, then score once.": (
            iou(second[index]).mean() - iou(first[index]).mean()
        ),
    }


@gap("07.d", "the deviation of a difference", SPREADS, "At a correlation of 0.95 it is 4.5 times smaller.")
def _deviation(first: float, second: float, correlation: float) -> Iterator[Any]:
    variance, common = first**2 + second**2, correlation * first * second
    yield float(np.sqrt(variance - 2 * common))
    yield {
        "that is the variance. The standard deviation is its root.": variance - 2 * common,
        "deviations are not subtracted; variances are added, less what both have in common.": abs(first - second),
        "what both have in common is missing.": np.sqrt(variance),
        "with a plus, that is the deviation of a sum. Take the last term away.": np.sqrt(variance + 2 * common),
        "the last term has a factor 2.": np.sqrt(variance - common),
    }


@gap("07.e", "exchanged images", [(FIRST, SECOND, SWAP)], "Without any effect, all exchanges are alike.")
def _swapped(first: Tensor, second: Tensor, swap: Tensor) -> Iterator[Any]:
    chosen = swap[:, None, None]
    left, right = torch.where(chosen, second, first), torch.where(chosen, first, second)
    yield _difference(left, right, slice(None))
    yield {
        "the sign is exchanged, or the wrong images change sides.": _difference(right, left, slice(None)),
        "no image has changed sides.": _difference(first, second, slice(None)),
        "only the right side has changed. Swap images on both sides.": _difference(first, right, slice(None)),
        "the images in swap are left out. They have to change sides.": _difference(first, second, ~swap),
    }


@gap("07.f", "at least one false find", [(20, 0.05), (3, 0.1)], "With 20 comparisons at a level of 5 % it is 64 %.")
def _at_least_one(comparisons: int, level: float) -> Iterator[Any]:
    none = (1 - level) ** comparisons
    yield 1 - none
    yield {
        "that is how many finds to expect. A probability is at most 1.": comparisons * level,
        "that is the probability of none. Take it from 1.": none,
        "that is the probability that all are false finds.": level**comparisons,
    }


@gap("07.g", "the calibration error", [(SURE, RIGHT, 10), (SURE, RIGHT, 3)], "Report the number of bins with it.")
def _calibration_error(probability: Tensor, correct: Tensor, bins: int = 15) -> Iterator[Any]:
    index = (probability * bins).long().clamp(max=bins - 1)
    chosen = [index == b for b in index.unique()]
    rows = [[c.sum(), probability[c].sum(), correct[c].sum()] for c in chosen]
    yield float(expected_calibration_error(torch.tensor(rows).float()))
    gaps = torch.stack([probability[c].mean() - correct[c].float().mean() for c in chosen])
    weights = torch.stack([c.float().mean() for c in chosen])
    yield {
        "gaps above and below cancel. Take the absolute difference.": (weights * gaps).sum(),
        "weigh each bin with the fraction of the pixels that it holds.": gaps.abs().mean(),
        "the weight is a fraction of all pixels, not their number.": (weights * gaps.abs()).sum() * len(correct),
        "squares weigh large gaps more. Take the absolute difference.": (weights * gaps**2).sum(),
    }


@gap("07.h", "temperature scaling", [(PROBABILITY, 2.0), (PROBABILITY, 0.5)], "The class map stays the same.")
def _temper(probability: Tensor, temperature: float) -> Iterator[Any]:
    log = probability.log() / temperature
    yield log.softmax(dim=1)
    yield {
        "that is the inverse. A temperature above 1 evens them out.": _temper(probability, 1 / temperature),
        "softmax expects logits: take the logarithm first.": (probability / temperature).softmax(dim=1),
        "the probabilities do not sum to 1 over the classes. Softmax does that.": log.exp(),
        "softmax goes over the classes, axis 1.": log.softmax(dim=0),
    }


@gap("07.i", "the log loss", [(PROBABILITY, TARGET)], "It is the cross-entropy of notebook 03.")
def _log_loss(probability: Tensor, target: Tensor) -> Iterator[Any]:
    true = probability.gather(1, target[:, None].long()).clamp(min=1e-12)
    yield float(-true.log().mean())
    yield {
        "the sign: a probability below 1 has a negative logarithm.": true.log().mean(),
        "take the logarithm of each pixel first, then the mean.": -true.mean().log(),
        "that is the mean over all classes. Pick the true class of each pixel.": -probability.log().mean(),
        "that is the top label. Pick the true class of each pixel.": -probability.amax(dim=1).log().mean(),
        "the mean, not the sum, so that the number of pixels does not matter.": -true.log().sum(),
    }


@gap("07.j", "low contrast", [(PIXELS, 0.5), (PIXELS, 0.25)], "Rounding loses grey levels for good.", same_dtype)
def _flattened(image: Tensor, contrast: float) -> Iterator[Any]:
    yield flattened(image, contrast)
    pixels, mean = image.float(), image.float().mean((1, 2, 3), keepdim=True)

    def about(mean: Any) -> Tensor:
        return (mean + contrast * (pixels - mean)).round().to(torch.uint8)

    yield {
        "that darkens. The mean of the image stays as it is.": about(0),
        "the mean is that of all images. Each has its own.": about(pixels.mean()),
        "take one mean per image, not per channel: colours fade, too.": about(pixels.mean((2, 3), keepdim=True)),
        "the contrast is what remains: you keep 1 - contrast.": flattened(image, 1 - contrast),
        "`to(torch.uint8)` cuts the fraction off. Round first.": (mean + contrast * (pixels - mean)).to(torch.uint8),
    }


@gap("07.k", "dominated networks", NETWORKS, "Equal networks do not dominate each other.")
def _undominated(scores: Sequence[float], costs: Sequence[float]) -> Iterator[Any]:
    pairs = list(zip(scores, costs, strict=True))

    def none(dominates: Callable[[float, float], bool]) -> list[bool]:
        others = [pairs[:i] + pairs[i + 1 :] for i in range(len(pairs))]
        return [not any(dominates(s - z, k - c) for s, c in rest) for (z, k), rest in zip(pairs, others, strict=True)]

    yield (right := none(lambda s, c: s >= 0 and c >= 0 and s + c > 0))
    yield {
        "that is the reverse: True for those that no other dominates.": [not value for value in right],
        "that is only the best score. A cheaper network may be worth it.": [s == max(scores) for s in scores],
        "a network with an equal score and a lower cost dominates, too.": none(lambda s, c: s > 0 and c >= 0),
        "one of the two may be equal: the other then has to be better.": none(lambda s, c: s > 0 and c > 0),
        "equal networks do not dominate each other.": none(lambda s, c: s >= 0 and c >= 0),
        "a network with a higher score at an equal cost dominates, too.": none(lambda s, c: s >= 0 and c > 0),
    }


#: Corruptions of the experiment: those that leave the mask as it is.
DAMAGES = ("blur", "noise", "JPEG", "darkness", "low contrast")


def power_of(effect: float, deviation: float, runs: int, normal: bool = False, one: bool = False) -> float:
    """Probability that a t-test finds an effect; wrong versions: a `normal` quantile, the limit of `one` more run."""
    freedom = 2 * runs - 2
    error = deviation * np.sqrt((1 + 1 / runs) if one else 2 / runs)
    limit = 1.959964 if normal else float(stats.t.ppf(0.975, freedom))
    shift = effect / error
    return float(stats.nct.sf(limit, freedom, shift) + stats.nct.cdf(-limit, freedom, shift))


@exercise("07.1", "how many runs?")
def power(answer: Any) -> str:
    """The probability that an experiment finds an effect, within 0.03, for several effects and numbers of runs."""
    for effect, deviation, runs in ((0.0, 0.4, 4), (1.0, 0.4, 3), (0.5, 0.42, 8), (2.0, 0.5, 2)):
        result = as_number(ask(answer, effect, deviation, runs))
        right = power_of(effect, deviation, runs)
        if abs(result - right) < (within := 0.03 if effect else 0.015):
            continue
        mistakes = {
            "That is the probability of missing it.": 1 - right,
            "Without an effect, the rule still finds one in 5 % of all experiments.": 0.0 if effect == 0 else -1,
            "The means may differ in either direction: count both tails.": right / 2 if effect == 0 else -1,
            "1.96 is the factor for many runs. The rule has the quantile of t.": power_of(
                effect, deviation, runs, True
            ),
            "Both means come from `runs` runs: sqrt(2 / runs).": power_of(effect, deviation, runs, one=True),
        }
        hint = "Draw the scores of both recipes at random, and count how often the rule finds a difference."
        hint = next((hint for hint, value in mistakes.items() if abs(result - value) < within), hint)
        raise NotYetError(f"power({effect:g}, {deviation:g}, {runs}) is {result:.2f}, expected {right:.2f}. {hint}")
    enough = next(n for n in range(2, 50) if power_of(1.0, 0.42, n) > 0.8)
    return f"To find 1 point with a deviation of 0.42 in 80 % of experiments takes {enough} runs of each recipe."


@exercise("07.2", "experiment: confidence on damaged images")
def damaged_confidence(guess: Any, overconfidence: Any) -> str:
    """A guess, and a function that measures mean confidence minus accuracy on changed images."""
    one_of(guess, DAMAGES)
    unchanged = as_number(ask(overconfidence, lambda image, mask: (image, mask)))
    wrong = as_number(ask(overconfidence, lambda image, mask: (image, ((mask.int() + 1) % 3).to(mask.dtype))))
    if wrong < unchanged:
        raise NotYetError("with wrong masks it falls. Take confidence minus accuracy, not the other way round.")
    if not -1 <= unchanged < wrong <= 1:
        seen = f"it is {unchanged:.3f}, and {wrong:.3f} with wrong masks; both must lie between -1 and 1"
        raise NotYetError(f"{seen}. Wrong masks lower the accuracy: score the masks that `change` returns.")
    black = as_number(ask(overconfidence, lambda image, mask: (torch.zeros_like(image), mask)))
    if black == unchanged:
        raise NotYetError("black images change nothing. Give the changed images to the network.")
    values = {name: as_number(ask(overconfidence, partial(CORRUPTIONS[name], strength="medium"))) for name in DAMAGES}
    return f"Undamaged {unchanged:+.3f}; {verdict(guess, values)}"
