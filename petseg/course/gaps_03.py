"""Checks of the gaps of notebook 03: the loss, gradients, the optimiser, flips, the schedule and averaged weights.

Those of the loops are in `petseg.course.loops`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from petseg.course.checks import Wrong, ask, close, exercise, gap, hint_for
from petseg.course.loops import batches, normalise, numbers, small_network
from petseg.models.segmenter import best_device
from petseg.training import ema

RANDOM = torch.Generator().manual_seed(0)
LOGITS = 2 * torch.randn(2, 3, 2, 4, generator=RANDOM)  # (B, 3, H, W)
LABELS = torch.randint(0, 3, (2, 2, 4), generator=RANDOM)  # (B, H, W)


def _true(logits: Tensor, target: Tensor, dim: int = 1) -> Tensor:
    """The probability of each pixel's true class."""
    return logits.softmax(dim).gather(1, target[:, None])


@gap("03.a", "cross-entropy", F.cross_entropy, [(LOGITS, LABELS)], "From here on, `F.cross_entropy` does the same.")
def _entropy_mistakes(logits: Tensor, target: Tensor) -> Wrong:
    p, right = _true(logits, target), F.cross_entropy(logits, target)
    return {
        "the sign is wrong: a loss falls as the probability of the true class rises.": -right,
        "that is a sum. The loss of an image is the mean over its pixels.": right * target.numel(),
        "that is the loss of each pixel. Take their mean.": -p[:, 0].log(),
        "take the logarithm of each pixel first, then the mean.": -p.mean().log(),
        "that is the mean probability of the true class. What is its logarithm?": p.mean(),
        "the classes are axis 1 of (B, 3, H, W): their probabilities sum to 1.": -_true(logits, target, 0).log().mean(),
        "these are logits. Softmax turns them into probabilities.": -logits.gather(1, target[:, None]).mean(),
    }


def _gradients(weight: Tensor, x: Tensor, label: int) -> tuple[Tensor, Tensor]:
    p = (weight @ x).softmax(dim=0)
    return -p[label].log(), (p - F.one_hot(torch.tensor(label), len(p)))[:, None] * x


@gap(
    "03.b",
    "gradients by hand",
    _gradients,
    [(LOGITS[0, :, 0, :2], torch.tensor([0.5, -2.0]), label) for label in range(3)],
    "That is backpropagation; autograd does it for every layer.",
)
def _gradient_mistakes(weight: Tensor, x: Tensor, label: int) -> Wrong:
    loss, right = _gradients(weight, x, label)
    p = (weight @ x).softmax(dim=0)
    return {
        "the sign is wrong: the loss falls when the logit of the true class grows.": (loss, -right),
        "one axis too few: weight (3, C) has a gradient for every class and every input.": (loss, right[:, 0] / x[0]),
        "that is transposed: the gradient has the shape of the weight.": (loss, right.T),
        "subtract 1 at the true class.": (loss, p[:, None] * x),
        "subtract 1 at the true class only.": (loss, (p - 1)[:, None] * x),
        "a logit is weight times x: its gradient is multiplied by x.": (loss, right / x),
    }


def _adamw(w: float, g: float, m: float, v: float, n: int, rate: float, decay: float) -> tuple[float, float, float]:
    m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
    step = m / (1 - 0.9**n) / math.sqrt(v / (1 - 0.999**n))
    return w * (1 - rate * decay) - rate * step, m, v


@gap(
    "03.c",
    "a step of AdamW",
    _adamw,
    [(2.0, 0.1, 0.0, 0.0, 1, 0.1, 0.5), (1.5, -0.3, 0.02, 0.05, 4, 0.01, 2.0)],
    "After the first gradient, a weight moves by the learning rate whatever the gradient's size.",
)
def _adamw_mistakes(w: float, g: float, m: float, v: float, n: int, rate: float, decay: float) -> Wrong:
    _, new_m, new_v = right = _adamw(w, g, m, v, n, rate, decay)
    plain = rate * new_m / math.sqrt(new_v)
    return {
        "the bias correction is missing: divide m by 1 - 0.9 ** n and v by 1 - 0.999 ** n.": (
            (w * (1 - rate * decay) - plain, *right[1:])
        ),
        "the weight decay is missing.": _adamw(w, g, m, v, n, rate, 0.0),
        "weight decay is multiplied by the learning rate.": (right[0] - w * decay * (1 - rate), *right[1:]),
        "this adds the weight decay to the gradient, as Adam does. AdamW keeps it separate.": (
            _adamw(w, g + decay * w, m, v, n, rate, 0.0)
        ),
        "go against the gradient.": (2 * w * (1 - rate * decay) - right[0], *right[1:]),
        "v is a mean of squares: take its root.": (
            (w * (1 - rate * decay) - rate * new_m / (1 - 0.9**n) / (new_v / (1 - 0.999**n)), *right[1:])
        ),
    }


def _step(network: nn.Module, optimizer: Any, image: Tensor, mask: Tensor, *, bug: str = "") -> float:
    loss = F.cross_entropy(network(image if bug == "raw" else normalise(image)), mask)
    if bug != "kept":
        optimizer.zero_grad()
    loss.backward()
    if bug != "unclipped":
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
    if bug != "still":
        optimizer.step()
    return loss.item()


@exercise("03.d", "a training step", _step)
def training_step(answer: Any) -> str:
    """`train_step(network, optimizer, image, mask)` changes the weights and returns the loss."""

    def steps(step: Callable[..., Any]) -> Tensor:
        network, losses = small_network(), []
        optimizer = torch.optim.SGD(network.parameters(), 0.2)
        for image, mask, _ in batches(2, 2, 2):
            pixels, labels = image.to(best_device()).float() / 255, mask.to(best_device()).long()
            losses.append(float(ask(step, network, optimizer, pixels, labels)))
        return torch.cat([torch.tensor(losses), numbers(network)])

    result, right = steps(answer), steps(_step)
    if not close(result, right):
        hints = {
            "the gradients of earlier steps are added to those of this one. Which call empties them?": "kept",
            "no weight has changed. The step comes after `backward`, nothing between empties the gradients.": "still",
            "the network must see normalised images.": "raw",
            "the gradient is not shortened to a length of at most 1.": "unclipped",
        }
        mistakes = {hint: steps(partial(_step, bug=bug)) for hint, bug in hints.items()}
        raise hint_for(result, mistakes, "after three steps the weights are not those that were expected.")
    return "Every training loop of the course calls these six lines."


def _flipped(image: Tensor, mask: Tensor, chosen: Tensor) -> tuple[Tensor, Tensor]:
    flips = chosen[:, None, None]
    return torch.where(flips[..., None], image.flip(-1), image), torch.where(flips, mask.flip(-1), mask)


@gap(
    "03.f",
    "flip some images and their masks",
    _flipped,
    [(LOGITS, LABELS, torch.tensor([True, False])), (LOGITS, LABELS, torch.tensor([True, True]))],
    "What moves the image moves its mask; the other examples stay.",
)
def _flip_mistakes(image: Tensor, mask: Tensor, chosen: Tensor) -> Wrong:
    right, other = _flipped(image, mask, chosen), _flipped(image, mask, ~chosen)
    every = _flipped(image, mask, torch.ones_like(chosen))
    return {
        "the masks were not flipped.": (right[0], mask),
        "the images were not flipped.": (image, right[1]),
        "you flip all masks; flip those of the chosen images.": (right[0], every[1]),
        "you flip all examples; flip the chosen ones.": every,
        "you flip those that were not chosen.": other,
        "these are upside down. The last axis holds the columns.": (
            torch.where(chosen[:, None, None, None], image.flip(-2), image),
            torch.where(chosen[:, None, None], mask.flip(-2), mask),
        ),
    }


def _cosine(start: float, end: float, fraction: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * fraction)) / 2


@gap(
    "03.g",
    "half a cosine",
    _cosine,
    [(0.1, 1.0, 0.25), (1.0, 0.1, 0.25), (3.0, 0.0, 0.9), (2.0, 5.0, 0.0), (2.0, 5.0, 1.0)],
    "It starts and ends flat. `OneCycleLR` joins two of them.",
)
def _cosine_mistakes(start: float, end: float, fraction: float) -> Wrong:
    return {
        "that is a straight line. Its ends should be flat.": start + (end - start) * fraction,
        "that runs from the end to the start.": _cosine(end, start, fraction),
        "half a cosine takes an angle from 0 to pi.": end + (start - end) * (1 + math.cos(fraction)) / 2,
        "1 + cos falls from 2 to 0: halve it.": end + (start - end) * (1 + math.cos(math.pi * fraction)),
        "cos falls from 1 to -1. Shift and halve it, so that it falls from 1 to 0.": (
            end + (start - end) * math.cos(math.pi * fraction)
        ),
    }


@gap(
    "03.h",
    "how much of the average to keep",
    ema.keep,
    [(5, 0.98), (0, 0.98), (500, 0.98), (3, 0.2)],
    "The first update copies the weights; after that, more and more of the average is kept.",
)
def _keep_mistakes(n: int, decay: float) -> Wrong:
    warm = (1 + n) / (10 + n)
    return {
        "the smaller of the two counts, not the larger.": max(decay, warm) if n else 0.0,
        "the fraction may not exceed the decay.": warm if n else 0.0,
        "the fraction has to begin small, or the random start stays in the average.": decay,
        "update 0 copies the weights: it keeps nothing.": min(decay, warm),
        "that is the fraction of the new weights.": 1 - ema.keep(n, decay),
    }
