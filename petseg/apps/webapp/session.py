"""The models of a running app, and what it keeps of its visitors: their photos, and the files that it shows them."""

import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path
from threading import Lock
from typing import Any, Final, Self

from PIL import Image

from petseg.apps import display
from petseg.apps.cutouts import encode, photo_notes
from petseg.apps.edits import Edit, edited, shown_pets
from petseg.errors import ModelError, PhotoError, SettingsError
from petseg.inference.photo import Photo, decode_photo
from petseg.inference.predictor import Predictor
from petseg.inference.segmentation import Segmentation
from petseg.models import zoo

MAX_EDITS: Final = 200  # of a photo

#: What a visitor reads if a file cannot be written; in the braces stands why.
NOT_STORED: Final = "The machine that runs this page cannot store the file ({}). Free some space there, then try again."


@dataclass(frozen=True)
class ChosenPhoto:
    """A visitor's photo: the file, and its name as the visitor knows it."""

    path: Path
    name: str

    @classmethod
    def from_upload(cls, upload: Mapping[str, Any]) -> Self:
        """The photo of an upload as Gradio describes it: `path` on the server, and `orig_name`."""
        name = str(upload.get("orig_name") or upload["path"])
        return cls(Path(upload["path"]), name.replace("\\", "/").rpartition("/")[2])

    def present(self) -> Path:
        """The path; raises PhotoError if the file was deleted in the meantime."""
        if not self.path.is_file():
            raise PhotoError(f"{self.name}: was deleted in the meantime. Choose the photo again.")
        return self.path


@dataclass(frozen=True, eq=False)
class SegmentedPhoto:
    """What is kept of a segmented photo: enough to redraw it, little enough to keep for many visitors."""

    file: ChosenPhoto
    jpeg: bytes = field(repr=False)  # a copy of the photo whose longest side is at most `display.PREVIEW_SIDE`
    alpha: bytes = field(repr=False)  # a PNG of the copy's opacity; empty if all of it is opaque
    caption: str
    original: Segmentation  # what the model found, without the photo
    result: Segmentation  # the same after the edits
    edits: Sequence[Edit] = ()

    @classmethod
    def from_result(cls, file: ChosenPhoto, result: Segmentation) -> Self:
        """What is kept of a result."""
        small, bare = display.preview(result), _without_photo(result)
        jpeg, alpha = encode(small.photo, "jpg"), encode(small.photo_alpha, "png") if small.photo_alpha else b""
        return cls(file, jpeg, alpha, display.caption(result), bare, bare)

    def preview(self, edits: Sequence[Edit] | None = None) -> Segmentation:
        """The result for the small copy, or what it would be after other edits."""
        alpha = Image.open(BytesIO(self.alpha)) if self.alpha else None
        result = self.result if edits is None else self.original
        return edited(replace(result, photo=Image.open(BytesIO(self.jpeg)), photo_alpha=alpha), edits or ())

    def pets(self) -> list[bool]:
        """Which of several pets are shown; empty for a single one."""
        return shown_pets(self.preview(edits=()), self.edits)

    def edited(self, edits: Sequence[Edit]) -> Self:
        """The photo corrected by hand; raises SettingsError after too many corrections."""
        if len(edits) > MAX_EDITS:
            raise SettingsError(f"{self.file.name}: {MAX_EDITS} corrections at most. Undo some.")
        return replace(self, edits=edits, result=_without_photo(self.preview(edits)))

    def without_doubt(self) -> Self:
        """The photo after the visitor said that it shows a pet."""
        return replace(self, original=self.original.without_doubt(), result=self.result.without_doubt())


def _without_photo(result: Segmentation) -> Segmentation:
    return replace(result, photo=Image.new("RGB", (1, 1)), photo_alpha=None)


@dataclass(frozen=True, eq=False)
class Visit:
    """The segmented photos of a visitor, at least one, and the index of the shown one."""

    photos: Sequence[SegmentedPhoto]
    index: int

    @classmethod
    def of(cls, photos: Sequence[SegmentedPhoto], shown: ChosenPhoto | None = None) -> Self:
        """A visit that shows a photo, if it is there, or else the first with a pet, or else the first."""
        order = [(photo.file is not shown, not photo.result.found) for photo in photos]
        return cls(photos, order.index(min(order)))

    @property
    def shown(self) -> SegmentedPhoto:
        """The photo that is shown."""
        return self.photos[self.index]

    def changed(self, shown: SegmentedPhoto) -> Self:
        """The visit with another state of the shown photo."""
        return replace(self, photos=[shown if photo is self.shown else photo for photo in self.photos])


class Session:
    """The models, each loaded at its first use; photos are decoded and segmented one after the other."""

    def __init__(self, model: str | Path | None = None, device: str | None = None) -> None:
        model = zoo.best() if model is None else model
        self.choices = display.model_choices()
        self.first = str(model)  # the selected one
        if Path(model).suffix == ".safetensors":
            self.first = Path(model).name  # visitors need not know its folder
            self.choices = [*self.choices, (f"{self.first}: a model of your own", self.first)]
        self._device = device  # as `Predictor` takes it
        self._predictors = {self.first: Predictor(model, device=device)}
        self._lock = Lock()  # large photos side by side would need memory side by side

    def segment(self, file: ChosenPhoto, model: str) -> tuple[Segmentation, list[str]]:
        """Segments a photo; also returns sentences about how it was read. Raises PhotoError and ModelError."""
        with self._lock, photo_notes() as notes:
            result = self._predictor(model)(file.present(), name=file.name)
            return result, notes()

    def decode(self, file: ChosenPhoto) -> Photo:
        """Decodes a photo at its own size; raises PhotoError if it cannot be used."""
        with self._lock, photo_notes():  # a visitor saw the notes when the photo was segmented
            return decode_photo(file.present(), name=file.name)

    def full_size(self, photo: SegmentedPhoto) -> Segmentation:
        """The result for the photo at its own size; raises what `decode` does."""
        image, alpha = self.decode(photo.file)
        return replace(photo.result, photo=image, photo_alpha=alpha)

    def _predictor(self, model: str) -> Predictor:
        if model not in [name for _, name in self.choices]:
            raise ModelError(f"{model}: this page has no such model. Choose one from its list.")
        if model not in self._predictors:
            self._predictors[model] = Predictor(model, device=self._device)
        return self._predictors[model]


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
        """The path of a new file, alone in a folder, so that it can have any name; none is left if writing it fails."""
        path = self.folder / uuid.uuid4().hex / name
        try:
            path.parent.mkdir()  # not its parents: at the end of the app its folder is gone, and no photo may stay
            yield path
        except BaseException as error:
            path.unlink(missing_ok=True)
            if isinstance(error, OSError):
                raise PhotoError(NOT_STORED.format(error.strerror)) from error
            raise


def remove_empty_folders(folder: Path, seconds: float) -> None:
    """Removes the subfolders that have been empty for `seconds`, but not those of uploads that have just begun."""
    for path in folder.iterdir():
        if path.is_dir() and time.time() - path.stat().st_mtime > seconds:
            with suppress(OSError):  # not empty
                path.rmdir()
