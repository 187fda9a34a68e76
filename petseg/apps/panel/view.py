"""The widgets of the panel and their arrangement; `panel.py` says what they do."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ipywidgets as widgets

from petseg.apps import captions
from petseg.apps.panel.browser import DropZone, Pictures
from petseg.apps.render import BACKGROUNDS, RenderSettings
from petseg.labels import CLASSES

CHOOSE = "choose a sample"

#: Kinds of pictures that can be downloaded, as the buttons call them.
DOWNLOADS = ("overlay", "mask", "cut-out")

_WIDE: Any = {"width": "auto", "flex": "1 1 14em"}
_NARROW: Any = {"width": "auto"}
_ROW: Any = {"flex_flow": "row wrap", "width": "100%"}
_LABEL: Any = {"description_width": "5.5em"}


class PanelView:
    """Every widget of the panel; `box` holds them all and is what a cell shows.

    Args:
        samples: names of photos to try.
        model: what is chosen at first.
        on_photo: called for each uploaded photo, as `DropZone` calls it.
    """

    def __init__(self, samples: Iterable[str], model: str, on_photo: Callable[[str, bytes, int, int], None]) -> None:
        self.zone = DropZone(on_photo, self.add_message)
        self._add_inputs(samples, model)
        self._add_messages()
        self._add_settings()
        self.pictures = Pictures()
        self.downloads = {kind: widgets.Button(description=f"Download {kind}", layout=_NARROW) for kind in DOWNLOADS}
        self._arrange()

    def _add_inputs(self, samples: Iterable[str], model: str) -> None:
        self.path = widgets.Text(
            description="or open",
            placeholder="path or address of a photo",
            continuous_update=False,  # the text counts when Enter is pressed or the box is left
            style=_LABEL,
            layout=_WIDE,
        )
        self.open = widgets.Button(description="Open", layout={"width": "5em"})
        self.sample = widgets.Dropdown(options=[CHOOSE, *samples], description="or try", style=_LABEL, layout=_WIDE)
        choices = captions.model_choices()
        if model not in [name for _, name in choices]:
            choices = [(Path(model).stem, model), *choices]
        self.model = widgets.Dropdown(options=choices, value=model, description="model", style=_LABEL, layout=_WIDE)

    def _add_messages(self) -> None:
        self.progress = widgets.IntProgress(layout={"width": "100%", "display": "none"})
        self.status = widgets.HTML()
        self.messages = widgets.HTML()
        self.legend = widgets.HTML()

    def _add_settings(self) -> None:
        self.entry = widgets.Dropdown(description="photo", style=_LABEL, layout={**_WIDE, "display": "none"})
        self.opacity = widgets.FloatSlider(
            RenderSettings.opacity, min=0, max=1, step=0.05, description="opacity", style=_LABEL, layout=_WIDE
        )
        self.classes = {
            name: widgets.Checkbox(value=name in RenderSettings.classes, description=name, indent=False, layout=_NARROW)
            for name in CLASSES
        }
        self.background = widgets.Dropdown(options=BACKGROUNDS, description="behind", style=_LABEL, layout=_NARROW)
        self.color = widgets.ColorPicker(value=RenderSettings.color, description="colour", style=_LABEL, layout=_NARROW)

    def _arrange(self) -> None:
        def row(*parts: Any) -> widgets.HBox:
            return widgets.HBox(parts, layout=_ROW)

        results = [
            row(self.entry),
            self.legend,
            row(self.opacity, *self.classes.values()),
            self.pictures,
            row(self.background, self.color),
            row(*self.downloads.values()),
        ]
        self.results = widgets.VBox(results, layout={"display": "none"})
        inputs = [self.zone, row(self.path, self.open, self.sample), row(self.model)]
        news = [self.progress, self.status, self.messages]
        self.box = widgets.VBox([*inputs, *news, self.results], layout={"max_width": "1100px"})

    def settings(self) -> RenderSettings:
        """What the user has chosen of the pictures."""
        classes = [name for name, box in self.classes.items() if box.value]
        return RenderSettings(self.opacity.value, classes, self.background.value, self.color.value)

    def add_message(self, sentence: str) -> None:
        """Adds a sentence about what went wrong, or is worth knowing about a photo."""
        self.messages.value += _announced(sentence, "alert")

    @contextmanager
    def busy(self, text: str, index: int = 1, of: int = 1) -> Iterator[None]:
        """Shows what is being done while a `with` block runs; the first of a batch clears the messages of the last.

        Args:
            text: what is being done.
            index: of the photo in its batch, from 1.
            of: size of the batch.
        """
        if index == 1:
            self.messages.value = ""
        self.zone.busy = True
        self.status.value = _announced(text, "status")
        self.progress.max, self.progress.value = of, index - 1
        self.progress.layout.display = ""
        try:
            yield
        finally:
            self.status.value = ""
            self.progress.layout.display = "none"
            self.zone.busy = False


def _announced(sentence: str, role: str) -> str:
    """HTML that a screen reader reads out when it appears."""
    return f'<div role="{role}">{captions.as_html(sentence)}</div>'
