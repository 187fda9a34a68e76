"""What `petseg bench` measured: our way against the plain one, the parts of a step, the way to a score, growth."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from matplotlib.axes import Axes

from petseg.plots.style import DescribedFigure, figure

#: Colours of our way and of the plain one.
OURS, PLAIN = "#0072B2", "#E69F00"


def benchmark_figure(record: Mapping[str, Any]) -> DescribedFigure:
    """Four panels; one whose rows were not measured says so.

    Args:
        record: as `training.benchmark.measure` returns it and `figures/benchmark.json` holds it.
    """
    machine = record["machine"]
    with figure(7.2, 6.4, rows=2, columns=2) as (drawn, axes):
        panels: list[tuple[Callable[[Axes, Mapping[str, Any]], str], str]] = [
            (_speeds, "Training against the plain way"),
            (_parts, "Parts of a training step"),
            (_curves, "Time to accuracy"),
            (_growth, "Growth with the image side"),
        ]
        sentences = []
        for ax, (panel, title) in zip(axes.flat, panels, strict=True):
            ax.set_title(title)
            ax.tick_params(labelsize=9)
            sentences.append(panel(ax, record))
        subtitle = f"{machine['name']}; PyTorch {machine['pytorch']}, {machine['precision']}"
        drawn.suptitle(subtitle, x=0.01, ha="left", fontsize=10)
        drawn.alt = f"Benchmark on {subtitle}. " + " ".join(sentences)
    return drawn


def _speeds(ax: Axes, record: Mapping[str, Any]) -> str:
    rows = [name for name in ("step", "epoch") if name in record]
    if not rows:
        return _unmeasured(ax, "Speed")
    for offset, (way, color) in enumerate((("ours", OURS), ("plain", PLAIN))):
        values = [record[row]["values"][way] for row in rows]
        heights = [value["median"] for value in values]
        errors = [[h - v["low"] for h, v in zip(heights, values, strict=True)]]
        errors += [[v["high"] - h for h, v in zip(heights, values, strict=True)]]
        places = [index + 0.4 * offset for index in range(len(rows))]
        bars = ax.bar(places, heights, 0.38, yerr=errors, color=color, label=way, capsize=3)
        ax.bar_label(bars, [f"{height:.3g}" for height in heights], padding=2, fontsize=9)
    ax.set_xticks([index + 0.2 for index in range(len(rows))], rows)
    ax.margins(y=0.3)  # space for the legend above the numbers
    ax.set_ylabel("images per second")
    ax.legend(fontsize=9, ncols=2, loc="upper center")
    return " ".join(f"{row}: ours is {record[row]['ratio']:.3g} times as fast as the plain way." for row in rows)


def _parts(ax: Axes, record: Mapping[str, Any]) -> str:
    if "parts" not in record:
        return _unmeasured(ax, "Parts of a step")
    values = record["parts"]["values"]
    medians = {name: value["median"] for name, value in reversed(values.items())}
    bars = ax.barh(range(len(medians)), list(medians.values()), color=OURS)
    ax.bar_label(bars, [f"{value:.3g}" for value in medians.values()], padding=2, fontsize=9)
    ax.set_yticks(range(len(medians)), list(medians))
    ax.margins(x=0.2)
    ax.set_xlabel("ms")
    longest = max(medians, key=lambda name: medians[name])
    return f"The longest part of a step is {longest}, {medians[longest]:.3g} ms."


def _curves(ax: Axes, record: Mapping[str, Any]) -> str:
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


def _growth(ax: Axes, record: Mapping[str, Any]) -> str:
    row = record.get("growth_side")
    if row is None:
        return _unmeasured(ax, "Growth")
    sides = [int(name.split()[0]) for name in row["values"]]
    medians = [value["median"] for value in row["values"].values()]
    ax.loglog(sides, medians, marker="o", color=OURS, label="measured")
    ideal = [medians[0] * (sides[0] / side) ** 2 for side in sides]
    ax.loglog(sides, ideal, color="#888888", linestyle="--", linewidth=1, label="in proportion to pixels")
    ax.minorticks_off()
    ax.set_xticks(sides, [str(side) for side in sides])
    ticks = sorted({float(f"{median:.2g}") for median in medians})
    ax.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    ax.set(xlabel="height and width in pixels", ylabel="images per second")
    ax.legend(fontsize=9)
    return f"{medians[0]:.3g} images per second at {sides[0]} pixels, {medians[-1]:.3g} at {sides[-1]} pixels."


def _unmeasured(ax: Axes, what: str) -> str:
    ax.text(0.5, 0.5, "not measured in this run", ha="center", va="center", transform=ax.transAxes, fontsize=9)
    ax.set(xticks=[], yticks=[])
    return f"{what}: not measured in this run."
