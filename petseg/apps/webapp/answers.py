"""What handlers share: an uploaded file as a photo, one of the kept photos, and sentences for what fails."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

import gradio as gr

from petseg.apps import cutouts
from petseg.apps.webapp.session import ChosenPhoto, SegmentedPhoto
from petseg.errors import PetsegError, PhotoError

log = logging.getLogger(__name__)


def uploaded(file: Mapping[str, Any], folder: Path) -> ChosenPhoto:
    """The photo of a file as Gradio describes it: `path` and perhaps `orig_name`.

    Raises:
        PhotoError: it lies outside the folder of uploads.
    """
    path = Path(file["path"])
    name = PurePath(str(file.get("orig_name") or path).replace("\\", "/")).name
    if not path.resolve().is_relative_to(folder):
        raise PhotoError(f"{name}: was not uploaded. Upload the photo.")
    return ChosenPhoto(name, path)


def at(segmented: Sequence[SegmentedPhoto], index: int | None) -> SegmentedPhoto:
    """One of the kept photos, the first by default; a message where the visitor was away for too long."""
    if (index or 0) >= len(segmented):
        raise problem("The photo is not kept any longer. Choose it again.")
    return segmented[index or 0]


def refusal(error: Exception, name: str) -> gr.Error:
    """What Gradio shows as a message when something fails with a photo."""
    return error if isinstance(error, gr.Error) else problem(sentence(error, name))


def problem(text: str) -> gr.Error:
    """A sentence that Gradio shows as a message."""
    return gr.Error(text, title="That did not work", print_exception=False)


def sentence(error: Exception, name: str) -> str:
    """What to say when something fails with a photo; a defect also goes to the log."""
    if not isinstance(error, PetsegError):
        log.error("%s", name, exc_info=error)
    return cutouts.sentence(error, name)
