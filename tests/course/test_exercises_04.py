"""Typical wrong answers to the exercises of notebook 04 get their hint, and right ones pass."""

import pytest
import torch

from petseg.course.checks import check
from petseg.course.exercises_04 import CHANGES


def said(capsys, number, *answer):
    return bool(check(number, *answer)), capsys.readouterr().out


@pytest.mark.parametrize("right", [lambda j: 2 * j / (1 + j), lambda j: 1 - (1 - j) / (1 + j)])
def test_dice_from_iou_is_accepted(right, capsys):
    assert said(capsys, "04.1", right)[0]


@pytest.mark.parametrize(
    ("wrong", "hint"),
    [
        (lambda j: j / (2 - j), "the inverse"),
        (lambda j: 2 * j, "score 1 in both"),
        (lambda j: 2 * j / (1 + j) + 0.1 * (j == 0), "score 0 in both"),
        (lambda j: j, "sum of the two areas"),
        (lambda j: [j], "expected one number"),
        (lambda j: 1 / 0, "ZeroDivisionError"),
    ],
)
def test_dice_from_iou_with_a_mistake_gets_its_hint(wrong, hint, capsys):
    right, words = said(capsys, "04.1", wrong)
    assert not right
    assert hint in words


def by_power(probability, temperature):
    raised = probability ** (1 / temperature)
    return raised / raised.sum(dim=1, keepdim=True)


@pytest.mark.parametrize("right", [by_power, lambda p, t: (p.log() / t).softmax(dim=1)])
def test_temperature_is_accepted(right, capsys):
    assert said(capsys, "04.2", right)[0]


@pytest.mark.parametrize(
    ("wrong", "hint"),
    [
        (lambda p, t: (p.log() * t).softmax(dim=1), "the inverse"),
        (lambda p, t: (p / t).softmax(dim=1), "inverts softmax"),
        (lambda p, t: p ** (1 / t), "must be 1"),
        (lambda p, t: p / t, "must be 1"),
        (lambda p, t: (p.log() / t).softmax(dim=0), "must be 1"),
        (lambda p, t: p, "T must divide"),
        (lambda p, t: (p.log() / t).softmax(dim=1)[0], "expected a tensor of shape"),
        (lambda p, t: 0.5, "expected a tensor of shape"),
    ],
)
def test_temperature_with_a_mistake_gets_its_hint(wrong, hint, capsys):
    right, words = said(capsys, "04.2", wrong)
    assert not right
    assert hint in words


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


class MeanOfBatches(PooledIoU):
    def __init__(self, num_classes):
        self.scores = []

    def update(self, prediction, target):
        one = PooledIoU(3)
        one.update(prediction, target)
        self.scores.append(one.compute())

    def compute(self):
        return torch.stack(self.scores).mean(0)


class MeanOfImages(MeanOfBatches):
    def update(self, prediction, target):
        for image, mask in zip(prediction, target, strict=True):
            super().update(image, mask)

    def compute(self):
        return torch.stack(self.scores).nanmean(0)


class CountedTwice(PooledIoU):
    def compute(self):
        return self.matrix.diagonal().double() / (self.matrix.sum(0) + self.matrix.sum(1))


class Dice(CountedTwice):
    def compute(self):
        return 2 * super().compute()


class Recall(PooledIoU):
    def compute(self):
        return self.matrix.diagonal().double() / self.matrix.sum(1)


class Precision(PooledIoU):
    def compute(self):
        return self.matrix.diagonal().double() / self.matrix.sum(0)


class ZeroForAbsent(PooledIoU):
    def compute(self):
        return super().compute().nan_to_num(0)


class OneNumber(PooledIoU):
    def compute(self):
        return super().compute().mean()


class Fails(PooledIoU):
    def update(self, prediction, target):
        raise IndexError("too many indices")


class NoCompute:
    def __init__(self, num_classes):
        self.update = print


def test_a_metric_that_pools_is_accepted(capsys):
    assert said(capsys, "04.3", PooledIoU)[0]


@pytest.mark.parametrize(
    ("wrong", "hint"),
    [
        (LastBatch, "last batch"),
        (MeanOfBatches, "scores of batches"),
        (MeanOfImages, "scores of images"),
        (CountedTwice, "count it twice"),
        (Dice, "that is Dice"),
        (Recall, "that is recall"),
        (Precision, "that is precision"),
        (ZeroForAbsent, "has no IoU"),
        (OneNumber, "one IoU per class"),
        (Fails, "update failed with IndexError"),
        (NoCompute, "compute is missing"),
    ],
)
def test_a_metric_with_a_mistake_gets_its_hint(wrong, hint, capsys):
    right, words = said(capsys, "04.3", wrong)
    assert not right
    assert hint in words


def darkness(change):
    """As if the score were the mean brightness: black images lose it all."""
    image = torch.full((1, 3, 4, 4), 100, dtype=torch.uint8)
    changed, _ = change(image, torch.zeros(1, 4, 4, dtype=torch.uint8))
    return float(image.float().mean() - changed.float().mean())


def test_an_experiment_names_the_change_that_costs_most_whatever_was_predicted(capsys):
    right, words = said(capsys, "04.4", "left half black", darkness)
    assert right
    assert "left half black +50.000. Most: left half black, as you predicted" in words
    right, words = said(capsys, "04.4", "grey", darkness)
    assert right
    assert "you predicted grey" in words


@pytest.mark.parametrize(
    ("guess", "loss", "hint"),
    [
        ("fog", darkness, "predict first"),
        ("grey", lambda change: 1 + darkness(change), "without any change"),
        ("grey", lambda change: -darkness(change), "cost nothing or gain"),
        ("grey", lambda change: 0.0, "cost nothing or gain"),
    ],
)
def test_an_experiment_with_a_mistake_gets_its_hint(guess, loss, hint, capsys):
    right, words = said(capsys, "04.4", guess, loss)
    assert not right
    assert hint in words


def test_a_half_hidden_image_keeps_its_mask_and_one_upside_down_turns_it():
    image, mask = torch.arange(24).view(1, 3, 2, 4).to(torch.uint8), torch.tensor([[[0, 0, 0, 0], [1, 1, 1, 1]]])
    hidden, same = CHANGES["left half black"](image, mask)
    assert not hidden[..., :2].any()
    assert torch.equal(hidden[..., 2:], image[..., 2:])
    assert torch.equal(same, mask)
    turned, flipped = CHANGES["upside down"](image, mask)
    assert torch.equal(turned[:, :, 0], image[:, :, 1])
    assert flipped[0].tolist() == [[1, 1, 1, 1], [0, 0, 0, 0]]
