"""Checks of the gaps of notebook 06 that compute: the linear probe, a training step, and what the runs say."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from petseg.course import gaps_06_network
from petseg.course.checks import Wrong, as_number, ask, close, exercise, gap, hint_for
from petseg.course.references_06 import train_step
from petseg.metrics.confusion import iou, mean_iou

__all__ = ["gaps_06_network"]  # registers the gaps that take a network


def _fitted(X: Tensor, Y: Tensor, ridge: float) -> Tensor:
    return torch.linalg.solve(X.T @ X + ridge * torch.eye(X.shape[1], dtype=X.dtype), X.T @ Y)


_X, _Y = torch.arange(28.0).view(7, 4).sin().double(), torch.arange(21.0).view(7, 3).cos().double()


@gap("06.b", "ridge regression", _fitted, [(_X, _Y, 0.5), (_X, _Y[:, :1], 2.0)], "No steps, no learning rate.")
def _fit_mistakes(X: Tensor, Y: Tensor, ridge: float) -> Wrong:
    I = torch.eye(X.shape[1], dtype=X.dtype)  # noqa: E741
    return {
        "that is least squares without the ridge: add `ridge * I` to `X.T @ X`.": torch.linalg.solve(X.T @ X, X.T @ Y),
        "the ridge is added to every entry of `X.T @ X`, but belongs to its diagonal: `torch.eye`.": (
            torch.linalg.solve(X.T @ X + ridge, X.T @ Y)
        ),
        "the ridge is squared. Add it as it is.": torch.linalg.solve(X.T @ X + ridge**2 * I, X.T @ Y),
        "that is `X.T @ Y`. Multiply it by the inverse of the matrix, with `torch.linalg.solve`.": X.T @ Y,
        "the result is transposed: one row per feature, one column per class.": _fitted(X, Y, ridge).T,
        "the ridge has the wrong sign.": torch.linalg.solve(X.T @ X - ridge * I, X.T @ Y),
    }


def _positions(H: int, W: int) -> Tensor:
    y, x = torch.meshgrid(torch.linspace(-1, 1, H), torch.linspace(-1, 1, W), indexing="ij")
    return torch.stack([y, x, y * y, y * x, x * x])


@gap("06.c", "features of the position", _positions, [(3, 5), (4, 4)], "They hold nothing of the image.")
def _position_mistakes(H: int, W: int) -> Wrong:
    right = _positions(H, W)
    y, x = (right[:2] + 1) / 2
    return {
        "height and width are exchanged: rows come first, `indexing='ij'`.": right.mT,
        "x comes first here, but should come after y.": right[[1, 0, 4, 3, 2]],
        "the coordinates should run from -1 to 1, not from 0 to 1.": torch.stack([y, x, y * y, y * x, x * x]),
        "a linear classifier of y and x alone knows no middle. Add y², yx and x².": right[:2],
        "the product yx is missing.": right[[0, 1, 2, 4]],
        "the channels come first: (5, H, W).": right.movedim(0, -1),
    }


@exercise("06.h", "a training step", train_step)
def one_step(answer: Any) -> str:
    """Two steps on a small network have the losses and weights that they should have."""
    x, y = torch.arange(48.0).view(1, 3, 4, 4).sin(), torch.arange(16).view(1, 4, 4) % 3
    result, expected = (_two_steps(step, x, y) for step in (lambda *args: ask(answer, *args), train_step))
    mistakes = {
        "gradients add up over the steps. Set them to zero in each: `optimizer.zero_grad()`.": _step("bs"),
        "the weights have not changed. The step needs gradients: first `loss.backward()`, then `optimizer.step()`.": (
            _step("zb")
        ),
        "cross-entropy takes logits: no softmax before it.": _step("zbs", softmax=True),
    }
    if not close(result, expected):
        wrong = {hint: _two_steps(step, x, y) for hint, step in mistakes.items()}
        raise hint_for(result, wrong, "after two steps, losses or weights are not as they should be.")
    return "The same step trains all three methods; the groups decide what moves."


def _two_steps(step: Callable[..., float], x: Tensor, y: Tensor) -> tuple[Any, ...]:
    torch.manual_seed(0)
    network = nn.Conv2d(3, 3, 1)
    optimizer = torch.optim.SGD(network.parameters(), lr=1.0)
    losses = [as_number(torch.as_tensor(step(network, optimizer, x, y)).detach()) for _ in range(2)]
    return (losses, network.weight.detach())


def _step(order: str, softmax: bool = False) -> Callable[..., float]:
    """A training step that calls backward (b), step (s) and zero_grad (z) in an order."""

    def step(network: nn.Module, optimizer: torch.optim.Optimizer, x: Tensor, y: Tensor) -> float:
        logits = network(x)
        loss = F.cross_entropy(logits.softmax(dim=1) if softmax else logits, y)
        calls: dict[str, Callable[[], Any]] = {"b": loss.backward, "s": optimizer.step, "z": optimizer.zero_grad}
        for letter in order:
            calls[letter]()
        return loss.item()

    return step


def _paired(first: Tensor, second: Tensor, draws: Tensor) -> Tensor:
    return _pooled(first, draws) - _pooled(second, draws)


def _pooled(matrices: Tensor, draws: Tensor) -> Tensor:
    return mean_iou(torch.einsum("rn,nij->rij", draws, matrices.double()))


_DRAWS = torch.tensor([[1, 1, 1, 1], [2, 0, 1, 1], [0, 3, 0, 1]]).double()
_FIRST, _SECOND = (torch.arange(36).view(4, 3, 3) * factor % 11 + 9 * torch.eye(3).long() + 1 for factor in (5, 7))


@gap("06.i", "a paired difference", _paired, [(_FIRST, _SECOND, _DRAWS)], "Hard images are hard for both networks.")
def _paired_mistakes(first: Tensor, second: Tensor, draws: Tensor) -> Wrong:
    each = mean_iou(first) - mean_iou(second)
    return {
        "that is the second minus the first.": _paired(second, first, draws),
        "you average scores of single images. Add up the matrices first, then take the mean IoU.": (
            draws @ each / draws.sum(dim=1)
        ),
        "an image that is drawn twice counts twice.": _paired(first, second, (draws > 0).double()),
        "these are differences per class. Take the mean over the classes.": (
            iou(torch.einsum("rn,nij->rij", draws, first.double()))
            - iou(torch.einsum("rn,nij->rij", draws, second.double()))
        ),
        "that is the score of the first network. Subtract the second's.": _pooled(first, draws),
    }


def _change(before: Sequence[Tensor], after: Sequence[Tensor]) -> Tensor:
    old, new = (torch.cat([part.flatten() for part in parts]) for parts in (before, after))
    return (new - old).norm() / old.norm()


_BEFORE = (torch.tensor([[3.0, 0.0], [0.0, 4.0]]), torch.tensor([0.0, 12.0]))
_AFTER = (torch.tensor([[3.0, 3.0], [0.0, 4.0]]), torch.tensor([4.0, 12.0]))


@gap("06.j", "how far the weights moved", _change, [(_BEFORE, _AFTER)], "The example moves by 5 of 13.")
def _change_mistakes(before: Sequence[Tensor], after: Sequence[Tensor]) -> Wrong:
    ratios = [(new - old).norm() / old.norm() for old, new in zip(before, after, strict=True)]
    old, new = (torch.cat([part.flatten() for part in parts]) for parts in (before, after))
    return {
        "you average over the tensors. Take all weights as one vector first.": sum(ratios) / len(ratios),
        "you divide by the length of the weights after the training.": (new - old).norm() / new.norm(),
        "that is the length of the change. Divide it by the length of the weights before.": (new - old).norm(),
        "that is a ratio of squared lengths. Take the root.": _change(before, after) ** 2,
        "you add absolute values. The length of a vector is the root of the sum of its squares.": (
            (new - old).abs().sum() / old.abs().sum()
        ),
        "you compare two lengths. How long is the vector from one to the other?": new.norm() / old.norm() - 1,
    }


def _probability(logits: Tensor, chosen: list[int]) -> Tensor:
    return logits.softmax(dim=0)[chosen].sum()


@gap(
    "06.k",
    "the probability of several labels",
    _probability,
    [(torch.arange(6.0).cos() * 3, [1, 2, 5])],
    "All labels share one.",
)
def _probability_mistakes(logits: Tensor, chosen: list[int]) -> Wrong:
    return {
        "these are logits. Softmax over all labels makes probabilities of them.": logits[chosen].sum(),
        "softmax over the chosen labels alone always adds up to 1. Take it over all labels.": torch.tensor(1.0),
        "that is the largest of the probabilities. Add them up.": logits.softmax(dim=0)[chosen].max(),
        "that is the mean of the probabilities. Add them up.": logits.softmax(dim=0)[chosen].mean(),
        "these are the probabilities of each label. Add them up.": logits.softmax(dim=0)[chosen],
        "that is the probability of all other labels.": 1 - _probability(logits, chosen),
    }
