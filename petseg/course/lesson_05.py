"""Checks of notebook 05: the steps of a photo, from its pixels to the colours of a cut-out; passes."""

import math
from collections.abc import Iterator
from itertools import product
from typing import Any, Final

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import distance_transform_edt
from torch import Tensor

from petseg.course.checks import exercise, gap
from petseg.course.comparison import same_dtype
from petseg.course.hints import NotYetError, as_number, ask, one_of, verdict
from petseg.inference.two_pass import Box

Pixels = NDArray[Any]

PHOTO = Image.fromarray(np.random.default_rng(0).integers(0, 256, (9, 12, 3), dtype=np.uint8))
LOGITS = 3 * torch.randn(3, 4, 5, generator=torch.Generator().manual_seed(0))

#: Quarter turns anticlockwise from the stored photo to the upright one, by EXIF orientation.
QUARTERS = {1: 0, 3: 2, 6: -1, 8: 1}
STORED = [(np.arange(18, dtype=np.uint8).reshape(2, 3, 3), orientation) for orientation in (6, 8, 3, 1)]
ENDING = torch.tensor([5.0, 4, 1, 0, 0])
PROFILES = [(torch.tensor([0.0, 0, 0.02, 1, 3, 2, 1, 0.01, 0, 0]), 200), (ENDING, 100), (ENDING.flip(0), 100)]
RAMPS = [(torch.linspace(-0.3, 1.3, 33), 0.2, *ends) for ends in product((True, False), repeat=2)]
CLASSES = (np.array([[0.0, 0.2, 0.4], [0.5, 0.7, 0.9]]), np.array([[0.1, 0.3, 0.3], [0.2, 0.1, 0.0]]))
INSIDE = np.pad(np.ones((6, 7), dtype=bool), ((3, 0), (2, 3)))
BANDS = [(INSIDE, 3.0, 4.0), (~INSIDE, 2.5, 2.0)]
MIXED = (np.array([[0.0, 0.3, 1.0]]), np.arange(9.0).reshape(3, 1, 3), np.full((3, 1, 1), 7.0))
COLORS, FRONT, BACK = np.random.default_rng(1).uniform(0, 1, (3, 3, 4, 5))
ALPHA = np.linspace(0.05, 1, 20).reshape(4, 5)
FITTED = [(COLORS, ALPHA, FRONT, BACK), (COLORS, ALPHA, FRONT**2, BACK**2)]
FITTED += [(1 - COLORS / 9, ALPHA, FRONT, BACK)]  # bright: without a limit, some colours exceed 1


@gap("05.a", "upright by EXIF", STORED, "Four more orientations mirror the photo; `load_photo` handles them all.")
def _upright(pixels: Pixels, orientation: int) -> Iterator[Any]:
    upright = np.rot90(pixels, QUARTERS[orientation])
    yield upright
    yield {
        "the photo is turned the wrong way. np.rot90 turns anticlockwise.": np.rot90(pixels, -QUARTERS[orientation]),
        "the photo is as it was stored.": pixels,
        "the photo is upright, but mirrored.": upright[:, ::-1],
    }


@gap("05.b", "a photo as the network's input", [(PHOTO, (4, 6))], "Pillow's BILINEAR weighs all pixels.", same_dtype)
def _resize(photo: Image.Image, size: tuple[int, int], method: str = "BILINEAR") -> Iterator[Any]:
    small = photo.resize(size[::-1], Image.Resampling[method])
    right = torch.from_numpy(np.array(small)).permute(2, 0, 1)[None].float() / 255
    yield right
    yield {
        "height and width are exchanged: Pillow takes (width, height).": _resize(photo, size[::-1]),
        "the pixels go from 0 to 255. Divide them.": 255 * right,
        "the batch axis is missing: (1, 3, h, w).": right[0],
        "the channels come before height and width: look up `permute`.": right.permute(0, 2, 3, 1),
        "the resize picks single pixels. Take Image.Resampling.BILINEAR.": _resize(photo, size, "NEAREST"),
        "without a filter Pillow takes BICUBIC. Take Image.Resampling.BILINEAR.": _resize(photo, size, "BICUBIC"),
    }


@gap("05.c", "softmax", [(LOGITS,), (LOGITS[:, 0, 0],)], "The probabilities of each pixel sum to 1.")
def _softmax(logits: Tensor) -> Iterator[Any]:
    yield logits.softmax(dim=0)
    yield {
        "these do not sum to 1: divide by the sum over the classes.": logits.exp(),
        "the sum goes over all pixels. Sum over the classes of a pixel, dim=0.": logits.exp() / logits.exp().sum(),
        "the sum goes over the columns. The classes are axis 0.": logits.softmax(dim=-1),
        "that divides the logits themselves. Take `exp` first.": logits / logits.sum(dim=0),
    }


def _enlarged(scores: Tensor, height: int, width: int, **settings: Any) -> Tensor:
    return F.interpolate(scores[None], (height, width), **({"mode": "bilinear"} | settings))[0]


@gap("05.d", "the class last", [(LOGITS, 13, 17), (LOGITS, 4, 5)], "The outline lies between the pixels.")
def _class_map(logits: Tensor, height: int, width: int) -> Iterator[Any]:
    size = height, width
    yield _enlarged(logits, *size).argmax(dim=0)
    small, probability = logits.argmax(dim=0)[None].float(), logits.softmax(dim=0)
    steps = _enlarged(small, *size, mode="nearest")[0]
    yield {
        "the outline has steps: enlarge bilinearly, and take the class afterwards.": steps,
        "the map holds values between the labels: a class map cannot be interpolated.": _enlarged(small, *size)[0],
        "almost: you enlarge the probabilities. Enlarge the logits.": _enlarged(probability, *size).argmax(dim=0),
        "the map is shifted near its borders: align_corners=False.": (
            _enlarged(logits, *size, align_corners=True).argmax(dim=0)
        ),
    }


@gap("05.e", "the box of the pet, along one side", PROFILES, "Single wrong pixels far away do not widen the box.")
def _span(profile: Tensor, length: int, tail: float = 0.01) -> Iterator[Any]:
    ends = torch.cat([torch.zeros(1), profile.cumsum(0) / profile.sum()]).numpy()
    low, high = np.interp([tail, 1 - tail], ends, np.linspace(0, 1, len(ends)))
    margin = 0.15 * (high - low)
    places = (low - margin) * length, (high + margin) * length
    wide = int(places[0]), math.ceil(places[1])
    yield max(0, wide[0]), min(length, wide[1])
    yield {
        "the margin is missing: 15 % of the pet's extent on each side.": (int(low * length), math.ceil(high * length)),
        "round the first end down and the last one up.": (max(0, round(places[0])), min(length, round(places[1]))),
        "every pixel counts. 1 % of the sum may lie beyond each side.": _span(profile, length, 0),
        "the box leaves the photo: at least 0, at most `length`.": wide,
    }


@gap("05.f", "the ramp at the edges of the box", RAMPS, "No seam is visible; nothing fades at the edge of the photo.")
def _weights(inside: Tensor, fade: float, rises: bool, falls: bool) -> Iterator[Any]:
    full = torch.ones(len(inside))
    rising, falling = inside / fade if rises else full, (1 - inside) / fade
    both = torch.minimum(rising, falling if falls else full)
    yield both.clamp(0, 1)
    yield {
        "weights lie between 0 and 1: `clamp`.": both,
        "at an edge of the photo the weight must stay 1: look at `falls`.": torch.minimum(rising, falling).clamp(0, 1),
        "take the smaller of the two, not the larger.": torch.maximum(rising, falling if falls else full).clamp(0, 1),
        "that is a step. The weight rises over the length `fade`.": ((inside > 0) & (inside < 1)).float(),
    }


@gap("05.g", "from probabilities to a soft edge", [CLASSES], "It is level at both ends: no edge is visible there.")
def _soft_edge(pet: Pixels, boundary: Pixels) -> Iterator[Any]:
    p = pet + boundary / 2
    ramp = 2 * p - 0.5
    t = np.clip(ramp, 0, 1)
    yield np.asarray(t**2 * (3 - 2 * t))
    yield {
        "that is p. Stretch it: 1/4 becomes 0 and 3/4 becomes 1.": p,
        "that ramp is straight. The last step is t * t * (3 - 2 * t).": t,
        "t lies between 0 and 1: clip it before the last step.": ramp**2 * (3 - 2 * ramp),
        "half of the boundary counts as pet.": _soft_edge(pet, 0 * boundary),
        "only half of the boundary counts as pet.": _soft_edge(pet, 2 * boundary),
    }


@gap("05.h", "the unknown band", BANDS, "Half of the band is free; in the other half the limits close gradually.")
def _limits(inside: Pixels, inner: float, outer: float) -> Iterator[Any]:
    depth, distance = distance_transform_edt(inside) / inner, distance_transform_edt(~inside) / outer
    lower, upper = np.clip(2 * depth - 1, 0, 1), 1 - np.clip(2 * distance - 1, 0, 1)
    yield lower, upper
    yield {
        "the two are exchanged: first the least alpha, then the largest.": (upper, lower),
        "alpha lies between 0 and 1: clip both.": (2 * depth - 1, 2 - 2 * distance),
        "the first half of the band is free: clip 2 * x - 1.": (np.clip(depth, 0, 1), 1 - np.clip(distance, 0, 1)),
        "the largest alpha falls with the distance: it is 1 minus the clipped value.": (lower, 1 - upper),
        "the widths are exchanged: `inner` belongs to the inside.": _limits(inside, outer, inner),
    }


@gap("05.i", "a cut-out on a new background", [MIXED], "The same equation, solved for alpha, is matting.")
def _mixture(alpha: Pixels, foreground: Pixels, background: Pixels) -> Iterator[Any]:
    yield np.asarray(alpha * foreground + (1 - alpha) * background)
    yield {
        "alpha belongs to the foreground, 1 - alpha to the background.": _mixture(alpha, background, foreground),
        "the background has to become weaker where the pet is: 1 - alpha.": alpha * foreground + background,
        "the background is missing.": alpha * foreground,
    }


@gap("05.j", "the foreground's colour", FITTED, "Where alpha is 1, the result is the photo's own colour.")
def _corrected(colors: Pixels, alpha: Pixels, front: Pixels, back: Pixels) -> Iterator[Any]:
    error = colors - _mixture(alpha, front, back)  # divided by alpha, it solves the equation for F
    yield np.asarray((front + alpha * error).clip(0, 1))
    yield {
        "colours lie between 0 and 1: clip the result.": front + alpha * error,
        "the error counts with the weight alpha.": (front + error).clip(0, 1),
        "that moves away from the photo: the error is the photo minus the mixture.": (front - alpha * error).clip(0, 1),
        "that divides by alpha, which makes errors huge where it is small.": (front + error / alpha).clip(0, 1),
    }


#: Numbers of passes that the experiment compares.
PASSES: Final = (1, 2, 3)

FIRST = torch.randn(3, 12, 16, generator=torch.Generator().manual_seed(0))
BOXES = [(FIRST, 5 - FIRST[:, 1:10, 2:12], (4, 2, 14, 11), 3), (FIRST, 5 - FIRST, (0, 0, 16, 12), 4)]
BOXES += [(FIRST, 5 - FIRST[:, 2:11, 3:12], (0, 3, 9, 12), 2)]
FEWER_PIXELS = "`merge_logits` does it at the working size, so that a large photo costs no more."


@gap("05.1", "build: the blend of two passes", BOXES, FEWER_PIXELS)
def _blended(
    first: Tensor, second: Tensor, box: Box, fade: float, weight: float = 2 / 3, frame: bool = False
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
        seam: _blended(first, second, box, 0.5),  # the outermost pixel counts fully
        whole: _blended(first, second, box, fade, frame=True),
    }


def _ramp(n: int, fade: float, low: bool, high: bool) -> Tensor:
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
    pixels = np.array(result.convert("RGB"))
    if not np.array_equal(pixels[4:8, 6:12], colors):
        raise NotYetError("padded: the photo must be in the middle, in its own size.")
    pixels[4:8, 6:12] = 128
    if not (pixels == 128).all():
        raise NotYetError("padded: around the photo, every pixel is (128, 128, 128).")
