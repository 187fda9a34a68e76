"""A photo from anywhere, upright and in RGB, or one sentence that says why not.

Everything here leaves Pillow's module-wide switches alone, so that threads can decode side by side.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

import numpy as np
from PIL import Image, ImageOps
from PIL.ExifTags import Base

from petseg.errors import PhotoError, PhotoWarning
from petseg.inference.color import to_srgb
from petseg.inference.formats import open_header
from petseg.inference.inputs import PhotoInput, bytes_of, check_size, from_array, name_of
from petseg.inference.repair import PNG_SIGNATURE, complete_jpeg, plain_png

#: Height times width of the largest photo that is decoded unless another limit is given.
MAX_PIXELS: Final = 60_000_000

# Pillow's warnings name no photo and nothing to do. Set once: a filter set and unset around each photo would not be
# safe where threads decode side by side.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")


class Photo(NamedTuple):
    """A decoded photo.

    Attributes:
        image: RGB, upright, W x H; what is see-through is laid on white.
        alpha: L, W x H, 0 see-through to 255 opaque; None where all of it is opaque.
    """

    image: Image.Image
    alpha: Image.Image | None


def load_photo(source: PhotoInput, *, max_pixels: int = MAX_PIXELS, name: str | None = None) -> Image.Image:
    """The first picture of a file, upright by its EXIF orientation and in sRGB; see `decode_photo`."""
    return decode_photo(source, max_pixels=max_pixels, name=name).image


def decode_photo(source: PhotoInput, *, max_pixels: int = MAX_PIXELS, name: str | None = None) -> Photo:
    """The first picture of a file, upright by its EXIF orientation and in sRGB, and what of it is see-through.

    16-bit grey is divided by its type's range, never by the photo's own. A valid colour profile (Display P3 of a phone,
    CMYK of a printer) is converted; a broken one is ignored, and so is broken EXIF. A JPEG whose last few bytes are
    missing is completed. Of an animation the first picture is taken, with a warning.

    Args:
        source: a path, a file's bytes, a file opened in binary mode, a Pillow image, or a uint8 array
            of shape (H, W), (H, W, 3) in RGB or (H, W, 4) in RGBA.
        max_pixels: height times width that is decoded at most; checked before any pixel is.
        name: what messages call the photo; default: the file's name, else "photo".

    Returns:
        Images of the photo's upright size, without metadata; `source` stays as it is.

    Raises:
        PhotoError: there is no photo, or it is too big, damaged or of a kind that is not read.
    """
    name = name or name_of(source)
    with _any_failure_in_a_sentence(name):
        if isinstance(source, Image.Image):
            check_size(source.size, max_pixels, name)
            image = source
        elif isinstance(source, np.ndarray):
            image = from_array(source, max_pixels, name)
        else:
            image = _decode(bytes_of(source, name), max_pixels, name)
        return _upright(image, name)


@contextmanager
def _any_failure_in_a_sentence(name: str) -> Iterator[None]:
    """Pillow answers damaged bytes with a dozen exception types; all become `PhotoError`."""
    try:
        yield
    except PhotoError:
        raise
    except (MemoryError, Image.DecompressionBombError) as error:
        raise PhotoError(f"{name}: has more pixels than can be decoded here. Shrink it.") from error
    except Exception as error:
        raise PhotoError(f"{name}: cannot be decoded ({_reason(error)}). Save it again as JPEG or PNG.") from error


def _decode(data: bytes, max_pixels: int, name: str) -> Image.Image:
    """The decoded first picture of a file."""
    profile, several = None, False
    if data.startswith(PNG_SIGNATURE):
        data, profile, several = plain_png(data)
    image = open_header(data, name)
    check_size(image.size, max_pixels, name)
    if several or _several_pictures(image):
        warnings.warn(f"{name}: holds several pictures; only the first is used.", PhotoWarning, stacklevel=4)
    try:
        image.load()
    except MemoryError:
        raise
    except Exception as error:
        image = _completed(data, image.format, name, error)
    if profile:
        image.info["icc_profile"] = profile
    return image


def _completed(data: bytes, format: str | None, name: str, error: Exception) -> Image.Image:
    """The decoded image of a file that ends early, where it can be completed."""
    if format in ("JPEG", "MPO"):
        image = complete_jpeg(data, lambda data: open_header(data, name))
        if image is not None:
            return image
    raise PhotoError(
        f"{name}: the file ends early or is damaged ({_reason(error)}). Copy or download it again."
    ) from error


def _reason(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__


def _several_pictures(image: Image.Image) -> bool:
    """Whether a file is an animation or has several pages; the second picture of an MPO is the camera's affair."""
    if image.format == "MPO":
        return False
    try:
        return bool(getattr(image, "is_animated", False))
    except Exception:  # what is wrong with a later picture does not matter
        return False


def _upright(image: Image.Image, name: str) -> Photo:
    """The photo of a decoded image, which stays as it is."""
    image.load()  # a TIFF knows its orientation only afterwards
    orientation = _orientation(image)
    plain, alpha = to_srgb(image, name)
    if plain is image:
        plain = plain.copy()
    for picture in (plain, alpha):
        if picture is not None:
            picture.info = {}  # a saved copy would claim the old profile
            # the orientation alone: to write broken EXIF back, as exif_transpose does, could fail
            picture.getexif()[Base.Orientation] = orientation
            ImageOps.exif_transpose(picture, in_place=True)
    return Photo(plain, alpha)


def _orientation(image: Image.Image) -> int:
    """How a photo was held: EXIF 2.3, tag 0x0112, 1 upright to 8; 1 where that is unknown."""
    try:
        return int(image.getexif().get(Base.Orientation, 1))
    except Exception:  # EXIF is an extra: whatever is broken in it, the pixels are as good as before
        return 1
