"""Figures of notebook 03: class weights, learning rates, weight averaging, and curves of runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from petseg.labels import CLASSES, COLORS, HATCHES, INK
from petseg.plots.style import DescribedFigure, figure, headline

#: A second and a third line colour; their dashes differ as well.
ACCENT, MUTED = "#D55E00", "#767676"

Points = Sequence[tuple[int, float]]  # (epoch, value)
Stages = Sequence[tuple[int, int]]  # (first epoch, height and width in pixels)


def class_weights(fractions: Sequence[float]) -> DescribedFigure:
    """The weight of each class in the cross-entropy and in Dice, from the classes' fractions of all pixels."""
    rows = {
        "cross-entropy:\na mean over pixels": list(fractions),
        "Dice:\na mean over classes": [1 / len(fractions)] * 3,
    }
    listed = ", ".join(f"{name} {fraction:.1%}" for name, fraction in zip(CLASSES, fractions, strict=True))
    alt = f"Stacked bars. Weight of the classes in the cross-entropy: {listed}. In Dice each class weighs a third."
    with figure(6.6, 2.3, alt=alt) as (drawing, ax):
        for label, left in enumerate(np.cumsum([np.zeros(2), *np.transpose(list(rows.values()))[:-1]], axis=0)):
            widths = [row[label] for row in rows.values()]
            style = {"color": COLORS[label], "hatch": HATCHES[label], "edgecolor": INK, "linewidth": 0.6}
            bars = ax.barh(list(rows), widths, left=left, label=CLASSES[label], **style)
            ground = {"facecolor": "white", "edgecolor": "none", "pad": 1.5}
            ax.bar_label(bars, [f"{w:.0%}" for w in widths], label_type="center", bbox=ground)
        ax.set(xlim=(0, 1), xlabel="fraction of the loss's mean", title=f"The boundary: {fractions[2]:.0%} or a third")
        ax.invert_yaxis()
        ax.legend(ncols=3, loc="upper left", bbox_to_anchor=(0, -0.32))
    return drawing


def learning_rates(rates: Sequence[float], steps_per_epoch: int) -> DescribedFigure:
    """The learning rate of each step of a run, over its epochs."""
    epochs = np.arange(len(rates)) / steps_per_epoch
    top = int(np.argmax(rates))
    alt = (
        f"Learning rate over {epochs[-1]:.0f} epochs: from {rates[0]:.1e} up to {rates[top]:.1e} at epoch "
        f"{epochs[top]:.1f}, then down to {rates[-1]:.1e}."
    )
    with figure(6.6, 2.7, alt=alt) as (drawing, ax):
        ax.plot(epochs, rates, color=INK, linewidth=2)
        ax.plot(epochs[top], rates[top], "o", color=ACCENT)
        ax.annotate(
            f"{rates[top]:.2g}", (epochs[top], rates[top]), ha="center", xytext=(0, 6), textcoords="offset points"
        )
        title = f"Up for {top / len(rates):.0%} of the steps, down for the rest"
        ax.set(xlabel="epochs done", ylabel="learning rate", title=title)
        ax.set_ylim(0, 1.2 * max(rates))
    return drawing


def loss_curves(tables: Mapping[str, pd.DataFrame], title: str) -> DescribedFigure:
    """Loss on the training and validation images over the epochs, one panel per run, all with one scale.

    `tables` hold one row per epoch, with the columns `train loss` and `val loss`, by name of the run.
    """
    # the first epochs may lie far above the rest
    settled = [table[["train loss", "val loss"]].iloc[len(table) // 20 :] for table in tables.values()]
    top = 1.1 * max(table.max().max() for table in settled)
    with figure(max(4.4, 2.2 * len(tables)), 3.6, 1, len(tables), sharey=True, squeeze=False) as (drawing, axes):
        for ax, (name, table) in zip(axes[0], tables.items(), strict=True):
            lowest = table["val loss"].idxmin()
            ax.plot(table["train loss"], color=MUTED, linestyle="--", linewidth=1.8, label="training")
            ax.plot(table["val loss"], color=INK, linewidth=1.8, label="validation")
            ax.plot(lowest, table["val loss"][lowest], "o", color=ACCENT, label="lowest on validation")
            ax.set(xlabel="epoch", ylim=(0, top))
            ax.set_title(f"{name}\nlowest: epoch {lowest}", fontweight="normal", fontsize=10)
            ax.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=5))
        axes[0, 0].set_ylabel("loss")
        drawing.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=9)
        headline(drawing, title)
    drawing.alt = "Losses over the epochs. " + "; ".join(
        f"{name}: training ends at {table['train loss'].iloc[-1]:.2f}, validation at {table['val loss'].iloc[-1]:.2f} "
        f"after its lowest value of {table['val loss'].min():.2f} in epoch {table['val loss'].idxmin()}"
        for name, table in tables.items()
    )
    return drawing


def rate_sweep(scores: Mapping[float, float], title: str) -> DescribedFigure:
    """Mean IoU on validation of short runs, by their learning rate."""
    best = max(scores, key=lambda rate: scores[rate])
    listed = ", ".join(f"{score:.3f} at {rate:g}" for rate, score in scores.items())
    with figure(6.6, 2.7, alt=f"Mean IoU on validation by learning rate: {listed}.") as (drawing, ax):
        ax.plot(list(scores), list(scores.values()), color=INK, linewidth=1.8, marker="o")
        ax.plot(best, scores[best], "o", color=ACCENT, markersize=9)
        ax.set_xscale("log")
        ax.set_xticks(list(scores), [f"{rate:g}" for rate in scores])
        ax.minorticks_off()
        ax.set(xlabel="learning rate (log scale)", ylabel="mean IoU on validation", title=title, ylim=(0, 1))
    return drawing


def weight_averages(
    raw: Sequence[float], constant: Sequence[float], warm: Sequence[float], target: float
) -> DescribedFigure:
    """A weight over the steps of a training, its average with a constant decay, and one with a warmed-up decay."""
    alt = (
        f"A noisy weight converges to {target:g}. Its last value is {raw[-1]:.2f}; the average with a constant decay "
        f"is at {constant[-1]:.2f}, the one with warm-up at {warm[-1]:.2f}."
    )
    with figure(6.6, 2.8, alt=alt) as (drawing, ax):
        ax.plot(raw, color="#B8B8B8", linewidth=0.8, label="raw weight")
        ax.plot(constant, color=MUTED, linewidth=2, linestyle="--", label="constant decay")
        ax.plot(warm, color=ACCENT, linewidth=2, label="warmed-up decay")
        ax.axhline(target, color=INK, linewidth=1, linestyle=":")
        ax.set(xlabel="step", ylabel="weight", title="Warm-up forgets the random start sooner")
        ax.legend(loc="lower right")
    return drawing


def run_curves(log: Mapping[str, Points], epochs: int, stages: Stages = ()) -> DescribedFigure:
    """Losses and mean IoU over the epochs of a run, which may still be running; `log` as `read_log` returns it."""
    scores = log.get("val/mean_iou", [])
    now = f"{scores[-1][1]:.3f} after epoch {scores[-1][0]} of {epochs}" if scores else "No scores yet"
    with figure(6.7, 3.3, 1, 2) as (drawing, (left, right)):
        _line(left, log.get("train/loss"), "training, augmented images", color=MUTED, linestyle="--")
        _line(left, log.get("val/loss"), "validation, averaged weights", color=INK, marker="o", markersize=3)
        _line(right, scores, "averaged weights", color=INK, marker="o", markersize=3)
        top = 1.3 * max((value for _, value in log.get("train/loss", [])), default=1.0)
        off = any(value > top for _, value in log.get("val/loss", []))
        title = "Losses, early ones off the scale" if off else "Losses"
        left.set(ylabel="cross-entropy + weighted Dice", title=title, ylim=(0, top))
        right.set(ylabel="mean IoU on validation", title=now, ylim=(0, 1))
        for ax in (left, right):
            ax.set(xlabel="epoch", xlim=(0.5, epochs + 0.5))
            _mark(ax, stages)
        if log:
            left.legend(loc="lower left", fontsize=9)
    sizes = ", ".join(f"{size} pixels from epoch {first}" for first, size in stages)
    drawing.alt = f"Two panels over the epochs: losses; mean IoU on validation, {now}. Image sizes: {sizes or 'one'}."
    return drawing


def _line(ax: Axes, points: Points | None, label: str, **style: object) -> None:
    if points:
        epochs, values = zip(*points, strict=True)
        ax.plot(epochs, values, label=label, linewidth=1.8, **style)  # type: ignore[arg-type]


def _mark(ax: Axes, stages: Stages) -> None:
    """Marks where each stage begins and writes its size at the top."""
    for number, (first, size) in enumerate(stages):
        if number:
            ax.axvline(first, color="#999999", linewidth=1, linestyle="-.")
        ax.annotate(
            f"{size} px",
            (first if number else ax.get_xlim()[0], 1),
            xycoords=("data", "axes fraction"),
            xytext=(3, -3),
            textcoords="offset points",
            va="top",
            fontsize=9,
            color=INK,
        )
