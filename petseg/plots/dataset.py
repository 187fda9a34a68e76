"""Figures of the data set: samples, sizes of photos, and where the classes lie."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import fill
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import PercentFormatter, ScalarFormatter
from numpy.typing import NDArray

from petseg.labels import BACKGROUND, CLASSES, COLORS, HATCHES, INK, PET
from petseg.plots.images import mask_overlay, mask_picture
from petseg.plots.style import class_legend, figure

Shares = NDArray[np.float64]

#: Dash and marker of each class, the second cue beside its colour.
DASHES: Any = {"pet": ("-", "o"), "background": ("--", "s"), "boundary": (":", "^")}


def samples(
    images: Sequence[Any],
    masks: Sequence[Any],
    titles: Sequence[str],
    plain: bool = True,
    width: float = 5.8,
) -> Figure:
    """Pictures in a row, and below each the same picture with its mask painted over.

    Args:
        images: PIL images or uint8 (H, W, 3).
        masks: uint8 (H, W), labels, one an image.
        titles: one an image.
        plain: show the pictures without their masks, too.
        width: of four pictures or more, in inches; fewer are as large as four would be.
    """
    count = len(images)
    painted = [mask_overlay(image, np.asarray(mask), scale=2) for image, mask in zip(images, masks, strict=True)]
    rows: list[Sequence[Any]] = [images, painted] if plain else [painted]
    covered = (
        f"{title}, {np.mean(np.asarray(mask) == PET):.0%} pet" for title, mask in zip(titles, masks, strict=True)
    )
    alt = f"{count} pictures with their masks painted over: " + "; ".join(covered) + "."
    size = width / max(count, 4)
    grid: Any = {"alt": alt, "photo": True, "squeeze": False}
    with figure(size * count, (size + 0.05) * len(rows) + 0.6, len(rows), count, **grid) as (drawn, axes):
        for ax, picture in zip(axes.flat, (picture for row in rows for picture in row), strict=True):
            ax.axis("off")
            ax.imshow(np.asarray(picture))
        for ax, title in zip(axes[0], titles, strict=True):
            words = fill(title.replace("_", " "), round(12 * size))  # a name wider than its picture is broken
            ax.set_title(words, fontweight="normal", fontsize=8)
        _legend_below(drawn, "background, not painted")
    return drawn


def enlarged_masks(masks: Sequence[NDArray[np.uint8]], titles: Sequence[str], scale: int = 8) -> Figure:
    """Small masks side by side, so large that single pixels are seen.

    Args:
        masks: uint8 (H, W), labels.
        titles: one a mask.
        scale: pixels of the picture for each of the mask.
    """
    listed = (
        f"{title}, " + ", ".join(f"{np.mean(mask == label):.0%} {name}" for label, name in enumerate(CLASSES))
        for mask, title in zip(masks, titles, strict=True)
    )
    alt = "Masks side by side, each pixel a square: " + "; ".join(listed) + "."
    with figure(2.7 * len(masks), 3.2, 1, len(masks), alt=alt, squeeze=False) as (drawn, axes):
        for ax, mask, title in zip(axes.flat, masks, titles, strict=True):
            ax.axis("off")
            ax.imshow(np.asarray(mask_picture(mask, scale)))
            ax.set_title(title, fontweight="normal")
        _legend_below(drawn)
    return drawn


def _legend_below(drawn: Any, background: str = "background") -> None:
    tight: Any = {"fontsize": 8, "handlelength": 1.5, "columnspacing": 1.2}
    class_legend(drawn, loc="outside lower center", ncols=3, **tight)  # a figure's legend is made as an axes' is
    (legend,) = drawn.legends
    legend.get_texts()[BACKGROUND].set_text(background)
    if background != "background":
        legend.get_patches()[BACKGROUND].set_facecolor("white")


def photo_sizes(width: NDArray[np.int64], height: NDArray[np.int64]) -> Figure:
    """Width against height of photos, and how far each is from the square that it is resized to.

    Args:
        width: in pixels, one a photo.
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


def region_bars(shares: Mapping[str, Shares], title: str) -> Figure:
    """A bar for each region of the picture, divided into the classes by their share of its pixels.

    Args:
        shares: float (3,), shares of the classes, by name of the region.
        title: states the finding.
    """
    listed = (
        f"{region}: " + ", ".join(f"{c} {s:.0%}" for c, s in zip(CLASSES, v, strict=True))
        for region, v in shares.items()
    )
    with figure(7, 0.9 + 0.5 * len(shares), alt="Stacked bars of class shares. " + "; ".join(listed) + ".") as (
        drawn,
        ax,
    ):
        left = np.zeros(len(shares))
        for label, (color, hatch) in enumerate(zip(COLORS, HATCHES, strict=True)):
            width = [float(parts[label]) for parts in shares.values()]
            bars = ax.barh(list(shares), width, left=left, color=color, hatch=hatch, edgecolor=INK, linewidth=0.5)
            box = {"facecolor": "white", "edgecolor": "none", "pad": 1}
            ax.bar_label(
                bars, [f"{w:.0%}" if w > 0.05 else "" for w in width], label_type="center", fontsize=9, bbox=box
            )
            left += width
        ax.set(xlim=(0, 1), xlabel="share of the region's pixels", title=title)
        ax.invert_yaxis()
        ax.tick_params(axis="y", length=0)
        class_legend(ax, loc="upper left", bbox_to_anchor=(1, 1))
    return drawn


def peeling(left: Shares, title: str) -> Figure:
    """What is left of each class, layer after layer.

    Args:
        left: float (layers + 1, 3), as `census.peeled` gives it.
        title: states the finding.
    """
    last = len(left) - 1
    listed = ", ".join(f"{name} {share:.0%}" for name, share in zip(CLASSES, left[last], strict=True))
    with figure(5.8, 2.7, alt=f"Left of each class after peeling {last} layers: {listed}.") as (drawn, ax):
        for name, color, shares in zip(CLASSES, COLORS, left.T, strict=True):
            dash, marker = DASHES[name]
            edge = [withStroke(linewidth=3.2, foreground=INK)]  # yellow on white is pale
            look: Any = {"marker": marker, "markeredgecolor": INK, "label": name, "path_effects": edge}
            ax.plot(shares, dash, color=color, linewidth=2, **look)
        ax.set(xlabel="layers peeled, pixels", ylabel="share left", ylim=(0, 1.03), title=title)
        ax.set_xticks(range(last + 1))
        ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return drawn


def share_histogram(shares: Shares, pooled: float) -> Figure:
    """How much of each picture the pet covers.

    Args:
        shares: float (N,), the pet's share of each picture.
        pooled: its share of all pixels.
    """
    low, high = np.percentile(shares, [5, 95])
    title = f"Nine pets in ten cover between {low:.0%} and {high:.0%} of their picture"
    tails = f"5% lie below {low:.0%}, 5% above {high:.0%}"
    alt = f"Histogram of the pet's share of {len(shares)} pictures; mean {pooled:.0%}; {tails}."
    with figure(6.4, 2.6, alt=alt) as (drawn, ax):
        ax.hist(shares, bins=np.arange(0, 1.01, 0.04).tolist(), color=COLORS[PET], edgecolor=INK, linewidth=0.4)
        ax.set_ylim(0, 1.15 * ax.get_ylim()[1])
        ax.axvline(pooled, color=INK, linestyle="--", linewidth=1.4)
        ax.text(pooled, ax.get_ylim()[1], f" mean {pooled:.0%}", va="top")
        ax.set(xlim=(0, 1), xlabel="share of the picture's pixels that are pet", ylabel="pictures", title=title)
    return drawn


def mean_maps(maps: Mapping[str, Shares], title: str) -> Figure:
    """Maps of how often each place is pet, one beside the other, with contours so that grey is not alone.

    Args:
        maps: float (H, W), 0 to 1, by what stands above.
        title: states the finding.
    """
    peaks = ", ".join(f"{name}: at most {found.max():.0%}, at least {found.min():.0%}" for name, found in maps.items())
    alt = f"Maps of the share of pictures in which each place is pet. {peaks}."
    with figure(2.3 * len(maps) + 0.9, 2.9, 1, len(maps), alt=alt, squeeze=False) as (drawn, axes):
        for ax, (name, found) in zip(axes.flat, maps.items(), strict=True):
            shown = ax.contourf(found, [0, 0.05, 0.25, 0.5, 0.75, 1], cmap="Greys")  # few greys: few bytes
            lines = ax.contour(found, [0.25, 0.5, 0.75], colors=COLORS[PET], linestyles=[":", "--", "-"])
            for words in ax.clabel(lines, fmt=lambda share: f"{share:.0%}", fontsize=8, colors=INK):
                words.set_path_effects([withStroke(linewidth=2.5, foreground="white")])
            ax.set(xlabel="column, pixels", title=name, aspect="equal")
            ax.invert_yaxis()
        axes[0, 0].set_ylabel("row, pixels")
        drawn.colorbar(shown, ax=axes, label="pictures that are pet here", shrink=0.8, format=PercentFormatter(1))
        drawn.suptitle(title, x=0.01, ha="left", fontweight="bold", fontsize=11)
    return drawn
