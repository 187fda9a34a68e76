"""Figures of notebook 03: class weights, learning rates, weight averaging, curves of runs, and `petseg bench`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from petseg.labels import CLASSES, COLORS, HATCHES, INK
from petseg.plots.style import DescribedFigure, figure, headline

#: A second and a third line colour; their dashes differ as well.
ACCENT, MUTED = "#D55E00", "#767676"

#: Colours of our way to train and of the plain way.
OURS, PLAIN = "#0072B2", "#E69F00"

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


def benchmark_figure(record: Mapping[str, Any]) -> DescribedFigure:
    """Four panels of a record of `petseg bench`; a panel without a measurement says so."""
    machine = record["machine"]
    with figure(7.2, 6.4, rows=2, columns=2) as (drawing, axes):
        panels = (_speeds, _parts, _time_to_accuracy, _photo)
        sentences = []
        for ax, panel in zip(axes.flat, panels, strict=True):
            ax.tick_params(labelsize=9)
            sentences.append(panel(ax, record))
        subtitle = f"{machine['name']}; PyTorch {machine['pytorch']}, {machine['precision']}"
        drawing.suptitle(subtitle, x=0.01, ha="left", fontsize=10)
        drawing.alt = f"Benchmark on {subtitle}. " + " ".join(sentences)
    return drawing


def _speeds(ax: Axes, record: Mapping[str, Any]) -> str:
    ax.set_title("Training against the plain way")
    rows = [name for name in ("step", "epoch") if name in record]
    if not rows:
        return _unmeasured(ax, "Speed")
    _pairs_of_bars(ax, record, rows)
    ax.set_ylabel("images per second")
    return " ".join(f"{row}: ours is {record[row]['ratio']:.3g} times as fast as the plain way." for row in rows)


def _parts(ax: Axes, record: Mapping[str, Any]) -> str:
    ax.set_title("Parts of a training step")
    if "parts" not in record:
        return _unmeasured(ax, "Parts of a step")
    medians = {name: value["median"] for name, value in reversed(record["parts"]["values"].items())}
    bars = ax.barh(range(len(medians)), list(medians.values()), color=OURS)
    ax.bar_label(bars, [f"{value:.3g}" for value in medians.values()], padding=2, fontsize=9)
    ax.set_yticks(range(len(medians)), list(medians))
    ax.margins(x=0.2)
    ax.set_xlabel("ms")
    longest = max(medians, key=lambda name: medians[name])
    return f"The longest part of a step is {longest}, {medians[longest]:.3g} ms."


def _time_to_accuracy(ax: Axes, record: Mapping[str, Any]) -> str:
    ax.set_title("Time to accuracy")
    row = record.get("time_to_accuracy")
    if row is None:
        return _unmeasured(ax, "Time to accuracy")
    for way, color in (("fast", OURS), ("plain", PLAIN)):
        for index, points in enumerate(row["curves"][way]):
            label = way if index == 0 else None
            ax.plot(*zip(*points, strict=True), marker="o", markersize=3, color=color, label=label)
    ax.axhline(row["target"], color="#888888", linestyle="--", linewidth=1)
    ax.set(xlabel="seconds of training", ylabel="mean IoU on validation")
    ax.legend(fontsize=9)
    if row["ratio"] is None:
        return f"Not every training reached a mean IoU of {row['target']:g}."
    return f"The fast recipe reaches a mean IoU of {row['target']:g} {row['ratio']:.3g} times as fast as the plain way."


def _photo(ax: Axes, record: Mapping[str, Any]) -> str:
    ax.set_title("From photo to cut-out")
    if "photo" not in record:
        return _unmeasured(ax, "From photo to cut-out")
    _pairs_of_bars(ax, record, ["photo"])
    ax.set_ylabel("ms per photo")
    return f"Our cut-out takes {record['photo']['ratio']:.3g} times as long as the plain one."


def _pairs_of_bars(ax: Axes, record: Mapping[str, Any], rows: Sequence[str]) -> None:
    """Medians of our way and the plain way side by side, with their range."""
    for offset, (way, color) in enumerate((("ours", OURS), ("plain", PLAIN))):
        values = [record[row]["values"][way] for row in rows]
        medians, low, high = np.array([(value["median"], value["low"], value["high"]) for value in values]).T
        style: Any = {"color": color, "label": way, "capsize": 3}
        bars = ax.bar(np.arange(len(rows)) + 0.4 * offset, medians, 0.38, yerr=[medians - low, high - medians], **style)
        ax.bar_label(bars, [f"{median:.3g}" for median in medians], padding=2, fontsize=9)
    ax.set_xticks(np.arange(len(rows)) + 0.2, rows)
    ax.margins(y=0.3)  # space for the legend above the numbers
    ax.legend(fontsize=9, ncols=2, loc="upper center")


def _unmeasured(ax: Axes, name: str) -> str:
    ax.text(0.5, 0.5, "not measured in this run", ha="center", va="center", transform=ax.transAxes, fontsize=9)
    ax.set(xticks=[], yticks=[])
    return f"{name}: not measured in this run."
