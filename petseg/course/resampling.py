"""Checks of the two gaps of notebook 04 that draw images at random, so that a right answer can have other numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from petseg.course.checks import NotYetError, ask, exercise
from petseg.metrics.confusion import confusion_matrices, iou, mean_iou
from petseg.metrics.intervals import bootstrap


def random_matrices(n: int, seed: int = 0, side: int = 8) -> Tensor:
    """Confusion matrices (n, 3, 3) of random masks, each with another fraction of errors."""
    generator = torch.Generator().manual_seed(seed)
    truth = torch.randint(0, 3, (n, side, side), generator=generator)
    wrong = torch.rand(truth.shape, generator=generator) < torch.rand(n, 1, 1, generator=generator)
    return confusion_matrices(torch.where(wrong, torch.randint(0, 2, truth.shape, generator=generator), truth), truth)


def _bootstrap_scores(matrices: Tensor, resamples: int, seed: int) -> list[float]:
    generator = torch.Generator().manual_seed(seed)
    N, scores = len(matrices), []
    for _ in range(resamples):
        index = torch.randint(N, (N,), generator=generator)
        scores.append(float(mean_iou(matrices[index].sum(dim=0))))
    return scores


@exercise("04.g", "the bootstrap", _bootstrap_scores)
def bootstrap_draws(answer: Any) -> str:
    """The scores of many draws: as many as asked for, and as far apart as those of draws with replacement."""
    matrices = random_matrices(30, seed=2)
    matrices[iou(matrices).mean(dim=1) > 0.5] *= 20  # the good ones are large: pooled, they decide
    result = np.asarray(ask(answer, matrices, 500, 0), dtype=float)
    if result.shape != (500,):
        raise NotYetError(f"for 500 draws expected 500 scores, but got the shape {result.shape}.")
    right, mean = np.array(_bootstrap_scores(matrices, 500, 0)), float(iou(matrices).mean())
    if result.std() < 1e-9:
        raise NotYetError("all draws have the same score. With replacement, an image can be drawn twice or never.")
    if abs(result.mean() - mean) < right.std() / 3:
        raise NotYetError("you take the mean over the images of a draw. Add up their matrices, then score once.")
    if not 0.8 < result.std() / right.std() < 1.25:
        seen = f"the scores have the standard deviation {result.std():.4f}, expected {right.std():.4f}"
        raise NotYetError(f"{seen}. Does each draw have N images?")
    if abs(result.mean() - right.mean()) > right.std() / 3:
        raise NotYetError(f"the scores have the mean {result.mean():.3f}, expected {right.mean():.3f}.")
    return "It needs only the counts of each image, so it takes seconds."


def _simulate(population: Tensor, size: int, generator: torch.Generator) -> tuple[bool, bool]:
    split, other = (population[torch.randint(len(population), (size,), generator=generator)] for _ in range(2))
    _, low, high = bootstrap(split, mean_iou, resamples=300)
    held = [bool(low <= mean_iou(part.sum(dim=0)) <= high) for part in (population, other)]
    return held[0], held[1]


@exercise("04.i", "does a second split fall into the interval?", _simulate)
def second_split(answer: Any) -> str:
    """How often a simulated interval holds the score of the population, and that of a second split."""
    population, generator = random_matrices(300, seed=3), torch.Generator().manual_seed(0)
    results = [ask(answer, population, 60, generator) for _ in range(300)]
    if not all(isinstance(result, tuple | list) and len(result) == 2 for result in results):
        raise NotYetError("return two values, True or False.")
    first, second = np.mean(np.asarray(results, dtype=float), axis=0)
    said = f"in 300 simulations the first is True in {first:.0%}, the second in {second:.0%}"
    if second > 0.995:
        raise NotYetError(f"{said}. The second split has to be another draw than the one of the interval.")
    if second > first + 0.04:
        raise NotYetError(f"{said}: they are exchanged. The population comes first.")
    if second > 0.905:
        raise NotYetError(f"{said}. Is the second the score of another split? Expected about 83 %.")
    if not 0.88 < first < 0.99:
        raise NotYetError(f"{said}. Is the first the pooled score of the population? Expected about 95 %.")
    if second < 0.74:
        raise NotYetError(f"{said}. Does the second split have `size` images? Expected about 83 %.")
    return "An interval is about the score on all photos of this kind, not about the next split."
