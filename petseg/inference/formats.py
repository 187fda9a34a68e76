"""What kind of file some bytes are: opened where it is a photo that is read here, else named in a sentence."""

from __future__ import annotations

from io import BytesIO
from typing import Final

from PIL import Image

from petseg.errors import PhotoError
from petseg.inference.raw import raw_kind

#: Pillow's names of what it reads for us; JPEG includes MPO, the two-picture files that phones name `.jpg`.
FORMATS: Final = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")
READ: Final = "JPEG, PNG, WebP, GIF, BMP, TIFF, HEIC and AVIF are read"

#: Brands in the first box of an ISO media file, which tell photos from videos (ISO 14496-12, 23008-12).
AVIF: Final = {b"avif", b"avis"}
HEIF: Final = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"mif2", b"msf1"}
CANON_RAW: Final = b"crx "

#: Well-known files that are not read: where to look, what stands there in lower case, what it is.
OTHERS: Final = (
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


def open_header(data: bytes, name: str) -> Image.Image:
    """An image with its header read and no pixel decoded.

    Pillow's plugins are asked one by one: `Image.open` would judge the size by its own, module-wide limit.

    Args:
        data: the file's bytes.
        name: what the error message calls it.

    Raises:
        PhotoError: it is no photo, or of a kind that is not read.
    """
    brands = _brands(data)
    raw = "CR3" if CANON_RAW in brands else raw_kind(data)
    if raw:  # a TIFF for Pillow, which would show the thumbnail in it
        kind = "a camera raw file" + (f" ({raw})" if raw != "raw" else "")
        raise PhotoError(f"{name}: {kind}; {READ}. Export it as JPEG or PNG.")
    if brands & HEIF and not brands & AVIF:
        return _open_heif(data)
    Image.init()
    for format in FORMATS:
        factory, accept = Image.OPEN.get(format, (None, None))
        if factory and accept and accept(data[:16]) is True:
            return factory(BytesIO(data), "")
    if brands & AVIF:
        raise PhotoError(f"{name}: an AVIF photo, which needs Pillow 11.3 or newer. Run `pip install -U pillow`.")
    head = data[:512].lower()
    found = (what for where, mark, what in OTHERS if mark in head[where])
    raise PhotoError(f"{name}: {next(found, 'not an image')}; {READ}. Export it as JPEG or PNG.")


def _brands(data: bytes) -> set[bytes]:
    """The main and the compatible brands of an ISO media file; none for any other."""
    if data[4:8] != b"ftyp":
        return set()
    end = min(int.from_bytes(data[:4], "big"), len(data), 512)
    return {data[8:12]} | {data[start : start + 4] for start in range(16, end - 3, 4)}


def _open_heif(data: bytes) -> Image.Image:
    # its plugin is used without registering it: other users of Pillow in this program notice nothing
    from pillow_heif import HeifImageFile

    image: Image.Image = HeifImageFile(BytesIO(data))
    return image
