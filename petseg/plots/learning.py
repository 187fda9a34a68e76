"""Drawings and curves of notebook 03: gradient steps, the modes of a run, the schedule, gains and the ladder."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch

from petseg.labels import INK
from petseg.plots.speed import OURS
from petseg.plots.style import DescribedFigure, arrow, canvas, figure
from petseg.plots.training import ACCENT, MUTED

#: Colours of the parts of a run: training, validation.
TRAIN, CHECK = "#CFE3F2", "#FBE3CF"

#: The parts of an epoch, in order, each with the lines that it holds.
EPOCH = (
    (TRAIN, "network.train()\ngradients on", ("forward", "loss", "zero_grad", "backward", "step")),
    (CHECK, "network.eval()\ntorch.no_grad()", ("forward", "loss, IoU")),
)


def descents(paths: Mapping[str, Sequence[float]]) -> DescribedFigure:
    """The steps of gradient descent on the loss w ** 2, one panel for each learning rate, by its title."""
    ends = "; ".join(
        f"{name.replace(chr(10), ', ')}: from {path[0]:g} to {path[-1]:.2f}" for name, path in paths.items()
    )
    alt = f"Gradient descent on a parabola with its minimum at 0. {ends}."
    with figure(2.3 * len(paths), 2.6, 1, len(paths), alt=alt, sharey=True, squeeze=False) as (drawing, axes):
        curve = np.linspace(-1.5, 1.5, 100)
        for ax, (name, path) in zip(axes[0], paths.items(), strict=True):
            ax.plot(curve, curve**2, color=MUTED, linewidth=1.5)
            for start, end in pairwise(path):
                arrow(ax, (start, start**2), (end, end**2), arrowstyle="->", color=OURS, linewidth=1.6)
            ax.plot(path, np.square(path), "o", color=ACCENT, markersize=5)
            ax.set(xlabel="weight", xlim=(-1.5, 1.5), ylim=(-0.15, 2.2))
            ax.set_title(name, fontweight="normal", fontsize=10)
        axes[0, 0].set_ylabel("loss")
    return drawing


def modes() -> DescribedFigure:
    """Which mode each part of a run needs: training steps, then validation, epoch by epoch, twice."""
    alt = (
        "Timeline of a run. In each epoch first many training steps, forward, loss, zero_grad, backward, step, under "
        "network.train() with gradients; then validation, forward, loss and IoU, under network.eval() and no_grad()."
    )
    with figure(6.7, 2.6, alt=alt) as (drawing, ax):
        left = 0.0
        for epoch in (1, 2):
            start = left
            for color, mode, lines in EPOCH:
                width = 1.9 if color == TRAIN else 1.6
                _block(ax, left, width, color, mode, lines)
                left += width + 0.1
            ax.annotate(f"epoch {epoch}", ((start + left) / 2, 1.62), ha="center", fontweight="bold")
            left += 0.15
        ax.annotate("time", (left - 0.2, -0.12), (0, -0.12), va="center", arrowprops={"arrowstyle": "->", "color": INK})
        canvas(ax, (-0.05, left), (-0.25, 1.8), "auto")
    return drawing


def _block(ax: Axes, left: float, width: float, color: str, mode: str, lines: Sequence[str]) -> None:
    """A box of one mode, with the lines that run in it."""
    box = FancyBboxPatch((left, 0.05), width, 1.4, "round,pad=0.02", facecolor=color, edgecolor="#888888")
    ax.add_patch(box)
    ax.annotate(mode, (left + width / 2, 1.38), ha="center", va="top", fontsize=9)
    ax.annotate("\n".join(("for every batch:", *lines)), (left + width / 2, 0.86), ha="center", va="top", fontsize=9)


def learning_rates(rates: Sequence[float], betas: Sequence[float], steps_per_epoch: int) -> DescribedFigure:
    """Learning rate and Adam's beta1 of each step of a run, over its epochs."""
    epochs = np.arange(len(rates)) / steps_per_epoch
    top = int(np.argmax(rates))
    alt = (
        f"Two panels over {epochs[-1]:.0f} epochs. The learning rate rises from {rates[0]:.1e} to {rates[top]:.1e} at "
        f"epoch {epochs[top]:.1f}, then falls to {rates[-1]:.1e}. Adam's beta1 falls from {betas[0]:.2f} to "
        f"{min(betas):.2f} at the same epoch, then rises to {betas[-1]:.2f}."
    )
    with figure(6.7, 2.5, 1, 2, alt=alt) as (drawing, axes):
        for ax, values, name in zip(axes, (rates, betas), ("learning rate", "beta1"), strict=True):
            ax.plot(epochs, values, color=INK, linewidth=2)
            ax.plot(epochs[top], values[top], "o", color=ACCENT)
            ax.set(xlabel="epochs done", ylabel=name)
        axes[0].set_title(f"Up for {top / len(rates):.0%} of the steps")
        axes[1].set_title("The mirror image")
    return drawing


def gains(rows: pd.DataFrame, title: str) -> DescribedFigure:
    """Points that each change gains, beside the range that chance alone explains: columns `points` and `limit`."""
    listed = "; ".join(f"{name} {row['points']:+.2f}, limit {row['limit']:.2f}" for name, row in rows.iterrows())
    with figure(6.7, 0.9 + 0.42 * len(rows), alt=f"Gain in points of mean IoU. {listed}.") as (drawing, ax):
        places = np.arange(len(rows))[::-1]
        beyond = (rows["points"].abs() > rows["limit"]).to_numpy()
        ax.barh(places, 2 * rows["limit"], left=-rows["limit"], height=0.6, color="#E4E4E4", label="chance (95 %)")
        for shown, color, label in ((beyond, ACCENT, "beyond chance"), (~beyond, MUTED, "within chance")):
            ax.plot(rows["points"][shown], places[shown], "o", color=color, markersize=8, label=label)
        ax.axvline(0, color=INK, linewidth=1)
        ax.set_yticks(places, list(rows.index), fontsize=10)
        ax.set(xlabel="points of mean IoU that the change gains", title=title)
        drawing.legend(*ax.get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=9)
    return drawing


def ladder(steps: Mapping[str, float], beside: tuple[str, float]) -> DescribedFigure:
    """Mean IoU of each step, from bottom to top, with what it gains; a line shows the score of something `beside`."""
    values = list(steps.values())
    rises = [0.0, *np.diff(values)]
    listed = ", ".join(f"{name} {value:.3f}" for name, value in steps.items())
    with figure(6.7, 0.8 + 0.42 * len(steps), alt=f"Bars of mean IoU on validation: {listed}.") as (drawing, ax):
        ax.barh(range(len(values)), values, color="#B9D4E8")
        ax.barh(range(len(values)), rises, left=[v - r for v, r in zip(values, rises, strict=True)], color=OURS)
        for place, (value, rise) in enumerate(zip(values, rises, strict=True)):
            text = f"{value:.3f}" + (f"  ({rise:+.3f})" if place else "")
            ax.annotate(text, (max(value, beside[1]) + 0.015, place), va="center", fontsize=10)
        ax.set_yticks(range(len(values)), list(steps), fontsize=10)
        name, value = beside
        ax.axvline(value, color=ACCENT, linestyle="--", linewidth=1.5)
        ax.annotate(f"{name}: {value:.3f}", (value, len(values) - 0.35), ha="right", va="center", fontsize=9)
        title = f"From {values[0]:.3f} to {values[-1]:.3f}"
        ax.set(xlim=(0, 1.12), ylim=(-0.6, len(values)), xlabel="mean IoU on validation", title=title)
    drawing.alt += f" A line marks {name}, {value:.3f}."
    return drawing
