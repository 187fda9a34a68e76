"""Checks of the exercises of notebook 01: the IoU of a guess, resizing a mask, a stable validation split."""

from __future__ import annotations

import hashlib
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from petseg.course.checks import NotYetError, ask, exercise


@exercise("01.1")
def _iou_of_guessing(answer: Any) -> str:
    for fraction, guess in ((0.6, 1.0), (0.25, 0.5), (0.3, 0.3), (0.1, 0.0), (1.0, 1.0)):
        result = _number(ask(answer, fraction, guess))
        hit = fraction * guess
        right = hit / (fraction + guess - hit)
        if math.isclose(result, right, abs_tol=1e-9):
            continue
        seen = f"for fraction={fraction} and guess={guess} your function returns {result:.4f}. "
        if math.isclose(result, hit, abs_tol=1e-9):
            raise NotYetError(seen + "That is the intersection. What is it divided by?")
        if math.isclose(result, hit / (fraction + guess), abs_tol=1e-9):
            raise NotYetError(seen + "Your union counts the pixels that are both true and guessed twice.")
        if math.isclose(result, 2 * hit / (fraction + guess), abs_tol=1e-9):
            raise NotYetError(seen + "That is the Dice score, which counts the intersection twice; IoU counts it once.")
        raise NotYetError(seen + "Of 100 pixels, how many are true, how many are guessed, and how many are both?")
    return "Guess each class as often as it occurs, and it scores f / (2 - f): more mean IoU than a constant guess."


@exercise("01.2")
def _nearest(answer: Any) -> str:
    random = np.random.default_rng(0)
    for (H, W), (height, width) in (((4, 4), (2, 2)), ((6, 9), (2, 3)), ((5, 7), (8, 3)), ((3, 3), (3, 3))):
        mask = random.integers(0, 3, (H, W), dtype=np.uint8)
        if (H, W) == (4, 4):
            mask = np.array([[0, 0, 2, 2], [0, 2, 2, 1], [2, 2, 1, 1], [2, 1, 1, 1]], dtype=np.uint8)
        before = mask.copy()
        result = np.asarray(ask(answer, mask, height, width))
        _check_nearest(before, result, height, width)
        if not np.array_equal(mask, before):
            raise NotYetError("your function changes the mask that it gets. Work on a copy.")
    return "Pillow's NEAREST and PyTorch's `nearest-exact` pick the same pixels."


def _check_nearest(mask: NDArray[np.uint8], result: NDArray[Any], height: int, width: int) -> None:
    H, W = mask.shape
    seen = f"a mask of {H}x{W} (height x width) resized to {height}x{width} "
    if result.shape != (height, width):
        raise NotYetError(f"{seen}came out as {'x'.join(map(str, result.shape)) or 'a single value'}.")
    if not np.isin(result, np.unique(mask)).all():
        raise NotYetError(f"{seen}holds values that are not in the mask. Pick pixels; do not average them.")
    if np.array_equal(result, _nearest_pixels(mask, height, width)):
        return
    corner = mask[np.arange(height) * H // height][:, np.arange(width) * W // width]
    if np.array_equal(result, corner):
        raise NotYetError(f"{seen}reads the corner of each new pixel, which shifts the mask by up to half a pixel.")
    raise NotYetError(f"{seen}holds wrong pixels. Where is the centre of the new pixel (0, 0) in the old mask?")


def _nearest_pixels(mask: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    rows = ((np.arange(height) + 0.5) * mask.shape[0] / height).astype(int)
    columns = ((np.arange(width) + 0.5) * mask.shape[1] / width).astype(int)
    return mask[rows][:, columns]


@exercise("01.3")
def _stable_split(answer: Any) -> str:
    names = [f"{breed}_{number}" for breed in ("Bengal", "beagle", "saint_bernard") for number in range(1, 301)]
    for fraction in (0.1, 0.5, 0.0, 1.0):
        result = [ask(answer, name, fraction) for name in names]
        if not all(isinstance(held, bool | np.bool_) for held in result):
            raise NotYetError(f"expected True or False for each name, but got {type(result[0]).__name__}.")
        if result != [ask(answer, name, fraction) for name in names]:
            raise NotYetError("for the same name your function returns different answers.")
        if result == [_position(name) < fraction for name in names]:
            continue
        seen = f"with fraction={fraction}, {sum(result)} of {len(names)} names go to validation. "
        if abs(np.mean(result) - fraction) > 0.06:
            raise NotYetError(seen + "Is your number between 0 and 1, and is it compared with `fraction`?")
        raise NotYetError(
            seen
            + "That is about as many as expected, but other names. Take the first 8 digits of `hexdigest()`, base 16; "
            "Python's own `hash` differs between runs."
        )
    return "A photo that is added later moves no other photo. In return, each breed gives only about this fraction."


def _position(name: str) -> float:
    return float(int(hashlib.sha256(name.encode()).hexdigest()[:8], 16) / 16**8)


def _number(result: Any) -> float:
    try:
        return float(result)
    except (TypeError, ValueError):
        raise NotYetError(f"expected a number, but got {type(result).__name__}.") from None
