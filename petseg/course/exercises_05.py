"""Checks of the exercises of notebook 05: the blend of two passes, a small pet."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from petseg.course.checks import NotYetError, as_number, ask, exercise, hint_for

Box = tuple[int, int, int, int]

#: Numbers of passes that the experiment compares.
PASSES: Final = (1, 2, 3)


@exercise("05.1", "build: the blend of two passes")
def blend(answer: Any) -> str:
    """Logits (3, H, W) of the first pass with those of the second (3, h, w) faded into the box."""
    first = torch.randn(3, 12, 16, generator=torch.Generator().manual_seed(0))
    for box, fade in (((4, 2, 14, 11), 3), ((0, 0, 16, 12), 4), ((0, 3, 9, 12), 2)):
        left, top, right, bottom = box
        second = 5 + torch.randn(3, bottom - top, right - left, generator=torch.Generator().manual_seed(1))
        result = torch.as_tensor(ask(answer, first.clone(), second.clone(), box, fade))
        if result.shape != first.shape:
            raise NotYetError(f"expected the shape of `first`, {tuple(first.shape)}, but got {tuple(result.shape)}.")
        expected = _blended(first, second, box, fade)
        if not torch.allclose(result, expected, atol=1e-5):
            raise NotYetError(f"box {box} in a photo of 16x12 pixels: {_blend_hint(result, first, second, box, fade)}")
    return "`merge_logits` does the same on the pixels of the working size, so that a large photo costs no more."


def _blended(first: Tensor, second: Tensor, box: Box, fade: int, frame: bool = False) -> Tensor:
    """The blend of two passes; with `frame`, it also fades at the edges of the photo, which is a mistake."""
    left, top, right, bottom = box
    H, W = first.shape[1:]
    across = _ramp(right - left, fade, frame or left > 0, frame or right < W)
    down = _ramp(bottom - top, fade, frame or top > 0, frame or bottom < H)
    mixed = first.clone()
    region = mixed[:, top:bottom, left:right]
    region += 2 / 3 * down[:, None] * across * (second - region)
    return mixed


def _ramp(n: int, fade: int, low: bool, high: bool) -> Tensor:
    """Weights (n,): rising from each end that fades, at the centre of pixel i (i + 0.5) / fade, at most 1."""
    rising = ((torch.arange(n) + 0.5) / fade).clamp(max=1)
    ones = torch.ones(n)
    return torch.minimum(rising if low else ones, rising.flip(0) if high else ones)


def _blend_hint(result: Tensor, first: Tensor, second: Tensor, box: Box, fade: int) -> str:
    left, top, right, bottom = box
    outside = torch.ones_like(first, dtype=torch.bool)
    outside[:, top:bottom, left:right] = False
    if not torch.equal(result[outside], first[outside]):
        return "outside the box the logits of the first pass must stay as they are."
    row, column = (top + bottom) // 2, (left + right) // 2
    middle = result[:, row, column]
    if torch.allclose(middle, second[:, row - top, column - left], atol=1e-5):
        return "in the middle only the second pass counts. Its weight is 2/3; the first has the rest."
    if not torch.allclose(middle, _blended(first, second, box, fade)[:, row, column], atol=1e-5):
        return "in the middle, expected first + 2/3 * (second - first)."
    mistakes = {
        "there is a seam: at an edge inside the photo the weight must rise over `fade` pixels.": (
            _blended(first, second, box, 1)
        ),
        "at an edge of the photo the weight must not fall: nothing lies beyond it to fade to.": (
            _blended(first, second, box, fade, frame=True)
        ),
    }
    otherwise = (
        "near the edges the weight is wrong: at the centre of pixel i, counted from the edge, it is (i + 0.5) / fade."
    )
    return str(hint_for(result, mistakes, otherwise))


@exercise("05.2", "experiment: a small pet")
def small_pet(guess: Any, padded: Any, agreement: Any) -> str:
    """A guess, a function that pads a photo, and one that measures how well the mask survives it."""
    if guess not in PASSES:
        raise NotYetError(f"predict first: expected 1, 2 or 3 passes, but got {guess!r}.")
    _check_padding(padded)
    measured = {passes: as_number(ask(agreement, passes)) for passes in PASSES}
    for passes, value in measured.items():
        if not 0 <= value <= 1:
            raise NotYetError(f"agreement({passes}) returns {value:.3f}; an IoU lies between 0 and 1.")
    if len(set(measured.values())) == 1:
        raise NotYetError("one, two and three passes give the same IoU. Does your predictor get `passes`?")
    best = max(measured, key=lambda passes: measured[passes])
    verdict = "as you predicted" if best == guess else f"you predicted {guess}: what explains the difference?"
    listed = ", ".join(f"{passes}: {value:.3f}" for passes, value in measured.items())
    return f"IoU by passes: {listed}. Highest: {best}, {verdict}"


def _check_padding(padded: Any) -> None:
    photo = Image.new("RGB", (6, 4), (200, 10, 30))
    result = ask(padded, photo, 3)
    if not isinstance(result, Image.Image) or result.size != (18, 12):
        came = result.size if isinstance(result, Image.Image) else type(result).__name__
        raise NotYetError(f"padded: a photo of (6, 4) with factor 3 must be an image of (18, 12), but got {came}.")
    pixels = np.asarray(result.convert("RGB"))
    if not np.all(pixels[4:8, 6:12] == (200, 10, 30)):
        raise NotYetError("padded: the photo is not in the middle.")
    if np.any(np.all(pixels == (200, 10, 30), axis=-1)[:4]):
        raise NotYetError("padded: the photo must keep its size; the frame is grey.")
