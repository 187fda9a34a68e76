"""Single pictures: a mask in the class colours, an image with its mask painted over, a checkerboard."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from petseg.inference.segmentation import edge
from petseg.labels import BOUNDARY, PET, hatch, palette_with_ink

_LINE = 3  # beside the labels: a pixel of the hatch or of the outline
_COLORS = np.asarray(palette_with_ink(), dtype=np.uint8).reshape(-1, 3)  # (4, 3)


def on_checkerboard(image: Image.Image, square: int = 16) -> Image.Image:
    """The RGB picture of an image whose transparent parts show a grey checkerboard of `square` pixels."""
    image = image.convert("RGBA")
    row, column = np.ogrid[: image.height, : image.width]
    board = np.where((row // square + column // square) % 2, 205, 240).astype(np.uint8)
    ground = Image.fromarray(board).convert("RGBA")
    return Image.alpha_composite(ground, image).convert("RGB")


def mask_picture(mask: NDArray[np.uint8], scale: int = 3) -> Image.Image:
    """A class map in the class colours, the boundary hatched, so that colour is never the only cue.

    Args:
        mask: uint8 (H, W), labels.
        scale: pixels of the picture per pixel of the mask, so that there is space for the hatch.

    Returns:
        RGB, scale * W x scale * H.
    """
    large = _enlarged(mask, scale)
    return Image.fromarray(_COLORS[np.where(hatch(large), _LINE, large)])


def mask_overlay(image: Any, mask: NDArray[np.uint8], opacity: float = 0.5, scale: int = 3) -> Image.Image:
    """An image with pet and boundary painted over, the boundary hatched, the pet outlined by a dark line.

    Args:
        image: PIL image or uint8 (H, W, 3).
        mask: uint8 (H, W), labels.
        opacity: of the paint, 0 to 1.
        scale: pixels of the result per pixel of the mask.

    Returns:
        RGB, scale * W x scale * H.
    """
    size = (scale * mask.shape[1], scale * mask.shape[0])
    pixels = np.asarray(_image(image).convert("RGB").resize(size, Image.Resampling.BICUBIC))
    large = _enlarged(mask, scale)
    painted = np.isin(large, (PET, BOUNDARY))[..., None]
    mixed = np.where(painted, opacity * _COLORS[large] + (1 - opacity) * pixels, pixels).round().astype(np.uint8)
    mixed[hatch(large) | edge(large == PET)] = _COLORS[_LINE]
    return Image.fromarray(mixed)


def _image(image: Any) -> Image.Image:
    return image if isinstance(image, Image.Image) else Image.fromarray(np.asarray(image))


def _enlarged(mask: NDArray[np.uint8], scale: int) -> NDArray[np.uint8]:
    return np.asarray(mask, dtype=np.uint8).repeat(scale, axis=0).repeat(scale, axis=1)
