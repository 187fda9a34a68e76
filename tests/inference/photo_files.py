"""Small photos and files for the tests of this folder."""

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

from petseg.errors import PhotoError
from petseg.inference.photo import load_photo

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
#: An sRGB profile whose red and blue primaries have changed places.
SWAPPED = SRGB.replace(b"rXYZ", b"~XYZ").replace(b"bXYZ", b"rXYZ").replace(b"~XYZ", b"bXYZ")


def scene(width: int = 48, height: int = 32) -> Image.Image:
    """Red on the upper left, green on the upper right, blue below: no turn or flip maps it onto itself."""
    image = Image.new("RGB", (width, height), BLUE)
    image.paste(RED, (0, 0, width // 2, height // 2))
    image.paste(GREEN, (width // 2, 0, width, height // 2))
    return image


def noise(width: int, height: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8))


def encoded(image: Image.Image, format: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def difference(image: Image.Image, expected: Image.Image) -> int:
    assert image.size == expected.size
    return int(np.abs(np.asarray(image, dtype=int) - np.asarray(expected, dtype=int)).max())


def turned(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def refusal(source: Any, **options: Any) -> str:
    with pytest.raises(PhotoError) as caught:
        load_photo(source, **options)
    message = str(caught.value)
    assert "\n" not in message
    assert message.endswith(".")
    return message


def chunk(kind: bytes, content: bytes, damaged: bool = False) -> bytes:
    """A chunk of a PNG; a damaged one has a wrong checksum."""
    checksum = zlib.crc32(kind + content) ^ damaged
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)


def png(
    width: int, depth: int, color: int, row: bytes, *extra: bytes, height: int = 1, interlaced: bool = False
) -> bytes:
    """A PNG of one row, with extra chunks before its pixels."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, interlaced))
    pixels = chunk(b"IDAT", zlib.compress(b"\0" + row))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(extra) + pixels + chunk(b"IEND", b"")
