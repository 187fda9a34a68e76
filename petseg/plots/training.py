"""Curves of runs: losses and scores over the epochs; the drawings of notebook 03 are in `learning`."""

from collections.abc import Mapping, Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from petseg.labels import INK
from petseg.plots.style import DescribedFigure, figure

#: A second and a third line colour; their dashes differ as well.
ACCENT, MUTED = "#D55E00", "#767676"

Points = Sequence[tuple[int, float]]  # (epoch, value)
Stages = Sequence[tuple[int, int]]  # (first epoch, height and width in pixels)


def loss_curves(tables: Mapping[str, pd.DataFrame], title: str) -> DescribedFigure:
    """Loss on the training and validation images over the epochs, one panel per run, all with one scale.

    `tables` hold one row per epoch, with the columns `train loss` and `val loss`, by name of the run.
    """
    # the first epochs may lie far above the rest
    settled = [table[["train loss", "val loss"]].iloc[len(table) // 20 :] for table in tables.values()]
    top = 1.1 * max(table.max().max() for table in settled)
    size = (max(4.4, 2.2 * len(tables)), 3.6, 1, len(tables))
    with figure(*size, title=title, sharey=True, squeeze=False) as (drawing, axes):
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
    drawing.alt = "Losses over the epochs. " + "; ".join(
        f"{name}: training ends at {table['train loss'].iloc[-1]:.2f}, validation at {table['val loss'].iloc[-1]:.2f} "
        f"after its lowest value of {table['val loss'].min():.2f} in epoch {table['val loss'].idxmin()}"
        for name, table in tables.items()
    )
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
