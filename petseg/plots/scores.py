"""Scores of a split: IoU per class."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.figure import Figure

from petseg.labels import CLASSES, COLORS, HATCHES, INK
from petseg.plots.style import figure


def iou_bars(scores: Mapping[str, float], title: str) -> Figure:
    """A bar with a number for the IoU of each class.

    Args:
        scores: as `metrics.pooled_scores` returns them.
        title: states the finding.
    """
    values = [scores[f"iou_{name}"] for name in CLASSES]
    listed = ", ".join(f"{name} {value:.3f}" for name, value in zip(CLASSES, values, strict=True))
    alt = f"Bar chart of the IoU of each class: {listed}; mean {scores['mean_iou']:.3f}."
    with figure(6, 2.3, alt=alt) as (drawn, ax):
        bars = ax.barh(CLASSES, values, color=COLORS, edgecolor=INK, linewidth=0.6)
        for bar, hatch in zip(bars, HATCHES, strict=True):
            bar.set_hatch(hatch)
        ax.bar_label(bars, fmt="%.3f", padding=4)
        ax.axvline(scores["mean_iou"], color=INK, linestyle=":", linewidth=1)
        ax.text(scores["mean_iou"], -0.62, f"mean {scores['mean_iou']:.3f} ", ha="right", va="center")
        ax.set(xlim=(0, 1), xlabel="IoU, pooled over all pixels of the split", title=title)
        ax.set_ylim(2.5, -0.85)
    return drawn
