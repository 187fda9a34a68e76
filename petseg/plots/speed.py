"""Figures of notebook 08 and of `petseg bench`: parts of a step, CPU and device over time, the roofline, races."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Patch

from petseg.labels import INK
from petseg.plots.style import GRID, DescribedFigure, figure

#: Colours of our way to train and of the plain way.
OURS, PLAIN = "#0072B2", "#E69F00"


def part_bars(seconds: Mapping[str, float], title: str) -> DescribedFigure:
    """The parts of a training step as bars, in milliseconds."""
    record = {"parts": {"values": {name: {"median": 1e3 * value} for name, value in seconds.items()}}}
    with figure(6.6, 3.0) as (drawing, ax):
        drawing.alt = _parts(ax, record)
        ax.set_title(title)
    return drawing


def timeline(launch: float, compute: float, steps: int) -> DescribedFigure:
    """When the CPU queues each step and when the device computes it, without and with a wait after each step."""
    ends = []
    with figure(6.6, 3.0, 2, 1, sharex=True) as (drawing, axes):
        for ax, wait in zip(axes, (False, True), strict=True):
            cpu = device = 0.0
            for number in range(steps):
                ax.barh("CPU", launch, left=cpu, color=PLAIN, edgecolor=INK)
                begin = max(cpu + launch, device)
                ax.barh("device", compute, left=begin, color=OURS, edgecolor=INK)
                ax.text(begin + compute / 2, "device", number + 1, ha="center", va="center", color="white", fontsize=9)
                ax.text(cpu + launch / 2, "CPU", number + 1, ha="center", va="center", color=INK, fontsize=9)
                device = begin + compute
                cpu = device if wait else cpu + launch
            ends.append(device)
            way = "the CPU waits for each step's loss" if wait else "no wait"
            ax.set_title(f"{way}: {steps} steps in {device:g} ms", fontweight="normal")
            ax.axvline(device, color=INK, linewidth=1, linestyle=":")
            ax.invert_yaxis()
        axes[1].set_xlabel("ms")
        handles = [Patch(color=PLAIN, label="the CPU queues a step"), Patch(color=OURS, label="the device computes it")]
        drawing.legend(handles=handles, loc="outside lower center", ncols=2, fontsize=9)
    drawing.alt = (
        f"Two timelines of {steps} steps that take {launch:g} ms to queue and {compute:g} ms to compute. Without waits "
        f"the device is done after {ends[0]:g} ms; with a wait after each step it pauses while the next one is queued, "
        f"and is done after {ends[1]:g} ms."
    )
    return drawing


def roofline(points: Mapping[str, tuple[float, float]], peak: float, bandwidth: float, title: str) -> DescribedFigure:
    """Layers by operations per byte and operations per second, under the limits of a machine, both axes logarithmic.

    `peak` and the second number of each point are in operations per second, `bandwidth` is in bytes per second.
    """
    ridge = peak / bandwidth
    span = [value for value, _ in points.values()]
    x = np.geomspace(min([*span, ridge]) / 3, max([*span, ridge]) * 3, 200)
    with figure(6.6, 3.6) as (drawing, ax):
        ax.plot(x, np.minimum(peak, x * bandwidth) / 1e9, color=INK, linewidth=2)
        ax.axvline(ridge, color="#999999", linewidth=1, linestyle=":")
        for name, (intensity, speed) in points.items():
            ax.plot(intensity, speed / 1e9, "o", color=OURS, markersize=9)
            ax.annotate(name, (intensity, speed / 1e9), xytext=(8, -12), textcoords="offset points")
        beside: Any = {"xycoords": ax.get_xaxis_transform(), "textcoords": "offset points", "fontsize": 9}
        ax.annotate("limited by memory", (ridge, 0.02), ha="right", xytext=(-5, 0), **beside)
        ax.annotate("limited by computing", (ridge, 0.02), ha="left", xytext=(5, 0), **beside)
        ax.annotate(f"peak: {peak / 1e9:,.0f}", (ridge, peak / 1e9), xytext=(2, 5), textcoords="offset points")
        ax.set(xscale="log", yscale="log", xlabel="operations per byte", ylabel="billion operations per second")
        ax.set_ylim(top=4 * max(peak, *(speed for _, speed in points.values())) / 1e9)
        ax.set_title(title)
        ax.grid(**GRID)
    listed = "; ".join(
        f"{name}: {i:.3g} operations per byte, {s / 1e9:.3g} billion per second" for name, (i, s) in points.items()
    )
    drawing.alt = (
        f"Roofline of this machine: it rises with {bandwidth / 1e9:.3g} GB per second up to {peak / 1e9:.3g} billion "
        f"operations per second, at {ridge:.3g} operations per byte. {listed}."
    )
    return drawing


def races(row: Mapping[str, Any]) -> DescribedFigure:
    """Mean IoU on validation over the seconds of training, of a record's row `time_to_accuracy`."""
    with figure(6.6, 3.0) as (drawing, ax):
        drawing.alt = _time_to_accuracy(ax, {"time_to_accuracy": row})
        ax.set_title(row["title"][0].upper() + row["title"][1:])
    return drawing


def benchmark_figure(record: Mapping[str, Any]) -> DescribedFigure:
    """Four panels of a record of `petseg bench`; a panel without a measurement says so."""
    machine = record["machine"]
    panels = {
        "Training against the plain way": (_speeds, ("step", "epoch")),
        "Parts of a training step": (_parts, ("parts",)),
        "Time to accuracy": (_time_to_accuracy, ("time_to_accuracy",)),
        "From photo to cut-out": (_photo, ("photo",)),
    }
    with figure(7.2, 6.4, rows=2, columns=2) as (drawing, axes):
        sentences = []
        for ax, (title, (panel, rows)) in zip(axes.flat, panels.items(), strict=True):
            ax.set_title(title)
            ax.tick_params(labelsize=9)
            if record.keys() & rows:
                sentences.append(panel(ax, record))
            else:
                sentences.append(f"{title}: not measured in this run.")
                style = {"ha": "center", "va": "center", "transform": ax.transAxes, "fontsize": 9}
                ax.text(0.5, 0.5, "not measured in this run", **style)
                ax.set(xticks=[], yticks=[])
        subtitle = f"{machine['name']}; PyTorch {machine['pytorch']}, {machine['precision']}"
        drawing.suptitle(subtitle, x=0.01, ha="left", fontsize=10)
        drawing.alt = f"Benchmark on {subtitle}. " + " ".join(sentences)
    return drawing


def _speeds(ax: Axes, record: Mapping[str, Any]) -> str:
    rows = [name for name in ("step", "epoch") if name in record]
    _pairs_of_bars(ax, record, rows)
    ax.set_ylabel("images per second")
    return " ".join(f"{row}: ours is {record[row]['ratio']:.3g} times as fast as the plain way." for row in rows)


def _parts(ax: Axes, record: Mapping[str, Any]) -> str:
    medians = {name: value["median"] for name, value in reversed(record["parts"]["values"].items())}
    bars = ax.barh(range(len(medians)), list(medians.values()), color=OURS)
    ax.bar_label(bars, [f"{value:.3g}" for value in medians.values()], padding=2, fontsize=9)
    ax.set_yticks(range(len(medians)), list(medians))
    ax.margins(x=0.2)
    ax.set_xlabel("ms")
    longest = max(medians, key=lambda name: medians[name])
    return f"The longest part of a step is {longest}, {medians[longest]:.3g} ms."


def _time_to_accuracy(ax: Axes, record: Mapping[str, Any]) -> str:
    row = record["time_to_accuracy"]
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
