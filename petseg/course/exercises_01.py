"""Judges of notebook 01: the IoU of a guess, a mask made smaller, a cut of the data that never moves."""

from __future__ import annotations

import hashlib
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from petseg.course.checks import NotYetError, ask, exercise


@exercise("01.1")
def _iou_of_guessing(answer: Any) -> str:
    for share, guess in ((0.6, 1.0), (0.25, 0.5), (0.3, 0.3), (0.1, 0.0), (1.0, 1.0)):
        found = _number(ask(answer, share, guess))
        hit = share * guess
        right = hit / (share + guess - hit)
        if math.isclose(found, right, abs_tol=1e-9):
            continue
        seen = f"for share={share} and guess={guess} you say {found:.4f}. "
        if math.isclose(found, hit, abs_tol=1e-9):
            raise NotYetError(seen + "That is the intersection. By what is it divided?")
        if math.isclose(found, hit / (share + guess), abs_tol=1e-9):
            raise NotYetError(seen + "In your union the pixels that are both true and guessed count twice.")
        if math.isclose(found, 2 * hit / (share + guess), abs_tol=1e-9):
            raise NotYetError(seen + "That is the Dice score, which counts hits twice; IoU counts them once.")
        raise NotYetError(seen + "Of 100 pixels, how many are true, how many guessed, how many both?")
    return "Guessing each class as often as it occurs gives s / (2 - s): more mean IoU than always the commonest class."


@exercise("01.2")
def _nearest(answer: Any) -> str:
    random = np.random.default_rng(0)
    for (H, W), (height, width) in (((4, 4), (2, 2)), ((6, 9), (2, 3)), ((5, 7), (8, 3)), ((3, 3), (3, 3))):
        mask = random.integers(0, 3, (H, W), dtype=np.uint8)
        if (H, W) == (4, 4):
            mask = np.array([[0, 0, 2, 2], [0, 2, 2, 1], [2, 2, 1, 1], [2, 1, 1, 1]], dtype=np.uint8)
        before = mask.copy()
        found = np.asarray(ask(answer, mask, height, width))
        _judge_nearest(before, found, height, width)
        if not np.array_equal(mask, before):
            raise NotYetError("your function has changed the mask that it was given; leave that as it is.")
    return "Pillow's NEAREST and PyTorch's `nearest-exact` read the very same pixels."


def _judge_nearest(mask: NDArray[np.uint8], found: NDArray[Any], height: int, width: int) -> None:
    H, W = mask.shape
    seen = f"a mask of {H}x{W} (height x width) resized to {height}x{width} "
    if found.shape != (height, width):
        raise NotYetError(f"{seen}came out as {'x'.join(map(str, found.shape)) or 'a single value'}.")
    if not np.isin(found, np.unique(mask)).all():
        raise NotYetError(f"{seen}holds values that the mask does not. Pick pixels; do not average them.")
    if np.array_equal(found, _picked(mask, height, width)):
        return
    corner = mask[np.arange(height) * H // height][:, np.arange(width) * W // width]
    if np.array_equal(found, corner):
        raise NotYetError(f"{seen}reads the corner of each new pixel, so that the mask moves by up to half a pixel.")
    raise NotYetError(f"{seen}holds wrong pixels. Where does the centre of the new pixel (0, 0) lie in the old mask?")


def _picked(mask: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    rows = ((np.arange(height) + 0.5) * mask.shape[0] / height).astype(int)
    columns = ((np.arange(width) + 0.5) * mask.shape[1] / width).astype(int)
    return mask[rows][:, columns]


@exercise("01.3")
def _cut_that_never_moves(answer: Any) -> str:
    names = [f"{breed}_{number}" for breed in ("Bengal", "beagle", "saint_bernard") for number in range(1, 301)]
    for share in (0.1, 0.5, 0.0, 1.0):
        found = [ask(answer, name, share) for name in names]
        if not all(isinstance(held, bool | np.bool_) for held in found):
            raise NotYetError(f"expected True or False for each name, but got {type(found[0]).__name__}.")
        if found != [ask(answer, name, share) for name in names]:
            raise NotYetError("asked twice about the same name, your function changes its mind.")
        if found == [_position(name) < share for name in names]:
            continue
        seen = f"with share={share}, {sum(found)} of {len(names)} names go to validation. "
        if abs(np.mean(found) - share) > 0.06:
            raise NotYetError(seen + "Does your number run from 0 to 1, and is it compared with `share`?")
        raise NotYetError(
            seen + "That is about right, but these are other names. Take the first 8 digits of `hexdigest()`, base 16; "
            "Python's own `hash` differs from run to run."
        )
    return "A photo that joins later moves no other photo; the price: each breed gives only about its share."


def _position(name: str) -> float:
    return float(int(hashlib.sha256(name.encode()).hexdigest()[:8], 16) / 16**8)


def _number(found: Any) -> float:
    try:
        return float(found)
    except (TypeError, ValueError):
        raise NotYetError(f"expected a number, but got {type(found).__name__}.") from None
