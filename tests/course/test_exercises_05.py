"""Typical wrong answers to the exercises of notebook 05 get their hint, and right ones pass."""

import numpy as np
import pytest
import torch.nn.functional as F

from petseg.course.checks import check

QUARTERS = {1: 0, 3: 2, 6: -1, 8: 1}


def bilinear(scores, height, width, corners=False):
    return F.interpolate(scores[None], (height, width), mode="bilinear", align_corners=corners)[0]


def mixed(photo, alpha, color):
    opacity = alpha[..., None] / 255
    return opacity * photo + (1 - opacity) * np.array(color)


WRONG = {
    "05.1": {
        "came back as": lambda pixels, orientation: pixels[::-1, ::-1] if orientation == 3 else pixels,
        "upside down": lambda pixels, orientation: np.rot90(pixels, -QUARTERS[orientation]),
        "not upright, or mirrored": lambda pixels, orientation: np.rot90(pixels, QUARTERS[orientation])[:, ::-1],
        "KeyError": lambda pixels, orientation: np.rot90(pixels, {1: 0}[orientation]),
    },
    "05.2": {
        "stairs": lambda z, h, w: F.interpolate(z.argmax(0)[None, None].float(), (h, w), mode="nearest")[0, 0],
        "between the labels": lambda z, h, w: bilinear(z.argmax(0)[None].float(), h, w)[0],
        "align_corners": lambda z, h, w: bilinear(z, h, w, corners=True).argmax(0),
        "upsample the probabilities": lambda z, h, w: bilinear(z.softmax(0), h, w).argmax(0),
        "expected the shape": lambda z, h, w: bilinear(z, w, h).argmax(0),
        "over the first axis": lambda z, h, w: bilinear(-z, h, w).argmax(0),
    },
    "05.3": {
        "other way round": lambda p, a, c: mixed(p, 255 - a, c).round().astype(np.uint8),
        "Was alpha divided by 255": lambda p, a, c: (a[..., None] * p + (1 - a[..., None]) * np.array(c)).astype(
            np.uint8
        ),
        "round first": lambda p, a, c: mixed(p, a, c).astype(np.uint8),
        "expected uint8": mixed,
        "overflows": lambda p, a, c: np.where(a[..., None] > 127, p, np.array(c)).astype(np.uint8),
        "expected the photo's shape": lambda p, a, c: mixed(p, a, c).round().astype(np.uint8)[..., :1],
    },
}

RIGHT = {
    "05.1": lambda pixels, orientation: np.rot90(pixels, QUARTERS[orientation]),
    "05.2": lambda z, h, w: bilinear(z, h, w).argmax(0),
    "05.3": lambda p, a, c: mixed(p, a, c).round().astype(np.uint8),
}


@pytest.mark.parametrize(("number", "hint"), [(n, hint) for n, answers in WRONG.items() for hint in answers])
def test_a_typical_wrong_answer_gets_a_hint_that_names_what_is_wrong(number, hint, capsys):
    assert not check(number, WRONG[number][hint])
    assert hint in capsys.readouterr().out


@pytest.mark.parametrize("number", RIGHT)
def test_a_right_answer_passes(number):
    assert check(number, RIGHT[number])
