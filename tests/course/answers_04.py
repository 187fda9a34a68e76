"""Right answers to the exercises of notebook 04, and usual mistakes with words of their hints."""

import torch


def by_power(probability, temperature):
    raised = probability ** (1 / temperature)
    return raised / raised.sum(dim=1, keepdim=True)


class PooledIoU:
    """A right answer to exercise 3; subclasses make one mistake each."""

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
    "count it twice": lambda both, predicted, true: both / (predicted + true),
    "that is Dice": lambda both, predicted, true: 2 * both / (predicted + true),
    "that is recall": lambda both, predicted, true: both / true,
    "that is precision": lambda both, predicted, true: both / predicted,
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
    """As if the score were the mean brightness: black images lose it all."""
    image = torch.full((1, 3, 4, 4), 100, dtype=torch.uint8)
    return float(image.float().mean() - change(image, image[:, 0])[0].float().mean())


LOST = (
    "right. Mean IoU lost: grey +0.000, red and blue swapped +0.000, upside down +0.000, left half black +50.000. "
    "Most: left half black,"
)

CASES = [
    ("04.1", lambda j: 2 * j / (1 + j), "right."),
    ("04.1", lambda j: 1 - (1 - j) / (1 + j), "right."),
    ("04.1", lambda j: j / (2 - j), "the inverse"),
    ("04.1", lambda j: 2 * j, "score 1 in both"),
    ("04.1", lambda j: 2 * j / (1 + j) + 0.1 * (j == 0), "score 0 in both"),
    ("04.1", lambda j: j, "sum of the two areas"),
    ("04.1", lambda j: [j], "expected one number"),
    ("04.1", lambda j: 1 / 0, "ZeroDivisionError"),
    ("04.2", by_power, "right."),
    ("04.2", lambda p, t: (p.log() / t).softmax(dim=1), "right."),
    ("04.2", lambda p, t: (p.log() * t).softmax(dim=1), "the inverse"),
    ("04.2", lambda p, t: (p / t).softmax(dim=1), "inverts softmax"),
    ("04.2", lambda p, t: p ** (1 / t), "must be 1"),
    ("04.2", lambda p, t: p / t, "must be 1"),
    ("04.2", lambda p, t: (p.log() / t).softmax(dim=0), "must be 1"),
    ("04.2", lambda p, t: p, "T must divide"),
    ("04.2", lambda p, t: (p.log() / t).softmax(dim=1)[0], "expected a tensor of shape"),
    ("04.2", lambda p, t: 0.5, "expected a tensor of shape"),
    ("04.3", PooledIoU, "right."),
    ("04.3", LastBatch, "last batch"),
    ("04.3", MeanOfBatches, "scores of batches"),
    ("04.3", MeanOfImages, "scores of images"),
    *(("04.3", computing(formula), hint) for hint, formula in WRONG_SCORES.items()),
    ("04.3", Fails, "update failed with IndexError"),
    ("04.3", NoCompute, "compute is missing"),
    ("04.4", ("left half black", darkness), f"{LOST} as you predicted"),
    ("04.4", ("grey", darkness), f"{LOST} you predicted grey"),
    ("04.4", ("fog", darkness), "predict first"),
    ("04.4", ("grey", lambda change: 1 + darkness(change)), "without any change"),
    ("04.4", ("grey", lambda change: -darkness(change)), "cost nothing or gain"),
    ("04.4", ("grey", lambda change: 0.0), "cost nothing or gain"),
]
