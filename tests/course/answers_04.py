"""Right answers to the gaps and exercises of notebook 04, and usual mistakes with words of their hints."""

import numpy as np
import torch
from scipy.ndimage import binary_erosion

from petseg import metrics


def draws(score, size=None, replacement=True):
    """An answer to gap g that scores each draw in its way."""

    def bootstrap_scores(matrices, resamples, seed):
        numbers = np.random.default_rng(seed)
        n = len(matrices)
        indices = (numbers.choice(n, size or n, replace=replacement) for _ in range(resamples))
        return [float(score(matrices[index])) for index in indices]

    return bootstrap_scores


def pooled(matrices):
    return metrics.mean_iou(matrices.sum(dim=0))


def with_replacement(size, count, generator):
    return torch.randint(size, (count,), generator=generator)


def without_replacement(size, count, generator):
    return torch.randperm(size, generator=generator)[:count]


def simulation(choose, indices=with_replacement):
    """An answer to gap i: whether the interval of a split holds the two scores that `choose` gives."""

    def simulate(population, size, generator):
        split, other = (population[indices(len(population), size, generator)] for _ in range(2))
        scores = metrics.mean_iou(metrics.resampled_sums(split, 200)).numpy()
        low, high = np.quantile(scores, [0.025, 0.975])
        return [low <= float(score) <= high for score in choose(population, split, other)]

    return simulate


class PooledIoU:
    """A right answer to exercise 1; subclasses make one mistake each."""

    def __init__(self, num_classes):
        self.matrix = torch.zeros(num_classes, num_classes, dtype=torch.int64)

    def update(self, prediction, target):
        pairs = 3 * target.flatten().long() + prediction.flatten().long()
        self.matrix += torch.bincount(pairs, minlength=9).view(3, 3)

    def compute(self):
        hits = self.matrix.diagonal().double()
        return hits / (self.matrix.sum(0) + self.matrix.sum(1) - hits)


class LastBatch(PooledIoU):
    def update(self, prediction, target):
        self.matrix = torch.zeros_like(self.matrix)
        super().update(prediction, target)


def score(prediction, target):
    metric = PooledIoU(3)
    metric.update(prediction, target)
    return metric.compute()


class MeanOfBatches:
    def __init__(self, num_classes):
        self.scores = []

    def update(self, prediction, target):
        self.scores.append(score(prediction, target))

    def compute(self):
        return torch.stack(self.scores).nanmean(0)


class MeanOfImages(MeanOfBatches):
    def update(self, prediction, target):
        self.scores += map(score, prediction, target)


def computing(formula):
    """A metric that ends in a formula of intersection, predicted and true pixels of each class."""

    def compute(self):
        return formula(self.matrix.diagonal().double(), self.matrix.sum(0), self.matrix.sum(1))

    return type("Wrong", (PooledIoU,), {"compute": compute})


WRONG_SCORES = {
    "three batches: expected [": lambda both, predicted, true: both / true,
    "has no IoU": lambda both, predicted, true: (both / (predicted + true - both)).nan_to_num(0),
    "one IoU per class": lambda both, predicted, true: (both / (predicted + true - both)).mean(),
}


class Fails(PooledIoU):
    def update(self, prediction, target):
        raise IndexError("too many indices")


class NoCompute:
    def __init__(self, num_classes):
        self.update = print


def darkness(change):
    """As if the score were the mean brightness, or 0 with a mask that lies on the darker half."""
    image = torch.tensor([150, 150, 50, 50], dtype=torch.uint8).view(1, 1, 4, 1).expand(1, 3, 4, 4)

    def score(image, mask):
        inside = mask[:, None].expand_as(image) == 1
        brightness = image.float()
        return float(brightness.mean()) * bool(brightness[inside].mean() >= brightness[~inside].mean())

    mask = (image[:, 0] > 100).to(torch.uint8)
    return score(image, mask) - score(*change(image, mask))


LOST = (
    "right. Mean IoU lost: grey +0.000, red and blue swapped +0.000, upside down +0.000, left half black +50.000. "
    "Largest: left half black,"
)

CASES = [
    (
        "04.j",
        lambda region: region.astype(int) - binary_erosion(region, border_value=1),
        "their type is int64",
    ),
    ("04.h", lambda scores, level: np.quantile(scores, [(1 - level) / 2, (1 + level) / 2]), "right."),
    (
        "04.a",
        lambda p, t, k: [((p == k) & (t == k)).sum(), ((p == k) & (t != k)).sum(), ((p != k) & (t == k)).sum()],
        "right.",
    ),
    ("04.b", lambda tp, fp, fn: [tp / (tp + fp), tp / (tp + fn), tp / (tp + fp + fn)], "right."),
    ("04.c", lambda j: 1 - (1 - j) / (1 + j), "right."),
    ("04.c", lambda j: [j], "for 0.5 expected"),
    ("04.c", lambda j: 1 / 0, "ZeroDivisionError"),
    ("04.e", lambda m: (d := m.diagonal().double()) / (m.sum(dim=0) + m.sum(dim=1) - d + 1e-12), "expected"),
    ("04.e", lambda m: (d := m.diagonal()) / (m.sum(dim=0) + m.sum(dim=1) - d), "`.double()`"),
    ("04.g", draws(pooled), "right."),
    ("04.g", draws(pooled, replacement=False), "all draws have the same score"),
    ("04.g", draws(lambda matrices: metrics.iou(matrices).mean()), "mean over the images"),
    ("04.g", draws(lambda matrices: metrics.iou(matrices.sum(dim=0))[0]), "expected 0."),
    ("04.g", draws(pooled, size=8), "Does each draw have N images?"),
    ("04.g", lambda matrices, resamples, seed: [0.5], "expected 500 scores"),
    ("04.g", lambda matrices, resamples, seed: ["high"] * resamples, "the check cannot use it (ValueError"),
    ("04.g", lambda matrices, resamples, seed: draws(pooled)(matrices, resamples, None), "the same seed gives other"),
    ("04.i", simulation(lambda population, split, other: (pooled(population), pooled(other))), "right."),
    ("04.i", simulation(lambda population, split, other: (pooled(other), pooled(population))), "are exchanged"),
    ("04.i", simulation(lambda population, split, other: (pooled(population), pooled(split))), "another draw"),
    ("04.i", simulation(lambda population, split, other: [pooled(population)] * 2), "score of another split"),
    ("04.i", simulation(lambda population, split, other: [pooled(other)] * 2), "pooled score of the population"),
    ("04.i", simulation(lambda population, split, other: (pooled(population), pooled(other[:20]))), "`size` images"),
    ("04.i", lambda population, size, generator: True, "two values"),
    (
        "04.i",
        simulation(lambda population, split, other: (pooled(population), pooled(other)), without_replacement),
        "draw with replacement",
    ),
    ("04.1", PooledIoU, "right."),
    ("04.1", LastBatch, "last batch"),
    ("04.1", MeanOfBatches, "scores of batches"),
    ("04.1", MeanOfImages, "scores of images"),
    *(("04.1", computing(formula), hint) for hint, formula in WRONG_SCORES.items()),
    ("04.1", Fails, "update failed with IndexError"),
    ("04.1", NoCompute, "compute is missing"),
    ("04.1", computing(lambda both, predicted, true: {"iou": 1}), "the check cannot use it (RuntimeError"),
    ("04.2", ("left half black", darkness), f"{LOST} as you predicted"),
    ("04.2", ("grey", darkness), f"{LOST} you predicted grey"),
    ("04.2", ("fog", darkness), "predict first"),
    ("04.2", ("grey", lambda change: float("nan")), "but got NaN"),
    ("04.2", ("grey", lambda change: 1 + darkness(change)), "without any change"),
    ("04.2", ("grey", lambda change: -darkness(change)), "cost nothing or gain"),
    ("04.2", ("grey", lambda change: 0.0), "cost nothing or gain"),
    ("04.2", ("grey", lambda change: darkness(lambda i, m: (change(i, m)[0], m))), "masks upside down change nothing"),
]
