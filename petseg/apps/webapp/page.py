"""The page in Gradio: its components, and which handler answers which event."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import gradio as gr

from petseg.apps.cutouts import BACKGROUNDS, EDGES
from petseg.apps.display import COLOR, source
from petseg.apps.webapp.handlers import Handlers
from petseg.apps.webapp.session import ChosenPhoto, Session
from petseg.labels import CLASSES

KEEP_SECONDS: Final = 3600  # results of a visitor

TITLE: Final = "Cut your pet out of its photo"
HEADER: Final = f"""# {TITLE}
Cats and dogs, with fur and whiskers. Choose a photo, look at the edge, download the cut-out."""
FOOTER: Final = """Photos stay on the machine that runs this page and are deleted after an hour or so.
It shows what the *petseg* course teaches."""
FORMATS: Final = [("PNG", "png"), ("WebP", "webp"), ("JPEG", "jpg")]
TOOLS: Final = [("Keep", "keep"), ("Remove", "remove")]

GALLERY: Final[dict[str, Any]] = {"show_label": False, "interactive": False, "height": "fit-content", "buttons": []}

#: Handlers get values as the browser sends them: Gradio's own checks would refuse, in words of their own, the choice of
#: a visitor who was away for long. An event waits for those before it with the same `concurrency_id`: they overwrite
#: nothing of each other.
PRIVATE: Final[dict[str, Any]] = {"preprocess": False, "api_visibility": "private", "show_progress": "hidden"}
EVENT: Final = PRIVATE | {"concurrency_id": "change", "concurrency_limit": 1, "trigger_mode": "multiple"}
SEGMENT: Final = EVENT | {"concurrency_id": "segment"}
OWN: Final = EVENT | {"concurrency_id": "own"}
SAVE: Final = EVENT | {"concurrency_id": "save", "concurrency_limit": 2, "trigger_mode": "once"}
DRAW: Final = EVENT | {"concurrency_id": "draw", "concurrency_limit": 2, "trigger_mode": "always_last"}
IN_BROWSER: Final[dict[str, Any]] = {"fn": None, "api_visibility": "private"}

#: Screen readers read out what changes in it: sentences of ours, without the numbers that Gradio puts beside them.
LIVE: Final = '<div role="status" aria-live="polite">${value}</div>'

#: A JPEG cannot be transparent: another background changes the format, another format changes the background.
NO_TRANSPARENT_JPEG: Final = (
    "(background, format) => background === 'transparent' && format === 'jpg' ? 'png' : format",
    "(background, format) => background === 'transparent' && format === 'jpg' ? 'white' : background",
)

#: The status while the server writes a file.
PREPARING: Final = "() => `<p><progress aria-hidden='true'></progress>Preparing the download …</p>`"


class Page:
    """The page, as `blocks`; `folder` is for all files of visitors."""

    def __init__(self, session: Session, folder: Path, samples: Sequence[ChosenPhoto]) -> None:
        self.handlers = Handlers(session, folder)
        with gr.Blocks(title=TITLE, analytics_enabled=False, fill_width=True) as self.blocks:
            gr.Markdown(HEADER)
            self.visit = gr.State(None, time_to_live=KEEP_SECONDS)
            self._start(samples)
            with gr.Column(visible=False) as self.results:
                self._results()
                self._details(session)
            gr.Markdown(FOOTER)
            self._connect()
            self._endpoint()
            self.blocks.load(js=source("webapp/whole_page.js"), **IN_BROWSER)

    def _start(self, samples: Sequence[ChosenPhoto]) -> None:
        """Where photos and samples are chosen."""
        with gr.Row():
            with gr.Column(scale=4, min_width=300):
                self.photos = gr.File(label="Photos", file_count="multiple", height=260, elem_id="photos")
                camera = gr.Button("Take a photo", elem_id="camera")  # on a phone
                camera.click(js="() => petsegCamera()", **IN_BROWSER)
            with gr.Column(scale=1, min_width=300):
                gr.Markdown("Or try:", elem_classes="try")
                with gr.Row():
                    self.samples = [
                        (gr.Button(file.name, icon=file.path, size="md", min_width=80, elem_classes="sample"), file)
                        for file in samples
                    ]
        self.status = gr.HTML("", html_template=LIVE, js_on_load=None, elem_id="status")

    def _results(self) -> None:
        """The comparison, the options of the cut-out and its downloads."""
        self.choice = gr.Gallery(visible=False, allow_preview=False, elem_id="choice", **GALLERY)
        with gr.Row(elem_id="hero"):
            with gr.Column(scale=5, min_width=300):
                self.compared = gr.HTML(
                    js_on_load=source("front/elements.js", "front/brush.js", "webapp/comparison.js"),
                    elem_id="comparison",
                )
                self.anyway = gr.Button("Show it anyway", elem_id="anyway")
            with gr.Column(scale=2, min_width=280, elem_id="options"):
                with gr.Column(elem_id="downloads"):
                    self.download = gr.Button("Download", variant="primary", size="lg")
                    with gr.Row():
                        self.copy, self.share, self.actual = (
                            gr.Button(words, size="sm", min_width=60, elem_id=words.lower())
                            for words in ("Copy", "Share", "1:1")
                        )
                self.download_all = gr.Button("Download all (ZIP)", visible=False)
                self._correction()
                with gr.Column(elem_id="choices"):
                    self._options()

    def _options(self) -> None:
        backgrounds = [(words, value) for value, words in BACKGROUNDS.items()]
        self.background = gr.Radio(backgrounds, value="transparent", label="Background")
        self.color = gr.HTML(
            COLOR,
            label="Colour of the background",
            html_template=source("webapp/colors.html"),
            js_on_load=source("webapp/colors.js"),
            visible=False,
        )
        self.image = gr.File(label="Own picture", height=120, visible=False, elem_id="own-picture")
        # the last of these files that could be read, for longer than the file: so its absence is said
        self.own = gr.State(None, time_to_live=2 * KEEP_SECONDS)
        edges = [(name.capitalize(), name) for name in EDGES]
        self.edge = gr.Radio(edges, value="as found", label="Edge")
        with gr.Row():
            self.crop = gr.Checkbox(False, label="Crop to the pet", min_width=120)
            self.shadow = gr.Checkbox(False, label="Soft shadow", min_width=120)
        self.format = gr.Radio(FORMATS, value="png", label="File format")

    def _correction(self) -> None:
        """The brush, which paints on the comparison, and the choice among several pets."""
        with gr.Accordion("Correct", open=False, elem_id="correction") as self.correct:
            self.tool = gr.Radio(TOOLS, value="keep", label="Paint over what to", elem_id="tool")
            self.brush = gr.Slider(0.05, 1, 0.3, step=0.05, label="Brush size", elem_id="brush-size", buttons=[])
            self.pets = gr.CheckboxGroup([], label="Pets, from left to right", visible=False)
            self.undo = gr.Button("Undo")
        outputs = [self.pets, self.download_all]
        gr.on([self.correct.expand, self.visit.change], self.handlers.pets, self.visit, outputs, **DRAW)
        self.correcting = unfolded(self.correct)

    def _details(self, session: Session) -> None:
        """What the network sees, the choice of the model, and the other downloads."""
        with gr.Accordion("Details: overlay, class map, confidence", open=False) as fold:
            self.pictures = gr.Gallery(columns=3, object_fit="contain", elem_id="pictures", **GALLERY)
            self.legend = gr.HTML(elem_id="legend")
            with gr.Row():
                self.opacity = gr.Slider(0, 1, 0.5, step=0.05, label="Opacity of the overlay")
                self.classes = gr.CheckboxGroup(
                    list(CLASSES), value=["pet", "boundary"], label="Classes of the overlay"
                )
                self.model = gr.Dropdown(session.choices, value=session.first, label="Model", filterable=False)
            with gr.Row():
                self.download_overlay = gr.Button("Download overlay")
                self.download_mask = gr.Button("Download class map")
        self.unfolded = unfolded(fold)

    def _connect(self) -> None:
        """Connects events to handlers."""
        handlers = self.handlers
        segmented = [self.status, self.photos, self.visit, self.results, self.choice]
        self.photos.upload(handlers.upload, [self.photos, self.model], segmented, **SEGMENT)
        fresh = gr.State(None, time_to_live=KEEP_SECONDS)
        latest = SEGMENT | {"trigger_mode": "always_last"}
        done = self.model.input(handlers.again, [self.visit, self.model], [self.status, fresh], **latest)
        done.success(handlers.take_over, [self.visit, fresh], [self.visit, self.choice, fresh], **EVENT)
        for button, file in self.samples:
            button.click(partial(handlers.segment, [file]), self.model, segmented, **SEGMENT)
        self.choice.select(handlers.show, self.visit, self.visit, **EVENT)
        self.anyway.click(handlers.anyway, self.visit, [self.status, self.visit], **EVENT)
        self._connect_cutout()
        self._connect_correction()
        self._connect_details()

    def _connect_cutout(self) -> None:
        handlers = self.handlers
        fields = [self.background, self.color, self.own, self.crop, self.format, self.edge, self.shadow]
        changes = [self.visit.change, self.background.change, self.own.change, self.correcting.change]
        changes += [field.input for field in (self.color, self.crop, self.edge, self.shadow)]
        gr.on(changes, handlers.compare, [self.visit, self.correcting, *fields], self.compared, **DRAW)
        self.image.upload(handlers.own_picture, [self.image, self.own], [self.image, self.own], **OWN)
        self.image.clear(lambda: None, None, self.own, **OWN)
        pair = [self.background, self.format]
        self.background.input(inputs=pair, outputs=self.format, js=NO_TRANSPARENT_JPEG[0], **IN_BROWSER)
        self.format.input(inputs=pair, outputs=self.background, js=NO_TRANSPARENT_JPEG[1], **IN_BROWSER)
        self.background.change(
            lambda background: [gr.update(visible=background == "color"), gr.update(visible=background == "image")],
            self.background,
            [self.color, self.image],
            **DRAW,
            queue=False,
        )
        self._saves(self.download, partial(handlers.download, kind="cutout"), [self.visit, *fields])
        for button, script in ((self.share, "webapp/share.js"), (self.actual, "webapp/actual.js")):
            self._saves(button, partial(handlers.download, kind="cutout"), [self.visit, *fields], script=script)
        self._saves(self.copy, partial(handlers.download, kind="copy"), [self.visit, *fields], script="webapp/copy.js")
        self._saves(self.download_all, handlers.archive, [self.visit, *fields], self.status)

    def _connect_correction(self) -> None:
        handlers = self.handlers
        self.correct.expand(js="() => petsegBrush.set('correcting', true)", **IN_BROWSER)
        self.correct.collapse(js="() => petsegBrush.set('correcting', false)", **IN_BROWSER)
        self.tool.input(inputs=self.tool, js="(tool) => petsegBrush.set('tool', tool)", **IN_BROWSER)
        self.brush.input(inputs=self.brush, js="(size) => petsegBrush.set('brush', size)", **IN_BROWSER)
        self.compared.submit(handlers.stroke, self.visit, self.visit, **EVENT)
        self.compared.submit(js="() => ''", outputs=self.status, **IN_BROWSER)  # it may have said that there is no pet
        self.pets.input(handlers.choose_pets, [self.visit, self.pets], self.visit, **EVENT)
        for event in (self.undo.click, self.compared.delete):
            event(handlers.undo, self.visit, self.visit, **EVENT)

    def _connect_details(self) -> None:
        handlers = self.handlers
        changes = [self.visit.change, self.unfolded.change, self.opacity.input, self.classes.input]
        overlay = [self.opacity, self.classes]
        gr.on(changes, handlers.details, [self.visit, self.unfolded, *overlay], [self.pictures, self.legend], **DRAW)
        for kind, button in (("overlay", self.download_overlay), ("mask", self.download_mask)):
            self._saves(button, partial(handlers.download, kind=kind), [self.visit, *overlay])

    def _endpoint(self) -> None:
        """The one endpoint for programs; all but the photo may be left out."""
        file, image = (gr.File(label=label, visible=False) for label in ("file", "background_image"))
        kind = gr.Radio(["cutout", "mask", "overlay"], value="cutout", label="kind", visible=False)
        background = gr.Textbox("transparent", label="background: transparent, blur or a colour", visible=False)
        anyway = gr.Checkbox(False, label="anyway", visible=False)
        inputs = [file, kind, self.model, background, image, self.crop, self.format, self.edge, self.shadow, anyway]
        outputs = [gr.File(label="file", visible=False), gr.JSON(label="fractions", visible=False)]
        gr.Button(visible=False).click(
            self.handlers.program, inputs, outputs, **SEGMENT | {"api_name": "segment", "api_visibility": "public"}
        )

    def _saves(
        self,
        button: gr.Button,
        write: Callable[..., Any],
        inputs: list[Any],
        *status: gr.HTML,
        script: str = "webapp/save.js",
    ) -> None:
        """Hands the file whose path a function returns to a script, which saves it; a second value is the status."""
        file = gr.File(visible=False)
        button.click(js=PREPARING, outputs=self.status, **IN_BROWSER)
        written = button.click(write, inputs, [file, *status], **SAVE)
        written.success(inputs=file, outputs=None if status else self.status, js=source(script), **IN_BROWSER)
        written.failure(outputs=self.status, js="() => ''", **IN_BROWSER)


def unfolded(accordion: gr.Accordion) -> gr.State:
    """Whether an accordion is unfolded, which is folded at first."""
    state = gr.State(False)
    accordion.expand(lambda: True, None, state, **EVENT)
    accordion.collapse(lambda: False, None, state, **EVENT)
    return state
