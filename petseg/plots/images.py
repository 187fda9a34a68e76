"""Pictures and masks: side by side, on a checkerboard, with the boundary hatched."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from petseg.inference.segmentation import edge
from petseg.labels import BOUNDARY, PET, hatch, palette_with_ink
from petseg.plots.style import figure

_LINE = 3  # beside the labels: a pixel of the hatch or of the outline
_COLORS = np.asarray(palette_with_ink(), dtype=np.uint8).reshape(-1, 3)  # (4, 3)


def show_images(
    images: Sequence[Any],
    titles: Sequence[str],
    columns: int | None = None,
    width: float = 3.0,
    alt: str = "",
) -> Figure:
    """Pictures side by side, each under its title.

    Args:
        images: PIL images of any mode, or uint8 arrays (H, W, 3); transparent parts are shown on a checkerboard.
        titles: one an image.
        columns: pictures in a row; all in one when None.
        width: of each picture, in inches.
        alt: what they show, for readers who cannot see them; their titles by default.
    """
    columns = columns or len(images)
    rows = -(-len(images) // columns)
    pictures = [on_checkerboard(_picture(image)) for image in images]
    ratio = max(picture.height / picture.width for picture in pictures)
    alt = alt or "Pictures side by side: " + "; ".join(titles) + "."
    with figure(width * columns, (width * ratio + 0.3) * rows, rows, columns, alt=alt, photo=True) as (drawn, axes):
        for ax in np.ravel(axes):
            ax.axis("off")
        for ax, picture, title in zip(np.ravel(axes), pictures, titles, strict=False):
            ax.imshow(np.asarray(picture))
            ax.set_title(title, fontweight="normal")
    return drawn


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
        scale: pixels of the picture for each of the mask, so that the hatch has room.

    Returns:
        RGB, scale * W x scale * H.
    """
    large = _enlarged(mask, scale)
    return Image.fromarray(_COLORS[np.where(hatch(large), _LINE, large)])


def mask_overlay(image: Any, mask: NDArray[np.uint8], opacity: float = 0.5, scale: int = 3) -> Image.Image:
    """A picture with pet and boundary painted over: the boundary hatched, the pet's edge a dark line.

    Args:
        image: PIL image or uint8 (H, W, 3).
        mask: uint8 (H, W), labels.
        opacity: of the paint, 0 to 1.
        scale: pixels of the result for each of the mask.

    Returns:
        RGB, scale * W x scale * H.
    """
    size = (scale * mask.shape[1], scale * mask.shape[0])
    pixels = np.asarray(_picture(image).convert("RGB").resize(size, Image.Resampling.BICUBIC))
    large = _enlarged(mask, scale)
    painted = np.isin(large, (PET, BOUNDARY))[..., None]
    mixed = np.where(painted, opacity * _COLORS[large] + (1 - opacity) * pixels, pixels).round().astype(np.uint8)
    mixed[hatch(large) | edge(large == PET)] = _COLORS[_LINE]
    return Image.fromarray(mixed)


def _picture(image: Any) -> Image.Image:
    return image if isinstance(image, Image.Image) else Image.fromarray(np.asarray(image))


def _enlarged(mask: NDArray[np.uint8], scale: int) -> NDArray[np.uint8]:
    return np.asarray(mask, dtype=np.uint8).repeat(scale, axis=0).repeat(scale, axis=1)
