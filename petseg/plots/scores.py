"""Scores of a split: IoU per class, learning curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
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


def learning_curves(log: Mapping[str, Sequence[tuple[int, float]]], title: str) -> Figure:
    """Validation IoU over the epochs: averaged weights as lines, raw weights dotted.

    Args:
        log: (epoch, value) pairs by column name of a run's `metrics.csv`, as `read_log` returns them.
        title: states the finding.
    """
    with figure(6.4, 3.4) as (drawn, ax):
        for name, color in zip(CLASSES, COLORS, strict=True):
            _curve(
                ax, log.get(f"val/iou_{name}"), color=INK, linewidth=3.2
            )  # an outline, since yellow on white is pale
            _curve(ax, log.get(f"val/iou_{name}"), color=color, linewidth=2, label=name)
            _curve(ax, log.get(f"val_raw/iou_{name}"), color=color, linewidth=1, linestyle=":")
        _curve(ax, log.get("val/mean_iou"), color=INK, linewidth=1.5, linestyle="--", label="mean")
        ax.plot([], [], color=INK, linewidth=1, linestyle=":", label="raw weights")
        ax.set(xlabel="epoch", ylabel="IoU on validation", ylim=(0, 1), title=title)
        ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
    drawn.alt = "Validation IoU over the epochs" + "".join(
        f"; {name} ends at {points[-1][1]:.2f}"
        for name in (*CLASSES, "mean")
        if (points := log.get("val/mean_iou" if name == "mean" else f"val/iou_{name}"))
    )
    return drawn


def _curve(ax: Axes, points: Sequence[tuple[int, float]] | None, **style: Any) -> None:
    if points:
        epochs, values = zip(*points, strict=True)
        ax.plot(epochs, values, **style)
