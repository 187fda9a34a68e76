"""Files that arrive from a browser in parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

#: Bytes of the largest file that a browser may send.
MAX_BYTES = 64_000_000


@dataclass(frozen=True)
class Upload:
    """A file: its name, its bytes, and which of how many files it is of those that were chosen together."""

    name: str
    data: bytes
    index: int = 1
    of: int = 1


class Uploads:
    """Joins the parts of files, in messages of 1 MiB: a notebook server drops messages above 10 MB silently.

    Each message names the view that sends it: a notebook may show one panel twice, and two browser windows may upload
    at once.
    """

    def __init__(self) -> None:
        self._parts: dict[str, list[bytes]] = {}  # by view: the parts of its unfinished upload

    def receive(self, content: Mapping[str, Any], buffers: Sequence[Any]) -> Upload | None:
        """Takes one message; returns the file with its last part."""
        view = str(content["view"])
        if content["part"] == 0:
            self._parts[view] = []  # drops the rest of an upload that broke off
        self._parts.setdefault(view, []).append(bytes(buffers[0]))
        if content["part"] < content["parts"] - 1:
            return None
        return Upload(str(content["name"]), b"".join(self._parts.pop(view)), content["index"], content["of"])


def refusal(content: Mapping[str, Any]) -> str:
    """A sentence about a file that the browser has not sent."""
    name = content["name"]
    if content["type"] == "unreadable":
        return f"{name}: the browser cannot read it. If it is a folder, open it and choose the photos."
    size, most = content["size"] / 1e6, MAX_BYTES / 1e6
    return f"{name}: {size:.0f} MB; at most {most:.0f} MB are uploaded. Type its path into the field below."
