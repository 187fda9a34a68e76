"""Files are known by their contents: read, or refused by name."""

from __future__ import annotations

import io
import struct

import numpy as np
import pillow_heif
import pytest
from photo_files import GREEN, RED, difference, encoded, noise, refusal, scene
from PIL import Image, TiffImagePlugin, features

from petseg.errors import PhotoError, PhotoWarning
from petseg.inference.formats import open_header
from petseg.inference.photo import load_photo
from petseg.inference.raw import raw_kind

needs_avif = pytest.mark.skipif(not features.check("avif"), reason="needs Pillow 11.3, built with AVIF")


def heic(image: Image.Image, **options: object) -> bytes:
    file = io.BytesIO()
    pillow_heif.from_pillow(image).save(file, **options)
    return file.getvalue()


@pytest.mark.parametrize(
    ("head", "what"),
    [
        (b"\x00\x00\x00\x18ftypisom\x00\x00\x00\x00isommp42", "a video"),
        (b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>', "an SVG drawing"),
        (b"<!DOCTYPE html>\n<html><title>404</title>", "a web page"),
        (b"%PDF-1.7", "a PDF document"),
        (b"PPM is an image, but not one of ours", "not an image"),
    ],
)
def test_a_format_that_is_not_read_is_named_with_its_remedy(head: bytes, what: str) -> None:
    message = refusal(head, name="cat")
    assert message == f"cat: {what}; JPEG, PNG, WebP, GIF, BMP, TIFF, HEIC and AVIF are read. Export it as JPEG or PNG."


def test_a_heic_photo_is_read_upright_and_pillow_gets_no_new_plugin(monkeypatch: pytest.MonkeyPatch) -> None:
    Image.init()
    monkeypatch.delitem(Image.OPEN, "HEIF", raising=False)  # another package may have registered it
    exif = Image.Exif()
    exif[0x0112] = 6
    smooth = scene(64, 48).resize((256, 192))
    data = heic(smooth.rotate(90, expand=True), quality=95, exif=exif.tobytes())
    photo = load_photo(data)
    assert photo.size == smooth.size
    assert np.abs(np.subtract(photo.getpixel((20, 20)), RED)).max() <= 12
    assert "HEIF" not in Image.OPEN


@needs_avif
def test_an_avif_photo_is_read() -> None:
    assert difference(load_photo(encoded(scene(), "AVIF", quality=95, subsampling="4:4:4")), scene()) <= 24


def test_without_avif_in_pillow_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    Image.init()
    monkeypatch.delitem(Image.OPEN, "AVIF", raising=False)
    message = refusal(b"\x00\x00\x00\x18ftypavif\x00\x00\x00\x00mif1avif", name="cat.avif")
    assert message == "cat.avif: an AVIF photo, which needs Pillow 11.3 or newer. Run `pip install -U pillow`."


@pytest.mark.parametrize("brand", [b"heic", b"heix", b"hevc", b"mif1", b"msf1", b"avif", b"avis"])
def test_a_damaged_photo_in_a_media_file_is_not_called_a_video(brand: bytes) -> None:
    message = refusal(b"\x00\x00\x00\x18ftyp" + brand + b"\x00\x00\x00\x00mif1miaf" + b"\xff" * 40, name="cat")
    assert message.startswith("cat: ")
    assert "video" not in message


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG", "TIFF", pytest.param("AVIF", marks=needs_avif)])
def test_of_an_animation_the_first_picture_is_taken_and_said_so(format: str) -> None:
    frames = [Image.new("RGB", (64, 64), colour) for colour in (RED, GREEN)]
    options = {"lossless": True} if format == "WEBP" else {}
    data = encoded(frames[0], format, save_all=True, append_images=frames[1:], **options)
    with pytest.warns(PhotoWarning, match=r"^cat: holds several pictures; only the first is used\.$"):
        photo = load_photo(data, name="cat")
    assert np.abs(np.subtract(photo.getpixel((32, 32)), RED)).max() <= 4


@pytest.mark.filterwarnings("error")
def test_the_second_picture_of_a_phones_jpeg_is_no_reason_to_warn() -> None:
    assert load_photo(encoded(scene(), "MPO", save_all=True, append_images=[scene()])).size == scene().size


Entries = dict[int, tuple[int, int, bytes]]


def tiff(order: str, first: Entries, second: Entries) -> bytes:
    """A TIFF of two directories, the second a child of the first; an entry is type, length and 4 bytes."""

    def directory(entries: Entries) -> bytes:
        body = b"".join(struct.pack(order + "HHI4s", tag, *entry) for tag, entry in sorted(entries.items()))
        return struct.pack(order + "H", len(entries)) + body + bytes(4)

    child = 8 + 2 + 12 * (len(first) + 1) + 4
    first = first | {330: (4, 1, struct.pack(order + "I", child))}
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8)
    return head + directory(first) + directory(second) + b"NIKON CORPORATION\0SONY\0"


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("text", "length", "kind"), [(0, 17, "NEF"), (18, 5, "ARW"), (1, 4, "raw")])
def test_raw_files_in_tiff_are_known_by_their_thumbnail_or_their_sensor(
    order: str, text: int, length: int, kind: str
) -> None:
    def made(subfile: int, photometric: int) -> bytes:
        entries = {
            254: (4, 1, struct.pack(order + "I", subfile)),
            271: (2, length, struct.pack(order + "I", 8 + 2 + 12 * 3 + 4 + 2 + 12 + 4 + text)),
        }
        return tiff(order, entries, {262: (3, 1, struct.pack(order + "HH", photometric, 0))})

    assert raw_kind(made(1, 2)) == kind  # the first picture is a smaller copy of another
    assert raw_kind(made(0, 32803)) == kind  # pixels as a sensor has them
    assert raw_kind(made(0, 2)) is None


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"II*\0\x10\0\0\0CR\x02\0", "CR2"),
        (b"\0\0\0\x18ftypcrx \0\0\0\1crx isom", "CR3"),
        (b"IIRO\x08\0\0\0", "ORF"),
        (b"IIU\0\x18\0\0\0", "RW2"),
        (b"FUJIFILMCCD-RAW 0201", "RAF"),
    ],
)
def test_camera_raw_files_are_refused_by_name(head: bytes, kind: str) -> None:
    message = refusal(head + bytes(600), name="rex")
    assert message.startswith(f"rex: a camera raw file ({kind}); JPEG, ")
    assert message.endswith("Export it as JPEG or PNG.")


def test_a_dng_is_refused_and_its_thumbnail_never_shown() -> None:
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[254], tags[50706], tags[271] = 1, bytes([1, 4, 0, 0]), "Apple"
    tags.tagtype[50706] = 1
    assert "a camera raw file (DNG)" in refusal(encoded(scene(), "TIFF", tiffinfo=tags))


def test_a_plain_tiff_is_no_raw_file() -> None:
    assert raw_kind(encoded(scene(), "TIFF")) is None
    for cut in range(60):  # nor is a damaged one a reason to fail
        raw_kind(encoded(scene(), "TIFF")[:cut])


def test_opening_decodes_no_pixel() -> None:
    assert open_header(encoded(noise(9, 7), "PNG"), "cat").size == (9, 7)
    with pytest.raises(PhotoError, match=r"^cat: not an image"):
        open_header(b"woof", "cat")
