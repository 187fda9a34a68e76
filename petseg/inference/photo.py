"""A photo from anywhere, upright and in RGB, or one sentence that says why not.

Everything here leaves Pillow's module-wide switches alone, so that threads can decode side by side.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import IO, Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from petseg.errors import PhotoError

Source: TypeAlias = "str | Path | bytes | IO[bytes] | Image.Image | NDArray[np.uint8]"

#: Pillow's names of what is read; JPEG includes MPO, the two-picture files that phones name `.jpg`.
FORMATS: Final = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
READ: Final = "JPEG, PNG, WebP, GIF, BMP and TIFF are read"

#: A photo whose file ends early is kept when at least this share of its rows can be decoded.
ENOUGH_ROWS: Final = 0.75
MISSING: Final = 128  # grey of the rows that are not there

#: What to do to a photo with this EXIF orientation: tag 0x0112 of the EXIF 2.3 standard, section 4.6.4.
ORIENTATION_TAG: Final = 0x0112
UPRIGHT: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

#: Well-known files that are not read: where to look, what is there in lower case, what it is.
OTHERS: Final = (
    (slice(8, 40), b"avif", "an AVIF photo"),
    (slice(8, 40), b"heic", "a HEIC photo"),
    (slice(8, 40), b"mif1", "a HEIC photo"),
    (slice(4, 8), b"ftyp", "a video"),
    (slice(0, 512), b"<svg", "an SVG drawing"),
    (slice(0, 512), b"<html", "a web page"),
    (slice(0, 4), b"%pdf", "a PDF document"),
    (slice(4, 8), b"jxl ", "a JPEG XL photo"),
    (slice(0, 2), b"\xff\x0a", "a JPEG XL photo"),
    (slice(4, 8), b"jp  ", "a JPEG 2000 photo"),
    (slice(0, 4), b"8bps", "a Photoshop document"),
    (slice(0, 4), b"pk\x03\x04", "a zip archive"),
)


def load_photo(source: Source, *, max_pixels: int = 40_000_000, name: str | None = None) -> Image.Image:
    """The first picture of a file, upright by its EXIF orientation and in sRGB.

    An alpha channel is laid on white. 16-bit grey is divided by its type's range, never by the photo's own. A
    valid colour profile (Display P3 of a phone, CMYK of a printer) is converted; a broken one is ignored, and
    so is broken EXIF. A file that ends early is kept, with a warning, when at least 75 % of its rows are
    there; the missing rows are mid-grey. The rows of a progressive JPEG come last, so a cut one is refused.

    Args:
        source: a path, a file's bytes, a file opened in binary mode, a Pillow image, or a uint8 array
            of shape (H, W), (H, W, 3) in RGB or (H, W, 4) in RGBA.
        max_pixels: height times width that is decoded at most; checked before any pixel is.
        name: what messages call the photo; default: the file's name, else "photo".

    Returns:
        RGB image of its own, of the photo's upright size and without metadata; `source` stays as it is.

    Raises:
        PhotoError: there is no photo, or it is too big, damaged or of a kind that is not read.
    """
    name = name or _name_of(source)
    with _any_failure_in_a_sentence(name):
        if isinstance(source, Image.Image):
            _check_size(source.size, max_pixels, name)
            return _upright_rgb(source, name)
        if isinstance(source, np.ndarray):
            return _upright_rgb(_from_array(source, max_pixels, name), name)
        return _upright_rgb(_decode(_bytes_of(source, name), max_pixels, name), name)


def _name_of(source: object) -> str:
    if not isinstance(source, str | Path):
        source = getattr(source, "filename", "") or getattr(source, "name", "")
    return (Path(source).name or str(source) or "photo") if isinstance(source, str | Path) else "photo"


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
        reason = " ".join(str(error).split()).rstrip(".") or type(error).__name__
        raise PhotoError(f"{name}: cannot be decoded ({reason}). Save it again as JPEG or PNG.") from error


def _bytes_of(source: object, name: str) -> bytes:
    if isinstance(source, str | Path):
        source = _read(Path(source), name)
    elif hasattr(source, "read"):
        source = source.read()
    if not isinstance(source, bytes | bytearray | memoryview):
        raise PhotoError(
            f"{name}: a {type(source).__name__} came; expected a path, bytes, a file opened in binary mode, "
            "a Pillow image or a uint8 array."
        )
    if not len(source):
        raise PhotoError(f"{name}: the file is empty. Copy or download it again.")
    return bytes(source)


def _read(path: Path, name: str) -> bytes:
    if path.is_dir():
        raise PhotoError(f"{name}: is a folder; expected a photo. Name the photos in it, one by one.")
    if not path.exists():
        raise PhotoError(f"{name}: no such file in {path.absolute().parent}. Check the path.")
    if not path.is_file():
        raise PhotoError(f"{name}: is a device or a pipe; expected a photo. Save it to a file first.")
    return path.read_bytes()


def _check_size(size: tuple[int, int], max_pixels: int, name: str) -> None:
    pixels = size[0] * size[1]
    if pixels < 1:
        raise PhotoError(f"{name}: {size[0]} x {size[1]} pixels; expected at least one. Choose another photo.")
    if pixels > max_pixels:
        came, most = math.ceil(pixels / 1e5) / 10, max_pixels / 1e6  # rounded up: never "40; at most 40"
        raise PhotoError(f"{name}: {came:g} megapixels; at most {most:g} are decoded. Shrink it.")


def _from_array(array: NDArray[Any], max_pixels: int, name: str) -> Image.Image:
    channels = array.shape[2:] if array.ndim in (2, 3) else (0,)
    if array.dtype != np.uint8 or channels not in ((), (3,), (4,)):
        raise PhotoError(
            f"{name}: an array of {array.dtype} {array.shape} came; expected uint8, values 0 to 255, of "
            "shape (H, W), (H, W, 3) or (H, W, 4). Scale and transpose it first."
        )
    _check_size((array.shape[1], array.shape[0]), max_pixels, name)
    return Image.fromarray(np.ascontiguousarray(array))


def _decode(data: bytes, max_pixels: int, name: str) -> Image.Image:
    image = _open(data, name)
    _check_size(image.size, max_pixels, name)
    try:
        image.load()
    except Exception as error:
        if image.format not in ("JPEG", "MPO", "PNG"):  # the formats whose rows come in order
            raise
        return _rows_that_are_there(data, name, error)
    return image


def _open(data: bytes, name: str) -> Image.Image:
    """An image with its header read and no pixel decoded.

    The plugins are asked one by one: `Image.open` would judge the size by Pillow's own, module-wide limit.
    """
    Image.init()
    for format in FORMATS:
        factory, accept = Image.OPEN.get(format, (None, None))
        if factory and accept and accept(data[:16]) is True:
            return factory(BytesIO(data), "")
    head = data[:512].lower()
    found = (what for where, mark, what in OTHERS if mark in head[where])
    raise PhotoError(f"{name}: {next(found, 'not an image')}; {READ}. Export it as JPEG or PNG.")


def _rows_that_are_there(data: bytes, name: str, error: Exception) -> Image.Image:
    """Decodes a damaged file onto black and onto white: the rows that come out alike have been decoded."""
    black, white = _decoded_onto(data, 0), _decoded_onto(data, 255)
    there = np.ones(black.height, dtype=bool)
    for one, other in zip(black.split(), white.split(), strict=True):
        there &= (np.asarray(one) == np.asarray(other)).all(axis=1)  # (H,)
    rows = black.height if there.all() else int(np.argmin(there))  # the first that is not there ends the photo
    if rows < ENOUGH_ROWS * black.height:
        raise PhotoError(
            f"{name}: the file is cut off or damaged, and {rows / black.height:.0%} of its rows can be "
            f"decoded; at least {ENOUGH_ROWS:.0%} are needed. Copy or download it again."
        ) from error
    warnings.warn(f"{name}: the last {black.height - rows} rows are missing and shown in grey.", stacklevel=4)
    return _grey_below(black, rows)


def _decoded_onto(data: bytes, value: int) -> Image.Image:
    image: Any = _open(data, "")  # an ImageFile, whose canvas and tiles Pillow leaves untyped
    image.im = Image.new(image.mode, image.size, (value,) * len(image.getbands())).im
    try:
        image.load()
    except Exception:
        image.tile = []  # nothing left to decode: what there is stays
    return image


def _grey_below(image: Image.Image, rows: int) -> Image.Image:
    below = (0, rows, *image.size)
    if image.mode == "P":  # index 128 may be any colour
        image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    opaque = image.mode in ("LA", "RGBA")
    bands = len(image.getbands())
    image.paste((MISSING,) * (bands - opaque) + (255,) * opaque, below)
    return image


def _upright_rgb(image: Image.Image, name: str) -> Image.Image:
    """Turns what has been decoded; never changes `image` itself."""
    image.load()  # TIFF knows its orientation only afterwards
    turn = UPRIGHT.get(_orientation(image))
    plain = _in_srgb(_flat(_eight_bit(image, name)), image.info.get("icc_profile"))
    if turn is not None:
        plain = plain.transpose(turn)
    elif plain is image:
        plain = plain.copy()
    plain.info = {}  # or the next reader would turn it again, and a saved copy would claim the old profile
    return plain


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(ORIENTATION_TAG, 1))
    except Exception:  # EXIF is an extra: whatever is broken in it, the pixels are as good as before
        return 1


def _eight_bit(image: Image.Image, name: str) -> Image.Image:
    """Grey of 9 to 16 bits, divided by its type's range: white is 2 ** bits - 1 whatever the photo holds."""
    if not image.mode.startswith(("I", "F")):
        return image
    tags = getattr(image, "tag_v2", {})  # of a TIFF
    if image.mode == "F" or (image.mode == "I" and tags):
        kind = "float" if image.mode == "F" else "signed or 32-bit"
        raise PhotoError(
            f"{name}: {kind} pixels, whose white is not defined; expected 8 or 16 bits a channel. "
            "Save it as an 8-bit PNG."
        )
    white = 2 ** tags.get(258, (16,))[0] - 1  # tag 258 is BitsPerSample; mode I is how Pillow may hold a 16-bit PNG
    grey = np.asarray(image).clip(0, white).astype(np.uint32)  # (H, W)
    grey = ((grey * 255 + white // 2) // white).astype(np.uint8)
    return Image.fromarray(255 - grey if tags.get(262) == 0 else grey)  # tag 262, value 0: white is zero


def _flat(image: Image.Image) -> Image.Image:
    """Whatever is see-through, laid on white; palettes and rare modes become RGB."""
    if image.has_transparency_data:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return image if image.mode in ("RGB", "L", "CMYK", "LAB") else image.convert("RGB")


def _in_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """RGB of an RGB, L, CMYK or LAB image, by its colour profile where that is valid."""
    if image.mode == "LAB":  # device-independent: its own profile
        lab = ImageCms.createProfile("LAB")
        return _converted(image, lab)
    if profile:
        try:
            return _converted(image, ImageCms.ImageCmsProfile(BytesIO(profile)))
        except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
            return image.convert("RGB")  # as every viewer does with a broken profile
    return image.convert("RGB") if image.mode != "RGB" else image


def _converted(image: Image.Image, profile: Any) -> Image.Image:
    converted = ImageCms.profileToProfile(image, profile, ImageCms.createProfile("sRGB"), outputMode="RGB")
    if converted is None:
        raise ValueError("profileToProfile returns an image unless it works in place")
    return converted
