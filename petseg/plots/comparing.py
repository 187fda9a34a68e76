"""Figures of notebook 07: seeds, paired differences, calibration, corruptions, the ablation."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray
from torch import Tensor

from petseg.evaluation.corruptions import STRENGTHS
from petseg.labels import CLASSES, COLORS, HATCHES, INK
from petseg.metrics.calibration import expected_calibration_error, reliability
from petseg.metrics.intervals import Interval
from petseg.plots.style import GRID, DescribedFigure, figure, listed

#: Colours of a gain and a loss above the noise between seeds, and of a difference within it.
BETTER, WORSE, NOISE = "#0072B2", "#D55E00", "#999999"

#: Colours and dashes of up to three lines.
LINES: Final = (("#0072B2", "-"), ("#D55E00", "--"), (INK, ":"))


def seed_scores(runs: Mapping[str, Sequence[float]], limits: Mapping[str, float], title: str) -> DescribedFigure:
    """Scores of runs that differ in their seed alone, one row per recipe, with the limit for one more run as a band."""
    listed = "; ".join(
        f"{name}: " + ", ".join(f"{score:.2f}" for score in scores) + f", limit {limits[name]:.2f}"
        for name, scores in runs.items()
    )
    with figure(6.4, 1.3 + 0.5 * len(runs), alt=f"Points of mean IoU by seed. {listed}.", title=title) as (drawing, ax):
        for row, (name, scores) in enumerate(runs.items()):
            mean, limit = float(np.mean(scores)), limits[name]
            band = {"color": "#D6E6F2", "zorder": 0, "label": "limit for one more run" if row == 0 else None}
            ax.barh(row, 2 * limit, 0.6, left=mean - limit, **band)
            ax.plot([mean, mean], [row - 0.3, row + 0.3], color=INK, linewidth=1.5, label="" if row else "mean")
            ax.plot(scores, [row] * len(scores), "o", color=BETTER, markersize=6, label="" if row else "run")
        ax.set_yticks(range(len(runs)), list(runs))
        ax.invert_yaxis()
        ax.set(xlabel="mean IoU on validation, points")
        ax.use_sticky_edges = False  # so that the ends of the bands are seen
        drawing.legend(loc="outside lower center", ncols=3, fontsize=9)
    return drawing


def paired_drawing(
    scores: Mapping[str, NDArray[Any]], differences: Mapping[str, NDArray[Any]], title: str
) -> DescribedFigure:
    """Bootstrap draws of two scores (left), and of their difference (right) with the same or with other images."""
    listed = "; ".join(
        f"{name} {np.quantile(draws, 0.025):+.4f} to {np.quantile(draws, 0.975):+.4f}"
        for name, draws in {**scores, **differences}.items()
    )
    alt = f"Histograms of bootstrap draws, 95 % of each: {listed}."
    with figure(7.2, 2.9, 1, 2, title=title, alt=alt) as (drawing, axes):
        for ax, rows in zip(axes, (scores, differences), strict=True):
            together = np.concatenate(list(rows.values()))
            bins = np.linspace(together.min(), together.max(), 50).tolist()
            for (name, draws), (color, dash) in zip(rows.items(), LINES, strict=False):
                ax.hist(draws, bins, histtype="step", color=color, linestyle=dash, linewidth=1.8, label=name)
            ax.legend(loc="lower left", bbox_to_anchor=(0, 1), fontsize=9, handlelength=1.6)
            ax.set(yticks=[])
            ax.xaxis.set_major_locator(MaxNLocator(nbins=5))
        axes[1].axvline(0, color=INK, linewidth=1)
        axes[0].set(xlabel="mean IoU of a draw", ylabel="draws")
        axes[1].set(xlabel="difference of a draw")
    return drawing


def loss_after_epochs(curves: Mapping[str, Sequence[Sequence[tuple[int, float]]]], title: str) -> DescribedFigure:
    """Loss on validation by epoch; each recipe, by name, has one line of points (epoch, loss) per seed."""
    ends = "; ".join(
        f"{name} ends at " + ", ".join(f"{run[-1][1]:.3f}" for run in runs) for name, runs in curves.items()
    )
    with figure(6.4, 2.9, alt=f"Loss on validation over the epochs: {ends}.", title=title) as (drawing, ax):
        for (name, runs), (color, dash) in zip(curves.items(), LINES, strict=False):
            for k, run in enumerate(runs):
                style: Any = {"color": color, "linestyle": dash, "linewidth": 1.6, "label": "" if k else name}
                ax.plot(*zip(*run, strict=True), **style)
        settled = [loss for runs in curves.values() for run in runs for _, loss in run[len(run) // 3 :]]
        ax.set_ylim(0.98 * min(settled), 1.02 * max(settled))
        ax.set(xlabel="epoch", ylabel="loss on validation")
        ax.grid(axis="y", **GRID)
        ax.legend(fontsize=9)
    return drawing


def reliability_example(
    probability: Sequence[float], fraction: Sequence[float], pixels: Sequence[int], title: str
) -> DescribedFigure:
    """How to read a reliability diagram: some bins with their mean probability, the fraction that is right, the gap."""
    listed = "; ".join(f"{p:.2f}: {f:.2f} right of {n}" for p, f, n in zip(probability, fraction, pixels, strict=True))
    with figure(5, 3.2, alt=f"A reliability diagram. Bins by probability: {listed}.", title=title) as (drawing, ax):
        ax.plot([0, 1], [0, 1], "--", color=INK, linewidth=1)
        ax.annotate("calibrated", (0.3, 0.3), (0.08, 0.55), fontsize=9, arrowprops={"arrowstyle": "-", "color": INK})
        for p, f, n in zip(probability, fraction, pixels, strict=True):
            left = float(np.floor(10 * p + 1e-9) / 10)
            ax.bar(left, f, 0.1, align="edge", color="#7FB2D9", edgecolor=INK)
            ax.text(left + 0.05, 0.05, f"{n} pixels", rotation=90, ha="center", va="bottom", fontsize=10)
            ax.plot([p, p], [f, p], color=WORSE, linewidth=4, solid_capstyle="butt")
            ax.plot(p, f, "o", color=INK, markersize=4)
            style: Any = {"color": WORSE, "fontsize": 10, "bbox": {"facecolor": "white", "edgecolor": "none", "pad": 1}}
            ax.text(left - 0.02, f - 0.04, f"gap {abs(p - f):.2f}", ha="right", va="top", **style)
        ax.set(xlim=(0, 1.02), ylim=(0, 1.02), xlabel="predicted probability", ylabel="fraction that is right")
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
    with figure(6.5, 3.3, 2, len(CLASSES), title=title, alt=alt + ".", **grid) as (drawing, axes):
        for k, name in enumerate(CLASSES):
            _reliability(axes[0, k], axes[1, k], counts[k], k)
            axes[0, k].set_title(f"{name}: ECE {errors[k]:.4f}", fontweight="normal")
            axes[1, k].set_xlabel(f"predicted P({name})")
        axes[0, 0].set_ylabel("observed fraction")
        axes[1, 0].set_ylabel("pixels")
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
    with figure(7, 1.2 + 0.3 * len(runs), alt=alt, title=title) as (drawing, ax):
        for row, run in enumerate(runs):
            ax.barh(row, 2 * run["limit"], 0.95, left=-run["limit"], color="#DDDDDD", zorder=0)
        ax.axvline(0, color=INK, linewidth=1)
        points, limits = ([run[key] for run in runs] for key in ("points", "limit"))
        pairs = list(zip(points, limits, strict=True))
        colors = [NOISE if abs(p) <= limit else BETTER if p > 0 else WORSE for p, limit in pairs]
        bars = ax.barh(range(len(runs)), points, 0.6, color=colors, zorder=2)
        texts = [f"{p:+.1f}" if limit > max(limits) / 2 else f"{p:+.2f} (limit {limit:.2f})" for p, limit in pairs]
        ax.bar_label(bars, texts, padding=3, fontsize=9)
        ax.set_yticks(range(len(runs)), [run["change"] for run in runs])
        ax.margins(x=0.2, y=0.02)  # space for the numbers beside the bars
        ax.tick_params(axis="y", labelsize=9)
        ax.set(xlabel="points of mean IoU, against the base")
    return drawing


def grouped_bars(values: Mapping[str, Mapping[str, float]], label: str) -> DescribedFigure:
    """Bars of a table: a group for each row, a colour for each name, and the numbers beside them."""
    names = list(next(iter(values.values())))
    height = 0.8 / len(names)
    alt = f"Bars, {label}: {listed(values, '{} {:,.4g}')}.".replace("_", " ")
    with figure(7, 1 + 0.24 * len(values) * (len(names) + 0.4), alt=alt) as (drawing, ax):
        for k, name in enumerate(names):
            places = np.arange(len(values)) + height * (k - (len(names) - 1) / 2)
            style: Any = {
                "color": (BETTER, "#E69F00", NOISE, INK)[k],
                "label": name.replace("_", " ").replace("iou", "IoU"),
            }
            bars = ax.barh(places, [row[name] for row in values.values()], height, **style)
            ax.bar_label(bars, fmt="{:,.4g}", padding=3, fontsize=9)
        ax.set_yticks(range(len(values)), [row.replace("_", " ").replace("iou", "IoU") for row in values])
        ax.invert_yaxis()
        ax.margins(x=0.1)
        ax.set(xlabel=label)
        if len(names) > 1:
            drawing.legend(loc="outside lower center", ncols=len(names), fontsize=9)
    return drawing
