"""Checks of the exercises of notebook 04: a metric, and an experiment with changed images."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import torch
from torch import Tensor

from petseg.course.checks import exercise
from petseg.course.comparison import close, difference
from petseg.course.hints import NotYetError, as_number, ask, call, hint_for, one_of, verdict
from petseg.labels import CLASSES
from petseg.metrics.confusion import confusion_matrices, iou

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
    losses = {name: as_number(ask(loss, change)) for name, change in CHANGES.items()}
    return f"Mean IoU lost: {verdict(guess, losses)}"
