"""Checks of the gaps of notebook 05: the steps of a photo, from its pixels to the colours of a cut-out."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import distance_transform_edt
from torch import Tensor

from petseg.course.checks import Wrong, gap

Pixels = NDArray[Any]

PHOTO = Image.fromarray(np.random.default_rng(0).integers(0, 256, (9, 12, 3), dtype=np.uint8))
LOGITS = 3 * torch.randn(3, 4, 5, generator=torch.Generator().manual_seed(0))

#: Quarter turns anticlockwise from the stored photo to the upright one, by EXIF orientation.
QUARTERS = {1: 0, 3: 2, 6: -1, 8: 1}


def _upright(pixels: Pixels, orientation: int) -> Pixels:
    return np.rot90(pixels, QUARTERS[orientation])


@gap(
    "05.a",
    "upright by EXIF",
    _upright,
    [(np.arange(18).reshape(2, 3, 3), orientation) for orientation in (6, 8, 3, 1)],
    "Four more orientations mirror the photo; `load_photo` handles them all.",
)
def _upright_mistakes(pixels: Pixels, orientation: int) -> Wrong:
    turned = np.rot90(pixels, -QUARTERS[orientation])
    return {
        "the photo is turned the wrong way. np.rot90 turns anticlockwise.": turned,
        "the photo is as it was stored.": pixels,
        "the photo is upright, but mirrored.": _upright(pixels, orientation)[:, ::-1],
    }


def _resize(photo: Image.Image, size: tuple[int, int]) -> Tensor:
    small = photo.resize(size[::-1], Image.Resampling.BILINEAR)
    return torch.from_numpy(np.array(small)).permute(2, 0, 1)[None].float() / 255


@gap("05.b", "a photo as the network's input", _resize, [(PHOTO, (4, 6))], "Pillow's BILINEAR weighs all pixels.")
def _resize_mistakes(photo: Image.Image, size: tuple[int, int]) -> Wrong:
    right = _resize(photo, size)
    picked = np.array(photo.resize(size[::-1], Image.Resampling.NEAREST))
    return {
        "height and width are exchanged: Pillow takes (width, height).": _resize(photo, size[::-1]),
        "the pixels go from 0 to 255. Divide them.": 255 * right,
        "the batch axis is missing: (1, 3, h, w).": right[0],
        "the channels come before height and width: look up `permute`.": right.permute(0, 2, 3, 1),
        "the resize picks single pixels. Take Image.Resampling.BILINEAR.": (
            torch.from_numpy(picked).permute(2, 0, 1)[None] / 255
        ),
    }


def _softmax(logits: Tensor) -> Tensor:
    return logits.softmax(dim=0)


@gap("05.c", "softmax", _softmax, [(LOGITS,)], "The probabilities of each pixel sum to 1.")
def _softmax_mistakes(logits: Tensor) -> Wrong:
    return {
        "these do not sum to 1: divide by the sum over the classes.": logits.exp(),
        "the sum goes over all pixels. Sum over the classes of a pixel, dim=0.": logits.exp() / logits.exp().sum(),
        "the sum goes over the columns. The classes are axis 0.": logits.softmax(dim=-1),
        "that divides the logits themselves. Take `exp` first.": logits / logits.sum(dim=0),
    }


def _enlarged(scores: Tensor, height: int, width: int, align_corners: bool = False) -> Tensor:
    return F.interpolate(scores[None], (height, width), mode="bilinear", align_corners=align_corners)[0]


def _class_map(logits: Tensor, height: int, width: int) -> Tensor:
    return _enlarged(logits, height, width).argmax(dim=0)


@gap("05.d", "the class last", _class_map, [(LOGITS, 13, 17), (LOGITS, 4, 5)], "The outline lies between the pixels.")
def _class_map_mistakes(logits: Tensor, height: int, width: int) -> Wrong:
    small = logits.argmax(dim=0)[None].float()
    return {
        "the outline has steps: the class was taken before enlarging.": (
            F.interpolate(small[None], (height, width), mode="nearest")[0, 0]
        ),
        "the map holds values between the labels: a class map cannot be interpolated.": (
            _enlarged(small, height, width)[0]
        ),
        "almost: you enlarge the probabilities. Enlarge the logits.": (
            _enlarged(logits.softmax(dim=0), height, width).argmax(dim=0)
        ),
        "the map is shifted near its borders: align_corners=False.": (
            _enlarged(logits, height, width, align_corners=True).argmax(dim=0)
        ),
    }


def _span(profile: Tensor, length: int, tail: float = 0.01, margin: float = 0.15) -> tuple[int, int]:
    ends = torch.cat([torch.zeros(1), profile.cumsum(0) / profile.sum()]).numpy()
    edges = np.linspace(0, 1, len(ends))
    low, high = np.interp([tail, 1 - tail], ends, edges)
    low, high = low - margin * (high - low), high + margin * (high - low)
    return max(0, int(low * length)), min(length, math.ceil(high * length))


@gap(
    "05.e",
    "the box of the pet, along one side",
    _span,
    [(torch.tensor([0.0, 0, 0.02, 1, 3, 2, 1, 0.01, 0, 0]), 200), (torch.tensor([5.0, 4, 1, 0, 0]), 100)],
    "Single wrong pixels far away do not widen the box.",
)
def _span_mistakes(profile: Tensor, length: int) -> Wrong:
    low, high = _span(profile, length, margin=0)
    margin = 0.15 * (high - low)
    return {
        "the margin is missing: 15 % of the pet's extent on each side.": (low, high),
        "every pixel counts. 1 % of the sum may lie beyond each side.": _span(profile, length, tail=0),
        "the box leaves the photo: at least 0, at most `length`.": (int(low - margin), math.ceil(high + margin)),
    }


def _weights(inside: Tensor, fade: float, rises: bool, falls: bool) -> Tensor:
    rising = inside / fade if rises else torch.ones(len(inside))
    falling = (1 - inside) / fade if falls else torch.ones(len(inside))
    return torch.minimum(rising, falling).clamp(0, 1)


@gap(
    "05.f",
    "the ramp at the edges of the box",
    _weights,
    [(torch.linspace(-0.3, 1.3, 33), 0.2, *ends) for ends in ((True, True), (True, False), (False, False))],
    "No seam is visible, and nothing fades at the edge of the photo.",
)
def _weight_mistakes(inside: Tensor, fade: float, rises: bool, falls: bool) -> Wrong:
    unclamped = torch.minimum(inside, 1 - inside) / fade
    return {
        "weights lie between 0 and 1: `clamp`.": unclamped,
        "at an edge of the photo the weight must stay 1: look at `rises` and `falls`.": unclamped.clamp(0, 1),
        "take the smaller of the two, not the larger.": torch.maximum(inside / fade, (1 - inside) / fade).clamp(0, 1),
        "that is a step. The weight rises over the length `fade`.": ((inside > 0) & (inside < 1)).float(),
    }


def _soft_edge(pet: Pixels, boundary: Pixels) -> Pixels:
    t = np.clip(2 * (pet + boundary / 2) - 0.5, 0, 1)
    return np.asarray(t**2 * (3 - 2 * t))


@gap(
    "05.g",
    "from probabilities to a soft edge",
    _soft_edge,
    [(np.array([0.0, 0.2, 0.4, 0.5, 0.7, 0.9]), np.array([0.1, 0.3, 0.3, 0.2, 0.1, 0.0]))],
    "It is level at both ends, so that no edge is visible there.",
)
def _soft_edge_mistakes(pet: Pixels, boundary: Pixels) -> Wrong:
    p = pet + boundary / 2
    return {
        "that is p. Stretch it: 1/4 becomes 0 and 3/4 becomes 1.": p,
        "that ramp is straight. The last step is t * t * (3 - 2 * t).": np.clip(2 * p - 0.5, 0, 1),
        "half of the boundary counts as pet.": _soft_edge(pet, 0 * boundary),
        "only half of the boundary counts as pet.": _soft_edge(pet, 2 * boundary),
    }


INSIDE = np.pad(np.ones((6, 7), dtype=bool), ((3, 0), (2, 3)))


def _limits(inside: Pixels, inner: float, outer: float) -> tuple[Pixels, Pixels]:
    depth, distance = distance_transform_edt(inside) / inner, distance_transform_edt(~inside) / outer
    return np.clip(2 * depth - 1, 0, 1), 1 - np.clip(2 * distance - 1, 0, 1)


@gap(
    "05.h",
    "the unknown band",
    _limits,
    [(INSIDE, 3.0, 4.0), (~INSIDE, 2.5, 2.0)],
    "Half of the band is free; in the other half the limits close gradually.",
)
def _limits_mistakes(inside: Pixels, inner: float, outer: float) -> Wrong:
    depth, distance = distance_transform_edt(inside) / inner, distance_transform_edt(~inside) / outer
    lower, upper = _limits(inside, inner, outer)
    return {
        "the two are exchanged: first the least alpha, then the largest.": (upper, lower),
        "alpha lies between 0 and 1: clip both.": (2 * depth - 1, 2 - 2 * distance),
        "the first half of the band is free: clip 2 * x - 1, not x.": (
            np.clip(depth, 0, 1),
            1 - np.clip(distance, 0, 1),
        ),
        "the largest alpha falls with the distance: it is 1 minus the clipped value.": (lower, 1 - upper),
        "the widths are exchanged: `inner` belongs to the inside.": _limits(inside, outer, inner),
    }


def _mixture(alpha: Pixels, foreground: Pixels, background: Pixels) -> Pixels:
    return np.asarray(alpha * foreground + (1 - alpha) * background)


@gap(
    "05.i",
    "a cut-out on a new background",
    _mixture,
    [(np.array([[0.0, 0.3, 1.0]]), np.arange(9.0).reshape(3, 1, 3), np.full((3, 1, 3), 7.0))],
    "The same equation, solved for alpha, is matting.",
)
def _mixture_mistakes(alpha: Pixels, foreground: Pixels, background: Pixels) -> Wrong:
    return {
        "alpha belongs to the foreground, 1 - alpha to the background.": _mixture(alpha, background, foreground),
        "the background has to become weaker where the pet is: 1 - alpha.": alpha * foreground + background,
        "the background is missing.": alpha * foreground,
    }


COLORS, FRONT, BACK = np.random.default_rng(1).uniform(0, 1, (3, 3, 4, 5))
ALPHA = np.linspace(0.05, 1, 20).reshape(4, 5)


def _corrected(colors: Pixels, alpha: Pixels, front: Pixels, back: Pixels) -> Pixels:
    return np.asarray((front + alpha * (colors - _mixture(alpha, front, back))).clip(0, 1))


@gap(
    "05.j",
    "the foreground's colour",
    _corrected,
    [(COLORS, ALPHA, FRONT, BACK), (COLORS, ALPHA, FRONT**2, BACK**2)],
    "Where alpha is 1, the result is the photo's own colour.",
)
def _corrected_mistakes(colors: Pixels, alpha: Pixels, front: Pixels, back: Pixels) -> Wrong:
    error = colors - _mixture(alpha, front, back)  # divided by alpha, it solves the equation for F
    return {
        "colours lie between 0 and 1: clip the result.": front + alpha * error,
        "the error counts with the weight alpha.": (front + error).clip(0, 1),
        "that moves away from the photo: the error is the photo minus the mixture.": (front - alpha * error).clip(0, 1),
        "add the error to `front`, the estimate of the foreground.": (colors + alpha * error).clip(0, 1),
        "that divides by alpha, which makes errors huge where it is small.": (front + error / alpha).clip(0, 1),
    }
