"""The one endpoint for programs, `/segment`: a photo in; a file and each class's fraction of the pixels out."""

from __future__ import annotations

import gradio as gr

from petseg.apps.cutouts import FEATHER, GROW, CutoutSettings
from petseg.apps.webapp.downloads import Downloads
from petseg.apps.webapp.events import LIMITED
from petseg.apps.webapp.settings import FORMATS

KINDS = ("cutout", "mask", "overlay")


def add_endpoint(downloads: Downloads) -> None:
    """Adds the endpoint to the page; all but the photo may be left out. See `Downloads.segment`."""
    session, first = downloads.session, CutoutSettings()
    inputs = [
        gr.File(label="photo", visible=False),
        gr.Radio(list(KINDS), value="cutout", label="kind", visible=False),
        gr.Dropdown(session.choices, value=session.first, label="model", visible=False),
        gr.Textbox("transparent", label="background", visible=False),
        gr.File(label="background_image", visible=False),
        gr.Checkbox(first.crop, label="crop", visible=False),
        gr.Radio(list(FORMATS), value=first.format, label="format", visible=False),
        gr.Slider(*GROW, value=first.grow, label="grow", visible=False),
        gr.Slider(*FEATHER, value=first.feather, label="feather", visible=False),
    ]
    outputs = [gr.File(label="file", visible=False), gr.JSON(label="fractions", visible=False)]
    gr.Button(visible=False).click(downloads.segment, inputs, outputs, api_name="segment", **LIMITED)
