"""The files that a visitor or a program gets, each at the photo's own size."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from petseg.apps.cutouts import Format, encode, no_pet
from petseg.apps.display import file_name, write_archive
from petseg.apps.webapp import html
from petseg.apps.webapp.answers import at, problem, refusal, sentence, uploaded
from petseg.apps.webapp.session import SegmentedPhoto, Session
from petseg.apps.webapp.settings import cutout_settings
from petseg.errors import PhotoError
from petseg.inference.segmentation import Segmentation

ARCHIVE: Final = "cut-outs.zip"


class Downloads:
    """Writes files to download. `cutout` are values of the page's fields, as in `Handlers`.

    Args:
        session: the models.
        folder: where uploads lie and files are written; the caller removes it.
    """

    def __init__(self, session: Session, folder: Path) -> None:
        self.session = session
        self.folder = folder

    def cutout(self, segmented: Sequence[SegmentedPhoto], index: int | None, *cutout: Any) -> str:
        """Writes the cut-out of a photo; returns the file's path."""
        shown = at(segmented, index)
        try:
            return self._write(*self._cutout(shown, cutout))
        except Exception as error:
            raise refusal(error, shown.photo.name) from error

    def archive(self, segmented: Sequence[SegmentedPhoto], *cutout: Any) -> tuple[str, str]:
        """Writes a ZIP file of the cut-outs of all photos; returns its path, and HTML that says which are missing."""
        at(segmented, 0)
        failed: list[str] = []

        def pictures() -> Iterator[tuple[str, bytes]]:
            for shown in segmented:
                try:
                    yield self._cutout(shown, cutout)
                except Exception as error:  # the others go on
                    failed.append(sentence(error, shown.photo.name))

        path = self._new(ARCHIVE)
        with path.open("wb") as file:
            write_archive(file, pictures())
        if len(failed) == len(segmented):
            raise problem(failed[0])
        return str(path), html.messages(failed)

    def detail(
        self,
        kind: str,
        segmented: Sequence[SegmentedPhoto],
        index: int | None,
        opacity: float,
        classes: Sequence[str],
    ) -> str:
        """Writes the overlay or the mask of a photo as a PNG; returns the file's path."""
        shown = at(segmented, index)
        try:
            result = self.session.full_size(shown)
            image = result.mask_image() if kind == "mask" else result.overlay(opacity, classes)
            return self._write(file_name(shown.photo.name, kind), encode(image, "png"))
        except Exception as error:
            raise refusal(error, shown.photo.name) from error

    def segment(
        self,
        file: Mapping[str, Any] | None,
        kind: str,
        model: str,
        background: str,
        background_image: Mapping[str, Any] | None = None,
        crop: bool = False,
        format: Format = "png",
        grow: float = 0,
        feather: float = 0,
    ) -> tuple[str, dict[str, float]]:
        """The endpoint for programs: a picture of a photo, and each class's fraction of its pixels.

        Args:
            file: the photo, as Gradio describes an upload.
            kind: `cutout`, `mask` or `overlay`; what follows the model is for a cut-out alone.
            model: a name in `Session.choices`.
            background: `transparent`, `blur` or a colour.
            background_image: replaces the background.
            crop: as in `CutoutSettings`.
            format: as in `CutoutSettings`.
            grow: as in `CutoutSettings`.
            feather: as in `CutoutSettings`.
        """
        if file is None:
            raise problem("No photo came. Upload one.")
        try:
            photo = uploaded(file, self.folder)
            result, _ = self.session.segment(photo, model)
            if kind != "cutout":
                image = result.mask_image() if kind == "mask" else result.overlay()
                return self._write(file_name(photo.name, kind), encode(image, "png")), result.fractions
            if not result.found:
                raise PhotoError(no_pet(photo.name))
            own = background_image and self.session.image(uploaded(background_image, self.folder))
            chosen = ("image" if own else background, "", own, crop, format, grow, feather)
            return self._write(*_encoded(result, photo.name, chosen)), result.fractions
        except Exception as error:
            raise refusal(error, str(file.get("orig_name") or "photo")) from error

    def _cutout(self, shown: SegmentedPhoto, cutout: Sequence[Any]) -> tuple[str, bytes]:
        """Name and bytes of a cut-out."""
        if not shown.found:
            raise PhotoError(no_pet(shown.photo.name))
        background, color, own, *others = cutout
        image = self.session.image(own.photo) if own and background == "image" else None
        return _encoded(self.session.full_size(shown), shown.photo.name, (background, color, image, *others))

    def _write(self, name: str, data: bytes) -> str:
        path = self._new(name)
        path.write_bytes(data)
        return str(path)

    def _new(self, name: str) -> Path:
        path = self.folder / uuid.uuid4().hex / name
        path.parent.mkdir(parents=True)
        return path


def _encoded(result: Segmentation, photo: str, cutout: Sequence[Any]) -> tuple[str, bytes]:
    """Name and bytes of a cut-out whose settings are values of the page's fields."""
    settings = cutout_settings(*cutout)
    return file_name(photo, "cutout", settings.format), encode(settings.draw(result), settings.format, photo)
