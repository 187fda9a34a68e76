"""Sliders that redraw a figure, and leave it in the notebook for those who read without a kernel."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import ipywidgets as widgets
from IPython.display import display, update_display

from petseg.plots import DescribedFigure


def explore(draw: Callable[..., DescribedFigure], **choices: Sequence[Any]) -> None:
    """Shows the figure that `draw` makes of the first of all choices, and a slider for each choice to redraw it.

    The figure is an ordinary output of the cell, which the sliders replace. Without a kernel, on GitHub for instance,
    the figure of the first choices stays.

    Args:
        draw: takes a value for each choice by its name, and returns a figure.
        choices: the values to choose from, by the name that `draw` knows.
    """
    sliders = {
        name: widgets.SelectionSlider(
            options=[(str(value), value) for value in values],
            description=name.replace("_", " "),
            continuous_update=False,
            style={"description_width": "8em"},
            layout={"width": "28em", "max_width": "100%"},
        )
        for name, values in choices.items()
    }

    def chosen() -> tuple[dict[str, str], dict[str, Any]]:
        return draw(**{name: slider.value for name, slider in sliders.items()}).bundle()

    display(widgets.VBox(list(sliders.values())))
    data, metadata = chosen()
    shown = display(data, metadata=metadata, raw=True, display_id=True)

    def redraw(change: Any) -> None:
        data, metadata = chosen()
        update_display(data, metadata=metadata, raw=True, display_id=shown.display_id)

    for slider in sliders.values():
        slider.observe(redraw, names="value")
