"""The files that the apps give away: their names and bytes, and a ZIP of several."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import count
from pathlib import PurePath
from typing import IO, Any
from zipfile import ZipFile

from petseg.apps.batch import folded, shortened
from petseg.apps.cutouts import CutoutSettings, Format, encode, no_pet
from petseg.errors import PhotoError
from petseg.inference.segmentation import Segmentation


def file_name(photo: str, kind: str, format: Format = "png") -> str:
    """Name of a file to download: `my dog.jpg` and `cutout` give `my dog.cutout.png`; at most 255 bytes."""
    stem = PurePath(photo.replace("\\", "/")).stem
    plain = re.sub(r"[^\w .()-]", "_", stem).strip(" .")
    ending = f".{kind}.{format}"
    return shortened(plain or "photo", 255 - len(ending)) + ending


def file(photo: str, kind: str, result: Segmentation, settings: CutoutSettings, *overlay: Any) -> tuple[str, bytes]:
    """Name and bytes of a picture of a photo to download: `cutout`, `overlay` or `mask`.

    `overlay` are the opacity and the classes of the overlay.

    Raises:
        PhotoError: no pet was found, or the picture is too large for its format.
    """
    if kind != "cutout":
        image = result.mask_image() if kind == "mask" else result.overlay(*overlay)
        return file_name(photo, kind), encode(image, "png")
    if not result.found:
        raise PhotoError(no_pet(photo, result.doubtful))
    return file_name(photo, kind, settings.format), encode(settings.draw(result), settings.format, photo)


def write_archive(file: IO[bytes], pictures: Iterable[tuple[str, bytes]]) -> None:
    """Writes pictures, each a name of `file_name` and its bytes, as a ZIP file; holds only one of them in memory.

    A name that some file system takes for an earlier one (`Rex` and `rex`) gets a number.
    """
    used: set[str] = set()
    with ZipFile(file, "w") as archive:  # not compressed: pictures are compressed already
        for name, data in pictures:
            free, numbers = name, count(2)
            while folded(free) in used:  # rex.cutout.png, rex-2.cutout.png
                stem, kind, format = name.rsplit(".", 2)
                ending = f"-{next(numbers)}.{kind}.{format}"
                free = shortened(stem, 255 - len(ending)) + ending
            used.add(folded(free))
            archive.writestr(free, data)
