"""The page's event handlers: values of its fields in, values of its fields out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import gradio as gr

from petseg.apps.cutouts import BACKGROUNDS, no_pet
from petseg.apps.webapp import html
from petseg.apps.webapp.answers import at, refusal, sentence, uploaded
from petseg.apps.webapp.session import ChosenBackground, ChosenPhoto, SegmentedPhoto, Session
from petseg.apps.webapp.settings import cutout_settings
from petseg.errors import PetsegError, PhotoError

MAX_PHOTOS: Final = 10  # at a time

#: How many values `Handlers.choose` gives after the status.
RESULTS: Final = 10


class Handlers:
    """Answers the page. Holds nothing of a visitor: what is kept comes in with each call and goes out again.

    In all of them `cutout` are the values of the page's fields for the cut-out: a value of `cutouts.BACKGROUNDS`,
    the colour, the `ChosenBackground` or None, crop, format, grow and feather. `unfolded` says whether the details are
    seen: only then are they drawn.

    Args:
        session: the models.
        folder: where uploads lie.
    """

    def __init__(self, session: Session, folder: Path) -> None:
        self.session = session
        self.folder = folder

    def upload(self, chosen: Mapping[str, Any], model: str, *settings: Any) -> Iterator[list[Any]]:
        """Segments uploaded files; yields what `choose` does.

        Args:
            chosen: as `upload.js` gives it: `files`, and `refused`, sentences on what was not uploaded.
            model: the name of the model.
            settings: as in `choose`.
        """
        photos = [uploaded(file, self.folder) for file in chosen["files"]]
        yield from self.choose(photos, model, *settings, refused=chosen["refused"])

    def choose(
        self,
        photos: Sequence[ChosenPhoto],
        model: str,
        unfolded: bool,
        opacity: float,
        classes: Sequence[str],
        *cutout: Any,
        refused: Sequence[str] = (),
    ) -> Iterator[list[Any]]:
        """Segments photos and shows the first with a pet; a sentence for each that cannot be used or shows none.

        Yields:
            Values for: status, segmented photos, choice of photo and its pictures, the results' column, the button
            for all photos, comparison, overlay, class map, confidence map and legend. Until the last time, the status
            alone.
        """
        segmented: list[SegmentedPhoto] = []
        failed, notes = list(refused), []
        count = min(len(photos), MAX_PHOTOS)
        for index, photo in enumerate(photos[:MAX_PHOTOS], start=1):
            yield _status(html.busy(f"Cutting out {photo.name}" + (f" ({index} of {count})" if count > 1 else "")))
            try:
                result, photo_notes = self.session.segment(photo, model)
                notes += photo_notes
                segmented.append(SegmentedPhoto.from_result(photo, result, model))
                failed += [] if result.found else [no_pet(photo.name)]
            except Exception as error:  # whatever happens to one photo, the others go on
                failed.append(sentence(error, photo.name))
        if len(photos) > MAX_PHOTOS:
            failed.append(f"{len(photos)} photos came; at most {MAX_PHOTOS} at a time. Choose the others afterwards.")
        yield [html.messages(failed, notes), *self._results(segmented, unfolded, opacity, classes, *cutout)]

    def choose_again(self, segmented: Sequence[SegmentedPhoto], model: str, *settings: Any) -> Iterator[list[Any]]:
        """Segments the shown photos with another model."""
        yield from self.choose([shown.photo for shown in segmented], model, *settings)

    def show(
        self,
        segmented: Sequence[SegmentedPhoto],
        index: int | None,
        unfolded: bool,
        opacity: float,
        classes: Sequence[str],
        *cutout: Any,
    ) -> list[str]:
        """HTML of comparison, overlay, class map, confidence map and legend of another photo."""
        details = self.details(segmented, index, opacity, classes) if unfolded else [""] * 4
        return [self.compare(segmented, index, *cutout), *details]

    def details(
        self, segmented: Sequence[SegmentedPhoto], index: int | None, opacity: float, classes: Sequence[str]
    ) -> list[str]:
        """HTML of overlay, class map, confidence map and legend, when they are unfolded."""
        return html.details(at(segmented, index), opacity, classes)

    def compare(self, segmented: Sequence[SegmentedPhoto], index: int | None, *cutout: Any) -> str:
        """HTML of the comparison, after a change of the cut-out's settings."""
        shown = at(segmented, index)
        background, color, own, crop, _, *edge = cutout
        try:
            # the format is that of the file: while it changes together with the background, the two may contradict
            settings = cutout_settings(background, color, own and own.preview(), crop, "png", *edge)
            alt = BACKGROUNDS["transparent" if settings.background is None else background]
            return html.compared(shown.photo.name, shown.preview(), settings, alt)
        except PetsegError as error:  # a colour half written, for instance
            raise refusal(error, shown.photo.name) from error

    def overlay(
        self, segmented: Sequence[SegmentedPhoto], index: int | None, opacity: float, classes: Sequence[str]
    ) -> str:
        """HTML of the overlay, after a change of its settings."""
        return html.overlay(at(segmented, index).preview(), opacity, classes)

    def background(self, chosen: Mapping[str, Any]) -> tuple[str, ChosenBackground | None]:
        """An uploaded image to put behind the pet: its name or what is wrong with it, and the image itself."""
        try:
            if not chosen["files"]:
                raise PhotoError(" ".join(chosen["refused"]))
            photo = uploaded(chosen["files"][0], self.folder)
            return html.messages([], [f"Background: {photo.name}"]), self.session.background(photo)
        except Exception as error:
            return html.messages([sentence(error, "the image")]), None

    def _results(self, segmented: Sequence[SegmentedPhoto], *settings: Any) -> list[Any]:
        """What `choose` yields after the status; `settings` as in `show`."""
        names = [(shown.photo.name, index) for index, shown in enumerate(segmented)]
        found = [index for index, shown in enumerate(segmented) if shown.found]
        first = found[0] if found else 0
        return [
            tuple(segmented),
            gr.update(choices=names, value=first if segmented else None, visible=len(segmented) > 1),
            html.thumbnails(segmented),
            gr.update(visible=bool(segmented)),
            gr.update(visible=len(found) > 1),
            *(self.show(segmented, first, *settings) if segmented else [""] * 5),
        ]


def _status(text: str) -> list[Any]:
    """What `Handlers.choose` yields where the status alone changes."""
    return [text, *[gr.skip()] * RESULTS]
