"""Figures of notebook 06: what an encoder knows, what more data is worth, and how far fine-tuning moves weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes

if TYPE_CHECKING:
    from petseg.course.transfer_log import Run

from petseg.labels import INK
from petseg.plots.style import DescribedFigure, figure

#: A look for each way to learn: colour, dashes and marker, so that colour is never alone.
LOOKS: dict[str, dict[str, Any]] = {
    "scratch": {"color": "#767676", "linestyle": ":", "marker": "^"},
    "frozen": {"color": "#0072B2", "linestyle": "--", "marker": "s"},
    "fine-tuned": {"color": "#D55E00", "linestyle": "-", "marker": "o"},
}


def probe_scores(scores: Mapping[str, Mapping[int, float]], title: str) -> DescribedFigure:
    """IoU of the pet that a linear probe reaches at each stage of some encoders.

    Args:
        scores: IoU, 0 to 1, by stride, by name of the encoder; the first is drawn as `scratch`, the second as
            `fine-tuned`.
        title: states the finding.
    """
    listed = "; ".join(
        f"{name}: " + ", ".join(f"{value:.2f} at stride {stride}" for stride, value in found.items())
        for name, found in scores.items()
    )
    looks = (LOOKS["scratch"], LOOKS["fine-tuned"])
    with figure(6.6, 2.9, alt=f"IoU of the pet that a linear probe reaches. {listed}.") as (drawn, ax):
        for (name, found), look in zip(scores.items(), looks, strict=False):
            places = range(len(found))
            ax.plot(places, list(found.values()), label=name, linewidth=1.8, **look)
        strides = list(next(iter(scores.values())))
        ax.set_xticks(range(len(strides)), ["1: the image" if stride == 1 else str(stride) for stride in strides])
        ax.set(ylim=(0, 1), xlabel="stride of the stage", ylabel="IoU of the pet, pooled", title=title)
        _grid(ax)
        ax.legend(loc="upper left", ncols=2)
    return drawn


def data_curves(runs: Sequence[Run], title: str) -> DescribedFigure:
    """Mean IoU on validation over the number of training images, a line for each way to learn, with intervals.

    Args:
        runs: of equal numbers of steps; those of one way are joined, in the order of their data.
        title: states the finding.
    """
    ways = {way: sorted((run for run in runs if run.way == way), key=lambda run: run.images) for way in LOOKS}
    listed = "; ".join(
        f"{way}: " + ", ".join(f"{run.scores['mean_iou']:.3f} with {run.images:,}" for run in found)
        for way, found in ways.items()
        if found
    )
    sizes = sorted({run.images for run in runs})
    with figure(6.6, 3.5, alt=f"Mean IoU on validation by number of training pictures. {listed}.") as (drawn, ax):
        for way, found in ways.items():
            scores = [run.scores["mean_iou"] for run in found]
            bars = [
                [value - run.low for value, run in zip(scores, found, strict=True)],
                [run.high - value for value, run in zip(scores, found, strict=True)],
            ]
            if found:
                images = [run.images for run in found]
                ax.errorbar(images, scores, bars, label=way, linewidth=1.8, capsize=3, elinewidth=1, **LOOKS[way])
        ax.set_xscale("log")
        ax.set_xticks(sizes, [f"{size:,}" for size in sizes])
        ax.minorticks_off()
        ax.set(xlabel="training pictures (log scale)", ylabel="mean IoU on validation", title=title)
        _grid(ax)
        ax.legend(loc="best")
    return drawn


def step_curves(runs: Sequence[Run], title: str) -> DescribedFigure:
    """Training loss, and mean IoU at the checks, over the steps of some runs.

    Args:
        runs: each is named by its way and its steps.
        title: states the finding.
    """
    ends = "; ".join(f"{run.way}, {run.steps:,} steps: {run.val[-1][1]:.3f}" for run in runs)
    with figure(8, 3.1, 1, 2, alt=f"Loss and mean IoU over the steps. It ends at: {ends}.") as (drawn, axes):
        for run in runs:
            twice = sum(other.way == run.way for other in runs) > 1
            label = f"{run.way}, {run.steps:,} steps" if twice else run.way
            longest = twice and run.steps == max(other.steps for other in runs)
            look = {**LOOKS[run.way], **({"color": INK, "marker": "D"} if longest else {})}
            for ax, points in zip(axes, (run.loss, run.val), strict=True):
                steps, values = zip(*points, strict=True)
                shown = look if ax is axes[1] else {**look, "marker": ""}
                ax.plot(steps, values, label=label, linewidth=1.8, markersize=4, **shown)
        axes[0].set(xlabel="step", ylabel="cross-entropy + weighted Dice", title="Training loss")
        axes[1].set(xlabel="step", ylabel="mean IoU on validation", title=title, ylim=(0, 1))
        axes[0].legend(loc="upper right", fontsize=9)
        for ax in axes:
            _grid(ax)
            ax.set_xlim(left=0)
    return drawn


def moved_weights(moved: Mapping[str, Mapping[str, float]], title: str) -> DescribedFigure:
    """How far the weights of each stage of an encoder went in training, a bar for each run.

    Args:
        moved: |after - before| / |before| by stage, by name of the run.
        title: states the finding.
    """
    listed = "; ".join(
        f"{name}: " + ", ".join(f"{stage} {share:.1%}" for stage, share in found.items())
        for name, found in moved.items()
    )
    with figure(6.6, 2.9, alt=f"Relative change of the encoder's weights. {listed}.") as (drawn, ax):
        stages = list(next(iter(moved.values())))
        width = 0.8 / len(moved)
        colors = ("#D55E00", "#F3D9C9", "#999999", INK)
        for place, (name, found) in enumerate(moved.items()):
            left = np.arange(len(stages)) - 0.4 + width * (place + 0.5)
            look: Any = {"color": colors[place % 4], "hatch": ("", "////", "....", "")[place % 4], "edgecolor": INK}
            ax.bar(left, [100 * found[stage] for stage in stages], width, label=name, linewidth=0.6, **look)
        ax.set_xticks(range(len(stages)), [stage.replace("block ", "block\n") for stage in stages])
        ax.set(xlabel="stage, from fine to coarse", ylabel="change of the weights, %", title=title)
        _grid(ax)
        ax.legend()
    return drawn


def _grid(ax: Axes) -> None:
    ax.grid(axis="y", color="#dddddd", linewidth=0.6)
    ax.set_axisbelow(True)
