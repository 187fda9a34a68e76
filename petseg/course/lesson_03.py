"""Checks of notebook 03: losses, gradients, the optimiser, flips, the schedule, averaged weights, overfitting.

Those of its loops are in `lesson_03_loops`.
"""

import math
from collections.abc import Iterator
from typing import Any

import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from petseg.course.checks import exercise, gap, trial
from petseg.course.hints import NotYetError, as_number, ask
from petseg.course.lesson_03_loops import batches, normalise, numbers, small_network
from petseg.course.references_06 import train_step
from petseg.models.segmenter import best_device
from petseg.training import ema
from petseg.training.loss import soft_dice_loss

RANDOM = torch.Generator().manual_seed(0)
LOGITS = 2 * torch.randn(2, 3, 2, 4, generator=RANDOM)  # (B, 3, H, W)
LABELS = torch.randint(0, 3, (2, 2, 4), generator=RANDOM)  # (B, H, W)
PIXEL = [(LOGITS[0, :, 0, :2], torch.tensor([0.5, -2.0]), label) for label in range(3)]
FIRST_STEPS = [(2.0, 10.0, 0.0, 0.0, 1, 0.1, 0.5), (1.5, -3.0, 0.02, 0.05, 4, 0.1, 2.0)]
SIZE_CANCELS = "After the first gradient, a weight moves by the learning rate whatever the gradient's size."
FLIPS = [(LOGITS, LABELS, torch.tensor([True, False])), (LOGITS, LABELS, torch.tensor([True, True]))]
CURVES = [(0.1, 1.0, 0.25), (1.0, 0.1, 0.25), (3.0, 0.0, 0.9), (2.0, 5.0, 0.0), (2.0, 5.0, 1.0)]
UPDATES = [(5, 0.98), (0, 0.98), (500, 0.98), (3, 0.2)]
FIRST_COPIES = "The first update copies the weights; after that, more and more of the average is kept."


@gap(
    "03.a",
    "cross-entropy",
    [(LOGITS.clone().requires_grad_(), LABELS)],
    "From here on, `F.cross_entropy` does the same.",
)
def _entropy(logits: Tensor, target: Tensor, dim: int = 1) -> Iterator[Any]:
    p = logits.softmax(dim).gather(1, target[:, None])  # (B, 1, H, W)
    right = -p.log().mean()
    yield right
    yield {
        "the sign is wrong: a loss falls as the probability of the true class rises.": -right,
        "that is a sum. The loss of an image is the mean over its pixels.": right * target.numel(),
        "that is the loss of each pixel. Take their mean.": -p[:, 0].log(),
        "take the logarithm of each pixel first, then the mean.": -p.mean().log(),
        "that is the mean probability of the true class. What is its logarithm?": p.mean(),
        "the classes are axis 1 of (B, 3, H, W): their probabilities sum to 1.": _entropy(logits, target, 0),
        "these are logits. Softmax turns them into probabilities.": -logits.gather(1, target[:, None]).mean(),
    }


@gap("03.b", "gradients by hand", PIXEL, "That is backpropagation; autograd does it for every layer.")
def _gradients(weight: Tensor, x: Tensor, label: int) -> Iterator[Any]:
    p = (weight @ x).softmax(dim=0)
    loss, right = -p[label].log(), (p - F.one_hot(torch.tensor(label), len(p)))[:, None] * x
    yield loss, right
    yield {
        "the sign is wrong: the loss falls when the logit of the true class grows.": (loss, -right),
        "that is transposed: the gradient has the shape of the weight.": (loss, right.T),
        "subtract 1 at the true class.": (loss, p[:, None] * x),
        "subtract 1 at the true class only.": (loss, (p - 1)[:, None] * x),
        "a logit is weight times x: its gradient is multiplied by x.": (loss, right / x),
    }


@gap("03.c", "a step of AdamW", FIRST_STEPS, SIZE_CANCELS)
def _adamw(w: float, g: float, m: float, v: float, n: int, rate: float, decay: float) -> Iterator[Any]:

    def moments(gradient: float) -> tuple[float, float, float]:  # the new m and v, and the step
        new_m, new_v = 0.9 * m + 0.1 * gradient, 0.999 * v + 0.001 * gradient**2
        return new_m, new_v, rate * new_m / (1 - 0.9**n) / math.sqrt(new_v / (1 - 0.999**n))

    coupled_m, coupled_v, coupled = moments(g + decay * w)
    (m, v, step), decayed = moments(g), w * (1 - rate * decay)
    m_hat, v_hat = m / (1 - 0.9**n), v / (1 - 0.999**n)
    yield decayed - step, m, v
    yield {
        "that is Adam: the decay is in the gradient. AdamW multiplies the weight by 1 - rate * decay instead.": (
            (w - coupled, coupled_m, coupled_v)
        ),
        "return m and v without the bias correction: the next step starts from them.": (decayed - step, m_hat, v_hat),
        "the decay acts on the weight before the step.": ((w - step) * (1 - rate * decay), m, v),
        "the bias correction is missing: divide m by 1 - 0.9 ** n and v by 1 - 0.999 ** n.": (
            (decayed - rate * m / math.sqrt(v), m, v)
        ),
        "the bias correction changes with n: divide by 1 - 0.9 ** n and 1 - 0.999 ** n.": (
            (decayed - rate * (m / 0.1) / math.sqrt(v / 0.001), m, v)
        ),
        "the weight decay is missing.": (w - step, m, v),
        "weight decay is multiplied by the learning rate.": (w * (1 - decay) - step, m, v),
        "go against the gradient.": (decayed + step, m, v),
        "v is a mean of squares: take its root.": (decayed - rate * m_hat / v_hat, m, v),
    }


def _step(network: nn.Module, optimizer: Any, image: Tensor, mask: Tensor, *, bug: str = "") -> float:
    clip, image = math.inf if bug == "unclipped" else 1.0, image / 255 if bug == "dark" else image
    return train_step(network, optimizer, image if bug == "raw" else normalise(image), mask, bug=bug, clip=clip)


@trial(
    "03.d",
    "a training step",
    _step,
    {
        "the gradients of earlier steps are added to those of this one. Which call empties them?": "kept",
        "no weight has changed. Call `step` after `backward`, and do not empty the gradients in between.": "still",
        "the network must see normalised images.": "raw",
        "the gradient is not shortened to a length of at most 1: clip it after `backward`.": "unclipped",
        "the pixels run from 0 to 1 already: do not divide by 255.": "dark",
        "cross-entropy takes logits: no softmax before it.": "softmax",
    },
    "`fit` and `train` below call this function for every batch.",
    "after three steps the weights are not those that were expected.",
)
def _three_steps(step: Any) -> Tensor:
    network, losses = small_network(), []
    optimizer = torch.optim.SGD(network.parameters(), 0.2)
    for image, mask, _ in batches(2, 2, 2):
        pixels, labels = image.to(best_device()).float() / 255, mask.to(best_device()).long()
        loss = ask(step, network, optimizer, pixels, labels)
        if getattr(loss, "requires_grad", False):
            raise NotYetError("the loss still has its graph. Return `loss.item()`, a number.")
        losses.append(as_number(loss))
    return torch.cat([torch.tensor(losses), numbers(network)])


@gap("03.f", "flip some images and their masks", FLIPS, "What moves the image moves its mask; the other examples stay.")
def _flipped(image: Tensor, mask: Tensor, chosen: Tensor, axis: int = -1) -> Iterator[Any]:
    flips = chosen[:, None, None]
    right = torch.where(flips[..., None], image.flip(axis), image), torch.where(flips, mask.flip(axis), mask)
    yield right
    every = image.flip(-1), mask.flip(-1)
    yield {
        "the masks were not flipped.": (right[0], mask),
        "the images were not flipped.": (image, right[1]),
        "you flip all masks; flip those of the chosen images.": (right[0], every[1]),
        "you flip all examples; flip the chosen ones.": every,
        "these are upside down. The last axis holds the columns.": _flipped(image, mask, chosen, -2),
    }


@gap("03.g", "half a cosine", CURVES, "It starts and ends flat. `OneCycleLR` joins two of them.")
def _cosine(start: float, end: float, fraction: float) -> Iterator[Any]:
    falling = math.cos(math.pi * fraction)
    yield end + (start - end) * (1 + falling) / 2
    yield {
        "that is a straight line. Its ends should be flat.": start + (end - start) * fraction,
        "that runs from the end to the start.": start + (end - start) * (1 + falling) / 2,
        "half a cosine takes an angle from 0 to pi.": end + (start - end) * (1 + math.cos(fraction)) / 2,
        "1 + cos falls from 2 to 0: halve it.": end + (start - end) * (1 + falling),
        "cos falls from 1 to -1. Shift and halve it: from 1 to 0.": end + (start - end) * falling,
        "around the middle, the curve moves by half of the difference.": (start + end) / 2 + (start - end) * falling,
    }


@gap("03.h", "how much of the average to keep", UPDATES, FIRST_COPIES)
def _keep(n: int, decay: float) -> Iterator[Any]:
    yield ema.keep(n, decay)
    warm = (1 + n) / (10 + n)
    yield {
        "the smaller of the two counts, not the larger.": max(decay, warm) if n else 0.0,
        "the fraction may not exceed the decay.": warm if n else 0.0,
        "the fraction has to begin small, or the random start stays in the average.": decay,
        "update 0 copies the weights: it keeps nothing.": min(decay, warm),
        "update 0 keeps nothing of the average: 0, not 1.": min(decay, warm) if n else 1.0,
        "that is the fraction of the new weights.": 1 - ema.keep(n, decay),
    }


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
