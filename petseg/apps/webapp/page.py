"""The page in Gradio: its fields, and which handler answers which event."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, Final

import gradio as gr

from petseg.apps.display import sample_photos
from petseg.apps.webapp import html
from petseg.apps.webapp.downloads import Downloads
from petseg.apps.webapp.endpoint import add_endpoint
from petseg.apps.webapp.events import DRAWING, KEEP_SECONDS, LIVE, SEGMENTING, add_download
from petseg.apps.webapp.handlers import Handlers
from petseg.apps.webapp.options import CutoutOptions, Details
from petseg.apps.webapp.session import ChosenPhoto, Session
from petseg.apps.webapp.uploads import photos_field

#: After new HTML the line goes back to where its slider stands; for another photo, to the middle of the pet.
LINE: Final = """const photo = () => element.querySelector('.petseg-before img')?.alt;
let shown = photo();
watch('value', () => {
  const slider = element.querySelector('.petseg-slider');
  if (slider && photo() !== shown) slider.value = slider.getAttribute('value');
  slider?.dispatchEvent(new Event('input'));
  shown = photo();
});"""


def build(session: Session, folder: Path) -> gr.Blocks:
    """The page, not yet served.

    Args:
        session: the models.
        folder: of uploads and of files to download.
    """
    handlers, downloads = Handlers(session, folder), Downloads(session, folder)
    settings: dict[str, Any] = {"title": "Cut your pet out of its photo", "analytics_enabled": False}
    with gr.Blocks(**settings, delete_cache=(KEEP_SECONDS // 6, KEEP_SECONDS), fill_width=True) as blocks:
        gr.HTML(html.HEADER)
        start = Start()
        results = Results(session, handlers, downloads, start.status)
        start.connect(results)
        gr.HTML(html.FOOTER)
        add_endpoint(downloads)
    return blocks


class Start:
    """Where photos and samples are chosen; small once there are results."""

    def __init__(self) -> None:
        with gr.Column(elem_id="start"):
            self.field = photos_field()
            self.status = gr.HTML(elem_id="status", js_on_load=LIVE)
            with gr.Row(elem_id="samples"):
                gr.HTML("<p>No photo at hand? Try one of these.</p>")
                self.samples = [
                    gr.Button(name, elem_id=f"sample-{index}", elem_classes="sample", min_width=96)
                    for index, name in enumerate(sample_photos())
                ]

    def connect(self, results: Results) -> None:
        """Shows in the results what is chosen here."""
        details = results.details
        settings = [details.model, details.unfolded, *details.overlay, *results.options.fields]
        outputs = [self.status, *results.outputs]
        segmenting: dict[str, Any] = {"outputs": outputs, "trigger_mode": "always_last", **SEGMENTING}
        self.field.upload(results.handlers.upload, [self.field, *settings], **segmenting)
        for button in self.samples:
            photo = ChosenPhoto(button.value)
            button.click(partial(results.handlers.choose, [photo]), settings, **segmenting)
        details.model.input(results.handlers.choose_again, [results.segmented, *settings], **segmenting)


class Results:
    """The comparison with its options and downloads, and the details below.

    Args:
        session: whose models are offered.
        handlers: of the events.
        downloads: of the files.
        status: HTML for what is worth saying.
    """

    def __init__(self, session: Session, handlers: Handlers, downloads: Downloads, status: gr.HTML) -> None:
        self.handlers = handlers
        self.segmented = gr.State((), time_to_live=KEEP_SECONDS)  # a tuple of SegmentedPhoto
        with gr.Column(visible=False, elem_id="results") as self.column:
            self.choice = gr.Radio([], label="Photo", visible=False, elem_id="choice")
            self.thumbnails = gr.HTML(elem_id="thumbnails")
            with gr.Row(elem_id="hero"):
                with gr.Column(scale=5, min_width=300):
                    self.comparison = gr.HTML(js_on_load=LINE, elem_id="comparison")
                with gr.Column(scale=2, min_width=280, elem_id="options"):
                    button = gr.Button("Download cut-out", variant="primary", size="lg", elem_id="download")
                    every = gr.Button("Download all as ZIP", visible=False, elem_id="download-all")
                    self.options = CutoutOptions(handlers)
            self.details = Details(session)
        self.every = every
        shown = [self.segmented, self.choice]
        self.pictures = [self.comparison, *self.details.pictures]
        self._connect(shown)
        add_download(button, downloads.cutout, [*shown, *self.options.fields])
        add_download(every, downloads.archive, [self.segmented, *self.options.fields], status)
        for kind, other in self.details.downloads.items():
            add_download(other, partial(downloads.detail, kind), [*shown, *self.details.overlay])

    @property
    def outputs(self) -> list[Any]:
        """What `Handlers.choose` gives after the status."""
        return [self.segmented, self.choice, self.thumbnails, self.column, self.every, *self.pictures]

    def _connect(self, shown: list[Any]) -> None:
        self.options.on_change(self.handlers.compare, [*shown, *self.options.fields], self.comparison)
        details = self.details
        inputs = [*shown, *details.overlay]
        for field in details.overlay:
            field.input(self.handlers.overlay, inputs, details.pictures[0], **DRAWING)
        details.on_unfold(self.handlers.details, inputs)
        inputs = [*shown, details.unfolded, *details.overlay, *self.options.fields]
        self.choice.input(self.handlers.show, inputs, self.pictures, **DRAWING)
