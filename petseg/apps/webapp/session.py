"""Where photos are segmented, and what is kept of them while somebody looks."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from petseg.apps import render as presentation
from petseg.errors import ModelError, PhotoError
from petseg.inference.predictor import Predictor, Segmentation
from petseg.models import zoo


@dataclass(frozen=True)
class Chosen:
    """A photo that somebody chose.

    Attributes:
        name: what its owner calls it.
        path: where the untouched file lies; None for a sample, which is known by its name.
    """

    name: str
    path: Path | None = None

    def read(self) -> Path | Image.Image:
        """What `Predictor` takes.

        Raises:
            PhotoError: the file is gone.
        """
        if self.path is None:
            return presentation.samples()[self.name]()
        if not self.path.is_file():
            raise PhotoError(f"{self.name}: is not kept any longer. Choose the photo again.")
        return self.path


@dataclass(frozen=True, eq=False)
class Shown:
    """What is kept of a segmented photo: enough to draw it anew, little enough to keep for many visitors.

    Attributes:
        chosen: where the photo itself is.
        preview: JPEG of the photo, at most `presentation.PREVIEW_SIDE` pixels long.
        logits: float32 (3, h, w), as in `Segmentation`.
        model: that has segmented it, as `Desk` calls it.
        caption: size, model and time.
    """

    chosen: Chosen
    preview: bytes = field(repr=False)
    logits: NDArray[np.float32] = field(repr=False)
    model: str
    caption: str

    @classmethod
    def of(cls, chosen: Chosen, result: Segmentation, model: str) -> Shown:
        """Keeps what is needed of a result."""
        small = presentation.preview(result)
        return cls(chosen, presentation.jpeg(small.photo, 92), result.logits, model, presentation.caption(result))

    def small(self) -> Segmentation:
        """The result for the preview."""
        with Image.open(BytesIO(self.preview)) as photo:
            photo.load()
            return Segmentation(photo, self.logits, model=self.model)


class Desk:
    """The models, each loaded when first asked for; photos are decoded and segmented one after the other.

    Attributes:
        choices: of models: what to call them on the page, and their names.
        first: the name of the model to begin with.

    Args:
        model: the one to begin with, as `Predictor` takes it; default: the most accurate.

    Raises:
        ModelError: that one cannot be loaded.
    """

    def __init__(self, model: str | Path | None = None) -> None:
        model = zoo.best() if model is None else model
        self.choices = presentation.models()
        self.first = str(model)
        if Path(model).suffix == ".safetensors":
            self.first = Path(model).name  # visitors need not know where it lies
            self.choices = [*self.choices, (f"{self.first}: a model of your own", self.first)]
        self._predictors = {self.first: Predictor(model)}
        self._lock = threading.Lock()

    def segment(self, chosen: Chosen, model: str) -> tuple[Segmentation, list[str]]:
        """The result, and what there is to say about the photo: that its last rows are missing, for instance.

        Raises:
            PhotoError: the photo cannot be used.
            ModelError: the page has no model of this name.
        """
        # one at a time: `remarks` knows no threads, and large photos side by side need memory side by side
        with self._lock, presentation.remarks() as said:
            result = self._predictor(model)(chosen.read(), name=chosen.name)
        return result, said

    def full_size(self, shown: Shown) -> Segmentation:
        """What is kept, with the photo at its own size again.

        Raises:
            PhotoError: the photo is gone.
        """
        with self._lock, presentation.remarks():  # they were said when the photo was segmented
            photo = self._predictor(shown.model).load_photo(shown.chosen.read(), name=shown.chosen.name)
        return Segmentation(photo, shown.logits, model=shown.model)

    def _predictor(self, model: str) -> Predictor:
        if model not in [name for _, name in self.choices]:
            raise ModelError(f"{model}: this page has no such model. Choose one from its list.")
        if model not in self._predictors:
            self._predictors[model] = Predictor(model)
        return self._predictors[model]
