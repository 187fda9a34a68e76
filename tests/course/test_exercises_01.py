"""The checks of notebook 01: right answers pass, the usual mistakes fail with a hint that names them."""

import hashlib

import numpy as np
import pytest

from petseg.course.checks import check


def held_out(name, fraction):
    return int(hashlib.sha256(name.encode()).hexdigest()[:8], 16) / 16**8 < fraction


def nearest(mask, height, width):
    rows = np.floor((np.arange(height) + 0.5) * mask.shape[0] / height).astype(int)
    columns = np.floor((np.arange(width) + 0.5) * mask.shape[1] / width).astype(int)
    return mask[np.ix_(rows, columns)]


def corner(mask, height, width):
    H, W = mask.shape
    return mask[np.arange(height) * H // height][:, np.arange(width) * W // width]


def averaged(mask, height, width):
    H, W = mask.shape
    enlarged = mask.repeat(height, axis=0).repeat(width, axis=1)
    return enlarged.reshape(height, H, width, W).mean(axis=(1, 3))


def in_place(mask, height, width):
    found = nearest(mask, height, width)
    mask[:] = 0
    return found


def drifting():
    random = np.random.default_rng(0)
    return lambda name, fraction: bool(random.random() < fraction)


RIGHT = [
    ("01.1", lambda fraction, guess: 1 / (1 / fraction + 1 / guess - 1) if guess else 0),
    ("01.2", nearest),
    ("01.3", held_out),
    ("01.3", lambda name, fraction: np.bool_(held_out(name, fraction))),
]

WRONG = [
    ("01.1", lambda fraction, guess: fraction * guess, "intersection"),
    ("01.1", lambda fraction, guess: fraction * guess / (fraction + guess), "true and guessed twice"),
    ("01.1", lambda fraction, guess: 2 * fraction * guess / (fraction + guess), "Dice"),
    ("01.1", lambda fraction, guess: min(fraction, guess), "Of 100 pixels"),
    ("01.1", lambda fraction, guess: "a lot", "expected a number"),
    ("01.2", corner, "corner"),
    ("01.2", averaged, "do not average"),
    ("01.2", lambda mask, height, width: nearest(mask, width, height), "came out as"),
    ("01.2", lambda mask, height, width: nearest(mask, height, width)[::-1], "centre of the new pixel"),
    ("01.2", in_place, "changes the mask"),
    ("01.3", lambda name, fraction: hash(name) % 1000 / 1000 < fraction, "other names"),
    (
        "01.3",
        lambda name, fraction: int(hashlib.sha256(name.encode()).hexdigest()[:8], 16) < fraction,
        "between 0 and 1",
    ),
    ("01.3", lambda name, fraction: not held_out(name, fraction), "go to validation"),
    ("01.3", lambda name, fraction: int(hashlib.sha256(name.encode()).hexdigest()[:8], 16) / 16**8, "True or False"),
    ("01.3", drifting(), "different answers"),
]


@pytest.mark.parametrize(("number", "answer"), RIGHT)
def test_a_right_answer_passes(number, answer, capsys):
    assert check(number, answer)
    assert "right" in capsys.readouterr().out


@pytest.mark.parametrize(("number", "answer", "hint"), WRONG)
def test_a_usual_mistake_gets_its_hint(number, answer, hint, capsys):
    assert not check(number, answer)
    assert hint in capsys.readouterr().out
