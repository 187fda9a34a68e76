"""`petseg.inference.photo`: every photo comes out upright and in sRGB, and everything else is refused in a sentence."""

from __future__ import annotations

import io
import random
import struct
import subprocess
import sys
import threading
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from photo_files import BLUE, GREEN, RED, difference, encoded, noise, refusal, scene
from PIL import Image, ImageCms

from petseg.errors import PhotoError
from petseg.inference.photo import load_photo

#: How a photo is stored for each EXIF orientation: what a viewer has to undo.
STORED = {
    1: lambda image: image,
    2: lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    3: lambda image: image.rotate(180),
    4: lambda image: image.transpose(Image.Transpose.FLIP_TOP_BOTTOM),
    5: lambda image: image.transpose(Image.Transpose.TRANSPOSE),
    6: lambda image: image.rotate(90, expand=True),
    7: lambda image: image.transpose(Image.Transpose.TRANSVERSE),
    8: lambda image: image.rotate(-90, expand=True),
}


@pytest.mark.parametrize("format", ["PNG", "TIFF", "WEBP", "JPEG"])
@pytest.mark.parametrize("orientation", STORED)
def test_a_photo_with_exif_rotation_comes_out_upright(format: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if format == "WEBP" else {"quality": 95, "subsampling": 0} if format == "JPEG" else {}
    data = encoded(STORED[orientation](scene()), format, exif=exif, **options)
    assert difference(load_photo(data), scene()) <= 12
    assert difference(load_photo(Image.open(io.BytesIO(data))), scene()) <= 12


@pytest.mark.parametrize("format", ["PNG", "BMP", "TIFF", "GIF", "WEBP", "JPEG", "MPO"])
def test_each_format_is_read_with_its_colours(format: str) -> None:
    photo = load_photo(encoded(scene(), format))
    assert photo.mode == "RGB"
    for xy, colour in (((4, 4), RED), ((44, 4), GREEN), ((4, 28), BLUE)):
        assert np.abs(np.subtract(photo.getpixel(xy), colour)).max() <= 6


def test_path_bytes_file_image_and_array_give_the_same_photo(tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    noise(9, 7).save(path)
    expected = noise(9, 7).tobytes()
    assert load_photo(path).tobytes() == expected
    assert load_photo(str(path)).tobytes() == expected
    assert load_photo(path.read_bytes()).tobytes() == expected
    with path.open("rb") as file:
        assert load_photo(file).tobytes() == expected
    with Image.open(path) as image:
        assert load_photo(image).tobytes() == expected
    assert load_photo(np.asarray(noise(9, 7))).tobytes() == expected


def test_what_comes_out_shares_no_pixels_with_what_went_in() -> None:
    image, array = scene(), np.zeros((2, 2, 3), dtype=np.uint8)
    for source in (image, array):
        load_photo(source).putpixel((0, 0), (1, 2, 3))
    assert image.getpixel((0, 0)) == RED
    assert not array.any()


def test_a_photo_that_is_loaded_again_is_not_turned_again() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for format in ("PNG", "TIFF"):
        once = load_photo(encoded(STORED[6](scene()), format, exif=exif, icc_profile=profile))
        assert once.info == {}  # a copy that is saved claims no profile and no orientation
        assert load_photo(once).tobytes() == once.tobytes()
        assert once.size == scene().size


def test_broken_exif_is_ignored() -> None:
    exif = Image.Exif()
    exif[0x0112] = 1
    good = exif.tobytes()
    for broken in (good[:9], b"Exif\x00\x00" + b"\xff" * 40, good.replace(b"\x12\x01\x03\x00", b"\x12\x01\x02\x00")):
        assert difference(load_photo(encoded(scene(), "JPEG", quality=95, subsampling=0, exif=broken)), scene()) <= 12


def test_a_photo_over_the_limit_is_refused_before_a_pixel_is_decoded() -> None:
    header = struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + header
    bomb = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
    idat = b"IDAT" + zlib.compress(b"\x00" * 1000)
    bomb += struct.pack(">I", len(idat) - 4) + idat + struct.pack(">I", zlib.crc32(idat))
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # Pillow's own warning about bombs would fail this test
        message = refusal(bomb, name="bomb.png")
        assert message == "bomb.png: 2500 megapixels; at most 60 are decoded. Shrink it."
        refusal(np.zeros((3, 3), dtype=np.uint8), max_pixels=8)
        refusal(scene(), max_pixels=48 * 32 - 1)
        assert load_photo(scene(), max_pixels=48 * 32).size == (48, 32)


def test_a_photo_just_over_the_limit_is_not_said_to_be_just_at_it() -> None:
    array = np.broadcast_to(np.uint8(0), (1, 60_000_001))
    assert refusal(array).startswith("photo: 60.1 megapixels; at most 60 are decoded.")


def test_what_is_no_photo_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "notes.jpg").write_text("dear diary")
    (tmp_path / "empty.jpg").touch()
    assert refusal(tmp_path / "notes.jpg").startswith("notes.jpg: not an image;")
    assert refusal(tmp_path / "empty.jpg").startswith("empty.jpg: the file is empty.")
    assert refusal(tmp_path / "gone.jpg").startswith("gone.jpg: no such file")
    assert refusal(tmp_path).startswith(f"{tmp_path.name}: is a folder;")
    assert refusal(b"").startswith("photo: the file is empty.")
    assert refusal(b"dear diary", name="mine").startswith("mine: not an image;")
    assert "a NoneType came" in refusal(None)
    assert "a str came" in refusal(io.StringIO("text"))


def test_arrays_of_another_type_or_shape_are_refused() -> None:
    for array in (np.zeros((4, 4, 3)), np.zeros((3, 4, 5), np.uint8), np.zeros(4, np.uint8), np.zeros((4, 4), bool)):
        assert f"an array of {array.dtype} {array.shape} came" in refusal(array)
    assert "expected at least one" in refusal(np.zeros((0, 4, 3), np.uint8))
    assert "expected at least one" in refusal(Image.new("RGB", (0, 4)))


def test_threads_load_side_by_side() -> None:
    data = {format: encoded(noise(64, 64), format) for format in ("JPEG", "PNG", "WEBP")}
    expected = {format: load_photo(value).tobytes() for format, value in data.items()}
    wrong = []

    def work() -> None:
        for format, value in data.items():
            if load_photo(value).tobytes() != expected[format]:
                wrong.append(format)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def mutations(data: bytes, count: int, seed: int) -> list[bytes]:
    """Damaged copies: bytes changed, cut off, cut out, doubled."""
    random_ = random.Random(seed)
    copies = []
    for _ in range(count):
        copy = bytearray(data)
        for _ in range(random_.randint(1, 6)):
            start = random_.randrange(len(copy))
            stop = min(len(copy), start + random_.randint(1, 20))
            kind = random_.randrange(5)
            if kind < 2:
                copy[random_.randrange(min(len(copy), 200 if kind else 10**9))] = random_.randrange(256)
            elif kind == 2 and start:
                del copy[start:]
            elif kind == 3 and stop - start < len(copy):
                del copy[start:stop]
            else:
                copy[start:start] = copy[start:stop]
        copies.append(bytes(copy))
    return copies


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"])
def test_damaged_bytes_give_a_photo_or_a_photo_error_and_nothing_else(format: str) -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "a cat"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    options: dict[str, Any] = {} if format in ("GIF", "BMP") else {"exif": exif, "icc_profile": profile}
    outcomes = {"photo": 0, "error": 0}
    for damaged in mutations(encoded(noise(16, 12), format, **options), count=100, seed=1):
        try:
            mode = load_photo(damaged, max_pixels=1_000_000).mode
        except PhotoError:
            outcomes["error"] += 1
        else:
            outcomes["photo"] += mode == "RGB"
    assert min(outcomes.values()) > 0, f"the damage is all one-sided: {outcomes}"


def test_pillows_own_warnings_do_not_reach_the_user() -> None:
    """In a process of its own: pytest has filters of its own."""
    code = """
import io
from PIL import Image
from petseg.inference.photo import load_photo
file = io.BytesIO()
exif = Image.Exif()
exif[0x0112], exif[0x010E] = 1, "a cat" * 50
Image.new("RGB", (8, 8)).save(file, "JPEG", exif=exif.tobytes()[:40])
load_photo(file.getvalue())
palette = Image.new("P", (2, 2))
palette.info["transparency"] = b"\\x00\\xff"
load_photo(palette)
animation = io.BytesIO()
Image.new("L", (8, 8)).save(animation, "GIF", save_all=True, append_images=[Image.new("L", (8, 8), 255)])
load_photo(animation.getvalue(), name="rex.gif")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    told = [line for line in done.stderr.splitlines() if "Warning" in line]
    assert len(told) == 1
    assert "rex.gif: holds several pictures" in told[0]
