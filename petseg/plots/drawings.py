"""Drawings of ideas with their numbers: convolution over channels, transposed convolution, skips, fields, the matte."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from numpy.typing import NDArray

from petseg.labels import BACKGROUND, BOUNDARY, COLORS, HATCHES, INK, PET
from petseg.models.inspection import Step
from petseg.plots.style import arrow, box, by, canvas, figure, write

Numbers = NDArray[Any]
Shape = tuple[int, ...]

#: Red, green and blue of an image's channels, and four colours for four pixels; pale, so that numbers stay readable.
CHANNELS: Final = ("#F6C6BF", "#C8E6C9", "#C5D9F1")
PIXELS: Final = ("#FFE0B2", "#C5D9F1", "#C8E6C9", "#E6D3EE")
PLAIN: Final = "#F2F2F2"
USED: Final = "#FFD27F"
SKIP: Final = "#8FD3BF"


def channel_convolution(patch: Numbers, kernels: Numbers) -> Figure:
    """One number of a convolution over channels: patch (C, h, w) times kernels (C, h, w), all products added up."""
    sums = (patch * kernels).sum(axis=(1, 2))
    listed = " + ".join(f"{value:g}" for value in sums)
    alt = f"Channel by channel a patch is multiplied with a kernel and added up: {listed} = {sums.sum():g}."
    C, h, w = patch.shape
    total = -(C * (h + 0.8) - 0.8) / 2
    with figure(6.6, 1.15 * C + 0.35, alt=alt) as (drawing, ax):
        for channel, name in enumerate(("red", "green", "blue")[:C]):
            y, color = -channel * (h + 0.8), CHANNELS[channel]
            _grid(ax, 0, y, patch[channel], color)
            _grid(ax, w + 2, y, kernels[channel], PLAIN)
            middle = y - h / 2
            write(ax, -0.5, middle, name, ha="right")
            write(ax, w + 1, middle, "x", fontsize=14)
            write(ax, 2 * w + 3, middle, "=", fontsize=14)
            _square(ax, 2 * w + 4, middle + 0.5, color, f"{sums[channel]:g}")
            arrow(ax, (2 * w + 5.1, middle), (2 * w + 7.9, total), shrinkA=0, shrinkB=2)
        _square(ax, 2 * w + 8, total + 0.5, USED, f"{sums.sum():g}")
        write(ax, 2 * w + 9.2, total, f"= {listed}".replace("+ -", "- "), ha="left")
        for x, text in ((w / 2, "patch"), (1.5 * w + 2, "kernels"), (2 * w + 8.5, "one output")):
            write(ax, x, 0.2, text, va="bottom", fontweight="bold")
        canvas(ax, (-2.6, 2 * w + 13), (-C * (h + 0.8) + 0.5, 1.4))
    return drawing


def transposed_convolution(image: Numbers, kernel: Numbers, result: Numbers) -> Figure:
    """How an image (2, 2) becomes a result (4, 4): each pixel's block is the kernel (2, 2) times the pixel."""
    alt = (
        f"A transposed convolution: pixels {image.ravel().tolist()}, each in a separate colour, become blocks of the "
        f"result: the kernel {kernel.tolist()} times the pixel, side by side."
    )
    with figure(6.6, 2.4, alt=alt) as (drawing, ax):
        _grid(ax, 0, -1, image, PIXELS)
        write(ax, 2.9, -2, "x", fontsize=14)
        _grid(ax, 3.8, -1, kernel, PLAIN)
        write(ax, 6.7, -2, "=", fontsize=14)
        _grid(ax, 7.6, 0, result, [PIXELS[2 * (r // 2) + c // 2] for r in range(4) for c in range(4)])
        for x, y, text in ((1, -0.8, "image"), (4.8, -0.8, "kernel"), (9.6, 0.2, "result, stride 2")):
            write(ax, x, y, text, va="bottom", fontweight="bold")
        canvas(ax, (-0.3, 12.2), (-4.3, 0.9))
    return drawing


def concatenation(skip: tuple[int, ...], upsampled: tuple[int, ...]) -> Figure:
    """The channels of a skip (c, h, w) and of the upsampled features as one stack, which a DoubleConv makes c again."""
    both = (skip[0] + upsampled[0], *skip[1:])
    alt = f"Skip {by(skip)} and upsampled features {by(upsampled)} become {by(both)}; DoubleConv makes {by(skip)}."
    with figure(6.6, 2.7, alt=alt) as (drawing, ax):
        _stack(ax, 0, 1.6, [SKIP] * 4, f"skip\n{by(skip)}")
        _stack(ax, 0, -2.4, [USED] * 4, f"upsampled\n{by(upsampled)}")
        _stack(ax, 6.2, -0.4, [SKIP] * 4 + [USED] * 4, f"concatenated\n{by(both)}")
        _stack(ax, 14.2, -0.4, [PLAIN] * 4, f"next\n{by(skip)}")
        for start, end in (((3.6, 2.2), (6.0, 1.0)), ((3.6, -1.2), (6.0, 0.0)), ((11.3, 0.6), (14.0, 0.6))):
            arrow(ax, start, end, linewidth=1.4)
        write(ax, 4.6, 2.7, "torch.cat, dim=1", ha="left")
        write(ax, 12.6, 1.0, "DoubleConv", va="bottom")
        canvas(ax, (-0.3, 18), (-4.4, 4.1))
    return drawing


def receptive_field(layers: Sequence[tuple[str, int, int]]) -> Figure:
    """Which pixels of a row reach one output: a line of squares per (name, kernel, stride), from the image upwards."""
    sizes, steps = [1], [1]
    for _, kernel, stride in layers:
        sizes.append(sizes[-1] + (kernel - 1) * steps[-1])
        steps.append(steps[-1] * stride)
    wide, n = sizes[-1], len(layers)
    alt = "One output sees, layer by layer: " + "; ".join(
        f"after {name}, {size} pixels" for (name, *_), size in zip(layers, sizes[1:], strict=True)
    )
    with figure(6.8, 0.36 * (n + 1) + 0.3, alt=alt + ".") as (drawing, ax):
        low = high = (wide - 1) / 2  # centres, in pixels of the image, of the squares that the output sees
        for level in range(n, -1, -1):
            step = steps[level]
            count = round((high - low) / step) + 1
            extra = int((low + 0.5) // step)  # squares beside them that fit over the image
            for i in range(-extra, count + extra):
                x, seen = low + i * step, 0 <= i < count
                colors = {"facecolor": USED if seen else "white", "edgecolor": INK if seen else "#BBBBBB"}
                box(ax, x - 0.43 * step, level, 0.86 * step, 0.62, **colors)
            name = f"after {layers[level - 1][0]}" if level else "image"
            write(ax, -1.2, level + 0.3, name, ha="right")
            write(ax, wide + 0.2, level + 0.3, f"sees {sizes[level]}" if level else f"{wide} pixels", ha="left")
            if level:
                reach = (layers[level - 1][1] - 1) * steps[level - 1] / 2
                for edge, side in ((low, -1), (high, 1)):
                    ax.plot([edge, edge + side * reach], [level, level - 0.38], color=INK, linewidth=1)
                low, high = low - reach, high + reach
        canvas(ax, (-6.6, wide + 3.8), (-0.25, n + 0.9))
    return drawing


def shapes_beside_code(steps: Sequence[Step]) -> Figure:
    """The lines of a U-Net's `forward`, and beside each the shape of its result in every pass of its loop.

    `steps` as `inspection.trace(network, shape, stages=True)` returns them. The more numbers an array holds, the
    darker its cell.
    """
    blocks = _code_blocks(steps)
    rows = [(code, row) for _, lines in blocks for code, row in lines.items()]
    numbers = [np.log2(np.prod(shape)) for _, row in rows for shape in row]
    listed = "; ".join(f"{code}: {', '.join(map(by, row))}" for code, row in rows)
    height = 0.27 * (len(rows) + 1.15 * len(blocks))
    with figure(7.2, height, alt=f"Lines of forward with the shape of each result. {listed}.") as (drawing, ax):
        y = 0.0
        for headline, lines in blocks:
            write(ax, 0, y, headline, ha="left", fontweight="bold")
            for code, row in lines.items():
                y -= 1
                write(ax, 0.1, y, code, ha="left", family="monospace")
                for i, shape in enumerate(row):
                    share = 0.12 + 0.6 * (np.log2(np.prod(shape)) - min(numbers)) / (max(numbers) - min(numbers))
                    style: Any = {"facecolor": to_rgba("#56B4E9", share), "edgecolor": "white"}
                    box(ax, 2.78 + 1.1 * i, y - 0.45, 1.06, 0.9, **style)
                    write(ax, 3.31 + 1.1 * i, y, "x".join(map(str, shape)), fontsize=9.5)
            y -= 1.15
        widest = max(len(row) for _, row in rows)
        canvas(ax, (0, 2.8 + 1.1 * widest), (y + 0.5, 0.6), "auto")
    return drawing


def _code_blocks(steps: Sequence[Step]) -> list[tuple[str, dict[str, list[Shape]]]]:
    """A headline and lines of code, each with the shapes (C, H, W) of its results, in the order in which they run."""
    took: dict[str, list[Shape]] = {}
    gave: dict[str, list[Shape]] = {}
    for step in steps:
        took.setdefault(step.name.partition(".")[0], []).append(step.input[1:])
        gave.setdefault(step.name.partition(".")[0], []).append(step.output[1:])
    pooled = [*took["encoder"][1:], *took["bottleneck"]]
    encoder = {"x = stage(x)": gave["encoder"], "skips.append(x)": gave["encoder"], "x = pool(x)": pooled}
    up = {"x = up(x)": gave["up"], "x = cat([skips.pop(), x])": took["decoder"], "x = stage(x)": gave["decoder"]}
    return [
        ("for stage in encoder", encoder),
        ("once", {"x = bottleneck(x)": gave["bottleneck"]}),
        ("for up, stage in zip(self.up, decoder)", up),
        ("once", {"x = head(x)": gave["head"]}),
    ]


def matte_profile(lower: Numbers, upper: Numbers, alpha: Numbers, title: str) -> Figure:
    """Along a row of a photo: the least and largest alpha allowed, and the alpha found between them, each (n,)."""
    free = lower < upper
    alt = f"Along {len(alpha)} pixels of a row, alpha goes from {alpha[0]:.2f} to {alpha[-1]:.2f}. In the {free.sum()} "
    with figure(6.6, 2.9, alt=f"{alt}pixels of the unknown band it lies between two limits.") as (drawing, ax):
        x = np.arange(len(alpha))
        kinds = np.where(free, BOUNDARY, np.where(lower > 0.5, PET, BACKGROUND))
        for kind, name in ((PET, "certain pet"), (BOUNDARY, "unknown band"), (BACKGROUND, "certain background")):
            style: Any = {"facecolor": COLORS[kind], "hatch": HATCHES[kind], "edgecolor": INK, "linewidth": 0}
            ax.fill_between(x, 1.1, 1.25, where=kinds == kind, step="mid", label=name, **style)
        ax.fill_between(x, lower, upper, color="#DDDDDD", label="between the limits")
        ax.plot(x, alpha, color=INK, linewidth=2, label="alpha, from the colours")
        ax.set(xlabel="pixels along the row", ylabel="alpha", ylim=(-0.05, 1.3), xlim=(0, len(x) - 1), title=title)
        ax.legend(loc="upper left", bbox_to_anchor=(1, 1), fontsize=10)
    return drawing


def _grid(ax: Axes, x: float, y: float, numbers: Numbers, colors: str | Sequence[str]) -> None:
    """A table of numbers as squares, its upper left corner at (x, y)."""
    columns = numbers.shape[1]
    for index, value in enumerate(numbers.ravel()):
        color = colors if isinstance(colors, str) else colors[index]
        _square(ax, x + index % columns, y - index // columns, color, f"{value:g}")


def _square(ax: Axes, x: float, y: float, color: str, text: str) -> None:
    box(ax, x, y - 1, 1, 1, text, facecolor=color, linewidth=0.8)


def _stack(ax: Axes, x: float, y: float, colors: Sequence[str], text: str) -> None:
    """Channels as sheets, one behind the other, the first in front; its name below."""
    for i in range(len(colors) - 1, -1, -1):
        box(ax, x + 0.4 * i, y + 0.12 * i, 1.8, 1.6, facecolor=colors[i])
    write(ax, x + 0.2 * (len(colors) - 1) + 0.9, y - 0.15, text, va="top")
