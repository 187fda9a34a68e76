"""Figures of notebook 01: sizes of photos, and where the classes lie."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import PercentFormatter, ScalarFormatter
from numpy.typing import NDArray

from petseg.labels import CLASSES, COLORS, HATCHES, INK, PET
from petseg.plots.style import class_legend, figure

Fractions = NDArray[np.float64]


def photo_sizes(width: NDArray[np.int64], height: NDArray[np.int64]) -> Figure:
    """Width against height of photos, and how far each is from the square that it is resized to.

    Args:
        width: in pixels, one per photo.
        height: likewise.
    """
    stretch = np.maximum(width / height, height / width)
    alt = (
        f"Left: width and height of {len(width)} photos, {width.min()}x{height.min()} to {width.max()}x{height.max()} "
        f"pixels. Right: histogram of the longer side divided by the shorter one, median {np.median(stretch):.2f}."
    )
    with figure(7.4, 3, 1, 2, alt=alt) as (drawn, (left, right)):
        left.scatter(width, height, s=10, color="#555555", alpha=0.35, linewidths=0)
        side = [100, max(width.max(), height.max())]
        left.plot(side, side, color=INK, linestyle="--", linewidth=1)
        left.text(side[1], side[1], "square  ", ha="right", va="top", fontsize=9)
        left.set(xscale="log", yscale="log")
        for axis in (left.xaxis, left.yaxis):
            axis.set_major_formatter(ScalarFormatter())
            axis.set_ticks([125, 250, 500, 1000], minor=False)
            axis.set_ticks([], minor=True)
        title = f"{np.mean(stretch < 1.02):.0%} of the photos are square"
        left.set(xlabel="width, pixels", ylabel="height, pixels", title=title)
        right.hist(stretch, bins=np.arange(1, 2.65, 0.05).tolist(), color="#bbbbbb", edgecolor=INK, linewidth=0.4)
        right.axvline(float(np.median(stretch)), color=INK, linestyle="--", linewidth=1)
        title = f"Half exceed {np.median(stretch):.2f} to 1"
        right.set(xlabel="longer side / shorter side", ylabel="photos", title=title)
    return drawn


def region_bars(fractions: Mapping[str, Fractions], title: str) -> Figure:
    """A bar for each region of the image, divided into the classes by their fraction of its pixels.

    Args:
        fractions: float (3,), fractions of the classes, by name of the region.
        title: states the finding.
    """
    listed = (
        f"{region}: " + ", ".join(f"{c} {s:.0%}" for c, s in zip(CLASSES, v, strict=True))
        for region, v in fractions.items()
    )
    with figure(7, 0.9 + 0.5 * len(fractions), alt="Stacked bars of class fractions. " + "; ".join(listed) + ".") as (
        drawn,
        ax,
    ):
        left = np.zeros(len(fractions))
        for label, (color, hatch) in enumerate(zip(COLORS, HATCHES, strict=True)):
            width = [float(parts[label]) for parts in fractions.values()]
            bars = ax.barh(list(fractions), width, left=left, color=color, hatch=hatch, edgecolor=INK, linewidth=0.5)
            box = {"facecolor": "white", "edgecolor": "none", "pad": 1}
            ax.bar_label(
                bars, [f"{w:.0%}" if w > 0.05 else "" for w in width], label_type="center", fontsize=9, bbox=box
            )
            left += width
        ax.set(xlim=(0, 1), xlabel="fraction of the region's pixels", title=title)
        ax.invert_yaxis()
        ax.tick_params(axis="y", length=0)
        class_legend(ax, loc="upper left", bbox_to_anchor=(1, 1))
    return drawn


def mean_maps(maps: Mapping[str, Fractions], title: str) -> Figure:
    """Maps of how often each pixel is pet, side by side, with labelled contours beside the greys.

    Args:
        maps: float (H, W), 0 to 1, by title.
        title: states the finding.
    """
    peaks = ", ".join(
        f"{name}: at most {values.max():.0%}, at least {values.min():.0%}" for name, values in maps.items()
    )
    alt = f"Maps of the fraction of images in which each pixel is pet. {peaks}."
    with figure(2.3 * len(maps) + 0.9, 2.9, 1, len(maps), alt=alt, squeeze=False) as (drawn, axes):
        for ax, (name, values) in zip(axes.flat, maps.items(), strict=True):
            shown = ax.contourf(values, [0, 0.05, 0.25, 0.5, 0.75, 1], cmap="Greys")  # few greys make a small file
            lines = ax.contour(values, [0.25, 0.5, 0.75], colors=COLORS[PET], linestyles=[":", "--", "-"])
            for text in ax.clabel(lines, fmt=lambda fraction: f"{fraction:.0%}", fontsize=9, colors=INK):
                text.set_path_effects([withStroke(linewidth=2.5, foreground="white")])
            ax.set(xlabel="column, pixels", title=name, aspect="equal")
            ax.invert_yaxis()
        axes[0, 0].set_ylabel("row, pixels")
        drawn.colorbar(shown, ax=axes, label="images that are pet here", shrink=0.8, format=PercentFormatter(1))
        drawn.suptitle(title, x=0.01, ha="left", fontweight="bold", fontsize=11)
    return drawn
