"""Checks of the exercises of notebook 03: a weighted loss, the cost of progressive resizing, repeated examples."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from petseg.course.checks import NotYetError, ask, exercise


@exercise("03.1")
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


@exercise("03.2")
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
    return "By their pixels, the steps of the recipe cost little more than half of those at full size."


@exercise("03.3")
def pooled_once(answer: Callable[..., Any]) -> str:
    """A pooled confusion matrix in which an image that occurs twice counts once."""
    for indices in ([2, 0, 1], [0, 2, 1, 0], [3, 3, 1, 0, 2, 1], [5]):
        generator = torch.Generator().manual_seed(len(indices))
        images = torch.randint(0, 50, (6, 3, 3), generator=generator)
        index = torch.tensor(indices)
        matrices = images[index]  # (N, 3, 3), equal for equal indices
        result = torch.as_tensor(ask(answer, index.clone(), matrices.clone()))
        right = images[index.unique()].sum(dim=0)
        if result.shape != (3, 3):
            raise NotYetError(f"indices {indices}: expected one 3x3 matrix, but got the shape {tuple(result.shape)}.")
        if torch.equal(result.double(), right.double()):
            continue
        if torch.equal(result.double(), matrices.sum(dim=0).double()):
            raise NotYetError(f"indices {indices}: an image that occurs twice counts twice.")
        if torch.equal(result.double(), matrices[: len(index.unique())].sum(dim=0).double()):
            raise NotYetError(f"indices {indices}: you use the first rows, but repeated images can be anywhere.")
        if torch.allclose(result.double(), right.double() / len(index.unique())):
            raise NotYetError(f"indices {indices}: that is the mean matrix; pooled means the sum.")
        raise NotYetError(f"indices {indices}: an image is missing or counts too often.")
    return "`metrics.SplitConfusion` does the same with the matrices of all processes."


def _close(result: float, expected: float) -> bool:
    return abs(result - expected) <= 1e-4 * max(1.0, abs(expected))
