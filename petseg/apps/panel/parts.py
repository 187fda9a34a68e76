"""The two pieces of the panel that live in the browser: where photos come in, and where pictures are shown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anywidget
import traitlets

HERE = Path(__file__).parent


class DropZone(anywidget.AnyWidget):
    """Takes photos that are dropped or chosen, several at a time.

    The bytes come in messages of 1 MiB: a notebook server drops larger ones than 10 MB without a word, and what comes
    in messages is not part of the widget's state, so it is never saved with the notebook.

    Args:
        arrived: called with name, bytes, place in its batch (from 1) and size of the batch.
        refused: called with a sentence about a file that is not taken.
        max_bytes: of a file.
    """

    _esm = HERE / "dropzone.js"
    _css = HERE / "panel.css"
    busy = traitlets.Bool(False).tag(sync=True)
    max_bytes = traitlets.Int(64_000_000).tag(sync=True)

    def __init__(
        self,
        arrived: Callable[[str, bytes, int, int], None],
        refused: Callable[[str], None],
        **settings: Any,
    ) -> None:
        super().__init__(**settings)
        self._arrived = arrived
        self._refused = refused
        self._parts: list[bytes] = []
        self.on_msg(self._receive)

    def _receive(self, widget: Any, content: dict[str, Any], buffers: Sequence[Any]) -> None:
        kind, name = content.get("type"), str(content.get("name"))
        if kind == "too large":
            size, most = content["size"] / 1e6, self.max_bytes / 1e6
            self._refused(
                f"{name}: {size:.0f} MB; at most {most:.0f} MB are uploaded. Type its path into the box below."
            )
        elif kind == "unreadable":
            self._refused(f"{name}: the browser cannot read it. If it is a folder, open it and choose the photos.")
        elif kind == "part":
            if content["part"] == 0:
                self._parts = []  # what is left of an upload that was broken off
            self._parts.append(bytes(buffers[0]))
            if len(self._parts) == content["parts"]:
                data, self._parts = b"".join(self._parts), []
                self._arrived(name, data, content["place"], content["of"])


@dataclass(frozen=True)
class Picture:
    """A picture to show: `key` says which place it takes, `kind` is its MIME type, `alt` its words."""

    key: str
    title: str
    alt: str
    data: bytes
    kind: str = "image/jpeg"


class Pictures(anywidget.AnyWidget):
    """Shows pictures and saves files; neither becomes part of the widget's state."""

    _esm = HERE / "pictures.js"
    _css = HERE / "panel.css"

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.shown: dict[str, Picture] = {}
        self._view: str | None = None
        self.on_msg(self._receive)

    def show(self, pictures: Sequence[Picture]) -> None:
        """Puts pictures into their places, in the order in which their keys first came."""
        self.shown |= {picture.key: picture for picture in pictures}
        about = [{"key": p.key, "title": p.title, "alt": p.alt, "kind": p.kind} for p in pictures]
        self.send({"type": "show", "pictures": about}, buffers=[picture.data for picture in pictures])

    def save(self, name: str, data: bytes) -> None:
        """Has the browser save a PNG file."""
        self.send({"type": "save", "name": name, "view": self._view}, buffers=[data])

    def _receive(self, widget: Any, content: dict[str, Any], buffers: Sequence[Any]) -> None:
        if content.get("type") == "ready":
            self._view = str(content["view"])  # one view saves, or a file would come once for each
            if self.shown:
                self.show(list(self.shown.values()))
