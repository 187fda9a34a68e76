"""Figures that define terms of notebook 01: five tasks of computer vision, and intersection over union."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from petseg.labels import BACKGROUND, COLORS, INK, PET
from petseg.plots.style import figure

Region = NDArray[np.bool_]

#: Colours of single animals, where two of one class must be told apart: vermilion and bluish green.
INSTANCES = (COLORS[PET], "#009E73")


def vision_tasks(image: NDArray[np.uint8], animals: Sequence[Region], name: str) -> Figure:
    """What classification, detection, semantic, instance and panoptic segmentation say about one image.

    Args:
        image: uint8 (H, W, 3), with two animals of one class.
        animals: bool (H, W), where each of them is.
        name: of their class.
    """
    alt = (
        f"Six panels of one image with two animals of the class {name}: the image; one class for the image; a box "
        "around each animal; the class of each pixel, both animals in one colour; the pixels of each animal in a "
        "separate colour; both of the last, with the background coloured too."
    )
    with figure(6.6, 2.8, 2, 3, alt=alt) as (drawn, axes):
        titles = ("image", "classification", "object detection", "semantic segmentation", "instance segmentation")
        for ax, title in zip(axes.flat, (*titles, "panoptic segmentation"), strict=True):
            ax.imshow(image)
            ax.set_title(title, fontsize=10)
            ax.axis("off")
        _, classified, detected, semantic, instance, panoptic = axes.flat
        _label(classified, image.shape[1] / 2, 8, name, INK)
        for number, (animal, color) in enumerate(zip(animals, INSTANCES, strict=True), start=1):
            _box(detected, animal, f"{name} {number}")
            _paint(semantic, animal, COLORS[PET])
            for ax in (instance, panoptic):
                _paint(ax, animal, color)
                _label(ax, float(np.nonzero(animal)[1].mean()), 8, f"{name} {number}", color)
        everywhere = ~np.any(animals, axis=0)
        for ax in (semantic, panoptic):
            _paint(ax, everywhere, COLORS[BACKGROUND])
        _label(semantic, image.shape[1] / 2, 8, f"{name} / background", INK)
    return drawn


def overlap(true: Region, predicted: Region) -> Figure:
    """Two small masks, their intersection and their union, each with its number of pixels.

    Args:
        true: bool (H, W).
        predicted: bool (H, W).
    """
    regions = {"true": true, "predicted": predicted, "intersection": true & predicted, "union": true | predicted}
    titles = [f"{name}: {region.sum()}" for name, region in regions.items()]
    with figure(7.4, 2.1, 1, 4, alt=f"Small masks, pixels of each: {', '.join(titles)}.") as (drawn, axes):
        for ax, title, region in zip(axes, titles, regions.values(), strict=True):
            ax.imshow(region, cmap=ListedColormap(["#ffffff", COLORS[PET]]), vmin=0, vmax=1)
            H, W = region.shape
            ax.set_xticks(np.arange(W + 1) - 0.5, [])
            ax.set_yticks(np.arange(H + 1) - 0.5, [])
            ax.grid(color=INK, linewidth=0.8)
            ax.tick_params(length=0)
            ax.set_title(title, fontsize=11)
    return drawn


def _paint(ax: Axes, region: Region, color: str) -> None:
    ax.imshow(np.where(region, 1.0, np.nan), cmap=ListedColormap([color]), alpha=0.75, interpolation="nearest")


def _box(ax: Axes, region: Region, text: str) -> None:
    rows, columns = np.nonzero(region)
    corner = (columns.min() - 0.5, rows.min() - 0.5)
    size = (float(np.ptp(columns)) + 1, float(np.ptp(rows)) + 1)
    ax.add_patch(Rectangle(corner, *size, fill=False, edgecolor=INK, linewidth=2))
    _label(ax, float(columns.mean()), 8, text, INK)


def _label(ax: Axes, x: float, y: float, text: str, color: str) -> None:
    box = {"facecolor": "white", "edgecolor": color, "pad": 2, "linewidth": 1}
    ax.text(x, y, text, ha="center", va="center", fontsize=9, bbox=box)
