"""`petseg.inference.photo`: every photo comes out upright and in sRGB, and everything else is refused in a sentence."""

from __future__ import annotations

import io
import random
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from photo_files import RED, SRGB, difference, encoded, noise, png, refusal, scene, turned
from PIL import Image, ImageFile

from petseg.errors import PhotoError
from petseg.inference.photo import load_photo, open_photo

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
OPTIONS: dict[str, dict[str, Any]] = {"WEBP": {"lossless": True}, "JPEG": {"quality": 95, "subsampling": 0}}


@pytest.mark.parametrize("format", ["PNG", "TIFF", "WEBP", "JPEG"])
@pytest.mark.parametrize("orientation", STORED)
def test_a_photo_with_exif_rotation_comes_out_upright(format: str, orientation: int) -> None:
    data = encoded(STORED[orientation](scene()), format, exif=turned(orientation), **OPTIONS.get(format, {}))
    assert difference(load_photo(data), scene()) <= 12
    assert difference(load_photo(Image.open(io.BytesIO(data))), scene()) <= 12


@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_a_photo_that_is_loaded_again_is_not_turned_again(format: str) -> None:
    photo = load_photo(encoded(STORED[6](scene()), format, exif=turned(6), icc_profile=SRGB))
    assert photo.info == {}  # a saved copy claims no profile and no orientation
    assert difference(load_photo(photo), scene()) <= 1


def test_broken_exif_is_ignored() -> None:
    good = turned(1).tobytes()
    for broken in (good[:9], b"Exif\x00\x00" + b"\xff" * 40, good.replace(b"\x12\x01\x03\x00", b"\x12\x01\x02\x00")):
        assert difference(load_photo(encoded(scene(), "JPEG", exif=broken, **OPTIONS["JPEG"])), scene()) <= 12


def test_path_bytes_file_image_and_array_give_the_same_photo(tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    noise(9, 7).save(path)
    with path.open("rb") as file, Image.open(path) as image:
        sources = [path, str(path), path.read_bytes(), file, image, np.asarray(noise(9, 7)), open_photo(path)]
        assert {load_photo(source).tobytes() for source in sources} == {noise(9, 7).tobytes()}


def test_the_result_shares_no_pixels_with_the_source() -> None:
    image, array = scene(), np.zeros((2, 2, 3), dtype=np.uint8)
    for source in (image, array):
        load_photo(source).putpixel((0, 0), (1, 2, 3))
    assert image.getpixel((0, 0)) == RED
    assert not array.any()


def test_the_pixels_of_a_file_are_not_kept_twice() -> None:
    file = open_photo(encoded(scene(), "PNG"), name="cat")
    assert load_photo(file).tobytes() == scene().tobytes()
    assert "closed" in refusal(file)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "TIFF", "WEBP", "BMP"])
def test_opening_parses_the_header_and_decodes_no_pixel(format: str, monkeypatch: pytest.MonkeyPatch) -> None:
    file = open_photo(encoded(noise(9, 7), format), name="cat")
    monkeypatch.setattr(ImageFile.ImageFile, "__init__", None)  # a second parse would fail
    assert (file.image.size, file.name, getattr(file.image, "_im", None)) == ((9, 7), "cat", None)
    assert load_photo(file).size == (9, 7)


def test_a_photo_over_the_limit_is_refused_before_a_pixel_is_decoded() -> None:
    bomb = png(50_000, 8, 2, bytes(1000), height=50_000)
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


def test_a_file_that_is_no_photo_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "notes.jpg").write_text("dear diary")
    (tmp_path / "empty.jpg").touch()
    assert refusal(tmp_path / "notes.jpg").startswith("notes.jpg: not an image;")
    assert refusal(tmp_path / "empty.jpg").startswith("empty.jpg: the file is empty.")
    assert refusal(tmp_path / "gone.jpg").startswith("gone.jpg: cannot be read (No such file")
    assert refusal(tmp_path).startswith(f"{tmp_path.name}: is a folder;")
    assert refusal("/dev/null").startswith("null: is a device")
    assert refusal(b"dear diary", name="mine").startswith("mine: not an image;")
    assert refusal(None).startswith("photo: got a NoneType;")
    assert "got a str" in refusal(io.StringIO("text"))


@pytest.mark.parametrize(
    "array", [np.zeros((4, 4, 3)), np.zeros((3, 4, 5), "u1"), np.zeros(4, "u1"), np.zeros((4, 4), "?")]
)
def test_arrays_of_another_type_or_shape_are_refused(array: np.ndarray) -> None:
    assert f"an array of {array.dtype} {array.shape}; expected uint8" in refusal(array)


@pytest.mark.parametrize("photo", [np.zeros((0, 4, 3), np.uint8), Image.new("RGB", (0, 4))])
def test_a_photo_without_pixels_is_refused(photo: Any) -> None:
    assert "expected at least one" in refusal(photo)


def test_threads_load_side_by_side() -> None:
    files = [encoded(noise(64, 64), format) for format in ("JPEG", "PNG", "WEBP")] * 8
    expected = [load_photo(data).tobytes() for data in files]
    with ThreadPoolExecutor(8) as pool:
        assert [photo.tobytes() for photo in pool.map(load_photo, files)] == expected


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
    exif = turned(6)
    exif[0x010E] = "a cat"
    options: dict[str, Any] = {} if format in ("GIF", "BMP") else {"exif": exif, "icc_profile": SRGB}
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
    """In a separate process: pytest has its own filters."""
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
    [line] = [line for line in done.stderr.splitlines() if "Warning" in line]
    assert "rex.gif: holds several pictures" in line


@pytest.mark.skipif(sys.platform == "win32", reason="libtiff is built into Pillow there")
def test_libtiffs_own_lines_do_not_reach_the_terminal(tmp_path: Path) -> None:
    data = bytearray(encoded(noise(64, 64), "TIFF", compression="tiff_lzw"))
    data[200:1000] = b"\xff" * 800  # codes that LZW has not defined yet
    (tmp_path / "broken.tif").write_bytes(data)
    code = "import sys\nfrom petseg.inference.photo import load_photo\n"
    code += "try:\n    load_photo(sys.argv[1])\nexcept ValueError as error:\n    print(error)"
    command = [sys.executable, "-c", code, str(tmp_path / "broken.tif")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("broken.tif: the file ends early or is damaged (")
    assert done.stderr == ""


def test_pillows_switches_are_left_alone() -> None:
    before = ImageFile.LOAD_TRUNCATED_IMAGES, Image.MAX_IMAGE_PIXELS
    load_photo(encoded(noise(64, 64), "JPEG", progressive=True)[:-2])
    assert before == (ImageFile.LOAD_TRUNCATED_IMAGES, Image.MAX_IMAGE_PIXELS)
