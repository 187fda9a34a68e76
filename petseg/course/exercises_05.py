"""Checks of the exercises of notebook 05: orientation, class map, a new background."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from petseg.course.checks import NotYetError, ask, exercise

#: Quarter turns anticlockwise from the upright picture to the stored one, by EXIF orientation.
QUARTER_TURNS = {1: 0, 3: 2, 6: 1, 8: 3}


@exercise("05.1")
def upright(answer: Any) -> str:
    """Rotates stored pixels (H, W, 3) upright, for the EXIF orientations 1, 3, 6 and 8."""
    picture = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    for orientation, quarters in QUARTER_TURNS.items():
        stored = np.rot90(picture, quarters)
        result = np.asarray(ask(answer, stored, orientation))
        if np.array_equal(result, picture):
            continue
        if result.shape != picture.shape:
            raise NotYetError(
                f"orientation {orientation}: a photo of shape {picture.shape}, stored as {stored.shape}, came back as "
                f"{result.shape}. A quarter turn swaps height and width, a half turn does not."
            )
        if orientation in (6, 8) and np.array_equal(result, np.rot90(picture, 2)):
            raise NotYetError(
                f"orientation {orientation}: the picture is upside down. In which direction does np.rot90 rotate?"
            )
        raise NotYetError(f"orientation {orientation}: the picture is not upright, or mirrored.")
    return "Four more orientations mirror the picture; `load_photo` handles them all."


@exercise("05.2")
def class_map(answer: Any) -> str:
    """Labels (height, width) of logits (3, h, w): upsampled bilinearly, the class taken last."""
    logits = torch.randn(3, 4, 5, generator=torch.Generator().manual_seed(0)) * 3
    for height, width in ((13, 17), (8, 10), (4, 5)):
        result = torch.as_tensor(ask(answer, logits.clone(), height, width))
        if tuple(result.shape) != (height, width):
            raise NotYetError(f"expected the shape {(height, width)}, but got {tuple(result.shape)}.")
        large = F.interpolate(logits[None], (height, width), mode="bilinear", align_corners=False)[0]
        if torch.equal(result.long(), large.argmax(dim=0)):
            continue
        raise NotYetError(_why_not(result, logits, (height, width)))
    return (
        "At the network's own size this is a plain argmax; at other sizes the outline is interpolated between pixels."
    )


def _why_not(result: torch.Tensor, logits: torch.Tensor, size: tuple[int, int]) -> str:
    small = logits.argmax(dim=0)[None, None].float()
    corners = F.interpolate(logits[None], size, mode="bilinear", align_corners=True)[0].argmax(dim=0)
    probabilities = F.interpolate(logits.softmax(dim=0)[None], size, mode="bilinear", align_corners=False)[0].argmax(
        dim=0
    )
    if result.is_floating_point() and not torch.equal(result, result.round()):
        return "the map holds values between the labels: a class map cannot be interpolated. Upsample the logits."
    if torch.equal(result.long(), F.interpolate(small, size, mode="nearest")[0, 0].long()):
        return "these are the stairs of step 4: the class was taken before upsampling."
    if torch.equal(result.long(), corners):
        return "the map is shifted near its borders. Look up align_corners."
    if torch.equal(result.long(), probabilities):
        return "almost: you upsample the probabilities. Step 4 upsamples the logits."
    return "some labels are wrong. Upsample the logits bilinearly, then take the class over the first axis."


@exercise("05.3")
def new_background(answer: Any) -> str:
    """A photo uint8 (H, W, 3) on a colour, mixed by alpha uint8 (H, W)."""
    generator = np.random.default_rng(0)
    photo = generator.integers(0, 256, (5, 6, 3), dtype=np.uint8)
    alpha = generator.integers(1, 255, (5, 6), dtype=np.uint8)
    alpha[0], alpha[1] = 0, 255
    color = (10, 200, 30)
    result = np.asarray(ask(answer, photo.copy(), alpha.copy(), color))
    if result.shape != photo.shape:
        raise NotYetError(f"expected the photo's shape {photo.shape}, but got {result.shape}.")
    if result.dtype != np.uint8:
        raise NotYetError(f"expected uint8, but got {result.dtype}: round, then convert.")
    if np.array_equal(result[0], photo[0]) and np.all(result[1] == color):
        raise NotYetError(
            "you show the photo where alpha is 0 and the colour where it is 255; it must be the other way round."
        )
    if not np.all(result[0] == color) or not np.array_equal(result[1], photo[1]):
        raise NotYetError("alpha 255 must give the photo and alpha 0 the colour. Was alpha divided by 255 first?")
    opacity = alpha[..., None] / 255
    error = np.abs(result - (opacity * photo + (1 - opacity) * np.array(color))).max()
    if error > 1:
        raise NotYetError(
            f"between 0 and 255, values are wrong by up to {error:.0f}: the mixture is linear, and uint8 overflows."
        )
    if error > 0.5 + 1e-9:
        raise NotYetError("values are too low by less than 1: `astype` truncates, so round first.")
    return "`PIL.Image.alpha_composite` does the same."
