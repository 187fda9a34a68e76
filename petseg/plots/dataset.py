"""Figures of notebook 01: five vision tasks, intersection over union, where the classes lie."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from numpy.typing import NDArray

from petseg.labels import BACKGROUND, CLASSES, COLORS, HATCHES, INK, PET
from petseg.plots.style import box, canvas, class_legend, figure, listed, write

Region = NDArray[np.bool_]  # (H, W)
Fractions = NDArray[np.float64]  # 0 to 1

#: Colours of two animals of one class: vermilion and bluish green.
INSTANCES = (COLORS[PET], "#009E73")


def vision_tasks(image: NDArray[np.uint8], animals: Sequence[Region], name: str) -> Figure:
    """Classification, detection, and semantic, instance and panoptic segmentation of one image (H, W, 3).

    `animals` are the regions of two animals of the class `name`.
    """
    alt = (
        f"Six panels of one image with two animals of the class {name}: the image; one class for the image; a box "
        "around each animal; the class of each pixel, both animals in one colour; the pixels of each animal in a "
        "separate colour; both of the last, with the background coloured too."
    )
    with figure(6.6, 2.8, 2, 3, alt=alt) as (drawing, axes):
        titles = ("image", "classification", "object detection", "semantic segmentation", "instance segmentation")
        for ax, title in zip(axes.flat, (*titles, "panoptic segmentation"), strict=True):
            ax.imshow(image)
            ax.set_title(title, fontsize=10)
            ax.axis("off")
        _, classification, detection, semantic, instance, panoptic = axes.flat
        _label(classification, image.shape[1] / 2, 8, name, INK)
        for number, (animal, color) in enumerate(zip(animals, INSTANCES, strict=True), start=1):
            _detected(detection, animal, f"{name} {number}")
            _paint(semantic, animal, COLORS[PET])
            for ax in (instance, panoptic):
                _paint(ax, animal, color)
                _label(ax, float(np.nonzero(animal)[1].mean()), 8, f"{name} {number}", color)
        background = ~np.any(animals, axis=0)
        for ax in (semantic, panoptic):
            _paint(ax, background, COLORS[BACKGROUND])
        _label(semantic, image.shape[1] / 2, 8, f"{name} / background", INK)
    return drawing


def overlap(true: Region, predicted: Region) -> Figure:
    """Two small masks, and IoU as a fraction of pictures: the intersection above the union."""
    both, either = true & predicted, true | predicted
    alt = (
        f"Small masks, pixels of each: true: {true.sum()}, predicted: {predicted.sum()}, intersection: {both.sum()}, "
        f"union: {either.sum()}. IoU is the intersection divided by the union: {both.sum() / either.sum():.2f}."
    )
    with figure(6.6, 3.3, alt=alt) as (drawing, ax):
        H, W = true.shape
        large = 2.0 * H + 0.9
        for place, region, name in (
            ((0.0, H / 2 + 0.5), true, "true"),
            ((W + 1.2, H / 2 + 0.5), predicted, "predicted"),
            ((2 * W + 5.5, 0.0), both, "intersection"),
            ((2 * W + 5.5, H + 1.0), either, "union"),
        ):
            for (row, column), inside in np.ndenumerate(region):
                color = COLORS[PET] if inside else "white"
                box(ax, place[0] + column, place[1] + row, 1, 1, facecolor=color)
            beside = place[0] > 2 * W + 2
            x, y = (place[0] + W + 0.5, place[1] + H / 2) if beside else (place[0] + W / 2, place[1] - 0.5)
            write(ax, x, y, f"{name}: {region.sum()}", fontsize=11, ha="left" if beside else "center")
        ax.plot([2 * W + 5.3, 3 * W + 5.7], [H + 0.5, H + 0.5], color=INK, linewidth=2)
        write(ax, 2 * W + 5.0, H + 0.5, "IoU =", ha="right", fontsize=12)
        result = f"= {both.sum()} / {either.sum()} = {both.sum() / either.sum():.2f}"
        write(ax, 3 * W + 6.0, H + 0.5, result, ha="left", fontsize=12, fontweight="bold")
        canvas(ax, (-0.2, 3 * W + 11), (large + 0.3, -0.2))
    return drawing


def region_bars(fractions: Mapping[str, Fractions], title: str) -> Figure:
    """One bar per region of the image, divided into the fractions (3,) of the classes."""
    table = {region: dict(zip(CLASSES, parts, strict=True)) for region, parts in fractions.items()}
    alt = f"Stacked bars of class fractions. {listed(table, '{} {:.0%}')}."
    with figure(7, 0.9 + 0.5 * len(fractions), alt=alt) as (drawing, ax):
        left = np.zeros(len(fractions))
        for label, (color, hatch) in enumerate(zip(COLORS, HATCHES, strict=True)):
            widths = [float(parts[label]) for parts in fractions.values()]
            bars = ax.barh(list(fractions), widths, left=left, color=color, hatch=hatch, edgecolor=INK, linewidth=0.5)
            texts = [f"{w:.0%}" if w > 0.05 else "" for w in widths]
            ground = {"facecolor": "white", "edgecolor": "none", "pad": 1}
            ax.bar_label(bars, texts, label_type="center", fontsize=9, bbox=ground)
            left += widths
        ax.set(xlim=(0, 1), xlabel="fraction of the region's pixels", title=title)
        ax.invert_yaxis()
        ax.tick_params(axis="y", length=0)
        class_legend(ax, loc="upper left", bbox_to_anchor=(1, 1))
    return drawing


def _paint(ax: Axes, region: Region, color: str) -> None:
    ax.imshow(np.where(region, 1.0, np.nan), cmap=ListedColormap([color]), alpha=0.75, interpolation="nearest")


def _detected(ax: Axes, region: Region, text: str) -> None:
    rows, columns = np.nonzero(region)
    size = np.ptp(columns) + 1.0, np.ptp(rows) + 1.0
    box(ax, columns.min() - 0.5, rows.min() - 0.5, *size, fill=False, linewidth=2)
    _label(ax, float(columns.mean()), 8, text, INK)


def _label(ax: Axes, x: float, y: float, text: str, color: str) -> None:
    write(ax, x, y, text, fontsize=9, bbox={"facecolor": "white", "edgecolor": color, "pad": 2, "linewidth": 1})
