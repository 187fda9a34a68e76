"""Checks of the exercises of notebook 03: a weighted loss, the cost of progressive resizing, soft Dice, overfitting."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor

from petseg.course.checks import NotYetError, ask, exercise
from petseg.training.loss import soft_dice_loss


@exercise("03.1", "weighted cross-entropy")
def weighted_cross_entropy(answer: Callable[..., Any]) -> str:
    """A cross-entropy in which each pixel counts with the weight of its true class."""
    for seed, weights in enumerate(([1.0, 1.0, 1.0], [1.0, 1.0, 5.0], [2.0, 0.5, 0.0])):
        generator = torch.Generator().manual_seed(seed)
        logits = 3 * torch.randn(2, 3, 4, 5, generator=generator)  # (B, 3, H, W)
        target = torch.randint(0, 3, (2, 4, 5), generator=generator)  # (B, H, W)
        weight = torch.tensor(weights)
        result = torch.as_tensor(ask(answer, logits.clone(), target.clone(), weight.clone()))
        if result.numel() != 1:
            raise NotYetError(f"a loss is one number, but your function returns the shape {tuple(result.shape)}.")
        _compare(float(result), logits, target, weight)
    return "`F.cross_entropy(logits, target, weight=...)` computes the same."


def _compare(result: float, logits: Tensor, target: Tensor, weight: Tensor) -> None:
    each = F.cross_entropy(logits, target, reduction="none")  # (B, H, W)
    own = weight[target]
    right = float((own * each).sum() / own.sum())
    if _close(result, right):
        return
    wrong = {
        "you divide by the number of pixels. If all weights are multiplied by ten, the loss should not change.": (
            (own * each).mean()
        ),
        "the weights change nothing. Which weight does a pixel have?": each.mean(),
        "you divide by the sum of the three weights. How often does each weight count?": (
            (own * each).sum() / weight.sum()
        ),
        "that is a sum; a mean divides it. What is the sum of the weights of all pixels?": (own * each).sum(),
        "the sign is wrong: the loss must be larger where the true class has a lower probability.": torch.tensor(
            -right
        ),
    }
    for hint, value in wrong.items():
        if _close(result, float(value)):
            raise NotYetError(hint)
    raise NotYetError(f"with the weights {weight.tolist()} your function returns {result:.4f}; {right:.4f} is right.")


@exercise("03.2", "cost of progressive resizing")
def relative_cost(answer: Callable[..., Any]) -> str:
    """The cost of a run with progressive resizing, as a fraction of the cost of a run at full size."""
    cases: tuple[tuple[list[float], list[float]], ...] = (
        ([1.0], [0.0]),
        ([0.5, 1.0], [0.0, 0.5]),
        ([0.5], [0.0]),
        ([0.5, 0.75, 1.0], [0.0, 0.42, 0.68]),
    )
    for sizes, starts in cases:
        result = float(ask(answer, list(sizes), list(starts)))
        spans = [end - start for start, end in pairwise([*starts, 1.0])]
        right = sum(span * size**2 for span, size in zip(spans, sizes, strict=True))
        if _close(result, right):
            continue
        where = f"for sizes={sizes}, size_starts={starts} your function returns {result:.4f}; "
        if _close(result, sum(span * size for span, size in zip(spans, sizes, strict=True))):
            raise NotYetError(where + "with half the height and half the width, what fraction of the pixels is left?")
        if _close(result, right - spans[-1] * sizes[-1] ** 2):
            raise NotYetError(where + "the last stage is missing. Where does it end?")
        if right and _close(result, 1 / right):
            raise NotYetError(where + "that is how many times cheaper the run is; the exercise asks for its cost.")
        if _close(result, sum(size**2 for size in sizes) / len(sizes)):
            raise NotYetError(where + "the stages are not equally long. What fraction of the run does each take?")
        raise NotYetError(
            where + "for each stage, multiply its fraction of the run by the cost of one of its steps; then sum."
        )
    return "With the recipe's own stages, the steps cost about half of those at full size, by their pixels."


@exercise("03.3", "build: the soft Dice loss")
def soft_dice(answer: Callable[..., Any]) -> str:
    """The soft Dice loss of a batch: one sum over all its pixels, a mean over the classes that occur."""
    for seed, labels in enumerate(([0, 1, 2], [0, 1], [1])):
        generator = torch.Generator().manual_seed(seed)
        logits = (2 * torch.randn(3, 3, 4, 5, generator=generator)).requires_grad_()  # (B, 3, H, W)
        target = torch.tensor(labels)[torch.randint(0, len(labels), (3, 4, 5), generator=generator)]  # (B, H, W)
        target[0] = labels[0]  # so that the images differ in what they show
        result = torch.as_tensor(ask(answer, logits, target.clone()))
        if result.numel() != 1:
            raise NotYetError(f"a loss is one number, but your function returns the shape {tuple(result.shape)}.")
        right = soft_dice_loss(logits, target).item()
        if not _close(result.item(), right):
            raise NotYetError(_dice_hint(result.item(), logits.detach(), target, right))
        if not result.requires_grad:
            raise NotYetError("the value is right, but it has no gradient. Use tensors throughout, without `.item()`.")
    return "`petseg.training.loss.soft_dice_loss` gives the same values."


def _dice_hint(result: float, logits: Tensor, target: Tensor, right: float) -> str:
    probability = logits.softmax(dim=1)
    truth = F.one_hot(target, 3).movedim(-1, 1).float()  # (B, 3, H, W)
    hard = F.one_hot(logits.argmax(dim=1), 3).movedim(-1, 1).float()
    present = truth.sum(dim=(0, 2, 3)) > 0

    def dice(guess: Tensor, over: tuple[int, ...] = (0, 2, 3)) -> Tensor:
        return 2 * (guess * truth).sum(dim=over) / (guess + truth).sum(dim=over)

    squares = 2 * (probability * truth).sum(dim=(0, 2, 3)) / (probability**2 + truth).sum(dim=(0, 2, 3))
    wrong = {
        "that is the Dice score. A loss must fall as the prediction improves.": dice(probability)[present].mean(),
        "that compares class maps. The argmax has no gradient; let each pixel count with its probability.": (
            1 - dice(hard)[present].mean()
        ),
        "a class that does not occur in the batch counts as missed. Leave it out of the mean.": (
            1 - dice(probability).mean()
        ),
        "you average over images. Sum over all pixels of the batch first.": (
            1 - dice(probability, (2, 3))[:, present].mean()
        ),
        "the denominator has squares; here it is the plain sum of both areas.": 1 - squares[present].mean(),
        "that lacks the factor 2 in the numerator.": 1 - dice(probability)[present].mean() / 2,
        "these are logits. Which function turns them into probabilities?": 1 - dice(logits)[present].mean(),
    }
    for hint, value in wrong.items():
        if _close(result, float(value)):
            return hint
    return f"for labels {target.unique().tolist()} your function returns {result:.4f}; {right:.4f} is right."


@exercise("03.4", "experiment: when does validation turn?")
def turning_point(prediction: Any, table: Any) -> str:
    """The epoch with the lowest loss on validation, predicted and measured in a run that overfits."""
    if not isinstance(prediction, int | float) or not prediction >= 1:
        raise NotYetError(f"expected an epoch from 1 on as your prediction, but got {prediction!r}.")
    if not isinstance(table, pd.DataFrame) or not {"train loss", "val loss"} <= set(table.columns):
        raise NotYetError("expected the table of `train`, with the columns `train loss` and `val loss`.")
    epochs, lowest = len(table), table["val loss"].idxmin()
    if epochs < 20:
        raise NotYetError(f"the run has {epochs} epochs, too few to see a turn. Train for at least 20.")
    if lowest > 0.9 * epochs:
        raise NotYetError(
            f"the loss on validation is lowest at epoch {lowest} of {epochs}: it has not turned yet. Train for more "
            "epochs or on fewer images, and check that `augment` is None."
        )
    if not table["train loss"].iloc[-1] < table["val loss"].iloc[-1]:
        raise NotYetError("the loss on the training images is not the lower one at the end. Is it the same network?")
    rise = table["val loss"].iloc[-1] - table["val loss"].min()
    return (
        f"Validation turns after epoch {lowest} of {epochs}; you predicted {prediction:g}. It then rises by {rise:.2f}."
    )


def _close(result: float, expected: float) -> bool:
    return abs(result - expected) <= 1e-4 * max(1.0, abs(expected))
