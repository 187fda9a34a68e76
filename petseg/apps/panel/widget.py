"""The panel's one widget: its state, which JavaScript shows and changes, and the messages between both.

What a notebook saves of a widget is its state. Photos, pictures and files are none: they travel as messages.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import anywidget
import traitlets as t

from petseg.apps.cutouts import BACKGROUNDS, FEATHER, GROW
from petseg.apps.display import CSS, comparison
from petseg.apps.panel.uploads import MAX_BYTES
from petseg.labels import CLASSES

HERE: Final = Path(__file__).parent

#: The JavaScript, one module in several files.
SCRIPTS: Final = ("elements.js", "files.js", "inputs.js", "options.js", "results.js", "panel.js")


@dataclass(frozen=True)
class Picture:
    """A picture to show: a new one replaces that of the same `key`; `kind` is its MIME type, `alt` describes it."""

    key: str
    alt: str
    kind: str
    data: bytes


class PanelWidget(anywidget.AnyWidget):
    """Everything that is seen of the panel.

    Args:
        on_message: called with the content and the buffers of each message from a browser.
        settings: values of traits.
    """

    _esm = "\n".join((HERE / name).read_text(encoding="utf-8") for name in SCRIPTS)
    _css = CSS + (HERE / "panel.css").read_text(encoding="utf-8")

    # fixed
    comparison = t.Unicode(comparison(("", ""), ("", ""), (3, 2))).tag(sync=True)
    grow_limits = t.List(list(GROW)).tag(sync=True)
    feather_limits = t.List(list(FEATHER)).tag(sync=True)
    class_names = t.List(list(CLASSES)).tag(sync=True)
    max_bytes = t.Int(MAX_BYTES).tag(sync=True)
    samples = t.List(t.Unicode()).tag(sync=True)  # names; with a thumbnail each
    breeds = t.List(t.Unicode()).tag(sync=True)  # names of further samples
    models = t.List(t.List(t.Unicode())).tag(sync=True)  # a line that describes it and the name of each
    # what is shown
    photos = t.List(t.List()).tag(sync=True)  # number and name of each open photo
    messages = t.List(t.Unicode()).tag(sync=True)
    notice = t.Unicode().tag(sync=True)  # about the photo that is shown: "No pet found ..."
    caption = t.Unicode().tag(sync=True)
    legend = t.Unicode().tag(sync=True)  # HTML
    busy = t.Unicode().tag(sync=True)  # what is being done; empty where nothing is
    step = t.List(t.Int(), [0, 1]).tag(sync=True)  # photos done and photos in all
    # what the user chooses
    model = t.Unicode().tag(sync=True)
    photo = t.Int(0).tag(sync=True)  # the number of the one that is shown
    background = t.Enum(tuple(BACKGROUNDS), "transparent").tag(sync=True)
    color = t.Unicode("#3584e4").tag(sync=True)
    image_name = t.Unicode().tag(sync=True)  # of the user's own background
    crop = t.Bool(False).tag(sync=True)
    format = t.Enum(("png", "webp", "jpg"), "png").tag(sync=True)
    grow = t.Float(0).tag(sync=True)
    feather = t.Float(0).tag(sync=True)
    details = t.Bool(False).tag(sync=True)  # whether overlay, class map and confidence are unfolded
    opacity = t.Float(0.5).tag(sync=True)
    classes = t.List(t.Unicode(), ["pet", "boundary"]).tag(sync=True)

    def __init__(self, on_message: Callable[[Mapping[str, Any], Sequence[Any]], None], **settings: Any) -> None:
        super().__init__(**settings)
        self.shown: dict[str, Picture] = {}
        self._size, self._line = (3, 2), 0.5
        self.on_msg(lambda _, content, buffers: on_message(content, buffers))

    def show(self, pictures: Sequence[Picture], size: tuple[int, int] | None = None, line: float | None = None) -> None:
        """Shows pictures.

        Args:
            pictures: which.
            size: width and height of the comparison, where it changes.
            line: where the line goes if the photo changes, 0 to 1 from the left.
        """
        self._size = size or self._size
        self._line = self._line if line is None else line  # 0 is a place too
        self.shown |= {picture.key: picture for picture in pictures}
        about = [{"key": p.key, "alt": p.alt, "kind": p.kind} for p in pictures]
        content = {"type": "show", "pictures": about, "size": self._size, "line": self._line}
        self.send(content, buffers=[p.data for p in pictures])

    def show_again(self) -> None:
        """Sends all pictures once more, for a view that has come later."""
        self.show(list(self.shown.values()))

    def forget(self, keys: set[str]) -> None:
        """Keeps no pictures of these keys."""
        self.shown = {key: picture for key, picture in self.shown.items() if key not in keys}

    def save(self, view: str, name: str, data: bytes) -> None:
        """Has the browser of a view save a file."""
        self.send({"type": "save", "name": name, "view": view}, buffers=[data])

    def add_message(self, sentence: str) -> None:
        """Adds a sentence about what went wrong, or is worth knowing about a photo."""
        self.messages = [*self.messages, sentence]

    @contextmanager
    def working(self, text: str, index: int = 1, of: int = 1) -> Iterator[None]:
        """Shows what is being done while a `with` block runs; the first of a batch clears the messages of the last.

        Args:
            text: what is being done.
            index: of the photo in its batch, from 1.
            of: size of the batch.
        """
        if index == 1:
            self.messages = []
        self.step, self.busy = [index - 1, of], text
        try:
            yield
        finally:
            self.busy = ""
