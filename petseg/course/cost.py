"""The released models and what others report, by their number of parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure

from petseg.course.record import references
from petseg.plots.cost import Network, accuracy_against_cost


def cost_figure(results: Mapping[str, Any]) -> Figure:
    """Mean IoU over parameters: the released models, and the references that state both.

    Args:
        results: as `course.results` gives them.
    """
    ours = [
        Network(name, model["parameters"], model["test"]["mean_iou"], "test")
        for name, model in results["models"].items()
    ]
    theirs = [
        Network(_label(entry), entry["parameters"], entry["mean_iou"], entry["split"], number)
        for number, entry in enumerate(references(), start=1)
        if entry["parameters"] and entry["mean_iou"] is not None
    ]
    return accuracy_against_cost(ours, theirs, "Mean IoU and number of parameters")


def _label(entry: Mapping[str, Any]) -> str:
    size = f"{entry['size']} px" if entry["size"] else "size not stated"
    encoder = "from scratch" if entry["encoder"] == "scratch" else f"encoder from {entry['encoder']}"
    return f"{entry['name']}, {size}, {encoder}"
