"""Checks of the gaps of notebook 04: scores from counts of pixels, the bootstrap, the contour, doubtful masks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, binary_erosion, distance_transform_edt
from torch import Tensor

from petseg.course.checks import exercise, gap
from petseg.course.comparison import close
from petseg.course.hints import NotYetError, ask
from petseg.evaluation.mistakes import confident_disagreement
from petseg.labels import BOUNDARY
from petseg.metrics import boundary
from petseg.metrics.confusion import batch_confusion, confusion_matrices, iou, mean_iou
from petseg.metrics.intervals import bootstrap

Region = NDArray[np.bool_]


def random_matrices(n: int, seed: int = 0, side: int = 8) -> Tensor:
    """Confusion matrices (n, 3, 3) of random masks, each with another fraction of errors."""
    generator = torch.Generator().manual_seed(seed)
    truth = torch.randint(0, 3, (n, side, side), generator=generator)
    wrong = torch.rand(truth.shape, generator=generator) < torch.rand(n, 1, 1, generator=generator)
    return confusion_matrices(torch.where(wrong, torch.randint(0, 2, truth.shape, generator=generator), truth), truth)


def _labels(seed: int, *shape: int) -> Tensor:
    return torch.randint(0, 3, shape, generator=torch.Generator().manual_seed(seed))


MASKS = (_labels(0, 5, 6), _labels(1, 5, 6))


@gap("04.a", "true and false positives", [(*MASKS, 0), (*MASKS, 2)], "All scores come from these.")
def _outcomes(prediction: Tensor, truth: Tensor, label: int) -> Iterator[Any]:
    true, predicted = truth == label, prediction == label
    tp, fp, fn = (int(pixels.sum()) for pixels in (true & predicted, ~true & predicted, true & ~predicted))
    yield tp, fp, fn
    right = int((prediction == truth).sum())
    yield {
        "false positives and false negatives are exchanged. A false positive is predicted, but not true.": (tp, fn, fp),
        "the true positives are among the predicted and the true pixels; leave them out.": (tp, tp + fp, tp + fn),
        "the first number counts right pixels of every class. Count those of `label`.": (right, fp, fn),
    }


@gap("04.b", "precision, recall and IoU", [(5, 1, 2), (7, 9, 4)], "IoU is the lowest of the three.")
def _scores(tp: int, fp: int, fn: int) -> Iterator[Any]:
    p, r, union = tp / (tp + fp), tp / (tp + fn), tp / (tp + fp + fn)
    yield p, r, union
    yield {
        "precision and recall are exchanged. Recall is the fraction of the true pixels that are found.": (r, p, union),
        "the third is Dice. The IoU counts the intersection once.": (p, r, 2 * tp / (2 * tp + fp + fn)),
        "the union contains the true positives once, not twice.": (p, r, tp / (2 * tp + fp + fn)),
        "the union contains the true positives, too.": (p, r, tp / (fp + fn)),
    }


@gap("04.c", "Dice from IoU", [(0.5,), (1.0,), (0.0,), (0.9,)], "Both rank two predictions of a class alike.")
def _dice(score: float) -> Iterator[Any]:
    yield 2 * score / (1 + score)
    yield {
        "that is the inverse, from Dice to IoU.": score / (2 - score),
        "the sum of both areas is not the union. It is the union plus the intersection.": 2 * score,
    }


@gap("04.d", "the confusion matrix", [MASKS], "Its sum is the number of pixels.")
def _confusion(prediction: Tensor, truth: Tensor) -> Iterator[Any]:
    yield batch_confusion(prediction, truth)
    yield {
        "rows and columns are exchanged. The first index is the true class.": batch_confusion(truth, prediction),
        "you write 1 instead of adding 1.": (batch_confusion(prediction, truth) > 0).long(),
    }


MATRIX = torch.tensor([[6, 1, 3], [0, 9, 2], [4, 5, 7]])


@gap("04.e", "IoU from a confusion matrix", [(MATRIX,)], "`metrics.iou` does this for many matrices at once.")
def _iou(matrix: Tensor) -> Iterator[Any]:
    yield iou(matrix)
    both, true, predicted = matrix.diagonal().double(), matrix.sum(1).double(), matrix.sum(0).double()
    yield {
        "the union counts the intersection once; row plus column count it twice.": both / (true + predicted),
        "that is Dice.": 2 * both / (true + predicted),
        "that is recall: pixels that were wrongly called this class belong to the union, too.": both / true,
        "that is precision: pixels of this class that were missed belong to the union, too.": both / predicted,
        "the mean over the classes comes later. Return one IoU per class.": float(iou(matrix).mean()),
    }


EMPTY = torch.tensor([[[0, 0, 0], [0, 64, 0], [0, 0, 0]]])  # an image of background alone
SEVERAL = torch.cat([random_matrices(4), 9 * random_matrices(1, seed=1), EMPTY])


@gap("04.f", "pooled, and mean over images", [(SEVERAL, 0), (SEVERAL, 2)], "Say which you report.")
def _pooled_and_mean(matrices: Tensor, label: int) -> Iterator[Any]:
    each, all_classes = iou(matrices)[:, label], iou(matrices.sum(dim=0))
    pooled, mean = float(all_classes[label]), float(each.nanmean())
    yield pooled, mean
    yield {
        "the two are exchanged: the pooled score comes first.": (mean, pooled),
        "an image without this class has NaN as its score. `nanmean` leaves it out.": (pooled, float("nan")),
        "an image without this class has no score: leave it out. You count 0.": (pooled, each.nan_to_num(0).mean()),
        "these are means over the classes. Take the one of `label`.": (all_classes.mean(), iou(matrices).nanmean()),
    }


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


DRAWS = np.random.default_rng(0).gamma(3, size=400)


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
    return "An interval is about the score on all photos of this kind, not about the next split."


REGION = np.zeros((12, 12), dtype=bool)
REGION[2:10, 4:] = True
REGION[5:7, 7:9] = False
STRAY, MOVED = REGION.copy(), np.roll(REGION, (1, -1), (0, 1))
STRAY[0, 0:3] = True


@gap("04.j", "the contour", [(REGION,)], "Where the photo's frame cuts the pet off, there is no contour.")
def _contour(region: Region) -> Iterator[Any]:
    yield np.asarray(boundary.contour(torch.from_numpy(region)[None])[0].numpy())
    yield {
        "the frame of the image is no edge: `border_value=1`.": region & ~binary_erosion(region),
        "that is what erosion leaves. The contour is what it takes away.": binary_erosion(region, border_value=1),
        "that is the ring outside. The contour belongs to the region.": binary_dilation(region) & ~region,
    }


PAIRS = [(STRAY, MOVED, 0), (STRAY, MOVED, 1)]


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
        "the harmonic mean has a factor 2.": p * r / (p + r),
        "`distance_transform_edt` measures from true to false pixels: give it `~true`.": _harmonic(*inside),
        "count the pixels of the contours alone: `[predicted]` and `[true]`.": _harmonic(*everywhere),
    }


def _harmonic(precision: float, recall: float) -> float:
    return 2 * precision * recall / max(precision + recall, 1e-12)


PROBABILITY = (3 * torch.randn(2, 3, 9, 9, generator=torch.Generator().manual_seed(4))).softmax(dim=1)
DOUBTS = [(PROBABILITY, _labels(5, 2, 9, 9), confidence) for confidence in (0.9, 0.5)]


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
