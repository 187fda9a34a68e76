"""Sliders that redraw a figure; the figure stays in the notebook for readers without a kernel."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import ipywidgets as widgets
from IPython.display import display, update_display

from petseg.plots.style import DescribedFigure


def explore(draw: Callable[..., DescribedFigure], **choices: Sequence[Any]) -> None:
    """Shows a slider for each choice, and the figure that `draw` makes of their values.

    The figure is an ordinary output of the cell, which the sliders replace. Without a kernel, for instance on GitHub,
    the figure of the first values stays, under a line that names the sliders.

    Args:
        draw: takes a value for each choice by its name, and returns a figure.
        choices: the values to choose from, by the name of the argument of `draw`.

    Raises:
        ValueError: there is nothing to choose from.
    """
    if empty := [name for name, values in choices.items() if not len(values)] or (not choices and ["no slider"]):
        raise ValueError(f"explore: {', '.join(empty)} has nothing to choose from; give at least one value.")
    sliders = {name: _slider(name, values) for name, values in choices.items()}

    def chosen() -> tuple[dict[str, str], dict[str, Any]]:
        return draw(**{name: slider.value for name, slider in sliders.items()}).bundle()

    data, metadata = chosen()  # first, so that a `draw` that fails leaves no sliders without a figure
    _show(widgets.VBox(list(sliders.values())), choices)
    shown = display(data, metadata=metadata, raw=True, display_id=True)

    def redraw(change: Any) -> None:
        data, metadata = chosen()
        update_display(data, metadata=metadata, raw=True, display_id=shown.display_id)

    for slider in sliders.values():
        slider.observe(redraw, names="value")


def _slider(name: str, values: Sequence[Any]) -> widgets.SelectionSlider:
    return widgets.SelectionSlider(
        options=[(str(value), value) for value in values],
        description=name.replace("_", " "),
        continuous_update=False,
        style={"description_width": "8em"},
        layout={"width": "28em", "max_width": "100%"},
    )


def _show(box: widgets.VBox, choices: dict[str, Sequence[Any]]) -> None:
    """Displays the sliders; without a kernel, a line that names them and their values."""
    listed = "; ".join(f"{name.replace('_', ' ')}, {values[0]} to {values[-1]}" for name, values in choices.items())
    view = {"version_major": 2, "version_minor": 0, "model_id": box.model_id}
    text = f"Sliders, in a running notebook: {listed}."
    display({"application/vnd.jupyter.widget-view+json": view, "text/plain": text}, raw=True)
