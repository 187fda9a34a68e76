"""What happens when somebody chooses a photo, moves a slider or wants a file: field values in, field values out."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import gradio as gr

from petseg.apps import render as presentation
from petseg.apps.render import Look
from petseg.apps.webapp import html as looks
from petseg.apps.webapp.session import Chosen, Desk, Shown
from petseg.errors import ModelError, PhotoError
from petseg.inference.predictor import Segmentation

MAX_PHOTOS: Final = 10  # at a time
PROGRESS: Final = gr.Progress()  # Gradio puts in the request's own

log = logging.getLogger(__name__)


class Host:
    """Answers the page. Holds nothing of a visitor: what is kept comes in with each call and goes out again.

    Args:
        desk: where photos are segmented.
        folder: where files to download are written; whoever made it empties it.
    """

    def __init__(self, desk: Desk, folder: Path) -> None:
        self.desk = desk
        self.folder = folder

    def choose(
        self,
        photos: Sequence[Chosen],
        model: str,
        opacity: float,
        classes: Sequence[str],
        background: presentation.Background,
        color: str,
        progress: gr.Progress = PROGRESS,
    ) -> list[Any]:
        """Segments photos and shows the first; a sentence for each that cannot be used.

        Returns:
            Values for: status, what is kept, choice of photo, the room of results, the six of `look.pictures`.
        """
        kept: list[Shown] = []
        failed: list[str] = []
        notes: list[str] = []
        for number, photo in enumerate(photos[:MAX_PHOTOS]):
            progress((number, min(len(photos), MAX_PHOTOS)), desc=photo.name, unit="photos")
            try:
                result, said = self.desk.segment(photo, model)
                kept.append(Shown.of(photo, result, model))
                notes += said
            except Exception as error:  # whatever happens to one photo, the others go on
                failed.append(_sentence(error, photo.name))
        if len(photos) > MAX_PHOTOS:
            failed.append(f"{len(photos)} photos came; at most {MAX_PHOTOS} at a time. Choose the others afterwards.")
        return _shown(kept, looks.messages(failed, notes), looks.chosen(opacity, classes, background, color))

    def choose_again(
        self,
        kept: Sequence[Shown],
        model: str,
        opacity: float,
        classes: Sequence[str],
        background: presentation.Background,
        color: str,
        progress: gr.Progress = PROGRESS,
    ) -> list[Any]:
        """Segments with another model what is shown."""
        photos = [shown.chosen for shown in kept]
        return self.choose(photos, model, opacity, classes, background, color, progress)

    def clear(self) -> list[Any]:
        """Shows nothing."""
        return _shown([], "", Look())

    def redraw(self, draw: Callable[[Segmentation, Look], str], kept: Sequence[Shown], number: int, *look: Any) -> str:
        """HTML of one picture after a change of the settings."""
        small = _one(kept, number).small()
        try:
            return draw(small, looks.chosen(*look))
        except ValueError as error:  # a colour half written, for instance
            raise gr.Error(str(error), print_exception=False) from error

    def move(self, kept: Sequence[Shown], number: int, *look: Any) -> list[str]:
        """HTML of all pictures of another photo."""
        return looks.pictures(_one(kept, number), looks.chosen(*look))

    def download(self, kind: str, kept: Sequence[Shown], number: int, *look: Any) -> str:
        """Writes one of `look.FILES` at the photo's own size."""
        shown = _one(kept, number)
        try:
            return self._written(looks.chosen(*look), self.desk.full_size(shown), kind, shown.chosen.name)
        except Exception as error:
            raise gr.Error(_sentence(error, shown.chosen.name), print_exception=False) from error

    def answer(self, photos: Sequence[Chosen], kind: str, model: str) -> tuple[str, dict[str, float]]:
        """For programs: one of `look.FILES` of a photo, and the classes' shares of its pixels."""
        if not photos:
            raise gr.Error("No photo came. Upload one.", print_exception=False)
        try:
            result, _ = self.desk.segment(photos[0], model)
            return self._written(Look(), result, kind, photos[0].name), result.shares
        except Exception as error:
            raise gr.Error(_sentence(error, photos[0].name), print_exception=False) from error

    def _written(self, look: Look, result: Segmentation, kind: str, name: str) -> str:
        path = self.folder / uuid.uuid4().hex / presentation.file_name(name, kind)
        path.parent.mkdir(parents=True)
        path.write_bytes(presentation.png(look.draw(result, kind)))
        return str(path)


def _shown(kept: Sequence[Shown], status: str, look: Look) -> list[Any]:
    """What `Host.choose` returns."""
    names = [(shown.chosen.name, number) for number, shown in enumerate(kept)]
    choice = gr.update(choices=names, value=0 if kept else None, visible=len(kept) > 1)
    html = looks.pictures(kept[0], look) if kept else [""] * 6
    return [status, tuple(kept), choice, gr.update(visible=bool(kept)), *html]


def _one(kept: Sequence[Shown], number: int | None) -> Shown:
    if (number or 0) >= len(kept):
        raise gr.Error("The photo is not kept any longer. Choose it again.", print_exception=False)
    return kept[number or 0]


def _sentence(error: Exception, name: str) -> str:
    if not isinstance(error, PhotoError | ModelError):
        log.error("%s", name, exc_info=error)  # a defect: the person gets a sentence, the log what is needed to mend it
    return presentation.sentence(error, name)
