"""Figures of notebook 04: scores side by side, IoU per class and breed, calibration, robustness, the ablation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from petseg.evaluation.corruptions import STRENGTHS
from petseg.labels import CLASSES, COLORS, HATCHES, INK
from petseg.metrics.calibration import expected_calibration_error, reliability
from petseg.metrics.intervals import Interval
from petseg.plots.style import DescribedFigure, figure, headline

#: Marker of each species, filled or open: a second cue beside the colour.
SPECIES: Final = {"cat": ("o", INK), "dog": ("s", "white")}

#: Colours of a gain and a loss above the noise between seeds, and of a difference within it.
BETTER, WORSE, NOISE = "#0072B2", "#D55E00", "#999999"


def iou_bars(scores: Mapping[str, float], title: str) -> Figure:
    """One bar per class for its IoU; `scores` as `metrics.pooled_scores` returns them."""
    values = [scores[f"iou_{name}"] for name in CLASSES]
    listed = ", ".join(f"{name} {value:.3f}" for name, value in zip(CLASSES, values, strict=True))
    alt = f"Bar chart of the IoU of each class: {listed}; mean {scores['mean_iou']:.3f}."
    with figure(6, 2.3, alt=alt) as (drawing, ax):
        bars = ax.barh(CLASSES, values, color=COLORS, edgecolor=INK, linewidth=0.6)
        for bar, hatch in zip(bars, HATCHES, strict=True):
            bar.set_hatch(hatch)
        ax.bar_label(bars, fmt="%.3f", padding=4)
        ax.axvline(scores["mean_iou"], color=INK, linestyle=":", linewidth=1)
        ax.text(scores["mean_iou"], -0.62, f"mean {scores['mean_iou']:.3f} ", ha="right", va="center")
        ax.set(xlim=(0, 1), xlabel="IoU, pooled over all pixels of the split", title=title)
        ax.set_ylim(2.5, -0.85)
    return drawing


def compared_scores(scores: Mapping[str, Interval], title: str) -> Figure:
    """Mean IoU of several segmentations of a split with 95 % intervals, the lowest at the bottom.

    A score whose interval has equal ends is drawn without one.
    """
    rows = sorted(scores.items(), key=lambda item: float(item[1].value))
    alt = "Mean IoU: " + "; ".join(f"{name} {_in_words(score)}" for name, score in reversed(rows))
    middle = sum(float(score.value) for _, score in (rows[0], rows[-1])) / 2
    with figure(6.5, 0.9 + 0.45 * len(rows), alt=alt + ".") as (drawing, ax):
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
        ax.set_axisbelow(True)
        headline(drawing, title)
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
    with figure(6, 0.9 + 0.18 * len(breeds), alt=alt) as (drawing, ax):
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
        headline(drawing, title)
    return drawing


def reliability_diagram(counts: Tensor, title: str) -> Figure:
    """Observed frequency against predicted probability for each class, with the number of pixels below.

    `counts` are those of `metrics.reliability_counts`; the last row is not drawn.
    """
    errors = expected_calibration_error(counts)
    alt = "Reliability diagrams; expected calibration error: " + ", ".join(
        f"{name} {errors[k]:.4f}" for k, name in enumerate(CLASSES)
    )
    grid: Any = {"sharex": True, "sharey": "row", "height_ratios": (3, 1)}
    with figure(6.5, 3.3, 2, len(CLASSES), alt=alt + ".", **grid) as (drawing, axes):
        for k, name in enumerate(CLASSES):
            _reliability(axes[0, k], axes[1, k], counts[k], k)
            axes[0, k].set_title(f"{name}: ECE {errors[k]:.4f}", fontweight="normal")
            axes[1, k].set_xlabel(f"predicted P({name})")
        axes[0, 0].set_ylabel("observed fraction")
        axes[1, 0].set_ylabel("pixels")
        headline(drawing, title)
    return drawing


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


def corruption_losses(losses: Mapping[str, Sequence[Interval]], title: str) -> Figure:
    """Points of mean IoU that each corruption costs, one bar per strength, with 95 % intervals.

    `losses` holds, for each corruption, one interval per strength; 1 is a hundred points.
    """
    listed = "; ".join(
        f"{name} " + ", ".join(f"{100 * loss.value:.1f}" for loss in row) for name, row in losses.items()
    )
    alt = f"Points of mean IoU lost by corruption, {', '.join(STRENGTHS)}: {listed}."
    rows = np.arange(len(losses))
    with figure(6.5, 0.9 + 0.62 * len(losses), alt=alt) as (drawing, ax):
        for k, (strength, face) in enumerate(zip(STRENGTHS, ("#E0E0E0", "#A0A0A0", "#606060"), strict=True)):
            intervals = [row[k] for row in losses.values()]
            value, low, high = 100 * np.array([[float(end) for end in interval] for interval in intervals]).T
            bars: Any = {"height": 0.27, "color": face, "edgecolor": INK, "linewidth": 0.6, "label": strength}
            ax.barh(rows + 0.27 * (k - 1), value, **bars, xerr=[value - low, high - value], capsize=2, ecolor=INK)
        ax.axvline(0, color=INK, linewidth=1)
        ax.set_yticks(rows, list(losses))
        ax.invert_yaxis()
        ax.set(xlabel="points of mean IoU lost, and 95 % interval", title=title)
        ax.legend(loc="lower right")
    return drawing


def ablation_bars(ablation: Mapping[str, Any], title: str) -> DescribedFigure:
    """Points of mean IoU that each change of a recipe gains or loses, the best at the top.

    A pale band behind each bar shows the limit within which chance alone keeps 95 % of such differences; a bar that
    ends within its band is grey. If a band is too narrow to be seen, the bar's text states its limit.

    `ablation` is a record as `course.ablation` returns it, with a base and its noise.
    """
    runs = sorted(ablation["variants"], key=lambda run: run["points"])
    listed = ", ".join(f"{run['change']} {run['points']:+.1f}" for run in reversed(runs))
    within = ", ".join(run["change"] for run in reversed(runs) if abs(run["points"]) <= run["limit"])
    alt = f"Bars of mean IoU gained or lost in points by each change: {listed}. Within the noise of the seed: {within}."
    with figure(7, 1.2 + 0.3 * len(runs), alt=alt) as (drawing, ax):
        widest = max(run["limit"] for run in runs)
        for row, run in enumerate(runs):
            ax.barh(row, 2 * run["limit"], 0.95, left=-run["limit"], color="#DDDDDD", zorder=0)
        ax.axvline(0, color=INK, linewidth=1)
        points = [run["points"] for run in runs]
        bars = ax.barh(range(len(runs)), points, 0.6, color=[_ablation_color(run) for run in runs], zorder=2)
        ax.bar_label(bars, [_ablation_text(run, widest) for run in runs], padding=3, fontsize=9)
        ax.set_yticks(range(len(runs)), [run["change"] for run in runs])
        ax.margins(x=0.2, y=0.02)  # space for the numbers beside the bars
        ax.tick_params(axis="y", labelsize=9)
        ax.set(xlabel="points of mean IoU, against the base")
        headline(drawing, title)
    return drawing


def _ablation_text(run: Mapping[str, Any], widest: float) -> str:
    if run["limit"] > widest / 2:
        return f"{run['points']:+.1f}"
    return f"{run['points']:+.2f} (limit {run['limit']:.2f})"


def _ablation_color(run: Mapping[str, Any]) -> str:
    if abs(run["points"]) <= run["limit"]:
        return NOISE
    return BETTER if run["points"] > 0 else WORSE
