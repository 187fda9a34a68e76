"""The upload-and-segment panel: what happens when its widget is used."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

from petseg.apps.cutouts import photo_notes, sentence
from petseg.apps.display import model_choices, sample_photos, sample_thumbnails, write_archive
from petseg.apps.panel.gallery import Gallery
from petseg.apps.panel.sources import breed_samples, typed_photo
from petseg.apps.panel.uploads import Upload, Uploads, refusal
from petseg.apps.panel.widget import PanelWidget
from petseg.errors import PhotoError
from petseg.inference.photo import load_photo
from petseg.inference.predictor import Predictor
from petseg.models import zoo

#: Longest side, in pixels, at which an image for the background is kept.
BACKGROUND_SIDE = 4096


class Panel:
    """The panel's state and its reactions; `widget` is what a cell shows.

    Args:
        model: a released model, a path that ends in `.safetensors`, or a predictor that has loaded one; default: the
            most accurate model that can be run.
        images: folder of the data set's photos, for samples by breed.
    """

    def __init__(self, model: str | Predictor | None = None, images: Path | None = None) -> None:
        self._predictors: dict[str, Predictor] = {}
        if isinstance(model, Predictor):
            self._predictors[model.card.name] = model
            model = model.card.name
        elif model is None:
            model = zoo.best()
        breeds = breed_samples(images)
        self._samples: dict[str, Callable[[], Any]] = {**sample_photos(), **breeds}
        self._uploads = Uploads()
        self.widget = PanelWidget(
            self._on_message, samples=list(sample_photos()), breeds=list(breeds), models=_models(model), model=model
        )
        self.gallery = Gallery(self.widget)
        self.widget.observe(lambda _: self._show(), ["model", "photo"])

    def _on_message(self, content: Mapping[str, Any], buffers: Sequence[Any]) -> None:
        """Answers a message from a browser."""
        kind = content["type"]
        if kind == "ready":
            self.widget.send({"type": "samples", "addresses": list(sample_thumbnails().values())})
            self.widget.show_again()
        elif kind in ("too large", "unreadable"):
            self.widget.add_message(refusal(content))
        elif kind == "part" and (upload := self._uploads.receive(content, buffers)):
            if content["purpose"] == "background":
                self._use_background(upload)
            else:
                self._segment(upload.name, lambda: upload.data, upload.index, upload.of)
        elif kind == "open":
            self._open(str(content["text"]))
        elif kind == "sample":
            self._segment(content["name"], self._samples[content["name"]])
        elif kind == "save":
            self._save(content["view"], content["picture"])

    # --- A photo comes in --------------------------------------------------------------------------------------------

    def _open(self, text: str) -> None:
        """Segments the photo at a path or an address."""
        with self.widget.working(f"Opening {text} …"):
            try:
                name, data = typed_photo(text)
            except Exception as error:
                self.widget.add_message(sentence(error, text))
                return
        self._segment(name, lambda: data)

    def _segment(self, name: str, photo: Callable[[], Any], index: int = 1, of: int = 1) -> None:
        number = f" ({index} of {of})" if of > 1 else ""
        with self.widget.working(f"Cutting out {name}{number} …", index, of):
            try:
                with photo_notes() as take_notes:
                    result = self._predictor()(photo(), name=name)
                    notes = take_notes()
                self.gallery.add(name, result)
            except Exception as error:  # one photo's failure stops neither the batch nor the panel
                notes = [sentence(error, name)]
            for note in notes:
                self.widget.add_message(note)

    def _show(self) -> None:
        """Shows the chosen photo, segmented by the chosen model: others follow when they are chosen."""
        if (entry := self.gallery.current()) is None:
            return
        predictor = self._predictors.get(self.widget.model)
        if predictor is not None and predictor.card.name == entry.result.model:
            self.gallery.show()
            return
        with self.widget.working(f"Cutting out {entry.name} …"):
            try:
                result = self._predictor()(entry.result.photo, name=entry.name)
            except Exception as error:
                self.widget.add_message(sentence(error, entry.name))
            else:
                self.gallery.replace(entry, result)

    def _predictor(self) -> Predictor:
        name = self.widget.model
        if name not in self._predictors:
            self._predictors[name] = Predictor(name)
        return self._predictors[name]

    def _use_background(self, upload: Upload) -> None:
        with self.widget.working(f"Reading {upload.name} …"):
            try:
                image = load_photo(upload.data, name=upload.name)
            except Exception as error:
                self.widget.add_message(sentence(error, upload.name))
                return
            image.thumbnail((BACKGROUND_SIDE, BACKGROUND_SIDE))
            self.gallery.use_background(upload.name, image)

    # --- Files go out ------------------------------------------------------------------------------------------------

    def _save(self, view: str, picture: str) -> None:
        """Sends a file at the photo's own size, drawn only now: a picture, or the cut-outs of all photos as a ZIP."""
        entry = self.gallery.current()
        if entry is None:
            return
        with self.widget.working(f"Preparing the download of {entry.name if picture != 'all' else 'all photos'} …"):
            try:
                if picture == "all":
                    name, data = "petseg-cutouts.zip", self._archive()
                else:
                    name, data = self.gallery.file(entry, picture)
            except Exception as error:
                self.widget.add_message(sentence(error, entry.name))
                return
            self.widget.save(view, name, data)

    def _archive(self) -> bytes:
        file = BytesIO()
        found = [entry for entry in self.gallery.entries if entry.result.found]
        if not found:
            raise PhotoError("No pet found in any of the open photos, so there is nothing to download.")
        write_archive(file, (self.gallery.file(entry, "cutout") for entry in found))
        return file.getvalue()


def _models(chosen: str) -> list[list[str]]:
    """A line and a name for each model that can be chosen."""
    choices = model_choices()
    if chosen not in [name for _, name in choices]:
        choices = [(Path(chosen).stem, chosen), *choices]
    return [[line, name] for line, name in choices]


def segment_panel(model: str | Predictor | None = None, images: Path | None = None) -> PanelWidget:
    """The panel: choose a photo, see the pet cut out, save the cut-out.

    Args:
        model: what is chosen at first: a released model, a path that ends in `.safetensors`, or a predictor; by
            default the most accurate that can be run.
        images: folder of the data set's photos, if samples by breed shall be offered.

    Returns:
        The widget, for the last line of a cell.
    """
    return Panel(model, images).widget
