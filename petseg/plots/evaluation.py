"""Figures of notebook 04: right and wrong pixels, the bootstrap, scores side by side, IoU per class and breed."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray

from petseg.labels import INK
from petseg.metrics.intervals import Interval
from petseg.plots.style import DescribedFigure, box, canvas, figure, write

Region = NDArray[np.bool_]

#: Marker of each species, filled or open: a second cue beside the colour.
SPECIES: Final = {"cat": ("o", INK), "dog": ("s", "white")}

#: Colour of a pixel of a region by whether it is predicted and true, and its letters; no colour is that of a class.
OUTCOMES: Final = {
    "true positive": ("#009E73", "TP"),
    "false positive": ("#CC79A7", "FP"),
    "false negative": ("#333333", "FN"),
    "true negative": ("#F4F4F4", "TN"),
}


def outcome_map(true: Region, predicted: Region) -> NDArray[np.uint8]:
    """A picture (H, W, 3) of a region's pixels in the colours of `OUTCOMES`."""
    palette = np.array([[int(color[i : i + 2], 16) for i in (1, 3, 5)] for color, _ in OUTCOMES.values()], np.uint8)
    return palette[np.where(true, np.where(predicted, 0, 2), np.where(predicted, 1, 3))]


def outcomes(true: Region, predicted: Region, title: str) -> DescribedFigure:
    """A small true region, a predicted one, and each pixel's outcome: true or false, positive or negative."""
    picture = outcome_map(true, predicted)
    kinds = np.where(true, np.where(predicted, 0, 2), np.where(predicted, 1, 3))
    counts = ", ".join(f"{(kinds == kind).sum()} {name}" for kind, name in enumerate(OUTCOMES))
    alt = f"A true region, a predicted one, and the outcome of each pixel: {counts}."
    with figure(6.4, 2.9, 1, 3, alt=alt, title=title) as (drawing, axes):
        panels = {
            "true pet": outcome_map(true, true),
            "predicted pet": outcome_map(predicted, predicted),
            "outcome of each pixel": picture,
        }
        for ax, (name, pixels) in zip(axes, panels.items(), strict=True):
            ax.imshow(pixels, interpolation="nearest")
            ax.set_title(name, fontweight="normal", fontsize=10)
            ax.set(xticks=np.arange(0.5, len(true)), yticks=np.arange(0.5, len(true)))
            ax.tick_params(length=0, labelbottom=False, labelleft=False)
            ax.grid(color=INK, linewidth=0.6)
            ax.spines[:].set_visible(True)
        for (row, column), kind in np.ndenumerate(kinds):
            letters = list(OUTCOMES.values())[kind][1]
            axes[2].text(column, row, letters, ha="center", va="center", color="white" if kind in (0, 2) else INK)
        _outcome_legend(drawing)
    return drawing


def outcome_rows(pictures: Sequence[Sequence[Any]], rows: Sequence[str], titles: Sequence[str]) -> DescribedFigure:
    """Pictures in equal sizes, one column per image, one row per kind, with a legend of the outcomes below."""
    listed = "; ".join(title.replace("\n", " ") for title in titles)
    size = (1.35 * len(titles) + 0.4, 1.4 * len(rows) + 0.9)
    alt = f"{', '.join(rows)} of each image: {listed}."
    with figure(*size, len(rows), len(titles), alt=alt, squeeze=False) as (drawing, axes):
        for row, (name, line) in enumerate(zip(rows, pictures, strict=True)):
            for ax, picture, title in zip(axes[row], line, titles, strict=True):
                ax.imshow(np.asarray(picture), interpolation="nearest")
                ax.set(xticks=[], yticks=[])
                if row == 0:
                    ax.set_title(title.replace("_", " "), fontsize=9, fontweight="normal")
            axes[row, 0].set_ylabel(name, fontsize=10)
        _outcome_legend(drawing)
    return drawing


def _outcome_legend(drawing: Figure) -> None:
    handles = [Patch(facecolor=color, edgecolor=INK, label=name) for name, (color, _) in OUTCOMES.items()]
    drawing.legend(handles=handles, loc="outside lower center", ncols=4, fontsize=9, handlelength=1.2)


def bootstrap_drawing(
    draws: Sequence[Sequence[int]], scores: Sequence[float], ends: Sequence[float], title: str
) -> DescribedFigure:
    """How a bootstrap makes scores: draws of a few images with replacement, and a histogram of the scores of all draws.

    `draws` are indices, of 0 to n - 1 images; `scores` those of all draws of a split; `ends` those of the interval.
    """
    n = len(draws[0])
    alt = (
        f"Left, {n} numbered images and {len(draws)} draws of {n}, in which some images are there twice and some not. "
        f"Right, a histogram of {len(scores)} scores: 95 % of them lie from {ends[0]:.4f} to {ends[1]:.4f}."
    )
    with figure(7.2, 2.6, 1, 2, alt=alt, width_ratios=(1.2, 1), title=title) as (drawing, (left, right)):
        for row, indices in enumerate([range(n), *draws]):
            name = "the images" if row == 0 else f"draw {row}"
            write(left, -0.3, -1.25 * row, name, ha="right")
            for column, index in enumerate(indices):
                face = colormaps["Blues"](0.1 + 0.5 * index / n)
                box(left, column, -1.25 * row - 0.42, 0.84, 0.84, str(index + 1), facecolor=face)
        canvas(left, (-3.2, n), (-1.25 * len(draws) - 0.6, 0.6), "auto")
        right.hist(scores, 40, color="#7FB2D9")
        for end, side in zip(ends, ("right", "left"), strict=True):
            right.axvline(end, color=INK, linewidth=1.4)
            right.text(end, 1.0, f" {end:.4f} ", transform=right.get_xaxis_transform(), ha=side, va="top", fontsize=9)
        right.set(xlabel="mean IoU of a draw of the split", ylabel="draws")
        right.margins(x=0.25)
    return drawing


def compared_scores(scores: Mapping[str, Interval], title: str) -> Figure:
    """Mean IoU of several segmentations of a split with 95 % intervals, the lowest at the bottom.

    A score whose interval has equal ends is drawn without one.
    """
    rows = sorted(scores.items(), key=lambda item: float(item[1].value))
    alt = "Mean IoU: " + "; ".join(f"{name} {_in_words(score)}" for name, score in reversed(rows))
    middle = sum(float(score.value) for _, score in (rows[0], rows[-1])) / 2
    with figure(6.5, 0.9 + 0.45 * len(rows), alt=alt + ".", title=title) as (drawing, ax):
        for row, (_, score) in enumerate(rows):
            # a thin line marks the score: a marker could cover a narrow interval
            low, value, high = (float(part) for part in (score.low, score.value, score.high))
            ax.plot([low, high], [row, row], color="#7FB2D9", linewidth=9, solid_capstyle="butt")
            ax.plot([value, value], [row - 0.22, row + 0.22], color=INK, linewidth=2)
            place: Any = {"xytext": (0, 11), "textcoords": "offset points", "fontsize": 9}
            ax.annotate(_in_words(score), (value, row), ha="right" if value > middle else "left", **place)
        ax.set_yticks(range(len(rows)), [name for name, _ in rows])
        ax.set(xlabel="mean IoU, pooled, and 95 % interval", ylim=(-0.5, len(rows) - 0.1))
        ax.grid(axis="x", color="#E4E4E4", linewidth=0.8)
    return drawing


def _in_words(score: Interval) -> str:
    return f"{score.value:.3f}" + (f" [{score.low:.3f}, {score.high:.3f}]" if score.low < score.high else "")


def breed_scores(breeds: Sequence[tuple[str, str]], intervals: Interval, overall: float, title: str) -> Figure:
    """A marker and interval for each of G breeds, sorted by score; cats are filled circles, dogs open squares.

    `breeds` are names and species; `intervals` are three tensors (G,) of mean IoU; `overall` is that of all breeds
    together.
    """
    value, low, high = (part.numpy() for part in intervals)
    order = np.argsort(value)
    best, worst = breeds[order[-1]][0], breeds[order[0]][0]
    alt = (
        f"Mean IoU of {len(breeds)} breeds with 95 % intervals, from {worst} ({value[order[0]]:.3f}) "
        f"to {best} ({value[order[-1]]:.3f}); all together {overall:.3f}."
    )
    with figure(6, 0.9 + 0.18 * len(breeds), alt=alt, title=title) as (drawing, ax):
        ax.axvline(overall, color="#888888", linestyle="--", linewidth=1, label="all breeds")
        for row, index in enumerate(order):
            marker, face = SPECIES[breeds[index][1]]
            ax.plot([low[index], high[index]], [row, row], color=INK, linewidth=1)
            ax.plot(value[index], row, marker, markerfacecolor=face, markeredgecolor=INK, markersize=5)
        for species, (marker, face) in SPECIES.items():
            ax.plot([], [], marker, color=INK, markerfacecolor=face, label=species)
        ax.set_yticks(range(len(breeds)), [breeds[index][0].replace("_", " ") for index in order], fontsize=9)
        ax.set(xlabel="mean IoU, pooled over the pixels of the breed", ylim=(-0.7, len(breeds) - 0.3))
        ax.legend(loc="lower right")
    return drawing
