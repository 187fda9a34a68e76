"""The page's event handlers: values of its fields in, values of its fields out."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any, Final

import gradio as gr

from petseg.apps import captions, render
from petseg.apps.render import RenderSettings
from petseg.apps.webapp import html
from petseg.apps.webapp.session import ChosenPhoto, SegmentedPhoto, Session
from petseg.errors import PetsegError
from petseg.inference.segmentation import Segmentation

MAX_PHOTOS: Final = 10  # at a time
PROGRESS: Final = gr.Progress()  # a default that Gradio replaces by the progress bar of the request

log = logging.getLogger(__name__)


class Handlers:
    """Answers the page. Holds nothing of a visitor: what is kept comes in with each call and goes out again.

    In all of them `settings` are the values of the page's settings, in the order of `html.settings_of`.

    Args:
        session: the models.
        folder: where files to download are written; the caller removes it.
    """

    def __init__(self, session: Session, folder: Path) -> None:
        self.session = session
        self.folder = folder

    def upload(
        self, files: Sequence[Mapping[str, Any]] | None, model: str, progress: gr.Progress = PROGRESS, *settings: Any
    ) -> list[Any]:
        """Segments uploaded files, as Gradio describes them; returns what `choose` does."""
        return self.choose([_uploaded(file) for file in files or []], model, progress, *settings)

    def choose(
        self, photos: Sequence[ChosenPhoto], model: str, progress: gr.Progress = PROGRESS, *settings: Any
    ) -> list[Any]:
        """Segments photos and shows the first; a sentence for each that cannot be used.

        Returns:
            Values for: status, segmented photos, choice of photo, the results' column, the six of `html.pictures`.
        """
        segmented: list[SegmentedPhoto] = []
        failed: list[str] = []
        notes: list[str] = []
        for index, photo in enumerate(photos[:MAX_PHOTOS]):
            progress((index, min(len(photos), MAX_PHOTOS)), desc=photo.name, unit="photos")
            try:
                result, photo_notes = self.session.segment(photo, model)
                segmented.append(SegmentedPhoto.from_result(photo, result, model))
                notes += photo_notes
            except Exception as error:  # whatever happens to one photo, the others go on
                failed.append(_sentence(error, photo.name))
        if len(photos) > MAX_PHOTOS:
            failed.append(f"{len(photos)} photos came; at most {MAX_PHOTOS} at a time. Choose the others afterwards.")
        return _results(segmented, html.messages(failed, notes), html.settings_of(*settings))

    def choose_again(
        self, segmented: Sequence[SegmentedPhoto], model: str, progress: gr.Progress = PROGRESS, *settings: Any
    ) -> list[Any]:
        """Segments the shown photos with another model."""
        return self.choose([shown.photo for shown in segmented], model, progress, *settings)

    def clear(self) -> list[Any]:
        """Shows nothing."""
        return _results([], "", RenderSettings())

    def redraw(
        self,
        draw: Callable[[Segmentation, RenderSettings], str],
        segmented: Sequence[SegmentedPhoto],
        index: int | None,
        *settings: Any,
    ) -> str:
        """HTML of one picture after a change of the settings."""
        preview = _at(segmented, index).preview()
        try:
            return draw(preview, html.settings_of(*settings))
        except ValueError as error:  # a colour half written, for instance
            raise gr.Error(str(error), print_exception=False) from error

    def show(self, segmented: Sequence[SegmentedPhoto], index: int | None, *settings: Any) -> list[str]:
        """HTML of all pictures of another photo."""
        return html.pictures(_at(segmented, index), html.settings_of(*settings))

    def download(self, kind: str, segmented: Sequence[SegmentedPhoto], index: int | None, *settings: Any) -> str:
        """Writes one of `html.FILES` at the photo's own size; returns the file's path."""
        shown = _at(segmented, index)
        try:
            return self._write(html.settings_of(*settings), self.session.full_size(shown), kind, shown.photo.name)
        except Exception as error:
            raise gr.Error(_sentence(error, shown.photo.name), print_exception=False) from error

    def segment(self, file: Mapping[str, Any] | None, kind: str, model: str) -> tuple[str, dict[str, float]]:
        """The endpoint for programs: one of `html.FILES` of a photo, and each class's fraction of its pixels."""
        if file is None:
            raise gr.Error("No photo came. Upload one.", print_exception=False)
        photo = _uploaded(file)
        try:
            result, _ = self.session.segment(photo, model)
            return self._write(RenderSettings(), result, kind, photo.name), result.fractions
        except Exception as error:
            raise gr.Error(_sentence(error, photo.name), print_exception=False) from error

    def _write(self, settings: RenderSettings, result: Segmentation, kind: str, name: str) -> str:
        path = self.folder / uuid.uuid4().hex / captions.file_name(name, kind)
        path.parent.mkdir(parents=True)
        path.write_bytes(render.png(render.draw(result, kind, settings)))
        return str(path)


def _uploaded(file: Mapping[str, Any]) -> ChosenPhoto:
    return ChosenPhoto(PurePath(file.get("orig_name") or file["path"]).name, Path(file["path"]))


def _results(segmented: Sequence[SegmentedPhoto], status: str, settings: RenderSettings) -> list[Any]:
    """What `Handlers.choose` returns."""
    names = [(shown.photo.name, index) for index, shown in enumerate(segmented)]
    choice = gr.update(choices=names, value=0 if segmented else None, visible=len(segmented) > 1)
    pictures = html.pictures(segmented[0], settings) if segmented else [""] * 6
    return [status, tuple(segmented), choice, gr.update(visible=bool(segmented)), *pictures]


def _at(segmented: Sequence[SegmentedPhoto], index: int | None) -> SegmentedPhoto:
    if (index or 0) >= len(segmented):
        raise gr.Error("The photo is not kept any longer. Choose it again.", print_exception=False)
    return segmented[index or 0]


def _sentence(error: Exception, name: str) -> str:
    if not isinstance(error, PetsegError):
        log.error("%s", name, exc_info=error)  # a defect: the log gets what is needed to mend it
    return captions.sentence(error, name)
