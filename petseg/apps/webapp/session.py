"""The models of a running app, and what is kept of the photos that they segmented."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from petseg.apps import display
from petseg.apps.cutouts import encode, photo_notes
from petseg.apps.display import sample_photos
from petseg.errors import ModelError, PhotoError
from petseg.inference.photo import Photo, decode_photo
from petseg.inference.predictor import Predictor
from petseg.inference.segmentation import Segmentation
from petseg.models import zoo


@dataclass(frozen=True)
class ChosenPhoto:
    """A photo that a visitor chose.

    Attributes:
        name: of the file as the visitor knows it, or of a sample.
        path: where the uploaded file lies; None for a sample.
    """

    name: str
    path: Path | None = None

    def read(self) -> Path | Image.Image:
        """What `Predictor` takes.

        Raises:
            PhotoError: the file was deleted since.
        """
        if self.path is None:
            return sample_photos()[self.name]()
        if not self.path.is_file():
            raise PhotoError(f"{self.name}: is not kept any longer. Choose the photo again.")
        return self.path


@dataclass(frozen=True, eq=False)
class SegmentedPhoto:
    """What is kept of a segmented photo: enough to draw it again, little enough to keep for many visitors.

    Attributes:
        photo: where the photo itself is.
        jpeg: a small copy of it, at most `display.PREVIEW_SIDE` pixels long.
        alpha: a PNG file of what is see-through in that copy; empty where all of it is opaque.
        logits: float32 (3, h, w), as in `Segmentation`.
        model: that has segmented it, by its name in `Session.choices`.
        caption: size, model and time.
        found: whether there is a pet.
    """

    photo: ChosenPhoto
    jpeg: bytes = field(repr=False)
    alpha: bytes = field(repr=False)
    logits: NDArray[np.float32] = field(repr=False)
    model: str
    caption: str
    found: bool

    @classmethod
    def from_result(cls, photo: ChosenPhoto, result: Segmentation, model: str) -> SegmentedPhoto:
        """Keeps what is needed of a result."""
        small = display.preview(result)
        alpha = encode(small.photo_alpha, "png") if small.photo_alpha else b""
        jpeg = encode(small.photo, "jpg")
        return cls(photo, jpeg, alpha, result.logits, model, display.caption(result), result.found)

    def preview(self) -> Segmentation:
        """The result for the small copy."""
        alpha = _opened(self.alpha) if self.alpha else None
        return Segmentation(_opened(self.jpeg), self.logits, model=self.model, photo_alpha=alpha)


@dataclass(frozen=True, eq=False)
class ChosenBackground:
    """An image of the visitor's own to put behind the pet.

    Attributes:
        photo: where the image itself is.
        jpeg: a small copy of it, at most `display.PREVIEW_SIDE` pixels long.
    """

    photo: ChosenPhoto
    jpeg: bytes = field(repr=False)

    def preview(self) -> Image.Image:
        """The small copy, RGB."""
        return _opened(self.jpeg)


def _opened(data: bytes) -> Image.Image:
    with Image.open(BytesIO(data)) as image:
        image.load()
        return image


class Session:
    """The models, each loaded at its first use; photos are decoded and segmented one after the other.

    Attributes:
        choices: of models: a line that describes each, and its name.
        first: the name of the model to begin with.

    Args:
        model: the one to begin with, as `Predictor` takes it; default: the most accurate.
        device: of all models, as `Predictor` takes it.

    Raises:
        ModelError: that one cannot be loaded.
    """

    def __init__(self, model: str | Path | None = None, device: str | None = None) -> None:
        model = zoo.best() if model is None else model
        self.choices = display.model_choices()
        self.first = str(model)
        if Path(model).suffix == ".safetensors":
            self.first = Path(model).name  # visitors need not know its folder
            self.choices = [*self.choices, (f"{self.first}: a model of your own", self.first)]
        self._device = device
        self._predictors = {self.first: Predictor(model, device=device)}
        # one photo at a time: large ones side by side need memory side by side, and `photo_notes` allows no threads;
        # always in the same thread, since the allocator keeps a pool of freed memory for each thread that needed much
        self._worker = ThreadPoolExecutor(max_workers=1)

    def segment(self, photo: ChosenPhoto, model: str) -> tuple[Segmentation, list[str]]:
        """Segments a photo.

        Returns:
            The result, and sentences worth knowing about the photo.

        Raises:
            PhotoError: the photo cannot be used.
            ModelError: the page offers no model of this name.
        """
        return self._worker.submit(self._segment, photo, model).result()

    def full_size(self, segmented: SegmentedPhoto) -> Segmentation:
        """The kept result for the photo at its own size.

        Raises:
            PhotoError: the photo was deleted since.
        """
        image, alpha = self._decoded(segmented.photo)
        return Segmentation(image, segmented.logits, model=segmented.model, photo_alpha=alpha)

    def background(self, photo: ChosenPhoto) -> ChosenBackground:
        """An image to put behind pets.

        Raises:
            PhotoError: it cannot be used.
        """
        image = self.image(photo)
        image.thumbnail((display.PREVIEW_SIDE, display.PREVIEW_SIDE))
        return ChosenBackground(photo, encode(image, "jpg"))

    def image(self, photo: ChosenPhoto) -> Image.Image:
        """A photo at its own size, RGB.

        Raises:
            PhotoError: it cannot be used, or was deleted since.
        """
        return self._decoded(photo).image

    def _decoded(self, photo: ChosenPhoto) -> Photo:
        return self._worker.submit(_decode, photo).result()

    def _segment(self, photo: ChosenPhoto, model: str) -> tuple[Segmentation, list[str]]:
        with photo_notes() as take_notes:
            result = self._predictor(model)(photo.read(), name=photo.name)
            return result, take_notes()

    def _predictor(self, model: str) -> Predictor:
        if model not in [name for _, name in self.choices]:
            raise ModelError(f"{model}: this page has no such model. Choose one from its list.")
        if model not in self._predictors:
            self._predictors[model] = Predictor(model, device=self._device)
        return self._predictors[model]


def _decode(photo: ChosenPhoto) -> Photo:
    with photo_notes():  # they were shown when the photo was segmented
        return decode_photo(photo.read(), name=photo.name)
