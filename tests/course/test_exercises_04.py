import pytest
import torch

from petseg import metrics
from petseg.course.checks import check


def said(capsys, number, answer):
    return bool(check(number, answer)), capsys.readouterr().out


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


def pooled(matrices):
    return metrics.mean_iou(matrices.sum(dim=0))


@pytest.mark.parametrize(
    "right",
    [
        lambda a, b, index: pooled(b[index]) - pooled(a[index]),
        lambda a, b, index: float(pooled(b[index])) - float(pooled(a[index])),
        lambda a, b, index: pooled(torch.stack([b[p] for p in index])) - pooled(torch.stack([a[p] for p in index])),
    ],
)
def test_gain_of_a_draw_is_accepted(right, capsys):
    assert said(capsys, "04.2", right)[0]


@pytest.mark.parametrize(
    ("wrong", "hint"),
    [
        (lambda a, b, index: pooled(a[index]) - pooled(b[index]), "sign"),
        (lambda a, b, index: (metrics.iou(b[index]) - metrics.iou(a[index])).mean(), "means over images"),
        (lambda a, b, index: pooled(b[index.unique()]) - pooled(a[index.unique()]), "twice counts twice"),
        (lambda a, b, index: pooled(b) - pooled(a), "gain on all images"),
        (lambda a, b, index: pooled(b[index.flip(0)[:5]]) - pooled(a[index]), "same draw"),
        (lambda a, b, index: metrics.iou(b[index].sum(0)) - metrics.iou(a[index].sum(0)), "expected one number"),
    ],
)
def test_gain_of_a_draw_with_a_mistake_gets_its_hint(wrong, hint, capsys):
    right, words = said(capsys, "04.2", wrong)
    assert not right
    assert hint in words


def by_power(probability, temperature):
    raised = probability ** (1 / temperature)
    return raised / raised.sum(dim=1, keepdim=True)


@pytest.mark.parametrize("right", [by_power, lambda p, t: (p.log() / t).softmax(dim=1)])
def test_temperature_is_accepted(right, capsys):
    assert said(capsys, "04.3", right)[0]


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
    right, words = said(capsys, "04.3", wrong)
    assert not right
    assert hint in words
