"""A photo from anywhere, upright and in sRGB, or one sentence that says why not.

1. `open_photo` reads a file and parses its header, once: format and size are known, no pixel is decoded;
2. `decode_photo` checks the size, decodes the pixels, converts them to 8-bit sRGB and turns them upright.

Pillow decodes. Files that it refuses or misreads, although every viewer shows them, are handled in `repair`. Pillow's
module-wide switches stay as they are, so threads can decode side by side.
"""

import ctypes
import logging
import math
import os
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path
from typing import IO, Final, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageOps
from PIL.ExifTags import Base as Tag

from petseg.errors import PhotoError, PhotoWarning
from petseg.files import orientation

#: Width times height of the largest photo that is decoded unless another limit is given.
MAX_PIXELS: Final = 60_000_000

READABLE: Final = "JPEG, PNG, WebP, GIF, BMP, TIFF, HEIC and AVIF are read"

#: How addresses begin, which people type where a path is expected.
ADDRESS: Final = re.compile("(?i)https?://")
ADDRESS_REFUSED: Final = "is an address; photos are read from files. Download it and name its file."

#: What a file is, by its first bytes; the first match counts. Capitals: formats that are read, by Pillow's names.
KINDS: Final = {
    rb"\xff\xd8\xff": "JPEG",  # also MPO, the two-picture files that phones name `.jpg`
    rb"\x89PNG\r\n\x1a\n": "PNG",
    rb"RIFF....WEBP": "WEBP",
    rb"GIF8[79]a": "GIF",
    rb"BM": "BMP",
    rb"II\*\0....CR|....ftypcrx |IIRO|IIRS|MMOR|IIU\0|FUJIFILMCCD-RAW|\0MRM|FOVb": "a camera raw file",
    rb"(II|MM)(\*\0|\0\*|\+\0|\0\+)": "TIFF",  # or another raw file: see `repair.open_tiff`
    rb"....ftyp.{,256}avi[fs]": "AVIF",  # brands of ISO media files (ISO 14496-12, ISO 23008-12)
    rb"....ftyp.{,256}(he[iv][cmsx]|mif[12]|msf1)": "HEIF",
    rb"....ftyp": "a video",
    rb"....jxl |\xff\x0a": "a JPEG XL photo",
    rb"....jp  ": "a JPEG 2000 photo",
    rb"8BPS": "a Photoshop document",
    rb"PK\x03\x04": "a zip archive",
    rb"%PDF": "a PDF document",
    rb"(?i).{,500}<svg": "an SVG drawing",
    rb"(?i).{,500}<html": "a web page",
}

# Pillow's warnings name no photo and no remedy. Set once: a filter set and unset around each photo would not be safe
# where threads decode side by side.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")
logging.getLogger("PIL").addHandler(logging.NullHandler())  # else Python prints what Pillow logs and raises

# libtiff prints its errors to the terminal, and Pillow raises them as well. Where libtiff is built into Pillow
# (Windows), this function cannot be reached, and the lines stay.
with suppress(AttributeError, OSError):
    ctypes.CDLL(Image.core.__file__).TIFFSetErrorHandler(None)


class Photo(NamedTuple):
    """A decoded photo."""

    image: Image.Image  # RGB, W x H, upright; transparent parts are laid on white
    alpha: Image.Image | None  # L, W x H, 0 transparent to 255 opaque; None if the whole photo is opaque


@dataclass(frozen=True)
class PhotoFile:
    """A photo whose header is parsed. `decode_photo` takes it once and closes it: its pixels are not kept twice."""

    image: Image.Image = field(repr=False)  # its size is known, its pixels are not decoded yet
    data: bytes = field(repr=False)  # the whole file
    name: str  # used in messages


PhotoInput: TypeAlias = "str | Path | bytes | IO[bytes] | PhotoFile | Image.Image | NDArray[np.uint8]"


def load_photo(source: PhotoInput, *, max_pixels: int = MAX_PIXELS, name: str | None = None) -> Image.Image:
    """The image of `decode_photo`: RGB and upright."""
    return decode_photo(source, max_pixels=max_pixels, name=name).image


def decode_photo(source: PhotoInput, *, max_pixels: int = MAX_PIXELS, name: str | None = None) -> Photo:
    """Decodes the first picture of a file, converts it to sRGB and turns it upright by its EXIF orientation.

    16-bit grey is divided by the range of its type, never by the photo's own. A valid colour profile (Display P3 of a
    phone, CMYK of a printer) is applied; a broken one is ignored, and so is broken EXIF. A JPEG whose last few bytes
    are missing is completed. Of an animation the first picture is used, with a `PhotoWarning`.

    Args:
        source: a path, a file's bytes, a file opened in binary mode, the result of `open_photo`, a Pillow image, or a
            uint8 array of shape (H, W), (H, W, 3) in RGB or (H, W, 4) in RGBA.
        max_pixels: limit on width times height, checked before any pixel is decoded.
        name: used in messages; default: the file's name, else "photo".

    Returns:
        New images without metadata.

    Raises:
        PhotoError: the photo is missing, too large, damaged or of a kind that is not read.
    """
    file = open_photo(source, name=name)
    with _failures_as_sentences(file.name):
        _check_size(file.image.size, max_pixels, file.name)
        image = _decoded(file)
        turn = orientation(image)
        rgb, alpha = _to_srgb(image, file.name)
        rgb = rgb.copy() if rgb is image else rgb
        if file.data:  # not an image of the caller's
            file.image.close()
        return Photo(_upright(rgb, turn), alpha and _upright(alpha, turn))


def open_photo(source: PhotoInput, *, name: str | None = None) -> PhotoFile:
    """Reads a file and parses its header. Images and arrays are taken as they are.

    Raises PhotoError if the file is missing, unreadable or of a kind that is not read.
    """
    if isinstance(source, PhotoFile):
        return replace(source, name=name or source.name)
    name = name or _name_of(source)
    with _failures_as_sentences(name):
        if isinstance(source, np.ndarray):
            source = _from_array(source, name)
        if isinstance(source, Image.Image):
            return PhotoFile(source, b"", name)
        data = _bytes_of(source, name)
        image = _parse_header(data, name)
        if _has_several_pictures(image):
            warnings.warn(f"{name}: holds several pictures; only the first is used.", PhotoWarning, stacklevel=3)
        return PhotoFile(image, data, name)


@contextmanager
def _failures_as_sentences(name: str) -> Iterator[None]:
    """Pillow answers damaged bytes with a dozen exception types; all become `PhotoError`."""
    try:
        yield
    except PhotoError:
        raise
    except (MemoryError, Image.DecompressionBombError) as error:
        raise PhotoError(f"{name}: has more pixels than this machine can decode. Shrink it.") from error
    except Exception as error:
        raise PhotoError(f"{name}: cannot be decoded ({_reason(error)}). Save it again as JPEG or PNG.") from error


def _reason(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__


def _name_of(source: object) -> str:
    if not isinstance(source, str | Path):
        source = getattr(source, "filename", "") or getattr(source, "name", "")
    return (Path(source).name or str(source) or "photo") if isinstance(source, str | Path) else "photo"


def _from_array(array: NDArray[np.uint8], name: str) -> Image.Image:
    channels = array.shape[2:] if array.ndim in (2, 3) else (0,)
    if array.dtype != np.uint8 or channels not in ((), (3,), (4,)):
        expected = "uint8, values 0 to 255, of shape (H, W), (H, W, 3) or (H, W, 4)"
        raise PhotoError(f"{name}: got an array of {array.dtype} {array.shape}; expected {expected}.")
    return Image.fromarray(np.ascontiguousarray(array))


def _bytes_of(source: object, name: str) -> bytes:
    if isinstance(source, str) and ADDRESS.match(source):
        raise PhotoError(f"{source}: {ADDRESS_REFUSED}")
    if isinstance(source, str | Path):
        source = _read(Path(source), name)
    elif hasattr(source, "read"):
        source = source.read()
    if not isinstance(source, bytes | bytearray | memoryview):
        expected = "a path, bytes, a file opened in binary mode, a Pillow image or a uint8 array"
        raise PhotoError(f"{name}: got a {type(source).__name__}; expected {expected}.")
    if not len(source):
        raise PhotoError(f"{name}: the file is empty. Copy or download it again.")
    return bytes(source)


def _read(path: Path, name: str) -> bytes:
    if os.path.exists(path) and not os.path.isfile(path):  # noqa: PTH110, PTH113 - `Path` may raise; reading a pipe could take forever
        kind = "a folder" if path.is_dir() else "a device or a pipe"
        raise PhotoError(f"{name}: is {kind}; expected the file of a photo.")
    try:
        return path.read_bytes()
    except OSError as error:
        raise PhotoError(f"{name}: cannot be read ({error.strerror or error}). Check path and permissions.") from error


def _check_size(size: tuple[int, int], max_pixels: int, name: str) -> None:
    pixels = size[0] * size[1]
    if pixels < 1:
        raise PhotoError(f"{name}: {size[0]} x {size[1]} pixels; expected at least one. Choose another photo.")
    if pixels > max_pixels:
        megapixels = math.ceil(pixels / 1e5) / 10  # rounded up: never "60; at most 60"
        raise PhotoError(f"{name}: {megapixels:g} megapixels; at most {max_pixels / 1e6:g} are decoded. Shrink it.")


def _parse_header(data: bytes, name: str) -> Image.Image:
    """An image whose pixels are not decoded yet, of a file whose first bytes say which format it has."""
    kind = next((kind for head, kind in KINDS.items() if re.match(head, data, re.DOTALL)), "not an image")
    image: Image.Image | None = None
    if kind in ("PNG", "TIFF"):
        from petseg.inference import repair  # a JPEG does not need it

        image = repair.open_png(data) if kind == "PNG" else repair.open_tiff(data)
    elif kind == "HEIF":
        from pillow_heif import HeifImageFile  # not registered with Pillow: its other users notice nothing

        image = HeifImageFile(BytesIO(data))
    elif kind.isupper():
        Image.init()
        image = Image.OPEN[kind][0](BytesIO(data), "")  # `Image.open` has a module-wide limit
    if image is None:
        kind = "a camera raw file" if kind == "TIFF" else kind
        raise PhotoError(f"{name}: {kind}; {READABLE}. Export it as JPEG or PNG.")
    return image


def _has_several_pictures(image: Image.Image) -> bool:
    with suppress(Exception):  # damage to a later picture does not matter
        return image.format != "MPO" and bool(getattr(image, "is_animated", False))  # MPO: the camera's own second one
    return False


def _decoded(file: PhotoFile) -> Image.Image:
    try:
        file.image.load()
        return file.image
    except (MemoryError, ValueError):  # not a matter of missing bytes
        raise
    except Exception as error:
        if file.image.format in ("JPEG", "MPO"):
            from petseg.inference.repair import completed_jpeg

            completed = completed_jpeg(file.data)
            if completed is not None:
                return completed
        reason = f"the file ends early or is damaged ({_reason(error)})"
        raise PhotoError(f"{file.name}: {reason}. Copy or download it again.") from error


def _upright(image: Image.Image, orientation: int) -> Image.Image:
    image.info = {}  # a saved copy would claim the old profile
    image.getexif()[Tag.Orientation] = orientation  # this tag alone: Pillow may fail to copy broken EXIF
    ImageOps.exif_transpose(image, in_place=True)
    return image


def _to_srgb(image: Image.Image, name: str) -> tuple[Image.Image, Image.Image | None]:
    """An image in 8-bit sRGB with transparent parts laid on white, and its alpha channel unless all of it is opaque."""
    profile = image.info.get("icc_profile")
    if image.mode.startswith(("I", "F")):
        image = _to_8_bit(image, name)
    alpha = _alpha(image)
    if alpha is not None:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    elif image.mode not in ("RGB", "L", "CMYK", "LAB"):
        image = image.convert("RGB")
    if image.mode == "LAB":  # independent of any device: its own profile
        return _from_profile(image, ImageCms.createProfile("LAB")), alpha
    if profile:
        with suppress(ImageCms.PyCMSError, OSError, ValueError, TypeError):  # every viewer ignores a broken profile
            return _from_profile(image, ImageCms.ImageCmsProfile(BytesIO(profile))), alpha
    return (image if image.mode == "RGB" else image.convert("RGB")), alpha


def _alpha(image: Image.Image) -> Image.Image | None:
    if not image.has_transparency_data:
        return None
    alpha = image.convert("RGBA").getchannel("A")
    is_padding = image.format == "BMP" and alpha.getbbox() is None  # many programs fill the fourth byte with 0
    return None if is_padding or alpha.getextrema() == (255, 255) else alpha


def _to_8_bit(image: Image.Image, name: str) -> Image.Image:
    """Grey of 9 to 16 bits, divided by its type's range: white is 2 ** bits - 1, whatever the photo contains."""
    tags = getattr(image, "tag_v2", {})  # of a TIFF
    if image.mode == "F" or (image.mode == "I" and tags):  # mode I without tags: a 16-bit PNG
        kind = "float" if image.mode == "F" else "signed or 32-bit"
        raise PhotoError(f"{name}: {kind} pixels, whose white is not defined. Save it as an 8-bit PNG.")
    white = 2 ** tags.get(Tag.BitsPerSample, (16,))[0] - 1
    values = np.asarray(image).clip(0, white).astype(np.uint32)  # (H, W)
    grey = ((values * 255 + white // 2) // white).astype(np.uint8)
    white_is_zero = tags.get(Tag.PhotometricInterpretation) == 0
    result = Image.fromarray(255 - grey if white_is_zero else grey)
    transparent = image.info.get("transparency")
    if isinstance(transparent, int):  # one of the 65,536 values
        result.putalpha(Image.fromarray(np.where(values == transparent, 0, 255).astype(np.uint8)))  # now LA
    return result


def _from_profile(image: Image.Image, profile: ImageCms.ImageCmsProfile | ImageCms.core.CmsProfile) -> Image.Image:
    srgb = ImageCms.createProfile("sRGB")
    return ImageCms.profileToProfile(image, profile, srgb, outputMode="RGB") or image
