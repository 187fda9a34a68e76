"""Accuracy against cost: this project's networks, and what others report for theirs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, NullFormatter

from petseg.labels import INK
from petseg.plots.style import figure

#: Colours of this project's networks and of others.
OURS, THEIRS = "#0072B2", "#767676"

#: Marker of each split that a score may come from: only scores of the same split can be compared.
MARKERS = {"test": "o", "validation": "s", "unstated": "D"}
SPLITS = {"test": "official test split", "validation": "validation split", "unstated": "split not stated"}


@dataclass(frozen=True)
class Network:
    """A point of the figure.

    Attributes:
        label: beside the point, or in the key.
        parameters: number of parameters.
        mean_iou: 0 to 1.
        split: a key of `MARKERS`.
        number: of its line in the key; 0 where the label is beside the point.
    """

    label: str
    parameters: int
    mean_iou: float
    split: str
    number: int = 0


def accuracy_against_cost(ours: Sequence[Network], theirs: Sequence[Network], title: str) -> Figure:
    """Mean IoU over parameters, on a logarithmic axis: ours filled and labelled, theirs hollow and numbered.

    Args:
        ours: scored by this project.
        theirs: as their authors report them; each gets a line in the key below the axes.
        title: states the finding.
    """
    listed = [f"{n.label} {n.mean_iou:.3f} with {_short(n.parameters)} parameters" for n in (*ours, *theirs)]
    alt = f"Mean IoU against parameters. Released here: {'; '.join(listed[: len(ours)])}."
    if theirs:
        alt += f" Reported by others, on other splits and sizes: {'; '.join(listed[len(ours) :])}."
    with figure(7, 3.3 + 0.21 * len(theirs), alt=alt) as (drawn, ax):
        for network in theirs:
            ax.plot(
                network.parameters, network.mean_iou, MARKERS[network.split], ms=11, mfc="none", mec=THEIRS, mew=1.6
            )
        _number(ax, theirs)
        for network in ours:
            ax.plot(network.parameters, network.mean_iou, MARKERS[network.split], ms=7, color=OURS)
            where: dict[str, Any] = {"xytext": (-9, 0), "textcoords": "offset points", "ha": "right", "va": "center"}
            ax.annotate(network.label, (network.parameters, network.mean_iou), color=OURS, weight="bold", **where)
        _axes(ax, [*ours, *theirs])
        _splits(drawn, [*ours, *theirs])
        ax.set_title(title)
        key = "\n".join(f"{network.number}  {network.label}" for network in theirs)
        drawn.supxlabel(key, x=0.02, ha="left", fontsize=9, color=INK, linespacing=1.35)
    return drawn


def _number(ax: Axes, theirs: Sequence[Network]) -> None:
    """Each hollow mark's number to its right."""
    for network in theirs:
        where: dict[str, Any] = {"xytext": (9, 0), "textcoords": "offset points", "va": "center", "fontsize": 9}
        ax.annotate(str(network.number), (network.parameters, network.mean_iou), color=INK, **where)


def _axes(ax: Axes, networks: Sequence[Network]) -> None:
    sizes = [network.parameters for network in networks]
    ax.set_xscale("log")
    low, high = min(sizes) / 3.2, max(sizes) * 1.4  # the left has space for a label
    ax.set_xlim(low, high)
    ax.set_xticks([size for size in _TICKS if low <= size <= high])
    ax.xaxis.set_major_formatter(FuncFormatter(lambda size, _: _short(size)))
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.margins(y=0.12)
    ax.set(xlabel="parameters", ylabel="mean IoU of the three classes")
    ax.grid(axis="y", color="#E4E4E4", linewidth=0.8)
    ax.set_axisbelow(True)


def _splits(drawn: Figure, networks: Sequence[Network]) -> None:
    """A legend of the markers in use, beside the key."""
    used = [split for split in MARKERS if any(network.split == split for network in networks)]
    style: dict[str, Any] = {"linestyle": "", "markerfacecolor": "none", "markeredgecolor": INK}
    handles = [Line2D([], [], marker=MARKERS[split], label=SPLITS[split], **style) for split in used]
    drawn.legend(handles=handles, loc="lower right", fontsize=9)


def _short(count: float) -> str:
    """A count with a unit: `7.78 M`, `20 M`, `500 k`."""
    return f"{count / 1e6:.3g} M" if count >= 1e6 else f"{count / 1e3:.3g} k"


_TICKS = [factor * 10**power for power in range(3, 10) for factor in (1, 2, 5)]
