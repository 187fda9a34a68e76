"""Checks of notebook 06 that compute: the linear probe, a training step, and what the runs say."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from petseg.course.checks import gap, trial
from petseg.course.hints import as_number, ask
from petseg.course.references_06 import train_step
from petseg.metrics.confusion import iou, mean_iou

X, Y = torch.arange(28.0).view(7, 4).sin().double(), torch.arange(21.0).view(7, 3).cos().double()
DRAWS = torch.tensor([[1, 1, 1, 1], [2, 0, 1, 1], [0, 3, 0, 1]]).double()
FIRST, SECOND = (torch.arange(36).view(4, 3, 3) * factor % 11 + 9 * torch.eye(3).long() + 1 for factor in (5, 7))
BEFORE = (torch.tensor([[3.0, 0.0], [0.0, 4.0]]), torch.tensor([0.0, 12.0]))
AFTER = (torch.tensor([[3.0, 3.0], [0.0, 4.0]]), torch.tensor([4.0, 12.0]))
LABELS = [(torch.arange(6.0).cos() * 3, [1, 2, 5])]


@gap("06.b", "ridge regression", [(X, Y, 0.5), (X, Y[:, :1], 2.0)], "No steps, no learning rate.")
def _fitted(X: Tensor, Y: Tensor, ridge: float) -> Iterator[Any]:
    A, B, diagonal = X.T @ X, X.T @ Y, torch.eye(X.shape[1], dtype=X.dtype)
    right = torch.linalg.solve(A + ridge * diagonal, B)
    yield right
    yield {
        "that is least squares without the ridge: add `ridge * I` to `X.T @ X`.": torch.linalg.solve(A, B),
        "the ridge belongs to the diagonal of `X.T @ X` alone: `torch.eye`.": torch.linalg.solve(A + ridge, B),
        "that is `X.T @ Y`. Multiply it by the inverse of the matrix, with `torch.linalg.solve`.": B,
        "the result is transposed: one row per feature, one column per class.": right.T,
    }


@gap("06.c", "features of the position", [(3, 5), (4, 4)], "They hold nothing of the image.")
def _positions(H: int, W: int, first: float = -1) -> Iterator[Any]:
    y, x = torch.meshgrid(torch.linspace(first, 1, H), torch.linspace(first, 1, W), indexing="ij")
    right = torch.stack([y, x, y * y, y * x, x * x])
    yield right
    yield {
        "height and width are exchanged: rows come first, `indexing='ij'`.": right.mT,
        "x comes first here, but should come after y.": right[[1, 0, 4, 3, 2]],
        "the coordinates should run from -1 to 1, not from 0 to 1.": _positions(H, W, 0),
        "a linear classifier of y and x alone cannot single out the middle. Add y², yx and x².": right[:2],
        "the product yx is missing.": right[[0, 1, 2, 4]],
        "the channels come first: (5, H, W).": right.movedim(0, -1),
    }


@trial(
    "06.h",
    "a training step",
    train_step,
    {
        "gradients add up over the steps. Set them to zero in each: `optimizer.zero_grad()`.": "kept",
        "the weights have not changed: first `loss.backward()`, then `optimizer.step()`, nothing between.": "still",
        "do not change the modes: `train_mode` has set them.": "modes",
        "cross-entropy takes logits: no softmax before it.": "softmax",
    },
    "The same step trains all three methods; the groups decide what moves.",
    "after two steps, losses or weights are not as they should be.",
)
def _two_steps(step: Callable[..., Any]) -> tuple[Any, ...]:
    torch.manual_seed(0)
    x, y, conv = torch.arange(48.0).view(1, 3, 4, 4).sin(), torch.arange(16).view(1, 4, 4) % 3, nn.Conv2d(3, 3, 1)
    network = nn.Sequential(conv, nn.BatchNorm2d(3).eval())
    optimizer = torch.optim.SGD(conv.parameters(), lr=1.0)
    losses = [as_number(ask(step, network, optimizer, x, y)) for _ in range(2)]
    return (losses, conv.weight.detach())


@gap("06.i", "a paired difference", [(FIRST, SECOND, DRAWS)], "Hard images are hard for both networks.")
def _paired(first: Tensor, second: Tensor, draws: Tensor) -> Iterator[Any]:
    sums = [torch.einsum("rn,nij->rij", draws, matrices.double()) for matrices in (first, second)]
    yield mean_iou(sums[0]) - mean_iou(sums[1])
    yield {
        "that is the second minus the first.": mean_iou(sums[1]) - mean_iou(sums[0]),
        "you average scores of single images. Add up the matrices first, then take the mean IoU.": (
            draws @ (mean_iou(first) - mean_iou(second)) / draws.sum(dim=1)
        ),
        "an image that is drawn twice counts twice.": _paired(first, second, (draws > 0).double()),
        "these are differences per class. Take the mean over the classes.": iou(sums[0]) - iou(sums[1]),
        "that is the score of the first network. Subtract the second's.": mean_iou(sums[0]),
        "that is the score of a difference of counts. Score each network, then subtract.": mean_iou(sums[0] - sums[1]),
    }


@gap("06.j", "how far the weights moved", [(BEFORE, AFTER)], "In the check, weights of length 13 move by 5.")
def _change(before: Sequence[Tensor], after: Sequence[Tensor]) -> Iterator[Any]:
    old, new = (torch.cat([part.flatten() for part in parts]) for parts in (before, after))
    change = (new - old).norm()
    yield change / old.norm()
    ratios = [(new - old).norm() / old.norm() for old, new in zip(before, after, strict=True)]
    yield {
        "you average over the tensors. Take all weights as one vector first.": sum(ratios) / len(ratios),
        "you divide by the length of the weights after the training.": change / new.norm(),
        "that is the length of the change. Divide it by the length of the weights before.": change,
        "that is the difference of two lengths. Take the length of the difference.": (new.norm() - old.norm())
        / old.norm(),
        "that is a ratio of squared lengths. Take the root.": (change / old.norm()) ** 2,
        "a length is the root of the sum of squares, not the sum of absolute values.": (new - old).abs().sum()
        / old.abs().sum(),
    }


@gap("06.k", "the probability of several labels", LABELS, "The probabilities of all labels add up to 1.")
def _probability(logits: Tensor, chosen: list[int]) -> Iterator[Any]:
    each = logits.softmax(dim=0)[chosen]
    yield each.sum()
    yield {
        "these are logits. Softmax over all labels makes probabilities of them.": logits[chosen].sum(),
        "softmax over the chosen labels alone always adds up to 1. Take it over all labels.": torch.tensor(1.0),
        "that is the largest of the probabilities. Add them up.": each.max(),
        "these are the probabilities of each label. Add them up.": each,
    }
