"""The upload-and-segment panel: what happens when its widgets are used."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ipywidgets as widgets
from PIL import Image

from petseg.apps import captions, render
from petseg.apps.notes import photo_notes
from petseg.apps.panel.browser import Picture
from petseg.apps.panel.sources import sample_choices, typed_photo
from petseg.apps.panel.view import CHOOSE, PanelView
from petseg.inference.predictor import Predictor
from petseg.inference.segmentation import Segmentation
from petseg.models import zoo

#: Photos that stay open; the oldest goes first. Each takes 3 bytes per pixel.
MAX_OPEN = 8


@dataclass(frozen=True)
class Entry:
    """A photo that was segmented: its name, the result, and a small copy of the result to show."""

    name: str
    result: Segmentation
    preview: Segmentation


class Panel:
    """The panel's state and its reactions; `view.box` is what a cell shows.

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
        self._entries: list[Entry] = []
        self._samples = sample_choices(images)
        self.view = PanelView(self._samples, model, self._on_upload)
        self._connect()

    def _connect(self) -> None:
        view = self.view
        view.open.on_click(lambda _: self._on_path())
        view.path.observe(lambda _: self._on_path(), "value")
        view.sample.observe(lambda change: self._on_sample(change["new"]), "value")
        view.model.observe(lambda _: self._on_model(), "value")
        view.entry.observe(self._on_entry, "value")
        for control in (view.opacity, *view.classes.values()):
            control.observe(lambda _: self._draw("overlay"), "value")
        for control in (view.background, view.color):
            control.observe(lambda _: self._draw("cut-out"), "value")
        for kind, button in view.downloads.items():
            button.on_click(lambda _, kind=kind: self._download(kind))

    # --- A photo comes in --------------------------------------------------------------------------------------------

    def _on_upload(self, name: str, data: bytes, index: int, of: int) -> None:
        self._segment(name, lambda: data, index, of)

    def _on_path(self) -> None:
        text, self.view.path.value = self.view.path.value, ""  # empty, so that the button does not open it again
        if not text.strip():
            return
        try:
            name, data = typed_photo(text)
        except Exception as error:
            self.view.messages.value = ""
            self.view.add_message(captions.sentence(error, text))
        else:
            self._segment(name, lambda: data)

    def _on_sample(self, name: str) -> None:
        if name != CHOOSE:
            self._segment(name, self._samples[name])
            self.view.sample.value = CHOOSE  # so that the same can be chosen again

    def _on_model(self) -> None:
        """Segments the photo that is shown with the new model; the others follow when they are chosen."""
        if (entry := self._entry()) is not None:
            self._segment_again(entry)

    def _segment(self, name: str, photo: Callable[[], Any], index: int = 1, of: int = 1) -> None:
        number = f" ({index} of {of})" if of > 1 else ""
        with self.view.busy(f"Segmenting {name}{number} …", index, of):
            try:
                with photo_notes() as notes:
                    result = self._predictor()(photo(), name=name)
                self._add(Entry(name, result, render.preview(result)))
            except Exception as error:  # one photo's failure stops neither the batch nor the panel
                notes = [captions.sentence(error, name)]
            for note in notes:
                self.view.add_message(note)

    def _segment_again(self, entry: Entry) -> None:
        with self.view.busy(f"Segmenting {entry.name} …"):
            try:
                result = self._predictor()(entry.result.photo, name=entry.name)
            except Exception as error:
                self.view.add_message(captions.sentence(error, entry.name))
                return
            self._entries[self._entries.index(entry)] = Entry(entry.name, result, render.preview(result))
            self._show()

    def _predictor(self) -> Predictor:
        name = self.view.model.value
        if name not in self._predictors:
            self._predictors[name] = Predictor(name)
        return self._predictors[name]

    # --- Results are shown and saved ---------------------------------------------------------------------------------

    def _add(self, entry: Entry) -> None:
        self._entries = [*self._entries, entry][-MAX_OPEN:]
        choice, last = self.view.entry, len(self._entries) - 1
        choice.unobserve(self._on_entry, "value")  # shown once, below
        choice.options = [(f"{index + 1}. {kept.name}", index) for index, kept in enumerate(self._entries)]
        choice.value = last
        choice.observe(self._on_entry, "value")
        choice.layout.display = "" if last > 0 else "none"
        self._show()

    def _on_entry(self, change: Any) -> None:
        self._show()

    def _entry(self) -> Entry | None:
        """The photo that is shown."""
        return self._entries[self.view.entry.value or 0] if self._entries else None

    def _show(self) -> None:
        if (entry := self._entry()) is None:
            return
        predictor = self._predictors.get(self.view.model.value)
        if predictor is not None and predictor.card.name != entry.result.model:
            self._segment_again(entry)
            return
        self.view.results.layout.display = ""
        self._draw("photo", "overlay", "mask", "cut-out", "confidence")
        caption = captions.as_html(f"{entry.name}: {captions.caption(entry.result)}")
        self.view.legend.value = f"{captions.legend(entry.result.fractions)}<div>{caption}</div>"

    def _draw(self, *kinds: str) -> None:
        if (entry := self._entry()) is not None:
            self.view.pictures.show([self._picture(kind, entry) for kind in kinds])

    def _picture(self, kind: str, entry: Entry) -> Picture:
        image = render.hatched_mask(entry.preview) if kind == "mask" else self._image(kind, entry.preview)
        title = {"confidence": "confidence: light is sure"}.get(kind, kind)
        alt = f"{kind.capitalize()}. {captions.description(entry.preview)}"
        if image.mode in ("P", "RGBA"):
            return Picture(kind, title, alt, render.png(image), "image/png")
        return Picture(kind, title, alt, render.jpeg(image))

    def _image(self, kind: str, result: Segmentation) -> Image.Image:
        return render.draw(result, kind.replace("-", ""), self.view.settings())

    def _download(self, kind: str) -> None:
        """Saves a picture at the photo's own size, drawn only now."""
        if (entry := self._entry()) is not None:
            with self.view.busy(f"Preparing {kind} of {entry.name} …"):
                data = render.png(self._image(kind, entry.result))
                self.view.pictures.save(captions.file_name(entry.name, kind.replace("-", "")), data)


def segment_panel(model: str | Predictor | None = None, images: Path | None = None) -> widgets.VBox:
    """The panel: choose a photo, see the pet found, save the cut-out.

    Args:
        model: what is chosen at first: a released model, a path that ends in `.safetensors`, or a predictor; by
            default the most accurate that can be run.
        images: folder of the data set's photos, if samples by breed shall be offered.

    Returns:
        The widget, for the last line of a cell.
    """
    return Panel(model, images).view.box
