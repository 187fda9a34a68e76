"""Figures of notebook 06: linear probes, mean IoU by number of images and by step, and the change of weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from matplotlib.axes import Axes

from petseg.labels import INK
from petseg.plots.style import GRID, DescribedFigure, figure

if TYPE_CHECKING:
    from petseg.course.transfer_runs import TransferRun

#: Each method differs in colour, dashes and marker, so that colour is never the only cue.
STYLES: Final[dict[str, dict[str, Any]]] = {
    "scratch": {"color": "#767676", "linestyle": ":", "marker": "^"},
    "frozen": {"color": "#0072B2", "linestyle": "--", "marker": "s"},
    "fine-tuned": {"color": "#D55E00", "linestyle": "-", "marker": "o"},
}

#: Factors on the number of images: points of equal numbers stay side by side on the logarithmic axis.
DODGE: Final = {"scratch": 0.92, "frozen": 1.0, "fine-tuned": 1.087}


def probe_scores(scores: Mapping[str, Mapping[int, float]], title: str) -> DescribedFigure:
    """IoU of the pet that a linear probe reaches, by stride of the stage, for two encoders."""
    listed = "; ".join(
        f"{name}: " + ", ".join(f"{value:.2f} at stride {stride}" for stride, value in by_stride.items())
        for name, by_stride in scores.items()
    )
    styles = (STYLES["scratch"], STYLES["fine-tuned"])
    with figure(6.6, 2.9, alt=f"IoU of the pet that a linear probe reaches. {listed}.") as (drawing, ax):
        for (name, by_stride), style in zip(scores.items(), styles, strict=False):
            ax.plot(range(len(by_stride)), list(by_stride.values()), label=name, linewidth=1.8, **style)
        strides = list(next(iter(scores.values())))
        ax.set_xticks(range(len(strides)), ["1: the image" if stride == 1 else str(stride) for stride in strides])
        ax.set(ylim=(0, 1), xlabel="stride of the stage", ylabel="IoU of the pet, pooled", title=title)
        _grid(ax)
        ax.legend(loc="upper left", ncols=2)
    return drawing


def data_curves(runs: Sequence[TransferRun], title: str) -> DescribedFigure:
    """Mean IoU on validation over the number of training images, one line per method, with 95 % intervals.

    `runs` have equal numbers of steps.
    """
    ordered = sorted(runs, key=lambda run: run.images)
    methods = {name: [run for run in ordered if run.method == name] for name in STYLES}
    methods = {name: group for name, group in methods.items() if group}
    listed = "; ".join(
        f"{method}: " + ", ".join(f"{run.scores['mean_iou']:.3f} with {run.images:,}" for run in group)
        for method, group in methods.items()
    )
    sizes = sorted({run.images for run in runs})
    with figure(6.6, 3.5, alt=f"Mean IoU on validation by number of training images. {listed}.") as (drawing, ax):
        for method, group in methods.items():
            images = [DODGE[method] * run.images for run in group]
            scores, low, high = np.array([(run.scores["mean_iou"], run.low, run.high) for run in group]).T
            style: Any = {"linewidth": 1.8, "capsize": 3, "elinewidth": 1, **STYLES[method]}
            ax.errorbar(images, scores, [scores - low, high - scores], label=method, **style)
        ax.set_xscale("log")
        ax.set_xticks(sizes, [f"{size:,}" for size in sizes])
        ax.minorticks_off()
        ax.set(xlabel="training images (log scale)", ylabel="mean IoU on validation", title=title)
        _grid(ax)
        ax.legend(loc="best")
    return drawing


def step_curves(runs: Sequence[TransferRun], title: str) -> DescribedFigure:
    """Training loss and mean IoU on validation over the steps of several runs."""
    ends = "; ".join(f"{run.method}, {run.steps:,} steps: {run.val[-1][1]:.3f}" for run in runs)
    with figure(6.7, 3.3, 1, 2, alt=f"Loss and mean IoU over the steps. It ends at: {ends}.") as (drawing, axes):
        for run in runs:
            twice = sum(other.method == run.method for other in runs) > 1
            label = f"{run.method}, {run.steps:,} steps" if twice else run.method
            longest = twice and run.steps == max(other.steps for other in runs)
            style = {**STYLES[run.method], **({"color": INK, "marker": "D"} if longest else {})}
            for ax, points in zip(axes, (run.loss, run.val), strict=True):
                steps, values = zip(*points, strict=True)
                line = style if ax is axes[1] else {**style, "marker": ""}
                ax.plot(steps, values, label=label, linewidth=1.8, markersize=4, **line)
        axes[0].set(xlabel="step", ylabel="cross-entropy + weighted Dice", title="Training loss")
        axes[1].set(xlabel="step", ylabel="mean IoU on validation", title=title, ylim=(0, 1))
        axes[0].legend(loc="upper right", fontsize=9)
        for ax in axes:
            _grid(ax)
            ax.set_xlim(left=0)
    return drawing


def weight_changes(changes: Mapping[str, Mapping[str, float]], title: str) -> DescribedFigure:
    """How much training changed the weights of each stage of an encoder, one bar per run.

    `changes` holds `|after - before| / |before|` by stage, by name of the run.
    """
    listed = "; ".join(
        f"{name}: " + ", ".join(f"{stage} {change:.1%}" for stage, change in by_stage.items())
        for name, by_stage in changes.items()
    )
    with figure(6.6, 2.9, alt=f"Relative change of the encoder's weights. {listed}.") as (drawing, ax):
        stages = list(next(iter(changes.values())))
        width = 0.8 / len(changes)
        colors = ("#D55E00", "#F3D9C9", "#999999", INK)
        for index, (name, by_stage) in enumerate(changes.items()):
            left = np.arange(len(stages)) - 0.4 + width * (index + 0.5)
            style: Any = {"color": colors[index % 4], "hatch": ("", "////", "....", "")[index % 4], "edgecolor": INK}
            ax.bar(left, [100 * by_stage[stage] for stage in stages], width, label=name, linewidth=0.6, **style)
        ax.set_xticks(range(len(stages)), [stage.replace("block ", "block\n") for stage in stages])
        ax.set(xlabel="stage, from fine to coarse", ylabel="change of the weights, %", title=title)
        _grid(ax)
        ax.legend()
    return drawing


def _grid(ax: Axes) -> None:
    ax.grid(axis="y", **GRID)
    ax.set_axisbelow(True)
