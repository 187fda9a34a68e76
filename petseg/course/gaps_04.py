"""Checks of the gaps of notebook 04: scores from counts of pixels, the bootstrap, the contour, doubtful masks."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, binary_erosion, distance_transform_edt
from torch import Tensor

from petseg.course.checks import Wrong, gap
from petseg.course.resampling import random_matrices
from petseg.evaluation.mistakes import confident_disagreement
from petseg.labels import BOUNDARY
from petseg.metrics import boundary
from petseg.metrics.confusion import batch_confusion, iou

Region = NDArray[np.bool_]


def _labels(seed: int, *shape: int) -> Tensor:
    return torch.randint(0, 3, shape, generator=torch.Generator().manual_seed(seed))


def _outcome_counts(prediction: Tensor, truth: Tensor, label: int) -> tuple[int, int, int]:
    true, predicted = truth == label, prediction == label
    return int((true & predicted).sum()), int((~true & predicted).sum()), int((true & ~predicted).sum())


MASKS = (_labels(0, 5, 6), _labels(1, 5, 6))


@gap("04.a", "true and false positives", _outcome_counts, [(*MASKS, 0), (*MASKS, 2)], "All scores come from these.")
def _outcome_mistakes(prediction: Tensor, truth: Tensor, label: int) -> Wrong:
    tp, fp, fn = _outcome_counts(prediction, truth, label)
    right = int((prediction == truth).sum())
    return {
        "false positives and false negatives are exchanged. A false positive is predicted, but not true.": (tp, fn, fp),
        "the true positives are among the predicted and the true pixels; leave them out.": (tp, tp + fp, tp + fn),
        "the first number counts right pixels of every class. Count those of `label`.": (right, fp, fn),
    }


def _scores(tp: int, fp: int, fn: int) -> tuple[float, float, float]:
    return tp / (tp + fp), tp / (tp + fn), tp / (tp + fp + fn)


@gap("04.b", "precision, recall and IoU", _scores, [(5, 1, 2), (7, 9, 4)], "IoU is the lowest of the three.")
def _score_mistakes(tp: int, fp: int, fn: int) -> Wrong:
    p, r, union = _scores(tp, fp, fn)
    return {
        "precision and recall are exchanged. Recall is the fraction of the true pixels that are found.": (r, p, union),
        "the third is Dice. The IoU counts the intersection once.": (p, r, 2 * tp / (2 * tp + fp + fn)),
        "the union contains the true positives once, not twice.": (p, r, tp / (2 * tp + fp + fn)),
        "the union contains the true positives, too.": (p, r, tp / (fp + fn)),
    }


SHARES = [(0.5,), (1.0,), (0.0,), (0.9,)]


@gap("04.c", "Dice from IoU", lambda iou: 2 * iou / (1 + iou), SHARES, "Both rank two predictions of a class alike.")
def _dice_mistakes(score: float) -> Wrong:
    return {
        "that is the inverse, from Dice to IoU.": score / (2 - score),
        "the sum of both areas is not the union. It is the union plus the intersection.": 2 * score,
        "that is IoU itself.": score,
    }


@gap("04.d", "the confusion matrix", batch_confusion, [MASKS], "Its sum is the number of pixels.")
def _confusion_mistakes(prediction: Tensor, truth: Tensor) -> Wrong:
    return {
        "rows and columns are exchanged. The first index is the true class.": batch_confusion(truth, prediction),
        "you write 1 instead of adding 1.": (batch_confusion(prediction, truth) > 0).long(),
    }


MATRIX = torch.tensor([[6, 1, 3], [0, 9, 2], [4, 5, 7]])


@gap("04.e", "IoU from a confusion matrix", iou, [(MATRIX,)], "`metrics.iou` does this for many matrices at once.")
def _iou_mistakes(matrix: Tensor) -> Wrong:
    both, true, predicted = matrix.diagonal().double(), matrix.sum(1).double(), matrix.sum(0).double()
    return {
        "the union counts the intersection once; row plus column count it twice.": both / (true + predicted),
        "that is Dice.": 2 * both / (true + predicted),
        "that is recall: pixels that were wrongly called this class belong to the union, too.": both / true,
        "that is precision: pixels of this class that were missed belong to the union, too.": both / predicted,
        "that is one number. Each class has its IoU.": float(both.sum() / matrix.sum()),
        "the mean over the classes comes later. Return one IoU per class.": float(iou(matrix).mean()),
    }


EMPTY = torch.tensor([[[0, 0, 0], [0, 64, 0], [0, 0, 0]]])  # an image of background alone
SEVERAL = torch.cat([random_matrices(4), 9 * random_matrices(1, seed=1), EMPTY])


def _pooled_and_mean(matrices: Tensor, label: int) -> tuple[float, float]:
    return float(iou(matrices.sum(dim=0))[label]), float(iou(matrices)[:, label].nanmean())


@gap("04.f", "pooled, and mean over images", _pooled_and_mean, [(SEVERAL, 0), (SEVERAL, 2)], "Say which you report.")
def _pooled_mistakes(matrices: Tensor, label: int) -> Wrong:
    pooled, mean = _pooled_and_mean(matrices, label)
    each, zeros = iou(matrices), iou(matrices)[:, label].nan_to_num(0)
    over_classes = (float(iou(matrices.sum(dim=0)).mean()), float(each.nanmean()))
    return {
        "the two are exchanged: the pooled score comes first.": (mean, pooled),
        "an image without this class has NaN as its score. `nanmean` leaves it out.": (pooled, float("nan")),
        "an image without this class has no score: leave it out. You count 0.": (pooled, float(zeros.mean())),
        "these are means over the classes. Take the one of `label`.": over_classes,
    }


def _interval(scores: Any, level: float) -> tuple[float, float]:
    tail = (1 - level) / 2
    return float(np.quantile(scores, tail)), float(np.quantile(scores, 1 - tail))


DRAWS = np.random.default_rng(0).gamma(3, size=400)


@gap("04.h", "the middle 95 %", _interval, [(DRAWS, 0.95), (DRAWS, 0.9)], "It need not be symmetric.")
def _interval_mistakes(scores: Any, level: float) -> Wrong:
    low, high = _interval(scores, level)
    mean, half = float(np.mean(scores)), 1.96 * float(np.std(scores))
    both_tails = (float(np.quantile(scores, 1 - level)), float(np.quantile(scores, level)))
    return {
        "you leave out 1 - level on each side. Half of it belongs on each.": both_tails,
        "the lower end comes first.": (high, low),
        "that interval is symmetric around the mean. Take quantiles of the scores.": (mean - half, mean + half),
        "these are the smallest and the largest score.": (float(np.min(scores)), float(np.max(scores))),
    }


def _contour(region: Region) -> Region:
    return np.asarray(boundary.contour(torch.from_numpy(region)[None])[0].numpy())


REGION = np.zeros((12, 12), dtype=bool)
REGION[2:10, 4:] = True
REGION[5:7, 7:9] = False
MOVED = np.roll(REGION, (1, -1), (0, 1))


@gap("04.j", "the contour", _contour, [(REGION,)], "Where the photo's frame cuts the pet off, there is no contour.")
def _contour_mistakes(region: Region) -> Wrong:
    return {
        "the frame of the image is no edge: `border_value=1`.": region & ~binary_erosion(region),
        "that is what erosion leaves. The contour is what it takes away.": binary_erosion(region, border_value=1),
        "that is the ring outside. The contour belongs to the region.": binary_dilation(region) & ~region,
        "that is the region itself.": region,
    }


def _boundary_f(prediction: Region, truth: Region, tolerance: float) -> float:
    predicted, true = (torch.from_numpy(region)[None] for region in (prediction, truth))
    return float(boundary.boundary_scores(boundary.boundary_counts(predicted, true, [tolerance])).f)


STRAY = REGION.copy()
STRAY[0, 0:3] = True


PAIRS = [(STRAY, MOVED, 0), (STRAY, MOVED, 1)]


@gap("04.k", "boundary F", _boundary_f, PAIRS, "At a tolerance of 0 only common contour pixels count.")
def _boundary_mistakes(prediction: Region, truth: Region, tolerance: float) -> Wrong:
    pair = _contour(prediction), _contour(truth)
    apart = [distance_transform_edt(~other)[one] for one, other in (pair, pair[::-1])]
    p, r = ((distances <= tolerance).mean() for distances in apart)
    strict_p, strict_r = ((distances < tolerance).mean() for distances in apart)
    strict = 2 * strict_p * strict_r / max(strict_p + strict_r, 1e-12)
    return {
        "that is the mean of precision and recall. Take the harmonic mean.": (p + r) / 2,
        "that is the precision alone.": p,
        "that is the recall alone.": r,
        "a pixel at exactly the tolerance counts as near: `<=`.": strict,
        "the harmonic mean has a factor 2.": p * r / (p + r),
    }


PROBABILITY = (3 * torch.randn(2, 3, 9, 9, generator=torch.Generator().manual_seed(4))).softmax(dim=1)
DOUBTED = _labels(5, 2, 9, 9)


DOUBTS = [(PROBABILITY, DOUBTED, 0.9), (PROBABILITY, DOUBTED, 0.5)]


@gap("04.l", "where network and mask disagree", confident_disagreement, DOUBTS, "It is a reason to look at the photo.")
def _doubt_mistakes(probability: Tensor, mask: Tensor, confidence: float) -> Wrong:
    top, label = probability.max(dim=1)
    differ, sure = label != mask, top >= confidence
    pixels = {
        "pixels that the network or the mask calls boundary do not count.": differ & sure,
        "pixels that the mask calls boundary do not count, either.": differ & sure & (label != BOUNDARY),
        "pixels that the network calls boundary do not count, either.": differ & sure & (mask != BOUNDARY),
        "the confidence is missing.": differ & (label != BOUNDARY) & (mask != BOUNDARY),
    }
    return {hint: wrong.float().mean(dim=(1, 2)) for hint, wrong in pixels.items()}
