"""The page in Gradio: what stands where, and which answer of `Host` belongs to which field."""

from __future__ import annotations

from functools import partial
from pathlib import Path, PurePath
from typing import Any, Final

import gradio as gr

from petseg.apps import render as presentation
from petseg.apps.render import Look
from petseg.apps.webapp import html as looks
from petseg.apps.webapp.handlers import Host
from petseg.apps.webapp.session import Chosen, Desk
from petseg.labels import CLASSES

KEPT: Final = 3600  # seconds

INTRODUCTION: Final = """# Cut pets out of photos
The petseg course's U-Net finds the cat or dog in a photo. Photos are deleted after an hour or so."""

#: Screen readers say what changes in an element with this.
LIVE: Final = "element.setAttribute('role', 'status'); element.setAttribute('aria-live', 'polite')"

#: Saves the file that a button has had made.
SAVE: Final = """(file) => {
  const link = document.createElement("a");
  link.href = file.url;
  link.download = file.orig_name;
  document.body.appendChild(link);
  link.click();
  link.remove();
}"""

#: Events of the page are no endpoints for programs.
PRIVATE: Final[dict[str, Any]] = {"api_visibility": "private"}
AT_ONCE: Final[dict[str, Any]] = {**PRIVATE, "queue": False, "show_progress": "hidden"}
RAW: Final[dict[str, Any]] = {"preprocess": False}  # Gradio would refuse the choice of a visitor who was away for long
IN_TURN: Final[dict[str, Any]] = {"concurrency_id": "segment", "concurrency_limit": 2}
LIVELY: Final[dict[str, Any]] = {
    **PRIVATE,
    **RAW,
    "show_progress": "hidden",
    "trigger_mode": "always_last",
    "concurrency_id": "draw",
    "concurrency_limit": 4,
}


def upload_field(**settings: Any) -> gr.File:
    """Gradio's file field, but files arrive as `Chosen`, and only files: an address is not fetched.

    Two methods are replaced on the object, since Gradio writes a stub beside each module that derives a class.
    """
    field = gr.File(**settings)
    to_cache = field.async_move_resource_to_block_cache

    async def only_files(path: str | Path | None) -> str | None:
        if str(path).lower().startswith(("http:", "https:")):
            raise gr.Error("An address came; expected a photo. Download it and upload the file.", print_exception=False)
        return await to_cache(path)

    vars(field).update(preprocess=_chosen, async_move_resource_to_block_cache=only_files)
    return field


def _chosen(payload: Any) -> list[Chosen]:
    """The uploaded files, untouched; Gradio's own method leaves an empty temporary file for each."""
    files = [] if payload is None else [payload] if hasattr(payload, "path") else list(payload)
    return [Chosen(PurePath(file.orig_name or file.path).name, Path(file.path)) for file in files]


def build(desk: Desk, folder: Path) -> gr.Blocks:
    """The page, not yet served.

    Args:
        desk: where photos are segmented.
        folder: Gradio's for temporary files.
    """
    host = Host(desk, folder)
    settings: dict[str, Any] = {"title": "petseg", "analytics_enabled": False, "delete_cache": (KEPT // 6, KEPT)}
    with gr.Blocks(**settings, fill_width=True) as blocks:
        gr.Markdown(INTRODUCTION)
        with gr.Row():
            with gr.Column(scale=2, min_width=320):
                entrance = Entrance(desk)
            with gr.Column(scale=5, min_width=320):
                exhibition = Exhibition(host)
        entrance.lead_to(exhibition)
        _offer_endpoint(host)
    return blocks


class Exhibition:
    """Where photos are shown and downloaded.

    Args:
        host: who answers.
    """

    def __init__(self, host: Host) -> None:
        self.host = host
        self.kept = gr.State((), time_to_live=KEPT)  # a tuple of Shown
        with gr.Column(visible=False) as self.room:
            self.choice = gr.Radio([], label="Photo", visible=False)
            with gr.Row(elem_id="pictures"):
                self.pictures = [gr.HTML() for _ in range(5)]
            self.pictures.append(gr.HTML(elem_id="legend"))
            self._add_settings()
            self._add_downloads()
        self.all = [self.kept, self.choice, self.room, *self.pictures]
        self._redraw_when_touched()

    def _add_settings(self) -> None:
        with gr.Row():
            with gr.Column(min_width=260):
                opacity = gr.Slider(0, 1, Look.opacity, step=0.05, label="Opacity of the overlay")
                classes = gr.CheckboxGroup(list(CLASSES), value=list(Look.classes), label="Classes of the overlay")
            with gr.Column(min_width=260):
                grounds = list(presentation.BACKGROUNDS)
                background = gr.Radio(grounds, value=Look.background, label="Background of the cut-out")
                color = gr.ColorPicker(Look.color, label="Colour of the background", visible=False)
        background.change(lambda kind: gr.update(visible=kind == "colour"), background, color, **AT_ONCE)
        self.settings: list[Any] = [opacity, classes, background, color]
        self.seen = [self.kept, self.choice, *self.settings]

    def _add_downloads(self) -> None:
        gr.Markdown("Download at the photo's own size:")
        made = gr.File(visible=False)
        with gr.Row():
            for kind, title in looks.FILES.items():
                make = partial(self.host.download, kind)
                button = gr.Button(f"{title} (PNG)", min_width=120)
                made_it = button.click(make, self.seen, made, show_progress_on=button, **PRIVATE, **RAW, **IN_TURN)
                made_it.success(None, made, None, js=SAVE)

    def _redraw_when_touched(self) -> None:
        opacity, classes, background, color = self.settings
        overlay, cutout = (partial(self.host.redraw, draw) for draw in (looks.overlay, looks.cutout))
        for control in (opacity, classes):
            control.input(overlay, self.seen, self.pictures[1], **LIVELY)
        for control in (background, color):
            control.input(cutout, self.seen, self.pictures[3], **LIVELY)
        self.choice.input(self.host.move, self.seen, self.pictures, **LIVELY)


class Entrance:
    """Where photos, samples and the model are chosen.

    Args:
        desk: whose models are offered.
    """

    def __init__(self, desk: Desk) -> None:
        self.files = upload_field(label="Photos", file_count="multiple", file_types=["image"], height=200)
        self.status = gr.HTML(elem_id="status", js_on_load=LIVE, min_height=40)
        gr.Markdown("or try a sample:")
        with gr.Row():
            names = presentation.samples()
            self.samples = [gr.Button(name, size="sm", min_width=90, elem_classes="sample") for name in names]
        self.model = gr.Dropdown(desk.choices, value=desk.first, label="Model", filterable=False, elem_id="model")

    def lead_to(self, show: Exhibition) -> None:
        """Whatever is chosen here is shown there."""
        settings = [self.model, *show.settings]
        outputs = [self.status, *show.all]
        segmenting: dict[str, Any] = {"outputs": outputs, "show_progress_on": self.status, **PRIVATE, **IN_TURN}
        for event in (self.files.upload, self.files.delete):
            event(show.host.choose, [self.files, *settings], **segmenting)
        self.files.clear(show.host.clear, None, outputs, **AT_ONCE)
        for button in self.samples:
            button.click(partial(show.host.choose, [Chosen(button.value)]), settings, **segmenting)
            button.click(lambda: None, None, self.files, **AT_ONCE)
        self.model.input(show.host.choose_again, [show.kept, *settings], **segmenting)


def _offer_endpoint(host: Host) -> None:
    """The one endpoint for programs, `/segment`: a photo in; a file and the classes' shares out."""
    photo = upload_field(label="photo", visible=False)
    kind = gr.Radio(list(looks.FILES), value="cutout", label="kind", visible=False)
    model = gr.Dropdown(host.desk.choices, value=host.desk.first, label="model", visible=False)
    outputs = [gr.File(label="file", visible=False), gr.JSON(label="shares", visible=False)]
    gr.Button(visible=False).click(host.answer, [photo, kind, model], outputs, api_name="segment", **IN_TURN)
