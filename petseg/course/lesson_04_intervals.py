"""Checks of notebook 04 about what scores mean: the bootstrap, the contour, doubtful masks."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, binary_erosion, distance_transform_edt
from torch import Tensor

from petseg.course.checks import exercise, gap
from petseg.course.comparison import close, other_kind
from petseg.course.hints import NotYetError, ask
from petseg.course.lesson_04 import _labels, random_matrices
from petseg.evaluation.mistakes import confident_disagreement
from petseg.labels import BOUNDARY
from petseg.metrics import boundary
from petseg.metrics.confusion import iou, mean_iou
from petseg.metrics.intervals import bootstrap

Region = NDArray[np.bool_]
DRAWS = np.random.default_rng(0).gamma(3, size=400)
REGION = np.zeros((12, 12), dtype=bool)
REGION[2:10, 4:] = True
REGION[5:7, 7:9] = False
STRAY, MOVED = REGION.copy(), np.roll(REGION, (1, -1), (0, 1))
STRAY[0, 0:3] = True
FAR, NEAR = np.zeros_like(REGION), np.zeros_like(REGION)
FAR[1, 1] = NEAR[10, 10] = True
PAIRS = [(STRAY, MOVED, 0), (STRAY, MOVED, 1), (FAR, NEAR, 1)]
PROBABILITY = (3 * torch.randn(2, 3, 9, 9, generator=torch.Generator().manual_seed(4))).softmax(dim=1)
DOUBTS = [(PROBABILITY, _labels(5, 2, 9, 9), confidence) for confidence in (0.9, 0.5)]


def _bootstrap_scores(matrices: Tensor, resamples: int, seed: int) -> list[float]:
    generator = torch.Generator().manual_seed(seed)
    N, scores = len(matrices), []
    for _ in range(resamples):
        index = torch.randint(N, (N,), generator=generator)
        scores.append(float(mean_iou(matrices[index].sum(dim=0))))
    return scores


@exercise("04.g", "the bootstrap", _bootstrap_scores)
def bootstrap_draws(answer: Any) -> str:
    """The scores of many draws: as many as asked for, and as far apart as those of draws with replacement."""
    matrices = random_matrices(30, seed=2)
    matrices[iou(matrices).mean(dim=1) > 0.5] *= 20  # the good ones are large: pooled, they decide
    result = np.asarray(ask(answer, matrices, 500, 0), dtype=float)
    if result.shape != (500,):
        raise NotYetError(f"for 500 draws expected 500 scores, but got the shape {result.shape}.")
    right, mean = np.array(_bootstrap_scores(matrices, 500, 0)), float(iou(matrices).mean())
    if result.std() < 1e-9:
        raise NotYetError("all draws have the same score. With replacement, an image can be drawn twice or never.")
    if abs(result.mean() - mean) < right.std() / 3:
        raise NotYetError("you take the mean over the images of a draw. Add up their matrices, then score once.")
    if not 0.8 < result.std() / right.std() < 1.25:
        seen = f"the scores have the standard deviation {result.std():.4f}, expected {right.std():.4f}"
        raise NotYetError(f"{seen}. Does each draw have N images?")
    if abs(result.mean() - right.mean()) > right.std() / 3:
        raise NotYetError(f"the scores have the mean {result.mean():.3f}, expected {right.mean():.3f}.")
    if not close(ask(answer, matrices, 20, 1), ask(answer, matrices, 20, 1)):
        raise NotYetError("the same seed gives other draws. Pass `generator=generator` to `torch.randint`.")
    return "It needs only the counts of each image, so it takes seconds."


@gap("04.h", "the middle 95 %", [(DRAWS, 0.95), (DRAWS, 0.9)], "It need not be symmetric.")
def _interval(scores: Any, level: float) -> Iterator[Any]:
    tail = (1 - level) / 2
    low, high = float(np.quantile(scores, tail)), float(np.quantile(scores, 1 - tail))
    yield low, high
    mean, half = np.mean(scores), 1.96 * np.std(scores)
    yield {
        "half of 1 - level belongs on each side.": (np.quantile(scores, 1 - level), np.quantile(scores, level)),
        "the lower end comes first.": (high, low),
        "that interval is symmetric around the mean. Take quantiles of the scores.": (mean - half, mean + half),
        "these are the smallest and the largest score.": (np.min(scores), np.max(scores)),
    }


def _simulate(population: Tensor, size: int, generator: torch.Generator) -> tuple[bool, bool]:
    split, other = (population[torch.randint(len(population), (size,), generator=generator)] for _ in range(2))
    _, low, high = bootstrap(split, mean_iou, resamples=300)
    held = [bool(low <= mean_iou(part.sum(dim=0)) <= high) for part in (population, other)]
    return held[0], held[1]


@exercise("04.i", "does a second split fall into the interval?", _simulate)
def second_split(answer: Any) -> str:
    """How often a simulated interval holds the score of the population, and that of a second split."""
    population, generator = random_matrices(300, seed=3), torch.Generator().manual_seed(0)
    results = [ask(answer, population, 60, generator) for _ in range(300)]
    if not all(isinstance(result, tuple | list) and len(result) == 2 for result in results):
        raise NotYetError("return two values, True or False.")
    first, second = np.mean(np.asarray(results, dtype=float), axis=0)
    said = f"in 300 simulations the first is True in {first:.0%}, the second in {second:.0%}"
    if second > 0.995:
        raise NotYetError(f"{said}. The second split has to be another draw than the one of the interval.")
    if second > first + 0.04:
        raise NotYetError(f"{said}: they are exchanged. The population comes first.")
    if second > 0.905:
        raise NotYetError(f"{said}. Is the second the score of another split? Expected about 83 %.")
    if not 0.88 < first < 0.99:
        raise NotYetError(f"{said}. Is the first the pooled score of the population? Expected about 95 %.")
    if second < 0.74:
        raise NotYetError(f"{said}. Does the second split have `size` images? Expected about 83 %.")
    few = population[:40]  # drawn without replacement, each split would be all of them
    if all(bool(second) for _, second in (ask(answer, few, 40, generator) for _ in range(40))):
        raise NotYetError("draw with replacement: `torch.randint`. An image can be drawn twice or never.")
    return "An interval is about the score on all photos of this kind, not about the next split."


def _of_bools(result: Any, expected: Any) -> str:
    """As `other_kind`; the contour selects pixels, for which 0 and 1 will not do."""
    kind = np.asarray(result).dtype
    right = f"the pixels are right, but their type is {kind}. Return bool."
    return other_kind(result, expected) or ("" if kind == np.bool_ else right)


@gap("04.j", "the contour", [(REGION,)], "Where the photo's frame cuts the pet off, there is no contour.", _of_bools)
def _contour(region: Region) -> Iterator[Any]:
    yield np.asarray(boundary.contour(torch.from_numpy(region)[None])[0].numpy())
    yield {
        "the frame of the image is no edge: `border_value=1`.": region & ~binary_erosion(region),
        "that is what erosion leaves. The contour is what it takes away.": binary_erosion(region, border_value=1),
        "that is the ring outside. The contour belongs to the region.": binary_dilation(region) & ~region,
    }


@gap("04.k", "boundary F", PAIRS, "At a tolerance of 0 only common contour pixels count.")
def _boundary_f(prediction: Region, truth: Region, tolerance: float) -> Iterator[Any]:
    predicted, true = (torch.from_numpy(region)[None] for region in (prediction, truth))
    yield float(boundary.boundary_scores(boundary.boundary_counts(predicted, true, [tolerance])).f)
    pair = _contour(prediction), _contour(truth)
    apart = [distance_transform_edt(~other)[one] for one, other in (pair, pair[::-1])]
    p, r = ((distances <= tolerance).mean() for distances in apart)
    strict_p, strict_r = ((distances < tolerance).mean() for distances in apart)
    inside = [(distance_transform_edt(other)[one] <= tolerance).mean() for one, other in (pair, pair[::-1])]
    everywhere = [(distance_transform_edt(~other) <= tolerance).mean() for other in pair[::-1]]
    yield {
        "that is the mean of precision and recall. Take the harmonic mean.": (p + r) / 2,
        "that is the precision alone.": p,
        "that is the recall alone.": r,
        "a pixel at exactly the tolerance counts as near: `<=`.": _harmonic(strict_p, strict_r),
        "the harmonic mean has a factor 2.": _harmonic(p, r) / 2,
        "where no pixel matches, both are 0, and 0 / 0 is NaN: return 0.": _harmonic(p, r) if p + r else np.nan,
        "`distance_transform_edt` measures from true to false pixels: give it `~true`.": _harmonic(*inside),
        "count the pixels of the contours alone: `[predicted]` and `[true]`.": _harmonic(*everywhere),
    }


def _harmonic(precision: float, recall: float) -> float:
    return 2 * precision * recall / max(precision + recall, 1e-12)


@gap("04.l", "where network and mask disagree", DOUBTS, "It is a reason to look at the photo.")
def _disagreement(probability: Tensor, mask: Tensor, confidence: float) -> Iterator[Any]:
    yield confident_disagreement(probability, mask, confidence)
    top, label = probability.max(dim=1)
    differ, sure, counted = label != mask, top >= confidence, (label != BOUNDARY) & (mask != BOUNDARY)
    pixels = {
        "pixels that the network or the mask calls boundary do not count.": differ & sure,
        "pixels that the mask calls boundary do not count, either.": differ & sure & (label != BOUNDARY),
        "pixels that the network calls boundary do not count, either.": differ & sure & (mask != BOUNDARY),
        "the confidence is missing.": differ & counted,
    }
    of_counted = (differ & counted & sure).sum(dim=(1, 2)) / counted.sum(dim=(1, 2))
    wrong = {hint: chosen.float().mean(dim=(1, 2)) for hint, chosen in pixels.items()}
    yield wrong | {"the fraction is that of all pixels of an image, boundary included.": of_counted}
