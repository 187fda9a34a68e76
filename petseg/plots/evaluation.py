"""Figures of notebook 04: scores beside each other, distributions, contours, calibration and robustness."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from petseg.evaluation.corruptions import STRENGTHS
from petseg.labels import CLASSES, COLORS, HATCHES, INK
from petseg.metrics.calibration import expected_calibration_error, reliability
from petseg.metrics.intervals import Interval
from petseg.plots.style import figure

GREY = "#888888"

#: Marker of each species, filled or open, so that colour is not needed to tell them apart.
SPECIES = {"cat": ("o", INK), "dog": ("s", "white")}


def compared_scores(scores: Mapping[str, Interval], title: str) -> Figure:
    """Mean IoU of several segmentations of a split, a line and a 95 % interval each, the lowest at the bottom.

    Args:
        scores: by name; where `low` equals `high`, no interval is drawn.
        title: states the finding.
    """
    rows = sorted(scores.items(), key=lambda item: float(item[1].value))
    alt = "Mean IoU: " + "; ".join(f"{name} {_in_words(score)}" for name, score in reversed(rows))
    middle = sum(float(score.value) for _, score in (rows[0], rows[-1])) / 2
    with figure(6.5, 0.9 + 0.45 * len(rows), alt=alt + ".") as (drawn, ax):
        for row, (_, score) in enumerate(rows):
            # a thin line marks the score, so that it does not cover a narrow interval
            low, value, high = (float(part) for part in (score.low, score.value, score.high))
            ax.plot([low, high], [row, row], color="#7FB2D9", linewidth=9, solid_capstyle="butt")
            ax.plot([value, value], [row - 0.22, row + 0.22], color=INK, linewidth=2)
            where: Any = {"xytext": (0, 11), "textcoords": "offset points", "fontsize": 9}
            ax.annotate(_in_words(score), (value, row), ha="right" if value > middle else "left", **where)
        ax.set_yticks(range(len(rows)), [name for name, _ in rows])
        ax.set(xlabel="mean IoU, pooled, and 95 % interval", ylim=(-0.5, len(rows) - 0.1))
        ax.grid(axis="x", color="#E4E4E4", linewidth=0.8)
        ax.set_axisbelow(True)
        drawn.suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold")
    return drawn


def _in_words(score: Interval) -> str:
    """A score, and its interval where there is one."""
    return f"{score.value:.3f}" + (f" [{score.low:.3f}, {score.high:.3f}]" if score.low < score.high else "")


def breed_scores(breeds: Sequence[tuple[str, str]], intervals: Interval, overall: float, title: str) -> Figure:
    """A marker and an interval per breed, sorted by score; cats are filled circles, dogs open squares.

    Args:
        breeds: name and species of each of G breeds.
        intervals: three tensors (G,) of mean IoU.
        overall: the mean IoU of all breeds together.
        title: states the finding.
    """
    value, low, high = (part.numpy() for part in intervals)
    order = np.argsort(value)
    best, worst = breeds[order[-1]][0], breeds[order[0]][0]
    alt = (
        f"Mean IoU of {len(breeds)} breeds with 95 % intervals, from {worst} ({value[order[0]]:.3f}) "
        f"to {best} ({value[order[-1]]:.3f}); all together {overall:.3f}."
    )
    with figure(6, 0.9 + 0.18 * len(breeds), alt=alt) as (drawn, ax):
        ax.axvline(overall, color=GREY, linestyle="--", linewidth=1, label="all breeds")
        for row, index in enumerate(order):
            marker, face = SPECIES[breeds[index][1]]
            ax.plot([low[index], high[index]], [row, row], color=INK, linewidth=1)
            ax.plot(value[index], row, marker, markerfacecolor=face, markeredgecolor=INK, markersize=5)
        for species, (marker, face) in SPECIES.items():
            ax.plot([], [], marker, color=INK, markerfacecolor=face, label=species)
        ax.set_yticks(range(len(breeds)), [breeds[index][0].replace("_", " ") for index in order], fontsize=9)
        ax.set(xlabel="mean IoU, pooled over the pixels of the breed", ylim=(-0.7, len(breeds) - 0.3))
        ax.legend(loc="lower right")
        # a title of the whole figure, since it is too long for the axes alone
        drawn.suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold")
    return drawn


def reliability_diagram(counts: Tensor, title: str) -> Figure:
    """Observed frequency against predicted probability for each class, with the number of pixels below.

    Args:
        counts: float64 (4, bins, 3) as `metrics.reliability_counts` returns them; the last row is not drawn.
        title: states the finding.
    """
    errors = expected_calibration_error(counts)
    alt = "Reliability diagrams; expected calibration error: " + ", ".join(
        f"{name} {errors[k]:.4f}" for k, name in enumerate(CLASSES)
    )
    grid: Any = {"sharex": True, "sharey": "row", "height_ratios": (3, 1)}
    with figure(6.5, 3.3, 2, len(CLASSES), alt=alt + ".", **grid) as (drawn, axes):
        for k, name in enumerate(CLASSES):
            _reliability(axes[0, k], axes[1, k], counts[k], k)
            axes[0, k].set_title(f"{name}: ECE {errors[k]:.4f}", fontweight="normal")
            axes[1, k].set_xlabel(f"predicted P({name})")
        axes[0, 0].set_ylabel("observed fraction")
        axes[1, 0].set_ylabel("pixels")
        drawn.suptitle(title, x=0.01, ha="left", fontweight="bold", fontsize=11)
    return drawn


def corruption_losses(losses: Mapping[str, Sequence[Interval]], title: str) -> Figure:
    """Points of mean IoU that each corruption costs, a bar per strength, with 95 % intervals.

    Args:
        losses: by name of the corruption, an interval for each of `STRENGTHS`; 1 is a hundred points.
        title: states the finding.
    """
    listed = "; ".join(
        f"{name} " + ", ".join(f"{100 * loss.value:.1f}" for loss in row) for name, row in losses.items()
    )
    alt = f"Points of mean IoU lost by corruption, {', '.join(STRENGTHS)}: {listed}."
    rows = np.arange(len(losses))
    with figure(6.5, 0.9 + 0.62 * len(losses), alt=alt) as (drawn, ax):
        for k, (strength, face) in enumerate(zip(STRENGTHS, ("#E0E0E0", "#A0A0A0", "#606060"), strict=True)):
            value, low, high = (
                100 * np.array([float(part) for part in parts])
                for parts in zip(*(row[k] for row in losses.values()), strict=True)
            )
            bars: Any = {"height": 0.27, "color": face, "edgecolor": INK, "linewidth": 0.6, "label": strength}
            ax.barh(rows + 0.27 * (k - 1), value, **bars, xerr=[value - low, high - value], capsize=2, ecolor=INK)
        ax.axvline(0, color=INK, linewidth=1)
        ax.set_yticks(rows, list(losses))
        ax.invert_yaxis()
        ax.set(xlabel="points of mean IoU lost, and 95 % interval", title=title)
        ax.legend(loc="lower right")
    return drawn


def _reliability(above: Axes, below: Axes, counts: Tensor, label: int) -> None:
    probability, frequency = (part.numpy() for part in reliability(counts))
    bins = len(counts)
    edges = np.linspace(0, 1, bins + 1)
    style: Any = {"color": COLORS[label], "edgecolor": INK, "linewidth": 0.4, "hatch": HATCHES[label]}
    above.bar(edges[:-1], np.nan_to_num(frequency), 1 / bins, align="edge", **style)
    above.plot([0, 1], [0, 1], "--", color=INK, linewidth=1)
    above.plot(probability, frequency, "o", color=INK, markersize=3)
    above.set(xlim=(0, 1), ylim=(0, 1))
    below.bar(edges[:-1], counts[:, 0].numpy(), 1 / bins, align="edge", color="#BBBBBB", edgecolor=INK, linewidth=0.4)
    below.set_yscale("log")
