"""Checks of the exercises of notebook 04: Dice from IoU, the gain on a bootstrap draw, temperature scaling."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from petseg.course.checks import NotYetError, ask, exercise
from petseg.metrics.confusion import iou, mean_iou


@exercise("04.1")
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


@exercise("04.2")
def gain_of_draw(answer: Any) -> str:
    """Difference of pooled mean IoU on the same draw of images."""
    ours, theirs = _random_matrices(0), _random_matrices(1)
    for draw in ([0, 1, 2, 3, 4, 5], [3, 3, 3, 0, 0, 5], [2, 2, 2, 2, 2, 2]):
        index = torch.tensor(draw)
        result = _number(ask(answer, ours, theirs, index))
        expected = _pooled(theirs, draw) - _pooled(ours, draw)
        if abs(result - expected) > 1e-6:
            raise NotYetError(
                f"for the draw {draw} your function returns {result:+.4f}. {_hint(result, ours, theirs, draw)}"
            )
    return "A draw holds the same images for both models, so images that are hard for both cancel out."


@exercise("04.3")
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


def _number(result: Any) -> float:
    try:
        return float(result)
    except (TypeError, ValueError):
        raise NotYetError(f"expected one number, but got {type(result).__name__}.") from None


def _random_matrices(seed: int) -> Tensor:
    """Six confusion matrices of very different images, each with all classes: int64 (6, 3, 3)."""
    generator = torch.Generator().manual_seed(seed)
    sizes = torch.tensor([1, 4, 20, 100, 300, 1000]).view(-1, 1, 1)
    errors = torch.randint(1, 9, (6, 3, 3), generator=generator)
    return sizes * (errors + 10 * torch.eye(3, dtype=torch.int64))


def _pooled(matrices: Tensor, draw: list[int]) -> float:
    return float(mean_iou(matrices[draw].sum(dim=0)))


def _hint(result: float, ours: Tensor, theirs: Tensor, draw: list[int]) -> str:
    gain = _pooled(theirs, draw) - _pooled(ours, draw)
    per_image = (iou(theirs[draw]).mean() - iou(ours[draw]).mean()).item()
    distinct, everything = sorted(set(draw)), list(range(len(ours)))
    hints = {
        -gain: "The sign is wrong: a gain is the second model's score minus the first model's.",
        per_image: "That is the difference of means over images. Sum the matrices first, then score once.",
        _pooled(theirs, distinct) - _pooled(ours, distinct): "An image that is drawn twice counts twice.",
        _pooled(theirs, everything) - _pooled(ours, everything): "That is the gain on all images, not on the draw.",
    }
    for wrong, hint in hints.items():
        if abs(result - wrong) < 1e-6:
            return hint
    return "Take the drawn matrices, sum them, compute the mean IoU; for both models with the same draw."


def _temperature_hint(result: Tensor, probability: Tensor, logits: Tensor, temperature: float) -> str:
    if torch.allclose(result, (logits * temperature).softmax(dim=1), atol=1e-5):
        return "that is the inverse. A temperature above 1 must make the probabilities more equal, not less."
    if torch.allclose(result, (probability / temperature).softmax(dim=1), atol=1e-5):
        return "softmax expects logits, not probabilities. Which function inverts softmax, up to a constant?"
    if not torch.allclose(result.sum(dim=1), torch.ones(1), atol=1e-4):
        return f"over the classes (axis 1) your values sum to {result.sum(dim=1).mean():.3f} on average; it must be 1."
    return "the sums are right, the values are not. At T = 1 nothing may change, and T must divide logits."
