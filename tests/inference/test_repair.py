"""What every viewer shows is read: JPEGs that end a little early, PNGs with odd extra chunks."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest
from photo_files import SIGNATURE, chunk, difference, encoded, noise, refusal, scene
from PIL import Image, ImageCms, ImageFile
from skimage.data import cat

from petseg.inference.photo import load_photo

CHELSEA = Image.fromarray(cat())
KINDS: list[dict[str, object]] = [
    {},
    {"progressive": True},
    {"restart_marker_rows": 1},
    {"subsampling": 0, "progressive": True},
]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("options", KINDS)
@pytest.mark.parametrize("photo", [CHELSEA, CHELSEA.convert("L"), Image.new("RGB", (300, 200))])
def test_a_jpeg_without_its_end_marker_is_read_whole(photo: Image.Image, options: dict[str, object]) -> None:
    data = encoded(photo, "JPEG", **options)
    for cut in (data[:-1], data[:-2]):
        assert load_photo(cut).tobytes() == load_photo(data).tobytes()


@pytest.mark.parametrize("options", KINDS)
def test_a_jpeg_cut_by_a_few_bytes_is_read_and_only_its_last_rows_suffer(options: dict[str, object]) -> None:
    data = encoded(CHELSEA, "JPEG", quality=90, **options)
    whole, cut = (np.asarray(load_photo(some), dtype=int) for some in (data, data[:-30]))
    assert np.array_equal(cut[:-32], whole[:-32])
    assert np.abs(cut - whole).mean() < 1


def test_a_progressive_jpeg_without_its_last_refinement_is_read() -> None:
    data = encoded(CHELSEA, "JPEG", quality=90, progressive=True)
    whole, cut = (np.asarray(load_photo(some), dtype=int) for some in (data, data[: len(data) * 3 // 4]))
    assert np.abs(cut - whole).mean() < 3


@pytest.mark.parametrize("options", KINDS)
@pytest.mark.parametrize("part", [0.02, 0.1, 0.3])
def test_a_jpeg_of_which_too_much_is_missing_is_refused(options: dict[str, object], part: float) -> None:
    data = encoded(CHELSEA, "JPEG", quality=90, **options)
    message = refusal(data[: int(len(data) * part)], name="cat.jpg")
    assert message.startswith("cat.jpg: ")
    assert message.endswith("Copy or download it again.")


def test_a_baseline_jpeg_with_half_of_its_rows_is_refused() -> None:
    for options in ({}, {"restart_marker_rows": 1}):
        data = encoded(CHELSEA, "JPEG", **options)
        assert refusal(data[: len(data) // 2], name="cat.jpg").startswith(
            "cat.jpg: the file ends early or is damaged ("
        )


@pytest.mark.parametrize("format", ["PNG", "WEBP", "TIFF", "GIF", "BMP"])
def test_half_a_photo_of_any_other_format_is_refused(format: str) -> None:
    data = encoded(noise(64, 256), format)
    assert refusal(data[: len(data) // 2], name="half").startswith("half: ")


def text(kind: bytes, size: int, damaged: bool = False) -> bytes:
    content = b"x" * size
    body = {
        b"tEXt": b"workflow\0" + content,
        b"zTXt": b"workflow\0\0" + zlib.compress(content),
        b"iTXt": b"workflow\0\1\0\0\0" + zlib.compress(content),
    }[kind]
    return chunk(kind, body, damaged)


def with_chunk(data: bytes, extra: bytes, before: bool) -> bytes:
    """A PNG with another chunk before or after its pixels."""
    return data[:33] + extra + data[33:] if before else data[:-12] + extra + data[-12:]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("kind", [b"tEXt", b"zTXt", b"iTXt"])
def test_a_png_with_a_large_or_damaged_text_is_read_silently(kind: bytes, before: bool) -> None:
    data = encoded(scene(), "PNG")
    for extra in (text(kind, 3_000_000), text(kind, 70_000_000) if kind == b"zTXt" else b"", text(kind, 9, True)):
        assert load_photo(with_chunk(data, extra, before)).tobytes() == scene().tobytes()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("before", [True, False])
def test_a_png_with_a_large_colour_profile_is_read_silently(before: bool) -> None:
    for size, damaged in ((3_000_000, False), (40_000_000, False), (9, True)):
        extra = chunk(b"iCCP", b"huge\0\0" + zlib.compress(bytes(size)), damaged)
        assert load_photo(with_chunk(encoded(scene(), "PNG"), extra, before)).tobytes() == scene().tobytes()


def test_a_large_colour_profile_is_still_obeyed() -> None:
    srgb = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    swapped = srgb.replace(b"rXYZ", b"~XYZ").replace(b"bXYZ", b"rXYZ").replace(b"~XYZ", b"bXYZ") + bytes(3_000_000)
    swapped[:4] = struct.pack(">I", len(swapped))
    extra = chunk(b"iCCP", b"huge\0\0" + zlib.compress(bytes(swapped)))
    photo = load_photo(with_chunk(encoded(Image.new("RGB", (4, 4), (200, 100, 50)), "PNG"), extra, True))
    assert difference(photo, Image.new("RGB", (4, 4), (50, 100, 200))) <= 1


def test_the_orientation_in_a_pngs_text_is_obeyed_wherever_it_stands() -> None:
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    extra = chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp)
    for before in (True, False):
        data = with_chunk(encoded(scene().rotate(90, expand=True), "PNG"), extra, before)
        assert load_photo(data).tobytes() == scene().tobytes()


def test_a_png_whose_pixels_have_a_wrong_length_is_refused() -> None:
    cut = chunk(b"IDAT", zlib.compress(b"\0" + bytes(3))[:-6])
    assert refusal(SIGNATURE + encoded(scene(), "PNG")[8:33] + cut, name="cat").startswith("cat: ")


def test_pillows_switches_are_left_alone() -> None:
    before = ImageFile.LOAD_TRUNCATED_IMAGES, Image.MAX_IMAGE_PIXELS
    load_photo(encoded(CHELSEA, "JPEG", progressive=True)[:-2])
    assert before == (ImageFile.LOAD_TRUNCATED_IMAGES, Image.MAX_IMAGE_PIXELS)
