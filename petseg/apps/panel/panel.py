"""The upload-and-segment panel: what happens when its widget is used."""

import os
import random
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from http.client import HTTPException
from pathlib import Path
from typing import Any, Final

from yarl import URL

from petseg.apps.cutouts import other_pets
from petseg.apps.display import model_choices, sample_photos, sample_thumbnails
from petseg.apps.edits import Edit, Pet, Stroke
from petseg.apps.panel.gallery import Entry, Gallery
from petseg.apps.panel.widget import MAX_BYTES, Message, PanelWidget
from petseg.errors import PhotoError
from petseg.inference.photo import load_photo
from petseg.inference.predictor import Predictor
from petseg.models import zoo

#: Longest side, in pixels, at which an image for the background is kept.
BACKGROUND_SIDE: Final = 4096


def segment_panel(
    model: str | Predictor | None = None, images: Path | None = None, device: str | None = None
) -> PanelWidget:
    """The panel, for the last line of a cell: choose a photo, see the pet cut out, save the cut-out.

    `model` and `device` are as `Predictor` takes them, or the first model is a loaded predictor. `images` is the folder
    of the data set's photos, to offer samples by breed.
    """
    return Panel(model, images, device).widget


class Panel:
    """The panel's state and its reactions; `widget` is what a cell shows. Arguments as in `segment_panel`."""

    def __init__(
        self, model: str | Predictor | None = None, images: Path | None = None, device: str | None = None
    ) -> None:
        self._device = device
        self._predictors: dict[str, Predictor] = {}
        choices = model_choices()
        if isinstance(model, Predictor):
            taken = model.card.name in [name for _, name in choices]
            name = f"{model.card.name} (given)" if taken else model.card.name
            self._predictors[name], model = model, name
        model = model or zoo.best()
        if model not in [name for _, name in choices]:
            choices.insert(0, (Path(model).stem, model))
        breeds = breed_samples(images)
        self._samples: dict[str, Callable[[], Any]] = {**sample_photos(), **breeds}
        self.widget = PanelWidget(
            self._receive,
            samples=list(sample_photos()),
            breeds=list(breeds),
            models=[list(choice) for choice in choices],
            model=model,
        )
        self.gallery = Gallery(self.widget)
        self.widget.observe(lambda _: self._show(), ["model", "photo"])

    def _receive(self, message: Message, data: bytes) -> None:
        """Answers a message from a browser; `data` is the file that it sends.

        A message about the photo that is shown says what was `chosen` by then: it overtakes the traits themselves.
        """
        for trait, value in message.get("chosen", []):
            if trait != "photo" or value in self.gallery.entries:
                setattr(self.widget, trait, value)
        entry = self.gallery.current()
        match message:
            case {"type": "ready"}:
                self.widget.show_again(sample_thumbnails())
            case {"purpose": "background", "name": name}:
                with self.widget.working(f"Reading {name} …", name):
                    image = load_photo(chosen_file(message, data), name=name)
                    image.thumbnail((BACKGROUND_SIDE, BACKGROUND_SIDE))
                    self.gallery.use_background(name, image)
            case {"purpose": "photo", "name": name, "index": index, "of": of}:
                self._segment(name, lambda: chosen_file(message, data), index, of)
            case {"type": "open", "text": text}:
                with self.widget.working(f"Opening {text} …", text):
                    name, source = typed_photo(text)
                    self._segment(name, lambda: source)
            case {"type": "sample", "name": name}:
                self._segment(name, self._samples[name])
            case {"type": "close", "number": number} if number in self.gallery.entries:
                self.gallery.close(number)
            case {"type": "anyway"} if entry:
                self._correct(replace(entry, original=entry.original.without_doubt()))
            case {"type": "stroke", "points": points} if entry:
                stroke = Stroke(message["keep"], message["radius"], self.gallery.in_photo(points))
                self._correct(entry, *entry.edits, stroke)
            case {"type": "pet", "index": index, "shown": shown} if entry:
                self._correct(entry, *entry.edits, Pet(index, shown))
            case {"type": "undo"} if entry:
                self._correct(entry, *entry.edits[:-1])
            case {"type": "save", "view": view, "picture": picture} if entry:
                self._save(entry, view, picture)

    def _segment(self, name: str, photo: Callable[[], Any], index: int = 1, of: int = 1) -> None:
        number = f" ({index} of {of})" if of > 1 else ""
        with self.widget.working(f"Cutting out {name}{number} …", name, index, of):
            if index == 1:  # whether or not this file is a photo
                self.gallery.settled = False
            source = photo()
            self.gallery.add(name, self._predictor()(source, name=name))

    def _show(self) -> None:
        """Shows the chosen photo, segmented by the chosen model: the other photos follow when they are chosen."""
        if (entry := self.gallery.current()) is None:
            return
        if entry.model == self.widget.model:
            with self.widget.answering(entry.name):
                self.gallery.show()
            return
        with self.widget.working(f"Cutting out {entry.name} …", entry.name):
            result = self._predictor()(entry.result.photo, name=entry.name)
            strokes = tuple(edit for edit in entry.edits if isinstance(edit, Stroke))  # other pets may be found now
            self.gallery.replace(replace(result, photo_alpha=entry.result.photo_alpha), self.widget.model, strokes)
            if len(strokes) < len(entry.edits):
                self.widget.add_message(other_pets(entry.name))

    def _predictor(self) -> Predictor:
        name = self.widget.model
        if name not in self._predictors:
            self._predictors[name] = Predictor(name, device=self._device)
        return self._predictors[name]

    def _correct(self, entry: Entry, *edits: Edit) -> None:
        with self.widget.working(f"Correcting {entry.name} …", entry.name):
            self.gallery.replace(entry.original, entry.model, edits)

    def _save(self, entry: Entry, view: str, picture: str) -> None:
        """Draws a picture, or the cut-outs of all photos, at the photos' own size, and sends it as a file."""
        subject, file = "all photos" if picture == "all" else entry.name, ("", b"")
        try:
            with self.widget.working(f"Preparing the download of {subject} …", entry.name):
                file = self.gallery.archive() if picture == "all" else self.gallery.file(entry, picture)
        finally:  # the page waits for it, also after an interrupt
            self.widget.save(view, picture, *file)  # without a name: a message says what failed


# --- Files and other photos -------------------------------------------------------------------------------------------


def chosen_file(message: Message, data: bytes) -> bytes:
    """The bytes of a chosen file; raises PhotoError if the browser says that it could not read or may not send them."""
    name = message["name"]
    if message["type"] == "unreadable":
        raise PhotoError(f"{name}: the browser cannot read it. If it is a folder, open it and choose the photos.")
    if message["type"] == "too large":
        remedy = "Shrink it." if message["purpose"] == "background" else "Type its path into the field above."
        size, most = (f"{number / 1e6:.0f} MB" for number in (message["size"], MAX_BYTES))
        raise PhotoError(f"{name}: {size}; at most {most} are uploaded. {remedy}")
    return data


def typed_photo(text: str) -> tuple[str, Path | bytes]:
    """Name and source of the photo at a path of this machine (`~` is the home folder) or at an `http(s)://` address.

    Raises PhotoError if there is no such photo, or it cannot be fetched.
    """
    text = text.strip().strip("\"'")
    if text.lower().startswith(("http://", "https://")):
        return _fetch(text)
    path = Path(text)
    with suppress(RuntimeError):  # the home folder of somebody who is not known
        path = path.expanduser()
    if not os.path.isfile(path):  # noqa: PTH113 - `Path` may raise
        shown = text if len(text) < 200 else f"{text[:100]} ..."  # a picture in the place of its address
        raise PhotoError(
            f"{shown or 'nothing'}: no such file on the machine that runs this notebook. Check the path, or upload it."
        )
    return path.name, path


def _fetch(address: str) -> tuple[str, bytes]:
    try:
        url = URL(address).with_fragment(None)  # people write spaces and umlauts; the web has codes for them
        request = urllib.request.Request(str(url), headers={"User-Agent": "petseg"})
        with urllib.request.urlopen(request, timeout=20) as answer:
            data: bytes = answer.read(MAX_BYTES + 1)
    except (OSError, ValueError, HTTPException) as error:
        why = getattr(error, "reason", error)
        raise PhotoError(
            f"{address}: cannot be fetched ({why}). Save the photo with a browser and upload it."
        ) from error
    name = url.name or "photo"
    if len(data) > MAX_BYTES:
        raise PhotoError(f"{name}: larger than {MAX_BYTES / 1e6:.0f} MB. Download it and type its path instead.")
    return name, data


def breed_samples(images: Path | None = None) -> dict[str, Callable[[], Path]]:
    """By breed, a function that returns the path of one of its photos at random; `images` is the data set's folder."""
    by_breed: dict[str, list[Path]] = {}
    for path in sorted(images.glob("*.jpg")) if images else []:
        by_breed.setdefault(path.stem.rpartition("_")[0], []).append(path)
    breeds = sorted(by_breed.items(), key=lambda item: item[0].casefold())
    return {breed.replace("_", " "): partial(random.choice, paths) for breed, paths in breeds}
