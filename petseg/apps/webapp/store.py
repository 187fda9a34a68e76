"""The files of visitors, which the page shows or sends them, in one folder."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from PIL import Image

from petseg.apps import display
from petseg.apps.webapp.limits import NOT_STORED
from petseg.errors import PhotoError


class Store:
    """Writes files into a folder, from which Gradio deletes them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def picture(self, image: Image.Image) -> str:
        """Writes a picture for the screen; returns its path."""
        kind, data = display.for_screen(image)
        return self.write(kind.replace("/", "."), data)

    def write(self, name: str, data: bytes) -> str:
        """Writes a file; returns its path."""
        with self.new(name) as path:
            path.write_bytes(data)
        return str(path)

    @contextmanager
    def new(self, name: str) -> Iterator[Path]:
        """The path of a new file, alone in a folder, so that it can have any name; none is left if the disk is full."""
        path = self.folder / uuid.uuid4().hex / name
        try:
            path.parent.mkdir()
            yield path
        except OSError as error:
            path.unlink(missing_ok=True)
            raise PhotoError(NOT_STORED.format(error.strerror)) from error


def remove_empty_folders(folder: Path, seconds: float) -> None:
    """Removes the folders in a folder that have been empty for `seconds`, thus not those of uploads that just begin."""
    for path in folder.iterdir():
        if path.is_dir() and time.time() - path.stat().st_mtime > seconds:
            with suppress(OSError):  # not empty
                path.rmdir()
