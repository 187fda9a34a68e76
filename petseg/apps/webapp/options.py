"""The fields of the page: what can be chosen of the cut-out, and the details that are folded away."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import gradio as gr

from petseg.apps.cutouts import FEATHER, GROW, CutoutSettings
from petseg.apps.webapp.events import AT_ONCE, DRAWING, KEEP_SECONDS, LIVE, PRIVATE, SEGMENTING
from petseg.apps.webapp.handlers import Handlers
from petseg.apps.webapp.session import Session
from petseg.apps.webapp.settings import BACKGROUND_CHOICES, FORMATS, agreed_background, agreed_format
from petseg.apps.webapp.uploads import background_field
from petseg.labels import CLASSES

#: Of the two sliders.
UNIT: Final = "‰ of the longest side"


class CutoutOptions:
    """Background, crop, edge and format.

    Attributes:
        fields: in the order of `settings.cutout_settings`.

    Args:
        handlers: of the background's upload.
    """

    def __init__(self, handlers: Handlers) -> None:
        first = CutoutSettings()
        self.background = gr.Radio(
            list(BACKGROUND_CHOICES), value="transparent", label="Background", elem_id="background"
        )
        self.color = gr.ColorPicker("#4a90d9", label="Colour", visible=False)
        self.upload = background_field()
        self.said = gr.HTML(elem_id="background-said", js_on_load=LIVE)
        self.own = gr.State(None, time_to_live=KEEP_SECONDS)  # a ChosenBackground
        self.crop = gr.Checkbox(first.crop, label="Crop to the pet")
        with gr.Accordion("Edge", open=False, elem_id="edge"):
            self.grow = gr.Slider(*GROW, value=first.grow, step=0.5, label="Grow or shrink", info=UNIT)
            self.feather = gr.Slider(*FEATHER, value=first.feather, step=0.5, label="Feather", info=UNIT)
        self.format = gr.Radio(list(FORMATS), value=first.format, label="File format", elem_id="format")
        self.fields: list[Any] = [
            self.background, self.color, self.own, self.crop, self.format, self.grow, self.feather
        ]  # fmt: skip
        self.chosen = self.upload.upload(handlers.background, self.upload, [self.said, self.own], **SEGMENTING)
        self._connect()

    def on_change(self, redraw: Callable[..., str], inputs: list[Any], output: gr.HTML) -> None:
        """Redraws the cut-out whenever what is seen of it changes."""
        for field in (self.color, self.crop, self.grow, self.feather):
            field.input(redraw, inputs, output, **DRAWING)
        self.background.change(redraw, inputs, output, **DRAWING)  # also when another format changes it
        self.chosen.then(redraw, inputs, output, **DRAWING)

    def _connect(self) -> None:
        pair = [self.background, self.format]
        self.background.input(agreed_format, pair, self.format, **AT_ONCE)
        self.format.input(agreed_background, pair, self.background, **AT_ONCE)

        def show(background: str) -> list[Any]:
            own = gr.update(visible=background == "image")
            return [gr.update(visible=background == "color"), own, own]

        self.background.change(show, self.background, [self.color, self.upload, self.said], **AT_ONCE)


class Details:
    """What the network sees, the choice of the model, and the other files to download.

    Attributes:
        overlay: the fields for opacity and classes.
        unfolded: holds whether they are seen.
        pictures: overlay, class map, confidence map and legend.
        downloads: a button for each other file, by kind.

    Args:
        session: whose models are offered.
    """

    def __init__(self, session: Session) -> None:
        self.unfolded = gr.Checkbox(False, visible=False)
        with gr.Accordion("Details: what the network sees", open=False, elem_id="details") as self.fold:
            with gr.Row(elem_id="pictures"):
                self.pictures = [gr.HTML() for _ in range(3)]
            self.pictures.append(gr.HTML(elem_id="legend"))
            with gr.Row():
                opacity = gr.Slider(0, 1, 0.5, step=0.05, label="Opacity of the overlay", min_width=240)
                painted = gr.CheckboxGroup(
                    list(CLASSES), value=["pet", "boundary"], label="Classes of the overlay", min_width=240
                )
                choices: dict[str, Any] = {"label": "Model", "filterable": False, "elem_id": "model"}
                self.model = gr.Dropdown(session.choices, value=session.first, min_width=240, **choices)
            self.overlay: list[Any] = [opacity, painted]
            with gr.Row():
                self.downloads = {
                    "overlay": gr.Button("Download overlay (PNG)", min_width=160, elem_id="download-overlay"),
                    "mask": gr.Button("Download class map (PNG)", min_width=160, elem_id="download-mask"),
                }

    def on_unfold(self, draw: Callable[..., list[str]], inputs: list[Any]) -> None:
        """Draws the pictures once they are seen."""
        self.fold.expand(draw, inputs, self.pictures, **DRAWING)
        for event, value in ((self.fold.expand, "true"), (self.fold.collapse, "false")):
            event(None, None, self.unfolded, js=f"() => {value}", **PRIVATE)
