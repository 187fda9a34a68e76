"""Checks of the exercises of notebook 05: the blend of two passes, a small pet."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from petseg.course.checks import exercise, gap
from petseg.course.hints import NotYetError, as_number, ask, one_of, verdict

Box = tuple[int, int, int, int]

#: Numbers of passes that the experiment compares.
PASSES: Final = (1, 2, 3)

FIRST = torch.randn(3, 12, 16, generator=torch.Generator().manual_seed(0))
BOXES = [(FIRST, 5 - FIRST[:, 1:10, 2:12], (4, 2, 14, 11), 3), (FIRST, 5 - FIRST, (0, 0, 16, 12), 4)]
BOXES += [(FIRST, 5 - FIRST[:, 2:11, 3:12], (0, 3, 9, 12), 2)]
FEWER_PIXELS = "`merge_logits` does it at the working size, so that a large photo costs no more."


@gap("05.1", "build: the blend of two passes", BOXES, FEWER_PIXELS)
def _blended(
    first: Tensor, second: Tensor, box: Box, fade: int, weight: float = 2 / 3, frame: bool = False
) -> Iterator[Any]:
    left, top, right, bottom = box
    H, W = first.shape[1:]
    across = _ramp(right - left, fade, frame or left > 0, frame or right < W)
    down = _ramp(bottom - top, fade, frame or top > 0, frame or bottom < H)
    mixed = first.clone()
    region = mixed[:, top:bottom, left:right]
    region += weight * down[:, None] * across * (second - region)
    yield mixed
    seam = "there is a seam: at an edge inside the photo the weight must rise over `fade` pixels."
    whole = "at an edge of the photo the weight must not fall: nothing lies beyond it to fade to."
    yield {
        "in the middle only the second pass counts. Its weight is 2/3.": _blended(first, second, box, fade, 1),
        seam: _blended(first, second, box, 1),
        whole: _blended(first, second, box, fade, frame=True),
    }


def _ramp(n: int, fade: int, low: bool, high: bool) -> Tensor:
    """Weights (n,): rising from each end that fades, at the centre of pixel i (i + 0.5) / fade, at most 1."""
    rising, ones = ((torch.arange(n) + 0.5) / fade).clamp(max=1), torch.ones(n)
    return torch.minimum(rising if low else ones, rising.flip(0) if high else ones)


@exercise("05.2", "experiment: a small pet")
def small_pet(guess: Any, padded: Any, agreement: Any) -> str:
    """A guess, a function that pads a photo, and one that measures how well the mask survives it."""
    one_of(guess, PASSES)
    _check_padding(padded)
    measured = {passes: as_number(ask(agreement, passes)) for passes in PASSES}
    for passes, value in measured.items():
        if not 0 <= value <= 1:
            raise NotYetError(f"agreement({passes}) returns {value:.3f}; an IoU lies between 0 and 1.")
    if len(set(measured.values())) == 1:
        raise NotYetError("one, two and three passes give the same IoU. Does your predictor get `passes`?")
    return f"IoU by passes: {verdict(guess, measured, '.3f')}"


def _check_padding(padded: Any) -> None:
    colors = np.random.default_rng(0).integers(0, 100, (4, 6, 3), dtype=np.uint8)  # another grey than the frame's
    result = ask(padded, Image.fromarray(colors), 3)
    if not isinstance(result, Image.Image) or result.size != (18, 12):
        came = result.size if isinstance(result, Image.Image) else type(result).__name__
        raise NotYetError(f"padded: a photo of (6, 4) with factor 3 must be an image of (18, 12), but got {came}.")
    if not np.array_equal(np.asarray(result.convert("RGB"))[4:8, 6:12], colors):
        raise NotYetError("padded: the photo must be in the middle, in its own size.")
