"""The two widgets of the panel with JavaScript of their own: one uploads photos, the other shows pictures."""

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

    The bytes come in messages of 1 MiB: a notebook server drops messages above 10 MB silently, and messages are not
    part of the widget's state, so that no photo is saved with the notebook. Each message names the view that sends it:
    a notebook may show one panel twice, and two browser windows may upload at once.

    Args:
        on_photo: called with name, bytes, index in its batch (from 1) and size of the batch.
        on_problem: called with a sentence about a file that is not taken.
        max_bytes: of a file.
    """

    _esm = HERE / "dropzone.js"
    _css = HERE / "panel.css"
    busy = traitlets.Bool(False).tag(sync=True)
    max_bytes = traitlets.Int(64_000_000).tag(sync=True)

    def __init__(
        self,
        on_photo: Callable[[str, bytes, int, int], None],
        on_problem: Callable[[str], None],
        **settings: Any,
    ) -> None:
        super().__init__(**settings)
        self._on_photo = on_photo
        self._on_problem = on_problem
        self._parts: dict[str, list[bytes]] = {}  # by view: the parts of its unfinished upload
        self.on_msg(self._receive)

    def _receive(self, widget: Any, content: dict[str, Any], buffers: Sequence[Any]) -> None:
        kind, name = content.get("type"), str(content.get("name"))
        if kind == "too large":
            size, most = content["size"] / 1e6, self.max_bytes / 1e6
            self._on_problem(
                f"{name}: {size:.0f} MB; at most {most:.0f} MB are uploaded. Type its path into the box below."
            )
        elif kind == "unreadable":
            self._on_problem(f"{name}: the browser cannot read it. If it is a folder, open it and choose the photos.")
        elif kind == "part":
            self._receive_part(content, bytes(buffers[0]))

    def _receive_part(self, content: dict[str, Any], part: bytes) -> None:
        view = str(content["view"])
        if content["part"] == 0:
            self._parts[view] = []  # drops the rest of an upload that broke off
        self._parts.setdefault(view, []).append(part)
        if content["part"] == content["parts"] - 1:
            data = b"".join(self._parts.pop(view))
            self._on_photo(str(content["name"]), data, content["index"], content["of"])


@dataclass(frozen=True)
class Picture:
    """A picture to show: a new one replaces that of the same `key`; `kind` is its MIME type, `alt` describes it."""

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
        """Shows pictures, in the order in which their keys first came."""
        self.shown |= {picture.key: picture for picture in pictures}
        about = [{"key": p.key, "title": p.title, "alt": p.alt, "kind": p.kind} for p in pictures]
        self.send({"type": "show", "pictures": about}, buffers=[picture.data for picture in pictures])

    def save(self, name: str, data: bytes) -> None:
        """Has the browser save a PNG file."""
        self.send({"type": "save", "name": name, "view": self._view}, buffers=[data])

    def _receive(self, widget: Any, content: dict[str, Any], buffers: Sequence[Any]) -> None:
        if content.get("type") == "ready":
            self._view = str(content["view"])  # only the newest view saves a file, or there would be one per view
            if self.shown:
                self.show(list(self.shown.values()))
