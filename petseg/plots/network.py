"""Figures of notebook 02: the U-Net as a diagram, gradients and receptive fields, a loss curve, removed skips."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

from petseg.labels import CLASSES, COLORS, INK
from petseg.models.inspection import Step
from petseg.plots.style import GRID, Point, arrow, box, by, canvas, figure, listed, write

SKIP = "#009E73"
ARROWS: dict[str, dict[str, Any]] = {
    "pool": {"color": "#0072B2", "linestyle": "-"},
    "up": {"color": "#D55E00", "linestyle": "-"},
    "skip": {"color": SKIP, "linestyle": (0, (4, 2))},
}

#: Half the width of a box, and the shift to the middle from one level of the U to the next.
HALF, SHIFT = 1.5, 1.25


def unet_diagram(
    steps: Sequence[Step],
    title: str,
    down: str = "2x2 max pooling",
    upwards: str = "2x2 up-convolution",
    end: str = "after a 1x1 head",
) -> Figure:
    """A U-Net as a U: one box per stage with channels x height x width; arrows for the ways down and up, and skips.

    `steps` as `inspection.trace(network, shape, stages=True)` returns them; `down`, `upwards` and `end` say what the
    arrows and the head are.
    """
    shapes: dict[str, list[tuple[int, ...]]] = {}
    for step in steps:
        shapes.setdefault(step.name.partition(".")[0], []).append(step.output[1:])
    encoder, up, decoder = shapes["encoder"], shapes["up"], shapes["decoder"]
    n = len(encoder)
    alt = (
        f"A U-Net of {n} stages. An image of {by(steps[0].input[1:])} goes down through "
        f"{', '.join(map(by, encoder))} to the bottleneck of {by(shapes['bottleneck'][0])}, and up again through "
        f"{', '.join(map(by, decoder))} to logits of {by(shapes['head'][0])}. A skip joins the stages of equal size."
    )
    with figure(7.4, 0.9 * n + 1.7, alt=alt) as (drawing, ax):
        middle = SHIFT * n + 1.6
        _stage(ax, middle, -n, shapes["bottleneck"][0], "bottleneck")
        for level, (encoded, upsampled, out) in enumerate(zip(encoder, up[::-1], decoder[::-1], strict=True)):
            left, right = SHIFT * level, 2 * middle - SHIFT * level
            _stage(ax, left, -level, encoded, f"encoder {level + 1}")
            _stage(ax, right, -level, out, f"decoder {level + 1}", joined=True)
            _arrow(ax, "skip", (left + HALF, -level + 0.12), (right - HALF, -level + 0.12))
            write(ax, middle, -level + 0.2, f"{encoded[0]} + {upsampled[0]}", va="bottom")
            below = SHIFT if level + 1 < n else SHIFT + 1.2
            _arrow(ax, "pool", (left + 0.2, -level - 0.34), (left + below - 0.2, -level - 0.66))
            _arrow(ax, "up", (right - below + 0.2, -level - 0.66), (right - 0.2, -level - 0.34))
        _end(ax, 0, f"image\n{by(steps[0].input[1:])}", inwards=True)
        _end(ax, 2 * middle, f"logits, {end}\n{by(shapes['head'][0])}", inwards=False)
        for name, label in (("pool", down), ("up", upwards), ("skip", "skip: channels of both halves")):
            ax.plot([], [], linewidth=1.8, label=label, **ARROWS[name])
        ax.legend(loc="lower center", bbox_to_anchor=(0.5, -0.12), ncols=3, fontsize=10)
        ax.set_title(title)
        canvas(ax, (-HALF - 0.05, 2 * middle + HALF + 0.05), (-n - 0.45, 1.15), "auto")
    return drawing


def gradient_panels(
    gradients: Mapping[str, NDArray[Any]],
    radii: Sequence[int] = (),
    width: float = 4.1,
    decades: int = 8,
    cell: int = 1,
    alt: str = "",
) -> Figure:
    """Gradient magnitudes (H, W) side by side, each relative to its own largest value, in powers of ten.

    Each panel's radius is half the side of a dotted square around its middle. Blocks of `cell` x `cell` pixels are
    summed into one square of the figure; squares more than `decades` powers of ten below the largest are black.
    """
    colors = colormaps["magma"].resampled(2 * decades)  # steps are easier to read than a gradient
    with figure(width * len(gradients) + 0.9, width, 1, len(gradients), alt=alt, squeeze=False) as (drawing, axes):
        for index, (ax, (name, gradient)) in enumerate(zip(axes[0], gradients.items(), strict=True)):
            H, W = gradient.shape
            cells = gradient.reshape(H // cell, cell, W // cell, cell).sum(axis=(1, 3))
            relative = np.log10(np.maximum(cells / cells.max(), 10.0 ** -(decades + 1)))
            edges = (-0.5, W - 0.5, H - 0.5, -0.5)
            shown = ax.imshow(relative, cmap=colors, vmin=-decades, vmax=0, extent=edges, interpolation="nearest")
            if radii:
                r, label = radii[index], "holds half"
                corner, side = (W // 2 - r - 0.5, H // 2 - r - 0.5), 2 * r + 1
                square = Rectangle(corner, side, side, fill=False, ec="white", ls=":", lw=1.6, label=label)
                square.set_path_effects([withStroke(linewidth=3.2, foreground="black")])  # visible on light cells too
                ax.add_patch(square)
            ax.set(title=name, xlabel="column, pixels", ylabel="row, pixels" if index == 0 else "")
            ax.spines[:].set_visible(False)
            if index == 0 and ax.patches:
                ax.legend(loc="upper left", labelcolor="white", fontsize=9, facecolor="black", frameon=True)
        ticks = range(-decades, 1, max(1, decades // 5))
        drawing.colorbar(shown, ax=axes, label="gradient / maximum, log10", shrink=0.9, ticks=ticks)
    return drawing


def loss_curve(losses: Sequence[float], title: str) -> Figure:
    """The loss of each step on a logarithmic scale."""
    alt = f"The loss falls from {losses[0]:.2f} to {losses[-1]:.3f} in {len(losses)} steps on the same batch."
    with figure(6, 2.4, alt=alt) as (drawing, ax):
        ax.semilogy(range(1, len(losses) + 1), losses, color=INK, linewidth=1.6)
        ax.set(xlabel="step", ylabel="loss (log scale)", title=title)
        ax.grid(axis="y", which="both", **GRID)
    return drawing


def skip_scores(scores: Mapping[str, Sequence[float]], title: str) -> Figure:
    """IoU of each class, in the order of `labels.CLASSES`, by the skip connection that is removed."""
    table = {skip: dict(zip(CLASSES, values, strict=True)) for skip, values in scores.items()}
    alt = f"IoU of each class by the skip that is removed. {listed(table, '{} {:.2f}')}."
    with figure(6.4, 2.8, alt=alt) as (drawing, ax):
        for label, (name, color, marker) in enumerate(zip(CLASSES, COLORS, "os^", strict=True)):
            values = [row[label] for row in scores.values()]
            places = [column + 0.17 * (label - 1) for column in range(len(scores))]  # equal scores stay visible
            style: Any = {"color": color, "marker": marker, "markersize": 9, "linestyle": "none"}
            ax.plot(places, values, markeredgecolor=INK, label=name, **style)
        ax.set_xticks(range(len(scores)), list(scores))
        ax.set(ylim=(-0.05, 1), xlabel="skip whose features are set to zero", ylabel="IoU, pooled", title=title)
        ax.grid(axis="y", **GRID)
        ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return drawing


def _stage(ax: Axes, x: float, y: float, shape: Sequence[int], name: str, joined: bool = False) -> None:
    """One stage; if `joined`, a strip at its left shows the two halves that are concatenated."""
    box(ax, x - HALF, y - 0.34, 2 * HALF, 0.68, facecolor="#F2F2F2")
    if joined:
        box(ax, x - HALF, y, 0.14, 0.34, facecolor="white", edgecolor=SKIP, hatch="/////")
        box(ax, x - HALF, y - 0.34, 0.14, 0.34, facecolor=ARROWS["up"]["color"])
    shift = 0.07 if joined else 0
    write(ax, x + shift, y + 0.13, name, fontweight="bold")
    write(ax, x + shift, y - 0.14, by(shape))


def _arrow(ax: Axes, name: str, start: Point, end: Point) -> None:
    arrow(ax, start, end, **{"linewidth": 1.6, "shrinkA": 0, "shrinkB": 0, **ARROWS[name]})


def _end(ax: Axes, x: float, text: str, inwards: bool) -> None:
    heights = (0.74, 0.36) if inwards else (0.36, 0.74)
    arrow(ax, (x, heights[0]), (x, heights[1]), shrinkA=0, shrinkB=0)
    write(ax, x + (-HALF if inwards else HALF), 0.8, text, ha="left" if inwards else "right", va="bottom")
