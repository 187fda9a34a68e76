"""Figures of notebook 03: class weights in the loss, learning rates, weight averaging, and the curves of runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from petseg.labels import CLASSES, COLORS, HATCHES, INK
from petseg.plots.style import DescribedFigure, figure

#: A second and a third line colour; their dashes differ as well.
ACCENT, MUTED = "#D55E00", "#767676"

Points = Sequence[tuple[int, float]]
Stages = Sequence[tuple[int, int]]


def class_weights(fractions: Sequence[float]) -> DescribedFigure:
    """The weight of each class in the cross-entropy, a mean over pixels, and in Dice, a mean over classes.

    Args:
        fractions: of all pixels, in the order of `labels.CLASSES`; they sum to 1.
    """
    rows = {
        "cross-entropy:\na mean over pixels": list(fractions),
        "Dice:\na mean over classes": [1 / len(fractions)] * 3,
    }
    listed = ", ".join(f"{name} {fraction:.1%}" for name, fraction in zip(CLASSES, fractions, strict=True))
    alt = f"Stacked bars. Weight of the classes in the cross-entropy: {listed}. In Dice each class weighs a third."
    with figure(6.6, 2.3, alt=alt) as (drawn, ax):
        for label, left in enumerate(np.cumsum([np.zeros(2), *np.transpose(list(rows.values()))[:-1]], axis=0)):
            widths = [row[label] for row in rows.values()]
            style = {"color": COLORS[label], "hatch": HATCHES[label], "edgecolor": INK, "linewidth": 0.6}
            bars = ax.barh(list(rows), widths, left=left, label=CLASSES[label], **style)
            ground = {"facecolor": "white", "edgecolor": "none", "pad": 1.5}
            ax.bar_label(bars, [f"{w:.0%}" for w in widths], label_type="center", bbox=ground)
        ax.set(xlim=(0, 1), xlabel="fraction of the loss's mean", title=f"The boundary: {fractions[2]:.0%} or a third")
        ax.invert_yaxis()
        ax.legend(ncols=3, loc="upper left", bbox_to_anchor=(0, -0.32))
    return drawn


def learning_rates(rates: Sequence[float], steps_per_epoch: int, stages: Stages = ()) -> DescribedFigure:
    """The learning rate of each step of a run.

    Args:
        rates: one per step.
        steps_per_epoch: to draw epochs on the horizontal axis.
        stages: (first epoch, height and width in pixels), as `stages` returns them.
    """
    epochs = np.arange(len(rates)) / steps_per_epoch
    top = int(np.argmax(rates))
    alt = (
        f"Learning rate over {epochs[-1]:.0f} epochs: from {rates[0]:.1e} up to {rates[top]:.1e} at epoch "
        f"{epochs[top]:.1f}, then down to {rates[-1]:.1e}."
    )
    with figure(6.6, 2.7, alt=alt) as (drawn, ax):
        ax.plot(epochs, rates, color=INK, linewidth=2)
        ax.plot(epochs[top], rates[top], "o", color=ACCENT)
        ax.annotate(
            f"{rates[top]:.2g}", (epochs[top], rates[top]), ha="center", xytext=(0, 6), textcoords="offset points"
        )
        title = f"Up for {top / len(rates):.0%} of the steps, down for the rest"
        ax.set(xlabel="epochs done", ylabel="learning rate", title=title)
        ax.set_ylim(0, 1.2 * max(rates))
        _mark(ax, [(first - 1, size) for first, size in stages])
    return drawn


def loss_curves(tables: Mapping[str, pd.DataFrame], title: str) -> DescribedFigure:
    """Loss on the training images and on validation over the epochs, one panel per run, all with one scale.

    Args:
        tables: one row per epoch, with the columns `train loss` and `val loss`, by name of the run.
        title: states the finding.
    """
    # the first epochs may lie far above the rest
    settled = [table[["train loss", "val loss"]].iloc[len(table) // 20 :] for table in tables.values()]
    top = 1.1 * max(table.max().max() for table in settled)
    with figure(max(4.4, 2.2 * len(tables)), 3.6, 1, len(tables), sharey=True, squeeze=False) as (drawn, axes):
        for ax, (name, table) in zip(axes[0], tables.items(), strict=True):
            lowest = table["val loss"].idxmin()
            ax.plot(table["train loss"], color=MUTED, linestyle="--", linewidth=1.8, label="training")
            ax.plot(table["val loss"], color=INK, linewidth=1.8, label="validation")
            ax.plot(lowest, table["val loss"][lowest], "o", color=ACCENT, label="lowest on validation")
            ax.set(xlabel="epoch", ylim=(0, top))
            ax.set_title(f"{name}\nlowest: epoch {lowest}", fontweight="normal", fontsize=10)
            ax.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=5))
        axes[0, 0].set_ylabel("loss")
        drawn.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=9)
        drawn.suptitle(title, x=0.01, ha="left", fontweight="bold", fontsize=11)
    drawn.alt = "Losses over the epochs. " + "; ".join(
        f"{name}: training ends at {table['train loss'].iloc[-1]:.2f}, validation at {table['val loss'].iloc[-1]:.2f} "
        f"after its lowest value of {table['val loss'].min():.2f} in epoch {table['val loss'].idxmin()}"
        for name, table in tables.items()
    )
    return drawn


def rate_sweep(scores: Mapping[float, float], title: str) -> DescribedFigure:
    """The score of short runs that differ in their learning rate.

    Args:
        scores: mean IoU on validation by learning rate.
        title: states the finding.
    """
    best = max(scores, key=lambda rate: scores[rate])
    listed = ", ".join(f"{score:.3f} at {rate:g}" for rate, score in scores.items())
    with figure(6.6, 2.7, alt=f"Mean IoU on validation by learning rate: {listed}.") as (drawn, ax):
        ax.plot(list(scores), list(scores.values()), color=INK, linewidth=1.8, marker="o")
        ax.plot(best, scores[best], "o", color=ACCENT, markersize=9)
        ax.set_xscale("log")
        ax.set_xticks(list(scores), [f"{rate:g}" for rate in scores])
        ax.minorticks_off()
        ax.set(xlabel="learning rate (log scale)", ylabel="mean IoU on validation", title=title, ylim=(0, 1))
    return drawn


def weight_averages(
    raw: Sequence[float], constant: Sequence[float], warm: Sequence[float], target: float
) -> DescribedFigure:
    """A weight over the steps of a training, and two running averages of it.

    Args:
        raw: the weight.
        constant: its average with a constant decay.
        warm: its average with a decay that is warmed up.
        target: the value that the weight converges to.
    """
    alt = (
        f"A noisy weight converges to {target:g}. Its last value is {raw[-1]:.2f}; the average with a constant decay "
        f"is at {constant[-1]:.2f}, the one with warm-up at {warm[-1]:.2f}."
    )
    with figure(6.6, 2.8, alt=alt) as (drawn, ax):
        ax.plot(raw, color="#B8B8B8", linewidth=0.8, label="raw weight")
        ax.plot(constant, color=MUTED, linewidth=2, linestyle="--", label="constant decay")
        ax.plot(warm, color=ACCENT, linewidth=2, label="warmed-up decay")
        ax.axhline(target, color=INK, linewidth=1, linestyle=":")
        ax.set(xlabel="step", ylabel="weight", title="Warm-up forgets the random start sooner")
        ax.legend(loc="lower right")
    return drawn


def run_curves(log: Mapping[str, Points], epochs: int, stages: Stages = ()) -> DescribedFigure:
    """Losses, and the mean IoU of averaged and of raw weights, over the epochs of a run, which may still be running.

    Args:
        log: (epoch, value) pairs by column, as `read_log` and `Progress` return them.
        epochs: of the whole run.
        stages: as in `learning_rates`.
    """
    scores = log.get("val/mean_iou", [])
    now = f"mean IoU {scores[-1][1]:.3f} after epoch {scores[-1][0]} of {epochs}" if scores else "No scores yet"
    with figure(6.7, 3.3, 1, 2) as (drawn, (left, right)):
        _line(left, log.get("train/loss"), "training, augmented images", color=MUTED, linestyle="--")
        _line(left, log.get("val/loss"), "validation, averaged weights", color=INK, marker="o", markersize=3)
        _line(right, scores, "averaged weights", color=INK, marker="o", markersize=3)
        _line(right, log.get("val_raw/mean_iou"), "raw weights", color=ACCENT, linestyle=":", marker="s", markersize=3)
        top = 1.3 * max((value for _, value in log.get("train/loss", [])), default=1.0)
        off = any(value > top for _, value in log.get("val/loss", []))
        title = "Losses, early ones off the scale" if off else "Losses"
        left.set(ylabel="cross-entropy + weighted Dice", title=title, ylim=(0, top))
        right.set(ylabel="mean IoU on validation", title=now.removeprefix("mean IoU "), ylim=(0, 1))
        for ax, where in ((left, "lower left"), (right, "lower right")):
            ax.set(xlabel="epoch", xlim=(0.5, epochs + 0.5))
            _mark(ax, stages)
            if ax.get_legend_handles_labels()[0]:
                ax.legend(loc=where, fontsize=9)
    sides = ", ".join(f"{size} pixels from epoch {first}" for first, size in stages)
    drawn.alt = f"Two panels over the epochs: losses, and mean IoU on validation. {now}." + (
        sides and f" Sizes: {sides}."
    )
    return drawn


def _line(ax: Axes, points: Points | None, label: str, **style: object) -> None:
    if points:
        epochs, values = zip(*points, strict=True)
        ax.plot(epochs, values, label=label, linewidth=1.8, **style)  # type: ignore[arg-type]


def _mark(ax: Axes, stages: Stages) -> None:
    """A line where each stage but the first begins, and the size of each stage at the top."""
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
