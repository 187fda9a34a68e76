"""The ablation: what each change of the recipe gains or costs, beside the noise between seeds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure

from petseg.labels import INK
from petseg.plots.style import figure

#: Colours of gains and losses that exceed the noise, and of those that do not.
BETTER, WORSE, NOISE = "#0072B2", "#D55E00", "#BBBBBB"


def ablation_bars(ablation: Mapping[str, Any], title: str) -> Figure:
    """Points of mean IoU that each change gains or costs, the best first.

    Args:
        ablation: as `course.ablation` returns it, with a base and its noise.
        title: states the finding.

    Returns:
        Bars from the base's mean. Chance alone keeps 95 % of single runs within the grey band, so bars that end in it
        are grey; the mean of several runs has a narrower limit of its own.
    """
    rows = sorted(ablation["variants"], key=lambda run: run["points"])
    limit = ablation["noise"]["limit"]
    listed = ", ".join(f"{run['change']} {run['points']:+.1f}" for run in reversed(rows))
    alt = f"Bars of mean IoU gained or lost in points by each change, chance within {limit:.1f}: {listed}."
    with figure(7, 1.2 + 0.3 * len(rows), alt=alt) as (drawn, ax):
        points = [run["points"] for run in rows]
        ax.axvspan(-limit, limit, color="#EEEEEE", zorder=0)
        ax.axvline(0, color=INK, linewidth=1)
        bars = ax.barh([run["change"] for run in rows], points, color=[_color(run) for run in rows], zorder=2)
        ax.bar_label(bars, [f"{value:+.1f}" for value in points], padding=3, fontsize=9)
        ax.margins(x=0.2, y=0.02)  # space for the numbers beside the bars
        ax.tick_params(axis="y", labelsize=9)
        ax.set(xlabel="points of mean IoU, against the base")
        drawn.suptitle(title, x=0.01, ha="left", fontweight="bold", fontsize=11)
    return drawn


def _color(run: Mapping[str, Any]) -> str:
    if abs(run["points"]) <= run["limit"]:
        return NOISE
    return BETTER if run["points"] > 0 else WORSE
