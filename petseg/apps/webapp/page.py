"""The page in Gradio: its controls, its gallery, and which handler answers which event."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, Final

import gradio as gr

from petseg.apps.render import BACKGROUNDS, RenderSettings
from petseg.apps.samples import sample_photos
from petseg.apps.webapp import html
from petseg.apps.webapp.handlers import Handlers
from petseg.apps.webapp.session import ChosenPhoto, Session
from petseg.labels import CLASSES

KEEP_SECONDS: Final = 3600  # photos and results of a visitor

INTRODUCTION: Final = """# Cut pets out of photos
The petseg course's U-Net finds the cat or dog in a photo. Photos are deleted after an hour or so."""

#: Screen readers read out what changes in an element with this.
LIVE: Final = "element.setAttribute('role', 'status'); element.setAttribute('aria-live', 'polite')"

#: Saves the file that the server wrote for a button.
SAVE: Final = """(file) => {
  const link = document.createElement("a");
  link.href = file.url;
  link.download = file.orig_name;
  document.body.appendChild(link);
  link.click();
  link.remove();
}"""

#: The page's events are no endpoints for programs.
PRIVATE: Final[dict[str, Any]] = {"api_visibility": "private"}
AT_ONCE: Final[dict[str, Any]] = {**PRIVATE, "queue": False, "show_progress": "hidden"}

#: Handlers get values as the browser sends them. Gradio's own checks would refuse files by their suffix, with a
#: message of its own, and the choice of a visitor who was away for long.
RAW: Final[dict[str, Any]] = {"preprocess": False}

SEGMENTING: Final[dict[str, Any]] = {**RAW, "concurrency_id": "segment", "concurrency_limit": 2}
DRAWING: Final[dict[str, Any]] = {
    **PRIVATE,
    **RAW,
    "show_progress": "hidden",
    "trigger_mode": "always_last",
    "concurrency_id": "draw",
    "concurrency_limit": 4,
}


def build(session: Session, folder: Path) -> gr.Blocks:
    """The page, not yet served.

    Args:
        session: the models.
        folder: for files to download.
    """
    handlers = Handlers(session, folder)
    settings: dict[str, Any] = {"title": "petseg", "analytics_enabled": False}
    with gr.Blocks(**settings, delete_cache=(KEEP_SECONDS // 6, KEEP_SECONDS), fill_width=True) as blocks:
        gr.Markdown(INTRODUCTION)
        with gr.Row():
            with gr.Column(scale=2, min_width=320):
                controls = Controls(session)
            with gr.Column(scale=5, min_width=320):
                gallery = Gallery(handlers)
        controls.connect(gallery)
        _add_endpoint(handlers)
    return blocks


class Gallery:
    """Where results are shown, adjusted and downloaded.

    Args:
        handlers: of its events.
    """

    def __init__(self, handlers: Handlers) -> None:
        self.handlers = handlers
        self.segmented = gr.State((), time_to_live=KEEP_SECONDS)  # a tuple of SegmentedPhoto
        with gr.Column(visible=False) as self.results:
            self.choice = gr.Radio([], label="Photo", visible=False)
            with gr.Row(elem_id="pictures"):
                self.pictures = [gr.HTML() for _ in range(5)]
            self.pictures.append(gr.HTML(elem_id="legend"))
            self._add_settings()
            self._add_downloads()
        self.outputs = [self.segmented, self.choice, self.results, *self.pictures]
        self._redraw_on_change()

    def _add_settings(self) -> None:
        with gr.Row():
            with gr.Column(min_width=260):
                opacity = gr.Slider(0, 1, RenderSettings.opacity, step=0.05, label="Opacity of the overlay")
                painted = list(RenderSettings.classes)
                classes = gr.CheckboxGroup(list(CLASSES), value=painted, label="Classes of the overlay")
            with gr.Column(min_width=260):
                first = RenderSettings.background
                background = gr.Radio(list(BACKGROUNDS), value=first, label="Background of the cut-out")
                color = gr.ColorPicker(RenderSettings.color, label="Colour of the background", visible=False)
        background.change(lambda kind: gr.update(visible=kind == "colour"), background, color, **AT_ONCE)
        self.settings: list[Any] = [opacity, classes, background, color]
        self.inputs = [self.segmented, self.choice, *self.settings]

    def _add_downloads(self) -> None:
        gr.Markdown("Download at the photo's own size:")
        file = gr.File(visible=False)
        with gr.Row():
            for kind, title in html.FILES.items():
                button = gr.Button(f"{title} (PNG)", min_width=120)
                write = partial(self.handlers.download, kind)
                written = button.click(write, self.inputs, file, show_progress_on=button, **PRIVATE, **SEGMENTING)
                written.success(None, file, None, js=SAVE)

    def _redraw_on_change(self) -> None:
        opacity, classes, background, color = self.settings
        overlay, cutout = (partial(self.handlers.redraw, draw) for draw in (html.overlay, html.cutout))
        for control in (opacity, classes):
            control.input(overlay, self.inputs, self.pictures[1], **DRAWING)
        for control in (background, color):
            control.input(cutout, self.inputs, self.pictures[3], **DRAWING)
        self.choice.input(self.handlers.show, self.inputs, self.pictures, **DRAWING)


class Controls:
    """Where photos, samples and the model are chosen.

    Args:
        session: whose models are offered.
    """

    def __init__(self, session: Session) -> None:
        self.files = gr.File(label="Photos", file_count="multiple", file_types=["image"], height=200)
        self.status = gr.HTML(elem_id="status", js_on_load=LIVE, min_height=40)
        gr.Markdown("or try a sample:")
        with gr.Row():
            names = sample_photos()
            self.samples = [gr.Button(name, size="sm", min_width=90, elem_classes="sample") for name in names]
        self.model = gr.Dropdown(session.choices, value=session.first, label="Model", filterable=False, elem_id="model")

    def connect(self, gallery: Gallery) -> None:
        """Shows in a gallery what is chosen here."""
        handlers, settings = gallery.handlers, [self.model, *gallery.settings]
        outputs = [self.status, *gallery.outputs]
        segmenting: dict[str, Any] = {"outputs": outputs, "show_progress_on": self.status, **PRIVATE, **SEGMENTING}
        for event in (self.files.upload, self.files.delete):
            event(handlers.upload, [self.files, *settings], **segmenting)
        self.files.clear(handlers.clear, None, outputs, **AT_ONCE)
        for button in self.samples:
            button.click(partial(handlers.choose, [ChosenPhoto(button.value)]), settings, **segmenting)
            button.click(lambda: None, None, self.files, **AT_ONCE)
        self.model.input(handlers.choose_again, [gallery.segmented, *settings], **segmenting)


def _add_endpoint(handlers: Handlers) -> None:
    """The one endpoint for programs, `/segment`: a photo in; a file and each class's fraction of the pixels out."""
    photo = gr.File(label="photo", visible=False)
    kind = gr.Radio(list(html.FILES), value="cutout", label="kind", visible=False)
    model = gr.Dropdown(handlers.session.choices, value=handlers.session.first, label="model", visible=False)
    outputs = [gr.File(label="file", visible=False), gr.JSON(label="fractions", visible=False)]
    gr.Button(visible=False).click(handlers.segment, [photo, kind, model], outputs, api_name="segment", **SEGMENTING)
