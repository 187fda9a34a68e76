"""One example of the data set: a photo and its trimap, read, turned upright, resized, and refused if they disagree."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps
from PIL.ExifTags import Base as Tag

from petseg.errors import REPAIR, DataError
from petseg.files import orientation
from petseg.labels import labels_from_trimap

#: Increase it whenever decoding changes, so that older caches are no longer used.
DECODER = 2


def decode(image: Path, trimap: Path, size: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """One example, upright and resized: uint8 (size, size, 3), RGB, and uint8 (size, size), labels 0 to 2.

    A trimap covers the photo as it is stored: EXIF's orientation turns both alike.

    Raises:
        DataError: a file is not an image, or the trimap has another size than the photo or other values than 1 to 3.
    """
    # Pillow looks at the content, not at the name: the official folder has PNG and GIF files that are called .jpg
    with _reading(image), Image.open(image) as photo:
        if photo.mode.startswith(("I", "F")):
            raise ValueError(f"more than 8 bits per channel: mode {photo.mode}")  # Pillow would make it white
        turn = orientation(photo)
        # Pillow's bilinear filter averages over all pixels that it shrinks into one, so nothing aliases
        pixels = np.asarray(_turned(photo.convert("RGB"), turn).resize((size, size), Image.Resampling.BILINEAR))
    with _reading(trimap), Image.open(trimap) as mask:
        if mask.mode not in ("L", "P", "I", "I;16"):
            raise ValueError(f"a trimap has one channel of integers, but its mode is {mask.mode}")
        # between pet (1) and boundary (3), interpolation would invent background (2); nearest neighbour copies values
        values = np.asarray(_turned(mask, turn).resize((size, size), Image.Resampling.NEAREST))
    if mask.size != photo.size:
        (W, H), (w, h) = photo.size, mask.size
        raise DataError(
            f"{image} has {W} x {H} pixels{', stored on its side' * (turn > 4)}, but {trimap} has {w} x {h}: they do "
            "not belong together. Make a trimap of the photo as it is stored."
        )
    return pixels, labels_from_trimap(values, str(trimap))


def _turned(image: Image.Image, turn: int) -> Image.Image:
    if not 2 <= turn <= 8:
        return image
    image = image.copy()
    image.info = {}  # Pillow may fail to copy the rest of broken EXIF
    image.getexif()[Tag.Orientation] = turn
    return ImageOps.exif_transpose(image)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turn whatever goes wrong with a file into a sentence that names it."""
    try:
        yield
    except Exception as error:  # Pillow has no common base: OSError, SyntaxError, zlib.error, DecompressionBombError...
        raise DataError(f"{path}: cannot be read ({error or type(error).__name__}). {REPAIR}") from error
