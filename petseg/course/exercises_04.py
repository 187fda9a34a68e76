"""Checks of the exercises of notebook 04: Dice from IoU, temperature scaling, a metric, damaged images."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from petseg.course.checks import NotYetError, UnfilledError, ask, exercise
from petseg.labels import CLASSES
from petseg.metrics.confusion import confusion_matrices, iou

#: A change of images uint8 (B, 3, H, W) and their masks uint8 (B, H, W).
Change = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


@exercise("04.1", "Dice from IoU")
def dice_from_iou(answer: Any) -> str:
    """Dice = 2 J / (1 + J)."""
    for overlap in (1.0, 0.0, 0.5, 0.9):
        result, expected = _number(ask(answer, overlap)), 2 * overlap / (1 + overlap)
        if abs(result - expected) < 1e-9:
            continue
        if abs(result - overlap / (2 - overlap)) < 1e-9:
            raise NotYetError(
                f"for an IoU of {overlap} your function returns {result:.4f}: that is the inverse, from Dice to IoU."
            )
        if overlap in (0.0, 1.0):
            raise NotYetError(
                f"for an IoU of {overlap:.0f} your function returns {result:.4f}. Masks that "
                f"{'agree' if overlap else 'do not overlap'} "
                f"score {overlap:.0f} in both."
            )
        raise NotYetError(
            f"for an IoU of {overlap} your function returns {result:.4f}. Write I for the intersection and "
            "U for the union: what is the sum of the two areas, in I and U?"
        )
    return "The function is increasing, so for one class and one image both rank models alike; their means need not."


@exercise("04.2", "temperature scaling")
def temperature_scaling(answer: Any) -> str:
    """Softmax of log p / T."""
    generator = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(2, 3, 4, 5, generator=generator)
    probability = logits.softmax(dim=1)
    for temperature in (1.0, 2.0, 0.5):
        result = ask(answer, probability, temperature)
        if not isinstance(result, Tensor) or result.shape != probability.shape:
            came = tuple(result.shape) if isinstance(result, Tensor) else type(result).__name__
            raise NotYetError(f"expected a tensor of shape {tuple(probability.shape)}, as the input, but got {came}.")
        if not torch.allclose(result, (logits / temperature).softmax(dim=1), atol=1e-5):
            raise NotYetError(f"at T = {temperature:g}: {_temperature_hint(result, probability, logits, temperature)}")
    return "Temperature changes probabilities only: the class map stays the same, and so does every IoU."


@exercise("04.3", "build: a metric that pools")
def pooled_iou(answer: Any) -> str:
    """A class with `update(prediction, target)` and `compute()`, the IoU per class of all batches together."""
    batches = _random_batches()
    metric = ask(answer, len(CLASSES))
    for prediction, target in batches:
        _method(metric, "update")(prediction, target)
    result = torch.as_tensor(ask(_method(metric, "compute")))
    if tuple(result.shape) != (len(CLASSES),):
        raise NotYetError(f"compute: expected one IoU per class, shape (3,), but got {tuple(result.shape)}.")
    expected = _pooled(batches)
    if not torch.allclose(result.double(), expected, atol=1e-6):
        raise NotYetError(f"three batches: {_pooling_hint(result.double(), batches)}")
    only_background = torch.ones(1, 2, 2, dtype=torch.uint8)
    empty = ask(answer, len(CLASSES))
    _method(empty, "update")(only_background, only_background)
    result = torch.as_tensor(ask(_method(empty, "compute")))
    if result.isnan().tolist() != [True, False, True]:
        raise NotYetError(
            f"where all is background, and found as such, compute returns {result.tolist()}. A class that neither "
            "occurs nor is predicted has no IoU: 0 / 0 is NaN in PyTorch, so leave it."
        )
    return "The result does not depend on how the images are divided into batches."


@exercise("04.4", "experiment: four changes of the images")
def four_changes(guess: Any, loss: Any) -> str:
    """A guess, and a function that measures how much mean IoU a change of the images costs."""
    if guess not in CHANGES:
        raise NotYetError(f"predict first: expected one of {', '.join(map(repr, CHANGES))}, but got {guess!r}.")
    unchanged = _number(ask(loss, lambda image, mask: (image, mask)))
    if abs(unchanged) > 1e-9:
        raise NotYetError(f"without any change, `loss` returns {unchanged:+.4f}. Both scores must use the same images.")
    if _number(ask(loss, lambda image, mask: (torch.zeros_like(image), mask))) <= 0:
        raise NotYetError(
            "black images cost nothing or gain. Subtract the score with the change from the score without it, and "
            "give the changed images to the network."
        )
    losses = {name: _number(ask(loss, change)) for name, change in CHANGES.items()}
    measured = ", ".join(f"{name} {value:+.3f}" for name, value in losses.items())
    worst = max(losses, key=lambda name: losses[name])
    verdict = "as you predicted" if worst == guess else f"you predicted {guess}: what explains the difference?"
    return f"Mean IoU lost: {measured}. Most: {worst}, {verdict}"


def _grey(image: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    return image.float().mean(dim=1, keepdim=True).round().to(torch.uint8).expand_as(image), mask


def _swapped(image: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    return image.flip(1), mask


def _upside_down(image: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    return image.flip(-2), mask.flip(-2)


def _half_hidden(image: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    changed = image.clone()
    changed[..., : image.shape[-1] // 2] = 0
    return changed, mask


#: The changes of the experiment by name: no colour, red and blue exchanged, a turn about the middle row, a black half.
CHANGES: dict[str, Change] = {
    "grey": _grey,
    "red and blue swapped": _swapped,
    "upside down": _upside_down,
    "left half black": _half_hidden,
}


def _method(metric: Any, name: str) -> Callable[..., Any]:
    method = getattr(metric, name, None)
    if not callable(method):
        raise NotYetError(f"expected a class with the methods update and compute; {name} is missing.")

    def call(*arguments: Any) -> Any:
        try:
            return method(*arguments)
        except NotImplementedError:
            raise UnfilledError from None
        except Exception as error:  # any error of a student's code becomes a hint
            raise NotYetError(f"{name} failed with {type(error).__name__}: {error}") from error

    return call


def _random_batches() -> list[tuple[Tensor, Tensor]]:
    """Three batches of predictions and targets, uint8 (B, 6, 7), of different sizes and difficulty."""
    generator = torch.Generator().manual_seed(0)
    batches = []
    for size, errors in ((1, 0.8), (5, 0.1), (3, 0.4)):
        target = torch.randint(0, 3, (size, 6, 7), generator=generator)
        wrong = torch.rand(target.shape, generator=generator) < errors
        random = torch.randint(0, 2, target.shape, generator=generator)
        batches.append((torch.where(wrong, random, target).to(torch.uint8), target.to(torch.uint8)))
    return batches


def _pooled(batches: list[tuple[Tensor, Tensor]]) -> Tensor:
    return iou(torch.cat([confusion_matrices(*batch) for batch in batches]).sum(dim=0))


def _pooling_hint(result: Tensor, batches: list[tuple[Tensor, Tensor]]) -> str:
    per_image = torch.cat([iou(confusion_matrices(*batch)) for batch in batches]).nanmean(dim=0)
    matrix = torch.cat([confusion_matrices(*batch) for batch in batches]).sum(dim=0).double()
    hits = matrix.diagonal()
    hints = [
        (
            torch.stack([_pooled([batch]) for batch in batches]).mean(dim=0),
            "that is the mean of the scores of batches.",
        ),
        (per_image, "that is the mean of the scores of images. Sum the counts first, then score once."),
        (_pooled(batches[-1:]), "that is the score of the last batch. `update` must add to what was counted before."),
        (
            hits / (matrix.sum(0) + matrix.sum(1)),
            "the union counts the intersection once; row plus column count it twice.",
        ),
        (hits / matrix.sum(1), "that is recall: pixels that were wrongly called this class belong to the union, too."),
        (hits / matrix.sum(0), "that is precision: pixels of this class that were missed belong to the union, too."),
        (2 * hits / (matrix.sum(0) + matrix.sum(1)), "that is Dice."),
    ]
    for wrong, hint in hints:
        if torch.allclose(result, wrong, atol=1e-6):
            return hint
    return f"compute returns {[round(v, 4) for v in result.tolist()]}. First look at the matrix of one small batch."


def _number(result: Any) -> float:
    try:
        return float(result)
    except (TypeError, ValueError):
        raise NotYetError(f"expected one number, but got {type(result).__name__}.") from None


def _temperature_hint(result: Tensor, probability: Tensor, logits: Tensor, temperature: float) -> str:
    if torch.allclose(result, (logits * temperature).softmax(dim=1), atol=1e-5):
        return "that is the inverse. A temperature above 1 must make the probabilities more equal, not less."
    if torch.allclose(result, (probability / temperature).softmax(dim=1), atol=1e-5):
        return "softmax expects logits, not probabilities. Which function inverts softmax, up to a constant?"
    if not torch.allclose(result.sum(dim=1), torch.ones(1), atol=1e-4):
        return f"over the classes (axis 1) your values sum to {result.sum(dim=1).mean():.3f} on average; it must be 1."
    return "the sums are right, the values are not. At T = 1 nothing may change, and T must divide logits."
