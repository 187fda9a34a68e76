"""Checks of the exercises of notebook 03: soft Dice, and when validation turns."""

from __future__ import annotations

from typing import Any

import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor

from petseg.course.checks import NotYetError, ask, close, exercise, hint_for
from petseg.training.loss import soft_dice_loss


def _loss(result: Any) -> Tensor:
    """A student's loss, which must be one number."""
    loss = torch.as_tensor(result)
    if loss.numel() != 1:
        raise NotYetError(f"a loss is one number, but your function returns the shape {tuple(loss.shape)}.")
    return loss.squeeze()


@exercise("03.1", "build: the soft Dice loss")
def soft_dice(answer: Any) -> str:
    """The soft Dice loss of a batch: one sum over all its pixels, a mean over the classes that occur."""
    for seed, labels in enumerate(([0, 1, 2], [0, 1], [1])):
        generator = torch.Generator().manual_seed(seed)
        logits = (2 * torch.randn(3, 3, 4, 5, generator=generator)).requires_grad_()  # (B, 3, H, W)
        target = torch.tensor(labels)[torch.randint(0, len(labels), (3, 4, 5), generator=generator)]  # (B, H, W)
        target[0] = labels[0]  # so that the images differ in what they show
        loss = _loss(ask(answer, logits, target.clone()))
        right = soft_dice_loss(logits, target).item()
        if not close(loss.item(), right):
            raise _dice_hint(loss.item(), logits.detach(), target, right)
        if not loss.requires_grad:
            raise NotYetError("the value is right, but it has no gradient. Use tensors throughout, without `.item()`.")
    return "`petseg.training.loss.soft_dice_loss` gives the same values."


def _dice_hint(result: float, logits: Tensor, target: Tensor, right: float) -> NotYetError:
    probability = logits.softmax(dim=1)
    truth = F.one_hot(target, 3).movedim(-1, 1).float()  # (B, 3, H, W)
    hard = F.one_hot(logits.argmax(dim=1), 3).movedim(-1, 1).float()
    present = truth.sum(dim=(0, 2, 3)) > 0

    def dice(guess: Tensor, over: tuple[int, ...] = (0, 2, 3), power: int = 1) -> Tensor:
        return 2 * (guess * truth).sum(dim=over) / (guess**power + truth).sum(dim=over)

    mistakes = {
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
        "the denominator has squares; here it is the plain sum of both areas.": (
            1 - dice(probability, power=2)[present].mean()
        ),
        "that lacks the factor 2 in the numerator.": 1 - dice(probability)[present].mean() / 2,
        "these are logits. Which function turns them into probabilities?": 1 - dice(logits)[present].mean(),
    }
    otherwise = f"for labels {target.unique().tolist()} your function returns {result:.4f}; {right:.4f} is right."
    return hint_for(result, mistakes, otherwise)


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
