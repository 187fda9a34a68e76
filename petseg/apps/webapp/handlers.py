"""What the page answers: values of its fields in, values of its fields out."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import ImageOps

from petseg.apps import display
from petseg.apps.cutouts import CutoutSettings, Format, no_pet, other_pets
from petseg.apps.edits import Pet, Stroke
from petseg.apps.names import KINDS, write_archive
from petseg.apps.webapp.limits import MAX_PHOTOS
from petseg.apps.webapp.messages import answers, done, message, messages, present, sentence_of, sentences
from petseg.apps.webapp.session import ChosenPhoto, SegmentedPhoto, Session, Store, Visit
from petseg.errors import PhotoError

#: The pictures under "Details", with their captions.
CAPTIONS = {"overlay": "Overlay", "mask": "Class map", "confidence": "Confidence: light is sure"}

Upload = Mapping[str, Any]  # as `ChosenPhoto.from_upload` takes it


class Handlers:
    """Answers the page. All that is kept of a visitor is the `Visit` that comes in with each call.

    In all methods, `fields` are the values of the page's options for the cut-out, as `_settings` takes them. `folder`
    is for the files that the page shows and that visitors download.
    """

    def __init__(self, session: Session, folder: Path) -> None:
        self.session = session
        self.store = Store(folder)

    def upload(self, uploads: Sequence[Upload], model: str) -> Iterator[list[Any]]:
        """Segments uploaded photos; yields what `segment` does."""
        yield from self.segment([ChosenPhoto.from_upload(upload) for upload in uploads], model)

    def again(self, visit: Visit | None, model: str) -> Iterator[list[Any]]:
        """Segments the same photos with another model; yields the status and, the last time, what `take_over` takes."""
        photos = present(visit).photos
        for status, _, fresh, *_ in self.segment([photo.file for photo in photos], model, photos):
            yield [status, fresh]

    def segment(
        self, files: Sequence[ChosenPhoto], model: str, last: Sequence[SegmentedPhoto] = ()
    ) -> Iterator[list[Any]]:
        """Segments photos and shows the first with a pet; a sentence for each photo without a pet or with a fault.

        `last` are the same photos as another model has segmented them, if one has.

        Yields:
            Values for: the status, the field for photos, the visit, the results' column and the choice of photo. Only
            the status changes before the last time, or if no photo can be used.
        """
        photos: list[SegmentedPhoto] = []
        failed, notes = [], []
        if len(files) > MAX_PHOTOS:
            failed.append(f"{len(files)} photos came; at most {MAX_PHOTOS} at a time. Choose the others afterwards.")
        for number, file in enumerate(files[:MAX_PHOTOS], start=1):
            count = f" ({number} of {min(len(files), MAX_PHOTOS)})" if len(files) > 1 else ""
            said = f"<p><progress aria-hidden='true'></progress>Cutting out {escape(file.name)}{count}</p>"
            yield [said, *[gr.skip()] * 4]
            try:
                result, photo_notes = self.session.segment(file, model)
                photos.append(SegmentedPhoto.from_result(file, result))
                notes += photo_notes
                if last and any(isinstance(edit, Pet) for edit in last[number - 1].edits):
                    notes.append(other_pets(file.name))
                failed += [] if result.found else [no_pet(file.name, result.doubtful)]
            except Exception as error:  # the other photos are segmented all the same
                failed.append(sentence_of(error, file.name))
        if photos:
            with sentences(photos[0].file.name):
                results = self._results(Visit.of(photos))
            yield [messages(failed, notes, done(photos)), *results]
        else:
            yield [messages(failed, notes), None, *[gr.skip()] * 3]

    def _results(self, visit: Visit) -> list[Any]:
        """What `segment` yields after the status if a photo can be used."""
        gallery = [
            (self.store.picture(ImageOps.fit(photo.preview().photo, (160, 160))), photo.file.name)
            for photo in visit.photos
        ]
        return [
            gr.update(value=None, height=140),  # makes room for the results
            visit,
            gr.update(visible=True),
            gr.update(value=gallery, selected_index=visit.index, visible=len(gallery) > 1),
        ]

    @answers
    def take_over(self, visit: Visit, fresh: Visit | None) -> list[Any]:
        """Puts the results of another model in place of the visit's, with the strokes that were made meanwhile.

        Values for the visit, the choice of photo, and `fresh`; the visit stays if it has other photos by now.
        """
        edits = {photo.file: photo.edits for photo in visit.photos}
        if fresh is None or not {photo.file for photo in fresh.photos} <= set(edits):
            return [gr.skip(), gr.skip(), None]
        strokes = {file: [edit for edit in made if isinstance(edit, Stroke)] for file, made in edits.items()}
        photos = [photo.edited(strokes[photo.file]) if strokes[photo.file] else photo for photo in fresh.photos]
        visit = Visit.of(photos, visit.shown.file)
        return [visit, self._results(visit)[-1], None]

    @answers
    def anyway(self, visit: Visit) -> list[Any]:
        """Shows the cut-out of a doubtful photo; values for the status and the visit."""
        visit = visit.changed(visit.shown.without_doubt())
        return [messages([], [], done([visit.shown])), visit]

    @answers
    def show(self, visit: Visit, selected: gr.SelectData) -> Visit:
        """Shows another of the photos; those of an earlier visit, whose click comes late, may have been more."""
        return replace(visit, index=int(selected.index)) if selected.index in range(len(visit.photos)) else visit

    @answers
    def stroke(self, visit: Visit, event: gr.EventData) -> Visit:
        """Follows a stroke of the brush on the shown photo."""
        return visit.changed(visit.shown.edited([*visit.shown.edits, Stroke.from_message(event._data)]))

    @answers
    def undo(self, visit: Visit) -> Visit:
        """Takes back the last correction of the shown photo."""
        return visit.changed(visit.shown.edited(visit.shown.edits[:-1]))

    @answers
    def choose_pets(self, visit: Visit, chosen: Sequence[int]) -> Visit:
        """Shows the chosen ones of several pets."""
        pets = enumerate(visit.shown.pets())
        changes = [Pet(index, not shown) for index, shown in pets if shown != (index in chosen)]
        return visit.changed(visit.shown.edited([*visit.shown.edits, *changes]))

    @answers
    def pets(self, visit: Visit) -> list[dict[str, Any]]:
        """The choice among the pets of the shown photo, and the button for all cut-outs, each if there are several."""
        shown = visit.shown.pets()
        choices = [(str(index + 1), index) for index in range(len(shown))]
        chosen = [index for index, is_shown in enumerate(shown) if is_shown]
        pets = gr.update(choices=choices, value=chosen, visible=len(shown) > 1)
        return [pets, gr.update(visible=sum(photo.result.found for photo in visit.photos) > 1)]

    def own_picture(self, upload: Upload, before: Upload | None) -> list[Any]:
        """Values for the field of the background's picture and for the picture, which stays if a file is no image."""
        file = ChosenPhoto.from_upload(upload)
        try:
            self.session.decode(file)
        except Exception as error:
            gr.Warning(sentence_of(error, file.name), title="That did not work")
            return [before and before["path"], gr.skip()]
        return [gr.skip(), upload]

    @answers
    def compare(self, visit: Visit, correcting: bool, *fields: Any) -> str:
        """HTML of photo and cut-out, compared; of the photo alone if no pet was found.

        While it is being corrected, the whole photo is shown, on a transparent background.
        """
        result = visit.shown.preview()
        # while the format changes together with the background, the two may contradict each other
        settings = CutoutSettings() if correcting else self._settings(*fields[:4], "png", *fields[5:])
        shown = display.compared(visit.shown.file.name, result, settings)
        image, alt = shown.before
        after = (display.data_uri(shown.after[0]), shown.after[1]) if shown.after else None
        return display.comparison((display.data_uri(image), alt), after, image.size, shown.line, result.doubtful)

    @answers
    def details(
        self, visit: Visit, unfolded: bool, opacity: float, classes: Sequence[str]
    ) -> tuple[list[tuple[str, str]], str]:
        """Overlay, class map and confidence map, each with its caption, and HTML of the legend; empty while folded."""
        if not unfolded:
            return [], ""
        result = display.preview(visit.shown.preview(), display.DETAIL_SIDE)
        pictures = {kind: display.detail(kind, result, opacity, classes) for kind in CAPTIONS}
        files = [(self.store.picture(picture), CAPTIONS[kind]) for kind, picture in pictures.items()]
        return files, f"{display.legend(result.fractions)}<p>{escape(visit.shown.caption)}</p>"

    @answers
    def download(self, visit: Visit, *values: Any, kind: str) -> str:
        """Writes a picture at the photo's own size; the values are `fields`, or of another picture the overlay's."""
        photo = visit.shown
        settings, overlay = (CutoutSettings(), values) if kind in ("overlay", "mask") else (self._settings(*values), ())
        return self.store.write(*display.file(photo.file.name, kind, self.session.full_size(photo), settings, *overlay))

    @answers
    def archive(self, visit: Visit, *fields: Any) -> tuple[str, str]:
        """Writes a ZIP file of all cut-outs; returns its path, and HTML that says which are missing."""
        settings = self._settings(*fields)
        failed: list[str] = []

        def pictures() -> Iterator[tuple[str, bytes]]:
            for photo in visit.photos:
                try:
                    yield display.file(photo.file.name, "cutout", self.session.full_size(photo), settings)
                except Exception as error:  # the other photos are cut out all the same
                    failed.append(sentence_of(error, photo.file.name))

        with self.store.new("cut-outs.zip") as path:
            with path.open("wb") as file:
                write_archive(file, pictures())
            if len(failed) == len(visit.photos):
                raise PhotoError(failed[0])
        return str(path), messages(failed)

    def program(
        self,
        file: Upload | None,
        kind: str,
        model: str,
        background: str,
        background_image: Upload | None = None,
        crop: bool = False,
        format: Format = "png",
        edge: str = "as found",
        shadow: bool = False,
        anyway: bool = False,
    ) -> tuple[str, dict[str, float]]:
        """Segments a photo for a program: the file of a picture, and each class's fraction of the photo's pixels.

        `kind` is cutout, mask or overlay. For a cut-out, `background` is transparent, blur or a colour unless there is
        a `background_image`; `edge` is tighter, as found, looser or softer. `anyway` cuts out what does not look like
        a cat or a dog as well.
        """
        if file is None:
            raise message("No photo came. Upload one.")
        if kind not in KINDS:
            raise message(f"kind {kind!r}: expected {', '.join(KINDS[:-1])} or {KINDS[-1]}.")
        photo = ChosenPhoto.from_upload(file)
        with sentences(photo.name):
            result, _ = self.session.segment(photo, model)
            result = result.without_doubt() if anyway else result
            background = "image" if background_image else background
            settings = self._settings(background, "", background_image, crop, format, edge, shadow)
            return self.store.write(*display.file(photo.name, kind, result, settings)), result.fractions

    def _settings(self, background: str, color: str, upload: Upload | None, *others: Any) -> CutoutSettings:
        """The settings in the page's fields."""
        own = self.session.decode(ChosenPhoto.from_upload(upload)).image if upload and background == "image" else None
        return CutoutSettings.chosen(background, color, own, *others)
