"""What each choice is worth: the short runs of `make ablation` as bars beside the noise of the seeds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure

from petseg.labels import INK
from petseg.plots.style import figure

#: Bars that stand out of the noise, for the better and for the worse, and those that do not.
BETTER, WORSE, NOISE = "#0072B2", "#D55E00", "#BBBBBB"


def ablation_bars(found: Mapping[str, Any], title: str) -> Figure:
    """Points of mean IoU that each change gains or costs, the best first.

    Args:
        found: as `course.ablation` gives it, with a base and its noise.
        title: states the finding.

    Returns:
        Bars from the base's mean. The grey band is where chance alone leaves 95 % of single runs: a bar that ends in it
        is grey, unless it is the mean of several runs and has a narrower limit of its own.
    """
    rows = sorted(found["variants"], key=lambda run: run["points"])
    limit = found["noise"]["limit"]
    told = ", ".join(f"{run['change']} {run['points']:+.1f}" for run in reversed(rows))
    alt = f"Bars of mean IoU gained or lost in points by each change, chance within {limit:.1f}: {told}."
    with figure(7, 1.2 + 0.3 * len(rows), alt=alt) as (drawn, ax):
        points = [run["points"] for run in rows]
        ax.axvspan(-limit, limit, color="#EEEEEE", zorder=0)
        ax.axvline(0, color=INK, linewidth=1)
        bars = ax.barh([run["change"] for run in rows], points, color=[_ink(run) for run in rows], zorder=2)
        ax.bar_label(bars, [f"{one:+.1f}" for one in points], padding=3, fontsize=9)
        ax.margins(x=0.2, y=0.02)  # room for the numbers beside the bars
        ax.tick_params(axis="y", labelsize=9)
        ax.set(xlabel="points of mean IoU, against the base")
        drawn.suptitle(title, x=0.01, ha="left", fontweight="bold", fontsize=11)
    return drawn


def _ink(run: Mapping[str, Any]) -> str:
    if abs(run["points"]) <= run["limit"]:
        return NOISE
    return BETTER if run["points"] > 0 else WORSE
