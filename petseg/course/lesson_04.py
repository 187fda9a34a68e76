"""Checks of notebook 04 about scores: from counts of pixels, pooled or not, and of changed images."""

from collections.abc import Callable, Iterator
from typing import Any, Final

import torch
from torch import Tensor

from petseg.course.checks import exercise, gap
from petseg.course.comparison import close, difference, other_kind
from petseg.course.hints import NotYetError, as_number, ask, call, hint_for, one_of, verdict
from petseg.labels import CLASSES
from petseg.metrics.confusion import batch_confusion, confusion_matrices, iou


def random_matrices(n: int, seed: int = 0, side: int = 8) -> Tensor:
    """Confusion matrices (n, 3, 3) of random masks, each with another fraction of errors."""
    generator = torch.Generator().manual_seed(seed)
    truth = torch.randint(0, 3, (n, side, side), generator=generator)
    wrong = torch.rand(truth.shape, generator=generator) < torch.rand(n, 1, 1, generator=generator)
    return confusion_matrices(torch.where(wrong, torch.randint(0, 2, truth.shape, generator=generator), truth), truth)


def _labels(seed: int, *shape: int) -> Tensor:
    return torch.randint(0, 3, shape, generator=torch.Generator().manual_seed(seed))


MASKS = (_labels(0, 5, 6), _labels(1, 5, 6))
MATRIX = torch.tensor([[6, 1, 3], [0, 9, 2], [4, 5, 7]])
EMPTY = torch.tensor([[[0, 0, 0], [0, 64, 0], [0, 0, 0]]])  # an image of background alone
SEVERAL = torch.cat([random_matrices(4), 9 * random_matrices(1, seed=1), EMPTY])


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


def _rounded(result: Any, expected: Tensor) -> str:
    """What is wrong with IoUs that are not float64, as the notebook compares them exactly with `metrics.iou`."""
    double = "the numbers are right, but in float32, as int64 / int64 is. Convert with `.double()` before you divide."
    return other_kind(result, expected) or ("" if result.dtype == expected.dtype else double)


MANY = "`metrics.iou` does this for many matrices at once."


@gap("04.e", "IoU from a confusion matrix", [(MATRIX,), (EMPTY[0],)], MANY, kind=_rounded)
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


Batches = list[tuple[Tensor, Tensor]]


@exercise("04.1", "build: a metric that pools")
def pooled_iou(answer: Any) -> str:
    """A class with `update(prediction, target)` and `compute()`, the IoU per class of all batches together."""
    batches = _random_batches()
    result = _computed(answer, batches)
    if tuple(result.shape) != (len(CLASSES),):
        raise NotYetError(f"compute: expected one IoU per class, shape (3,), but got {tuple(result.shape)}.")
    if not close(result, _pooled(batches)):
        single = torch.stack([_pooled([batch]) for batch in batches])
        images = iou(torch.cat([confusion_matrices(*batch) for batch in batches]))
        mistakes = {
            "that is the mean of the scores of batches.": single.mean(dim=0),
            "that is the mean of the scores of images. Sum the counts first, then score once.": images.nanmean(dim=0),
            "that is the score of the last batch. `update` must add to what was counted before.": single[-1],
        }
        raise hint_for(result, mistakes, f"three batches: {difference(result, _pooled(batches))}")
    only_background = torch.ones(1, 2, 2, dtype=torch.uint8)
    result = _computed(answer, [(only_background, only_background)])
    if result.isnan().tolist() != [True, False, True]:
        raise NotYetError("a class that neither occurs nor is predicted has no IoU: 0 / 0 is NaN in PyTorch, leave it.")
    return "The result does not depend on how the images are divided into batches."


def _computed(answer: Any, batches: Batches) -> Tensor:
    """What a new metric of the student's computes of these batches."""
    metric = ask(answer, len(CLASSES))
    for name in ("update", "compute"):
        if not callable(getattr(metric, name, None)):
            raise NotYetError(f"expected a class with the methods update and compute; {name} is missing.")
    for prediction, target in batches:
        call(metric.update, prediction, target)
    return torch.as_tensor(ask(metric.compute)).double()


def _random_batches() -> Batches:
    """Three batches of predictions and targets, uint8 (B, 6, 7), of different sizes and difficulty."""
    generator = torch.Generator().manual_seed(0)
    batches = []
    for size, errors in ((1, 0.8), (5, 0.1), (3, 0.4)):
        target = torch.randint(0, 3, (size, 6, 7), generator=generator)
        wrong = torch.rand(target.shape, generator=generator) < errors
        random = torch.randint(0, 2, target.shape, generator=generator)
        batches.append((torch.where(wrong, random, target).to(torch.uint8), target.to(torch.uint8)))
    return batches


def _pooled(batches: Batches) -> Tensor:
    return iou(torch.cat([confusion_matrices(*batch) for batch in batches]).sum(dim=0))


#: A change of images uint8 (B, 3, H, W) and their masks uint8 (B, H, W).
Change = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


#: The changes of the experiment by name.
CHANGES: Final[dict[str, Change]] = {
    "grey": lambda image, mask: (image.float().mean(1, keepdim=True).round().to(torch.uint8).expand_as(image), mask),
    "red and blue swapped": lambda image, mask: (image.flip(1), mask),
    "upside down": lambda image, mask: (image.flip(-2), mask.flip(-2)),
    "left half black": lambda image, mask: (image * (torch.arange(image.shape[-1]) >= image.shape[-1] // 2), mask),
}


@exercise("04.2", "experiment: four changes of the images")
def four_changes(guess: Any, loss: Any) -> str:
    """A guess, and a function that measures how much mean IoU a change of the images costs."""
    one_of(guess, list(CHANGES))
    unchanged = as_number(ask(loss, lambda image, mask: (image, mask)))
    if abs(unchanged) > 1e-9:
        raise NotYetError(f"without any change, `loss` returns {unchanged:+.4f}. Both scores must use the same images.")
    if as_number(ask(loss, lambda image, mask: (torch.zeros_like(image), mask))) <= 0:
        raise NotYetError("black images cost nothing or gain: expected the score without minus that with the change.")
    if abs(as_number(ask(loss, lambda image, mask: (image, mask.flip(-2))))) < 1e-9:
        raise NotYetError("masks upside down change nothing. Score with the masks that the change returns.")
    losses = {name: as_number(ask(loss, change)) for name, change in CHANGES.items()}
    return f"Mean IoU lost: {verdict(guess, losses)}"
