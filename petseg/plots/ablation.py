"""The ablation: what each change of the recipe gains or costs, beside the noise between seeds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure

from petseg.labels import INK
from petseg.plots.style import figure

#: Colours of gains and losses that exceed the noise, and of those that do not.
BETTER, WORSE, NOISE = "#0072B2", "#D55E00", "#999999"


def ablation_bars(ablation: Mapping[str, Any], title: str) -> Figure:
    """Points of mean IoU that each change gains or costs, the best first.

    Args:
        ablation: as `course.ablation` returns it, with a base and its noise.
        title: states the finding.

    Returns:
        Bars from the base's mean. Behind each bar a pale band shows its own limit, within which chance alone keeps 95 %
        of such differences; a bar that ends within its band is grey. The number of a bar whose band is too narrow to
        be seen has its limit beside it.
    """
    rows = sorted(ablation["variants"], key=lambda run: run["points"])
    listed = ", ".join(f"{run['change']} {run['points']:+.1f}" for run in reversed(rows))
    within = ", ".join(run["change"] for run in reversed(rows) if abs(run["points"]) <= run["limit"])
    alt = f"Bars of mean IoU gained or lost in points by each change: {listed}. Within the noise of the seed: {within}."
    with figure(7, 1.2 + 0.3 * len(rows), alt=alt) as (drawn, ax):
        points = [run["points"] for run in rows]
        usual = max(run["limit"] for run in rows)
        for row, run in enumerate(rows):
            ax.barh(row, 2 * run["limit"], 0.95, left=-run["limit"], color="#DDDDDD", zorder=0)
        ax.axvline(0, color=INK, linewidth=1)
        bars = ax.barh(range(len(rows)), points, 0.6, color=[_color(run) for run in rows], zorder=2)
        ax.bar_label(bars, [_label(run, usual) for run in rows], padding=3, fontsize=9)
        ax.set_yticks(range(len(rows)), [run["change"] for run in rows])
        ax.margins(x=0.2, y=0.02)  # space for the numbers beside the bars
        ax.tick_params(axis="y", labelsize=9)
        ax.set(xlabel="points of mean IoU, against the base")
        drawn.suptitle(title, x=0.01, ha="left", fontweight="bold", fontsize=11)
    return drawn


def _label(run: Mapping[str, Any], usual: float) -> str:
    if run["limit"] > usual / 2:
        return f"{run['points']:+.1f}"
    return f"{run['points']:+.2f} (limit {run['limit']:.2f})"


def _color(run: Mapping[str, Any]) -> str:
    if abs(run["points"]) <= run["limit"]:
        return NOISE
    return BETTER if run["points"] > 0 else WORSE
