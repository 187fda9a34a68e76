"""Typical wrong answers to the exercises of notebook 05 get their hint, and right ones pass."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from petseg.course.checks import check

QUARTERS = {1: 0, 3: 2, 6: -1, 8: 1}


def bilinear(scores, height, width, corners=False):
    return F.interpolate(scores[None], (height, width), mode="bilinear", align_corners=corners)[0]


def ramp(n, fade, low, high):
    rising = ((torch.arange(n) + 0.5) / fade).clamp(max=1)
    return torch.minimum(rising if low else torch.ones(n), rising.flip(0) if high else torch.ones(n))


def blended(first, second, box, fade, weight=2 / 3, frame=False, outside=0):
    left, top, right, bottom = box
    across = ramp(right - left, fade, frame or left > 0, frame or right < first.shape[2])
    down = ramp(bottom - top, fade, frame or top > 0, frame or bottom < first.shape[1])
    first = first + outside
    first[:, top:bottom, left:right] += weight * down[:, None] * across * (second - first[:, top:bottom, left:right])
    return first


def padded(photo, factor):
    W, H = photo.size
    frame = Image.new("RGB", (factor * W, factor * H), (128, 128, 128))
    frame.paste(photo, ((factor - 1) * W // 2, (factor - 1) * H // 2))
    return frame


WRONG = {
    "05.1": {
        "came back as": lambda pixels, orientation: pixels[::-1, ::-1] if orientation == 3 else pixels,
        "upside down": lambda pixels, orientation: np.rot90(pixels, -QUARTERS[orientation]),
        "not upright, or mirrored": lambda pixels, orientation: np.rot90(pixels, QUARTERS[orientation])[:, ::-1],
        "KeyError": lambda pixels, orientation: np.rot90(pixels, {1: 0}[orientation]),
    },
    "05.2": {
        "has steps": lambda z, h, w: F.interpolate(z.argmax(0)[None, None].float(), (h, w), mode="nearest")[0, 0],
        "between the labels": lambda z, h, w: bilinear(z.argmax(0)[None].float(), h, w)[0],
        "align_corners": lambda z, h, w: bilinear(z, h, w, corners=True).argmax(0),
        "upsample the probabilities": lambda z, h, w: bilinear(z.softmax(0), h, w).argmax(0),
        "expected the shape": lambda z, h, w: bilinear(z, w, h).argmax(0),
        "over the first axis": lambda z, h, w: bilinear(-z, h, w).argmax(0),
    },
    "05.3": {
        "expected the shape of": lambda first, second, box, fade: second,
        "outside the box": lambda *parts: blended(*parts, outside=1),
        "only the second pass counts": lambda *parts: blended(*parts, weight=1),
        "first + 2/3": lambda *parts: blended(*parts, weight=0.5),
        "a seam": lambda first, second, box, fade: blended(first, second, box, 1),
        "an edge of the photo": lambda *parts: blended(*parts, frame=True),
        "near the edges": lambda first, second, box, fade: blended(first, second, box, fade + 1),
    },
}

RIGHT = {
    "05.1": lambda pixels, orientation: np.rot90(pixels, QUARTERS[orientation]),
    "05.2": lambda z, h, w: bilinear(z, h, w).argmax(0),
    "05.3": blended,
}


@pytest.mark.parametrize(("number", "hint"), [(n, hint) for n, answers in WRONG.items() for hint in answers])
def test_a_typical_wrong_answer_gets_a_hint_that_names_what_is_wrong(number, hint, capsys):
    assert not check(number, WRONG[number][hint])
    assert hint in capsys.readouterr().out


@pytest.mark.parametrize("number", RIGHT)
def test_a_right_answer_passes(number):
    assert check(number, RIGHT[number])


def test_the_experiment_names_the_number_of_passes_that_keeps_more_whatever_was_predicted(capsys):
    assert check("05.4", 2, padded, {1: 0.5, 2: 0.9, 3: 0.8}.get)
    assert "IoU by passes: 1: 0.500, 2: 0.900, 3: 0.800. Highest: 2, as you predicted" in capsys.readouterr().out
    assert check("05.4", 1, padded, {1: 0.5, 2: 0.9, 3: 0.8}.get)
    assert "you predicted 1" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("hint", "guess", "pad", "agreement"),
    [
        ("predict first", "two", padded, {1: 0.5, 2: 0.9, 3: 0.8}.get),
        ("must be an image of (18, 12)", 2, lambda photo, factor: photo, {1: 0.5, 2: 0.9, 3: 0.8}.get),
        ("not in the middle", 2, lambda photo, factor: Image.new("RGB", (18, 12)), {1: 0.5, 2: 0.9, 3: 0.8}.get),
        ("must keep its size", 2, lambda photo, factor: photo.resize((18, 12)), {1: 0.5, 2: 0.9, 3: 0.8}.get),
        ("between 0 and 1", 2, padded, {1: 50, 2: 90, 3: 80}.get),
        ("Does your predictor get `passes`", 2, padded, {1: 0.5, 2: 0.5, 3: 0.5}.get),
    ],
)
def test_an_experiment_with_a_mistake_gets_its_hint(hint, guess, pad, agreement, capsys):
    assert not check("05.4", guess, pad, agreement)
    assert hint in capsys.readouterr().out
