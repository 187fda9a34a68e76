"""Pictures side by side: photos, masks, feature maps, and photos above the same photos with their masks."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import fill
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from petseg.labels import BACKGROUND, CLASSES, PET
from petseg.plots.images import mask_overlay, mask_picture, on_checkerboard
from petseg.plots.style import class_legend, figure

#: Characters of a title that fit over one inch of a picture.
CHARACTERS_PER_INCH = 13


def show_images(
    images: Sequence[Any],
    titles: Sequence[str],
    columns: int | None = None,
    width: float = 3.0,
    alt: str = "",
    *,
    photo: bool = True,
    legend: str = "",
) -> Figure:
    """Pictures in a grid, each under its title.

    Args:
        images: PIL images of any mode, whose transparent parts show a checkerboard; arrays (H, W, 3), uint8 or float
            from 0 to 1; or arrays (H, W) of any scale, drawn in 16 greys from their smallest to their largest value.
        titles: one per image; a title that is wider than its picture is broken into lines.
        columns: pictures per row; all in one row when None.
        width: of each picture, in inches.
        alt: what they show, for readers who cannot see them; their titles by default.
        photo: store the figure as JPEG. Set it to False for masks and feature maps: a PNG keeps their sharp edges.
        legend: adds a legend of the classes below; this is what it says about the background.
    """
    columns = columns or len(images)
    rows = -(-len(images) // columns)
    pictures = [_picture(image) for image in images]
    names = [_wrapped(title, width) for title in titles]
    ratio = max(picture.shape[0] / picture.shape[1] for picture in pictures)
    lines = [
        max(name.count("\n") + bool(name) for name in names[i : i + columns]) for i in range(0, len(names), columns)
    ]
    height = rows * (width * ratio + 0.05) + 0.2 * sum(lines) + (0.4 if legend else 0)
    alt = alt or "Pictures side by side: " + "; ".join(title for title in titles if title) + "."
    with figure(width * columns, height, rows, columns, alt=alt, photo=photo, squeeze=False) as (drawn, axes):
        for ax in axes.flat[len(pictures) :]:
            ax.axis("off")
        for ax, picture, name in zip(axes.flat, pictures, names, strict=False):
            ax.set(xticks=[], yticks=[])
            for side in ax.spines.values():  # a white mask would have no edge
                side.set(visible=not photo, color="#BBBBBB", linewidth=0.6)
            ax.imshow(picture, interpolation=None if photo else "nearest")
            ax.set_title(name, fontweight="normal", fontsize=9 if width < 2 else 11)
        if legend:
            _legend_below(drawn, legend)
    return drawn


def show_masks(masks: Sequence[NDArray[np.uint8]], titles: Sequence[str], alt: str = "", width: float = 1.7) -> Figure:
    """Small masks side by side, so large that single pixels can be seen, above a legend of the classes.

    Args:
        masks: uint8 (H, W), labels.
        titles: one per mask.
        alt: what they show; by default how much of each mask belongs to each class.
        width: of each mask, in inches.
    """
    alt = alt or "Masks side by side, each pixel a square: " + "; ".join(map(_fractions, masks, titles)) + "."
    pictures = [mask_picture(mask, max(1, 192 // len(mask))) for mask in masks]
    return show_images(pictures, titles, width=width, alt=alt, photo=False, legend="background")


def show_examples(
    images: Sequence[Any], masks: Sequence[Any], titles: Sequence[str], plain: bool = True, width: float = 5.8
) -> Figure:
    """Images in a row, and below each the same image with its mask painted over.

    Args:
        images: PIL images or uint8 (H, W, 3).
        masks: uint8 (H, W), labels.
        titles: one per image.
        plain: show the images without their masks, too.
        width: of four images or more together, in inches; fewer are as large as if they were four.
    """
    overlays = [mask_overlay(image, np.asarray(mask), scale=2) for image, mask in zip(images, masks, strict=True)]
    listed = "; ".join(f"{t}, {np.mean(np.asarray(m) == PET):.0%} pet" for t, m in zip(titles, masks, strict=True))
    return show_images(
        [*images, *overlays] if plain else overlays,
        [*titles, *[""] * len(titles)] if plain else titles,
        columns=len(titles),
        width=width / max(len(titles), 4),
        alt=f"{len(titles)} pictures with their masks painted over: {listed}.",
        legend="background, not painted",
    )


def _picture(image: Any) -> NDArray[np.uint8]:
    """The pixels of a picture: uint8 (H, W, 3)."""
    if isinstance(image, Image.Image):
        return np.asarray(on_checkerboard(image))
    pixels = np.asarray(image)
    if pixels.ndim == 2:  # a feature map has no natural scale
        low, high = float(pixels.min()), float(pixels.max())
        steps = np.round(15 * (pixels - low) / max(high - low, 1e-12))  # more greys cannot be told apart
        return (17 * steps).astype(np.uint8)[..., None].repeat(3, axis=-1)
    return pixels if pixels.dtype == np.uint8 else (255 * pixels).round().astype(np.uint8)


def _wrapped(title: str, width: float) -> str:
    lines = (fill(line.replace("_", " "), max(8, round(CHARACTERS_PER_INCH * width))) for line in title.split("\n"))
    return "\n".join(lines)


def _fractions(mask: NDArray[np.uint8], title: str) -> str:
    return f"{title}, " + ", ".join(f"{np.mean(mask == label):.0%} {name}" for label, name in enumerate(CLASSES))


def _legend_below(drawn: Any, background: str) -> None:
    class_legend(drawn, loc="outside lower center", ncols=3, fontsize=9, handlelength=1.5, columnspacing=1.2)
    (legend,) = drawn.legends
    legend.get_texts()[BACKGROUND].set_text(background)
    if background != "background":  # not painted
        legend.get_patches()[BACKGROUND].set_facecolor("white")
