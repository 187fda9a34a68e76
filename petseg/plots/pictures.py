"""Pictures side by side: photos, masks in the class colours, feature maps, and photos with their masks painted over."""

from collections.abc import Sequence
from textwrap import fill
from typing import Any, Final

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import binary_erosion

from petseg.labels import BACKGROUND, BOUNDARY, CLASSES, LINE, PET, hatch, palette_with_ink
from petseg.plots.style import class_legend, figure

#: Characters of a title that fit over one inch of a picture.
CHARACTERS_PER_INCH: Final = 13

PALETTE: Final = np.asarray(palette_with_ink(), dtype=np.uint8).reshape(-1, 3)  # (4, 3)


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
    """Shows pictures in a grid, each under its title, which is broken into lines if it is wider than its picture.

    Args:
        images: PIL images (transparent parts show a checkerboard); arrays (H, W, 3), uint8 or float in 0..1; or arrays
            (H, W) of any range, drawn in 16 greys from their smallest to their largest value.
        titles: one per image.
        columns: pictures per row; default: all in one row.
        width: of one picture, in inches.
        alt: default: the titles.
        photo: store the figure as JPEG; use False for masks and feature maps, since PNG keeps their sharp edges.
        legend: adds a legend of the classes, which calls the background by this name.
    """
    columns = columns or len(images)
    rows = -(-len(images) // columns)
    pictures = [_pixels(image) for image in images]
    letters = max(8, round(CHARACTERS_PER_INCH * width))
    names = ["\n".join(fill(line, letters) for line in title.replace("_", " ").split("\n")) for title in titles]
    heights = [name.count("\n") + bool(name) for name in names]
    lines = [max(heights[i : i + columns]) for i in range(0, len(names), columns)]
    ratio = max(picture.shape[0] / picture.shape[1] for picture in pictures)
    height = rows * (width * ratio + 0.05) + 0.2 * sum(lines) + (0.4 if legend else 0)
    alt = alt or "Pictures side by side: " + "; ".join(title for title in titles if title) + "."
    with figure(width * columns, height, rows, columns, alt=alt, photo=photo, squeeze=False) as (drawing, axes):
        for ax in axes.flat[len(pictures) :]:
            ax.axis("off")
        for ax, picture, name in zip(axes.flat, pictures, names, strict=False):
            ax.set(xticks=[], yticks=[])
            for side in ax.spines.values():  # a white mask would have no visible edge
                side.set(visible=not photo, color="#BBBBBB", linewidth=0.6)
            ax.imshow(picture, interpolation=None if photo else "nearest")
            ax.set_title(name, fontweight="normal", fontsize=9 if width < 2 else 11)
        if legend:
            _legend_below(drawing, legend)
    return drawing


def show_masks(masks: Sequence[NDArray[np.uint8]], titles: Sequence[str], *, width: float = 1.7) -> Figure:
    """Shows small masks (H, W) enlarged, so that single pixels are visible, above a legend of the classes."""
    alt = "Masks side by side, each pixel a square: " + "; ".join(map(_fractions, masks, titles)) + "."
    pictures = [mask_picture(mask, max(1, 192 // len(mask))) for mask in masks]
    return show_images(pictures, titles, width=width, alt=alt, photo=False, legend="background")


def show_examples(
    images: Sequence[Any], masks: Sequence[Any], titles: Sequence[str], plain: bool = True, width: float = 5.8
) -> Figure:
    """Shows images in a row, and below each the same image with its mask, uint8 (H, W), painted over.

    If `plain` is False, the painted ones alone. `width` is that of a row of four or more, in inches; fewer images are
    as large.
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


def mask_picture(mask: NDArray[np.uint8], scale: int = 3) -> Image.Image:
    """A class map (H, W) in the class colours, `scale` times as large, so that there is space for the hatch."""
    large = _enlarged(mask, scale)
    return Image.fromarray(PALETTE[np.where(hatch(large), LINE, large)])


def mask_overlay(image: Any, mask: NDArray[np.uint8], opacity: float = 0.5, scale: int = 3) -> Image.Image:
    """An image with pet and boundary painted over: the boundary hatched, the pet outlined by a dark line.

    It is resized to `scale` times the size of the mask, uint8 (H, W); `opacity` is that of the paint, 0 to 1.
    """
    size = (scale * mask.shape[1], scale * mask.shape[0])
    image = image if isinstance(image, Image.Image) else Image.fromarray(np.asarray(image))
    pixels = np.asarray(image.convert("RGB").resize(size, Image.Resampling.BICUBIC))
    large = _enlarged(mask, scale)
    painted = np.isin(large, (PET, BOUNDARY))[..., None]
    mixed = np.where(painted, opacity * PALETTE[large] + (1 - opacity) * pixels, pixels).round().astype(np.uint8)
    pet = large == PET
    outline = pet & ~binary_erosion(pet, border_value=1)  # no line along the picture's frame
    mixed[hatch(large) | outline] = PALETTE[LINE]
    return Image.fromarray(mixed)


def on_checkerboard(image: Image.Image, square: int = 16) -> Image.Image:
    """The image in RGB; its transparent parts show a grey checkerboard with squares of `square` pixels."""
    image = image.convert("RGBA")
    row, column = np.ogrid[: image.height, : image.width]
    board = np.where((row // square + column // square) % 2, 205, 240).astype(np.uint8)
    ground = Image.fromarray(board).convert("RGBA")
    return Image.alpha_composite(ground, image).convert("RGB")


def _enlarged(mask: NDArray[np.uint8], scale: int) -> NDArray[np.uint8]:
    return np.asarray(mask, dtype=np.uint8).repeat(scale, axis=0).repeat(scale, axis=1)


def _pixels(image: Any) -> NDArray[np.uint8]:
    """A picture's pixels: uint8 (H, W, 3)."""
    if isinstance(image, Image.Image):
        return np.asarray(on_checkerboard(image))
    pixels = np.asarray(image)
    if pixels.ndim == 2:  # a feature map has no natural scale
        low, high = float(pixels.min()), float(pixels.max())
        steps = np.round(15 * (pixels - low) / max(high - low, 1e-12))  # nobody can tell more greys apart
        return (17 * steps).astype(np.uint8)[..., None].repeat(3, axis=-1)
    return pixels if pixels.dtype == np.uint8 else (255 * pixels).round().astype(np.uint8)


def _fractions(mask: NDArray[np.uint8], title: str) -> str:
    return f"{title}, " + ", ".join(f"{np.mean(mask == label):.0%} {name}" for label, name in enumerate(CLASSES))


def _legend_below(drawing: Figure, background: str) -> None:
    class_legend(drawing, loc="outside lower center", ncols=3, fontsize=9, handlelength=1.5, columnspacing=1.2)
    (legend,) = drawing.legends
    legend.get_texts()[BACKGROUND].set_text(background)
    if background != "background":  # not painted
        legend.get_patches()[BACKGROUND].set_facecolor("white")
