"""Figures of notebook 06: the network's shapes, what freezing stops, linear probes, learning curves, moved weights."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes
from torch import nn

from petseg.labels import INK
from petseg.models.inspection import Step
from petseg.plots.network import unet_diagram
from petseg.plots.style import GRID, DescribedFigure, arrow, box, canvas, figure, listed, write

#: Each method differs in colour, dashes and marker, so that colour is never the only cue.
STYLES: Final[dict[str, dict[str, Any]]] = {
    "scratch": {"color": "#767676", "linestyle": ":", "marker": "^"},
    "frozen": {"color": "#0072B2", "linestyle": "--", "marker": "s"},
    "fine-tuned": {"color": "#D55E00", "linestyle": "-", "marker": "o"},
}

#: Factors on the number of images: points of equal numbers stay side by side on the logarithmic axis.
DODGE: Final = {"scratch": 0.92, "frozen": 1.0, "fine-tuned": 1.087}

MOVES, STAYS = "#F3B48A", "#E8E8E8"


def network_shapes(
    image: Sequence[int], features: Sequence[Sequence[int]], decoded: Sequence[Sequence[int]], title: str
) -> Any:
    """The U of a pretrained encoder: `features` from fine to coarse, `decoded` from coarse to fine, as (C, H, W)."""
    *encoder, bottleneck = features
    upsampled = [(below[0], *block[1:]) for below, block in zip([bottleneck, *decoded], decoded, strict=False)]
    stages: dict[str, Sequence[Sequence[int]]] = {"encoder": encoder, "bottleneck": [bottleneck], "up": upsampled}
    stages |= {"decoder": decoded, "head": [(3, *image[1:])]}
    shapes = [(name, tuple(shape)) for name, each in stages.items() for shape in each]
    steps = [Step(name, nn.Identity(), (1, *image), (1, *shape)) for name, shape in shapes]
    return unet_diagram(steps, title, "blocks of stride 2", "nearest neighbour", "head and bilinear upsampling")


def freezing(moves: Mapping[str, Mapping[str, tuple[bool, bool]]], title: str) -> Any:
    """What one training step moves: per setting and part of the network, its weights and BatchNorm's statistics."""
    words = {name: {f"{part}'s": _moved(pair) for part, pair in parts.items()} for name, parts in moves.items()}
    alt = f"What a step moves. {listed(words, '{} {}')}."
    with figure(7.2, 1.3 * len(moves) + 0.5, len(moves), alt=alt, title=title) as (drawing, axes):
        for ax, (name, parts) in zip(np.atleast_1d(axes), moves.items(), strict=True):
            for column, (part, pair) in enumerate(parts.items()):
                _part(ax, 3.2 * column, part, pair, last=column == len(parts) - 1)
            ax.set_title(name, fontsize=10, fontweight="normal")
            canvas(ax, (-0.1, 3.2 * len(parts) - 0.5), (-0.35, 1.75), "auto")
    return drawing


def _moved(pair: tuple[bool, bool]) -> str:
    return " and ".join(f"{n} {'move' if m else 'stay'}" for n, m in zip(("weights", "statistics"), pair, strict=True))


def _part(ax: Axes, x: float, part: str, pair: tuple[bool, bool], last: bool) -> None:
    """A box with a field for the weights and one for the statistics, and arrows to the next part."""
    box(ax, x, 0, 2.5, 1.5, facecolor="white")
    write(ax, x + 1.25, 1.25, part, fontweight="bold")
    for y, name, moved in zip((0.58, 0.08), ("weights", "statistics"), pair, strict=True):
        color = MOVES if moved else STAYS
        box(ax, x + 0.1, y, 2.3, 0.44, facecolor=color, linewidth=0.6, hatch="" if moved else "....")
        text, ground = f"{name} {'move' if moved else 'stay'}", {"facecolor": color, "edgecolor": "none", "pad": 1}
        write(ax, x + 1.25, y + 0.21, text, fontsize=9, bbox=ground)
    if not last:
        arrow(ax, (x + 2.5, 1.0), (x + 3.2, 1.0))
        if pair[0]:  # the backward pass reaches this part
            arrow(ax, (x + 3.2, 0.5), (x + 2.5, 0.5), color="#D55E00", linestyle="--")


def probe_scores(scores: Mapping[str, Mapping[int, float]], title: str) -> DescribedFigure:
    """IoU of the pet that linear probes reach, by stride: of random weights, of pretrained ones, and of a control."""
    styles = (STYLES["scratch"], STYLES["fine-tuned"], {"color": INK, "linestyle": "-.", "marker": "D"})
    alt = f"IoU of the pet that a linear probe reaches. {listed(scores, '{1:.2f} at stride {0}')}."
    with figure(6.6, 2.9, alt=alt) as (drawing, ax):
        for (name, by_stride), style in zip(scores.items(), styles, strict=True):
            ax.plot(range(len(by_stride)), list(by_stride.values()), label=name, linewidth=1.8, **style)
        strides = list(next(iter(scores.values())))
        ax.set_xticks(range(len(strides)), [str(stride) for stride in strides])
        ax.set(ylim=(0, 1), xlabel="stride of the feature map", ylabel="IoU of the pet, pooled", title=title)
        ax.grid(axis="y", **GRID)
        ax.legend(loc="upper left", ncols=3, fontsize=9)
    return drawing


def learning_curves(scores: Mapping[str, Mapping[int, Sequence[float]]], title: str) -> DescribedFigure:
    """Mean IoU over the number of training images, by method: a point per seed, a line through their means."""
    means = {method: {size: np.mean(seeds) for size, seeds in by_size.items()} for method, by_size in scores.items()}
    alt = f"Mean IoU on validation by number of training images. {listed(means, '{1:.3f} with {0:,}')}."
    sizes = list(next(iter(scores.values())))
    with figure(6.6, 3.4, alt=alt) as (drawing, ax):
        for method, by_size in scores.items():
            style = STYLES[method]
            places = [DODGE[method] * size for size in by_size]
            for place, seeds in zip(places, by_size.values(), strict=True):
                ax.plot([place] * len(seeds), seeds, alpha=0.5, **{**style, "linestyle": "none"})
            ax.plot(places, list(means[method].values()), linewidth=1.8, label=method, **{**style, "marker": ""})
        ax.set_xscale("log")
        ax.set_xticks(sizes, [f"{size:,}" for size in sizes])
        ax.minorticks_off()
        ax.set(xlabel="training images (log scale)", ylabel="mean IoU on validation", title=title)
        ax.grid(axis="y", **GRID)
        ax.legend(loc="best", handlelength=3)
    return drawing


def weight_changes(changes: Mapping[str, Mapping[str, float]], title: str) -> DescribedFigure:
    """How much training changed the weights of each stage of an encoder, one bar per run.

    `changes` holds `|after - before| / |before|` by stage, by name of the run.
    """
    alt = f"Relative change of the encoder's weights. {listed(changes, '{} {:.1%}')}."
    with figure(6.6, 2.9, alt=alt) as (drawing, ax):
        stages = list(next(iter(changes.values())))
        width = 0.8 / len(changes)
        colors = ("#D55E00", "#F3D9C9", "#999999", INK)
        for index, (name, by_stage) in enumerate(changes.items()):
            left = np.arange(len(stages)) - 0.4 + width * (index + 0.5)
            style: Any = {"color": colors[index % 4], "hatch": ("", "////", "....", "")[index % 4], "edgecolor": INK}
            ax.bar(left, [100 * by_stage[stage] for stage in stages], width, label=name, linewidth=0.6, **style)
        ax.set_xticks(range(len(stages)), [stage.replace("block ", "block\n") for stage in stages])
        ax.set(xlabel="stage, from fine to coarse", ylabel="change of the weights, %", title=title)
        ax.grid(axis="y", **GRID)
        ax.legend()
    return drawing
