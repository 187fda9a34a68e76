"""Checks of the exercises of notebook 03: soft Dice, and when validation turns."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor

from petseg.course.checks import exercise, gap
from petseg.course.hints import NotYetError
from petseg.training.loss import soft_dice_loss


def _batch(seed: int, labels: list[int]) -> tuple[Tensor, Tensor]:
    """Logits (3, 3, 4, 5), which have a gradient, and a target (3, 4, 5) whose images differ in what they show."""
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(3, 3, 4, 5, generator=generator)
    target = torch.tensor(labels)[torch.randint(0, len(labels), (3, 4, 5), generator=generator)]
    target[0] = labels[0]
    return logits.requires_grad_(), target


BATCHES = [_batch(seed, labels) for seed, labels in enumerate(([0, 1, 2], [0, 1], [1]))]


@gap("03.1", "build: the soft Dice loss", BATCHES, "`petseg.training.loss.soft_dice_loss` gives the same values.")
def _soft_dice(logits: Tensor, target: Tensor) -> Iterator[Any]:
    yield soft_dice_loss(logits, target)
    p, truth, hard = (
        logits.softmax(dim=1),
        *(F.one_hot(t, 3).movedim(-1, 1).float() for t in (target, logits.argmax(1))),
    )
    present = truth.sum(dim=(0, 2, 3)) > 0

    def dice(guess: Tensor, over: tuple[int, ...] = (0, 2, 3), power: int = 1) -> Tensor:
        return (2 * (guess * truth).sum(dim=over) / (guess**power + truth).sum(dim=over))[..., present].mean()

    everything = 2 * (p * truth).sum(dim=(0, 2, 3)) / (p + truth).sum(dim=(0, 2, 3))
    yield {
        "that is the Dice score. A loss must fall as the prediction improves.": dice(p),
        "that compares class maps. The argmax has no gradient: take the probabilities.": 1 - dice(hard),
        "a class that does not occur in the batch counts as missed. Leave it out.": 1 - everything.mean(),
        "you average over images. Sum over all pixels of the batch first.": 1 - dice(p, (2, 3)),
        "the denominator has squares; here it is the plain sum of both areas.": 1 - dice(p, power=2),
        "that lacks the factor 2 in the numerator.": 1 - dice(p) / 2,
        "these are logits. Which function turns them into probabilities?": 1 - dice(logits),
    }


@exercise("03.2", "experiment: when does validation turn?")
def turning_point(prediction: Any, table: Any) -> str:
    """The epoch with the lowest loss on validation, predicted and measured in a run that overfits."""
    if not isinstance(prediction, int | float) or not prediction >= 1:
        raise NotYetError(f"expected an epoch from 1 on as your prediction, but got {prediction!r}.")
    if not isinstance(table, pd.DataFrame) or not {"train loss", "val loss"} <= set(table.columns):
        raise NotYetError("expected the table of `fit`, with the columns `train loss` and `val loss`.")
    epochs, lowest = len(table), table["val loss"].idxmin()
    if epochs < 20:
        raise NotYetError(f"the run has {epochs} epochs, too few to see a turn. Train for at least 20.")
    if lowest > 0.9 * epochs:
        raise NotYetError(f"validation is lowest at epoch {lowest} of {epochs}: it has not turned yet. Train longer.")
    if not table["train loss"].iloc[-1] < table["val loss"].iloc[-1]:
        raise NotYetError("the loss on the training images is not the lower one at the end. Is it the same network?")
    rise = table["val loss"].iloc[-1] - table["val loss"].min()
    return (
        f"Validation turns after epoch {lowest} of {epochs}; you predicted {prediction:g}. It then rises by {rise:.2f}."
    )
