"""The panel's only widget: its state, which JavaScript shows and changes, and messages in both directions.

A notebook saves the state of a widget. Photos, pictures and files are not part of it: they travel as messages.
"""

import mimetypes
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import anywidget
import traitlets as t
from PIL import Image

from petseg.apps.cutouts import BACKGROUNDS, EDGES, photo_notes, sentence
from petseg.apps.display import COLOR, comparison, for_screen, source
from petseg.labels import CLASSES

#: The modules of the front, which the live page has too, and the panel's own; each imports only earlier ones.
FRONT: Final = ("elements", "inputs", "brush", "viewer", "options", "results", "front")
SCRIPTS: Final = (*(f"front/{name}.js" for name in FRONT), "panel/panel.js")

#: Bytes of the largest file that a browser may send, or that is fetched from an address.
MAX_BYTES: Final = 64_000_000

Message = Mapping[str, Any]  # a JSON object with a "type"


@dataclass(frozen=True)
class Picture:
    """A picture to show in place of the last one with the same `key`; `kind` is its MIME type, `alt` describes it."""

    key: str
    alt: str
    kind: str
    data: bytes


class PanelWidget(anywidget.AnyWidget):
    """Everything that is visible of the panel.

    `receive` is called with each message from a browser, and the bytes of the file that it sends, if any.
    """

    _esm = source(*SCRIPTS)
    _css = source("comparison.css", "front/front.css")

    # constant
    comparison = t.Unicode(comparison(("", ""), ("", ""), (3, 2))).tag(sync=True)
    backgrounds = t.List([[text, value] for value, text in BACKGROUNDS.items()]).tag(sync=True)
    edges = t.List([[name.capitalize(), name] for name in EDGES]).tag(sync=True)
    paths = t.Bool(True).tag(sync=True)  # whether photos can be opened by path or address
    class_names = t.List(list(CLASSES)).tag(sync=True)
    max_bytes = t.Int(MAX_BYTES).tag(sync=True)
    samples = t.List(t.Unicode()).tag(sync=True)  # names; each has a thumbnail
    breeds = t.List(t.Unicode()).tag(sync=True)  # names of further samples
    models = t.List(t.List(t.Unicode())).tag(sync=True)  # a line that describes the model, and its name
    # what is shown
    photos = t.List(t.List()).tag(sync=True)  # number and name of each open photo
    messages = t.List(t.Unicode()).tag(sync=True)
    notice = t.Unicode().tag(sync=True)  # about the photo that is shown: "No pet found ..."
    doubtful = t.Bool(False).tag(sync=True)  # whether it can be shown anyway
    edits = t.Int(0).tag(sync=True)  # corrections of the photo that is shown, which can be undone
    pets = t.List(t.Bool()).tag(sync=True)  # of several pets, from left to right: which are cut out
    caption = t.Unicode().tag(sync=True)
    legend = t.Unicode().tag(sync=True)  # HTML
    busy = t.Unicode().tag(sync=True)  # the current work; empty if there is none
    step = t.List(t.Int(), [0, 1]).tag(sync=True)  # photos done and photos in all
    # what the user chooses
    model = t.Unicode().tag(sync=True)
    photo = t.Int(0).tag(sync=True)  # the number of the one that is shown
    background = t.Enum(tuple(BACKGROUNDS), "transparent").tag(sync=True)
    color = t.Unicode(COLOR).tag(sync=True)
    image_name = t.Unicode().tag(sync=True)  # of the user's own background
    crop = t.Bool(False).tag(sync=True)
    format = t.Enum(("png", "webp", "jpg"), "png").tag(sync=True)
    edge = t.Enum(tuple(EDGES), "as found").tag(sync=True)
    shadow = t.Bool(False).tag(sync=True)
    sharp = t.Bool(False).tag(sync=True)  # whether the comparison is drawn at the photo's own size, for zoom
    correcting = t.Bool(False).tag(sync=True)  # whether the brush is out: the whole photo, no background
    details = t.Bool(False).tag(sync=True)  # whether overlay, class map and confidence are unfolded
    opacity = t.Float(0.5).tag(sync=True)
    classes = t.List(t.Unicode(), ["pet", "boundary"]).tag(sync=True)

    def __init__(self, receive: Callable[[Message, bytes], None], **settings: Any) -> None:
        super().__init__(**settings)
        self.shown: dict[str, Picture] = {}
        self._size, self._line = (3, 2), 0.5
        self._receive = receive
        self._parts: dict[str, list[bytes]] = {}  # by view: the parts of its unfinished upload
        self.on_msg(self._on_message)

    def _on_message(self, _: Any, content: Message, buffers: Sequence[Any]) -> None:
        """Passes a message on.

        Files come in parts of 256 KiB: notebook servers drop messages above 10 MB silently, Colab perhaps those above
        1 MB (jupyter-widgets/ipywidgets#3452). Each part names its view: two browser windows that show one panel may
        upload at once.
        """
        if content["type"] != "part":
            self._receive(content, b"")
            return
        view = str(content["view"])
        if content["part"] == 0:
            self._parts[view] = []  # drops the rest of an interrupted upload
        self._parts.setdefault(view, []).append(bytes(buffers[0]))
        if content["part"] == content["parts"] - 1:
            self._receive(content, b"".join(self._parts.pop(view)))

    def show(
        self, pictures: Mapping[str, tuple[Image.Image, str]], size: tuple[int, int] | None = None, line: float = 0.5
    ) -> None:
        """Shows new pictures, each with its alt text, by key; the others stay.

        With those of the comparison comes its `size`, and where its line starts, 0 to 1.
        """
        if size:
            self._size, self._line = size, line
        new = {key: Picture(key, alt, *for_screen(image)) for key, (image, alt) in pictures.items()}
        self.shown |= new
        self._send_pictures(list(new.values()))

    def show_again(self, thumbnails: Mapping[str, str]) -> None:
        """Sends all pictures once more, for a view that is opened later, and thumbnails of the samples: data URIs."""
        samples = [{"key": f"sample {name}", "alt": "", "address": uri} for name, uri in thumbnails.items()]
        self._send_pictures(list(self.shown.values()), samples)

    def _send_pictures(self, pictures: Sequence[Picture], samples: Sequence[Mapping[str, str]] = ()) -> None:
        about = [{"key": p.key, "alt": p.alt, "kind": p.kind} for p in pictures]
        content = {"type": "show", "pictures": [*about, *samples], "size": self._size, "line": self._line}
        self.send(content, buffers=[p.data for p in pictures])

    def save(self, view: str, picture: str, name: str, data: bytes) -> None:
        """Gives the browser of a view the file of a picture that it asked for."""
        kind = mimetypes.guess_type(name, strict=False)[0]  # WebP is no strict one before Python 3.13
        self.send({"type": "save", "name": name, "kind": kind, "view": view, "picture": picture}, buffers=[data])

    def add_message(self, sentence: str) -> None:
        """Adds a sentence about a problem, or about a photo, unless it is there already."""
        self.messages = list(dict.fromkeys([*self.messages, sentence]))

    @contextmanager
    def answering(self, name: str) -> Iterator[None]:
        """Errors and notes about a photo become messages, which stop neither the batch nor the panel."""
        with photo_notes() as take_notes:
            try:
                yield
            except Exception as error:
                self.add_message(sentence(error, name))
            for note in take_notes():
                self.add_message(note)

    @contextmanager
    def working(self, text: str, name: str, index: int = 1, of: int = 1) -> Iterator[None]:
        """Shows the current work, and is `answering`; the first photo of a batch clears the messages of the last."""
        if index == 1:
            self.messages = []
        self.step, self.busy = [index - 1, of], text
        try:
            with self.answering(name):
                yield
        finally:
            self.busy = ""
