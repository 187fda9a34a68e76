"""Files are known by their contents: read, or refused by name."""

import io
import struct

import numpy as np
import pillow_heif
import pytest
from photo_files import GREEN, RED, difference, encoded, refusal, scene, turned
from PIL import Image, TiffImagePlugin, features

from petseg.errors import PhotoWarning
from petseg.inference.photo import load_photo

needs_avif = pytest.mark.skipif(not features.check("avif"), reason="needs Pillow 11.3, built with AVIF")


@pytest.mark.parametrize("format", ["BMP", "GIF", "MPO", pytest.param("AVIF", marks=needs_avif)])
def test_further_formats_are_read_with_their_colours(format):
    options = {"quality": 95, "subsampling": "4:4:4"} if format in ("MPO", "AVIF") else {}
    assert difference(load_photo(encoded(scene(), format, **options)), scene()) <= 24


def test_a_heic_photo_is_read_upright_and_pillow_gets_no_new_plugin(monkeypatch):
    Image.init()
    monkeypatch.delitem(Image.OPEN, "HEIF", raising=False)  # another package may have registered it
    smooth, file = scene(64, 48).resize((256, 192)), io.BytesIO()
    stored = pillow_heif.from_pillow(smooth.rotate(90, expand=True))
    stored.save(file, quality=95, exif=turned(6).tobytes())
    photo = load_photo(file.getvalue())
    assert photo.size == smooth.size
    assert np.abs(np.subtract(photo.getpixel((20, 20)), RED)).max() <= 12
    assert "HEIF" not in Image.OPEN


@pytest.mark.parametrize("brand", [b"heic", b"heix", b"hevc", b"mif1", b"msf1", b"avif", b"avis"])
def test_a_damaged_photo_in_a_media_file_is_not_called_a_video(brand):
    message = refusal(b"\x00\x00\x00\x18ftyp" + brand + b"\x00\x00\x00\x00mif1miaf" + b"\xff" * 40, name="cat")
    assert message.startswith("cat: cannot be decoded (")


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"\x00\x00\x00\x18ftypisom\x00\x00\x00\x00isommp42", "a video"),
        (b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>', "an SVG drawing"),
        (b"<!DOCTYPE html>\n<HTML><title>404</title>", "a web page"),
        (b"%PDF-1.7", "a PDF document"),
        (b"PPM is an image, but not of a supported kind", "not an image"),
        (b"II*\0\x10\0\0\0CR\x02\0", "a camera raw file"),  # Canon's CR2 and CR3
        (b"\0\0\0\x18ftypcrx \0\0\0\1crx isom", "a camera raw file"),
        (b"IIRO\x08\0\0\0", "a camera raw file"),  # Olympus
        (b"IIU\0\x18\0\0\0", "a camera raw file"),  # Panasonic
        (b"FUJIFILMCCD-RAW 0201", "a camera raw file"),
    ],
)
def test_a_file_of_another_kind_is_named_with_its_remedy(head, kind):
    message = refusal(head + bytes(600), name="cat")
    formats = "JPEG, PNG, WebP, GIF, BMP, TIFF, HEIC and AVIF"
    assert message == f"cat: {kind}; {formats} are read. Export it as JPEG or PNG."


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG", "TIFF", pytest.param("AVIF", marks=needs_avif)])
def test_of_an_animation_the_first_picture_is_used_with_a_warning(format):
    frames = [Image.new("RGB", (64, 64), colour) for colour in (RED, GREEN)]
    options = {"lossless": True} if format == "WEBP" else {}
    data = encoded(frames[0], format, save_all=True, append_images=frames[1:], **options)
    with pytest.warns(PhotoWarning, match=r"^cat: holds several pictures; only the first is used\.$"):
        photo = load_photo(data, name="cat")
    assert np.abs(np.subtract(photo.getpixel((32, 32)), RED)).max() <= 4


@pytest.mark.filterwarnings("error")
def test_the_second_picture_of_a_phones_jpeg_is_no_reason_to_warn():
    assert load_photo(encoded(scene(), "MPO", save_all=True, append_images=[scene()])).size == scene().size


def raw_tiff(order: str, subfile: int, photometric: int) -> bytes:
    """A TIFF of two directories, the second a child of the first, each with a picture of 1 x 1 pixels."""

    def directory(offset: int, **tags: int) -> bytes:
        numbers = {"subfile": 254, "width": 256, "height": 257, "photometric": 262, "strip": 273, "bytes": 279}
        tags = {"width": 1, "height": 1, "strip": 8, "bytes": 1, **tags}
        entries = sorted({**{numbers[name]: value for name, value in tags.items()}, 330: offset}.items())
        body = b"".join(struct.pack(order + "HHII", tag, 4, 1, value) for tag, value in entries if value)
        return struct.pack(order + "H", len(body) // 12) + body + bytes(4)

    start = {"<": b"II", ">": b"MM"}[order] + struct.pack(order + "HI", 42, 8)
    first = directory(1, subfile=subfile, photometric=1)
    return start + directory(8 + len(first), subfile=subfile, photometric=1) + directory(0, photometric=photometric)


def test_raw_files_in_tiff_are_refused_and_their_thumbnails_never_shown():
    for order in "<>":
        assert "a camera raw file" in refusal(raw_tiff(order, subfile=1, photometric=2))  # starts with a thumbnail
        assert "a camera raw file" in refusal(raw_tiff(order, subfile=0, photometric=32803))  # a sensor's pixels
        assert load_photo(raw_tiff(order, subfile=0, photometric=2)).size == (1, 1)
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[254], tags[50706], tags[271] = 1, bytes([1, 4, 0, 0]), "Apple"
    tags.tagtype[50706] = 1
    assert "a camera raw file" in refusal(encoded(scene(), "TIFF", tiffinfo=tags))
