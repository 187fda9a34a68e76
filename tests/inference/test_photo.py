"""`petseg.inference.photo`: every photo comes out upright and in sRGB, and everything else is refused in a sentence."""

import io
import struct
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from photo_files import RED, SRGB, difference, encoded, noise, png, refusal, scene, turned
from PIL import Image, ImageFile

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
def test_a_photo_with_exif_rotation_comes_out_upright(format, orientation):
    data = encoded(STORED[orientation](scene()), format, exif=turned(orientation), **OPTIONS.get(format, {}))
    assert difference(load_photo(data), scene()) <= 12
    assert difference(load_photo(Image.open(io.BytesIO(data))), scene()) <= 12


@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_a_photo_that_is_loaded_again_is_not_turned_again(format):
    photo = load_photo(encoded(STORED[6](scene()), format, exif=turned(6), icc_profile=SRGB))
    assert photo.info == {}  # a saved copy claims no profile and no orientation
    assert difference(load_photo(photo), scene()) <= 1


def test_broken_exif_is_ignored():
    good = turned(1).tobytes()
    for broken in (good[:9], b"Exif\x00\x00" + b"\xff" * 40, good.replace(b"\x12\x01\x03\x00", b"\x12\x01\x02\x00")):
        assert difference(load_photo(encoded(scene(), "JPEG", exif=broken, **OPTIONS["JPEG"])), scene()) <= 12


def test_exif_whose_tags_all_name_the_same_megabytes_is_not_read_and_still_turns_the_photo(monkeypatch):
    blob, n = bytes(2_000_000), 5_000
    place = 8 + 2 + 12 * (n + 1) + 4
    tags = [struct.pack("<HHII", 1 + i % 0x0110, 7, len(blob), place) for i in range(n)]
    tags += [struct.pack("<HHII", 0x0112, 3, 1, 6)]
    exif = b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", n + 1) + b"".join(tags) + bytes(4) + blob
    load = Image.Exif.load

    def of_few_bytes(self, data):
        assert len(data or b"") < 2**16
        return load(self, data)

    photo = encoded(STORED[6](scene()), "PNG", exif=exif)
    monkeypatch.setattr(Image.Exif, "load", of_few_bytes)
    assert difference(load_photo(photo), scene()) == 0


def test_path_bytes_file_image_and_array_give_the_same_photo(tmp_path):
    path = tmp_path / "photo.png"
    noise(9, 7).save(path)
    with path.open("rb") as file, Image.open(path) as image:
        sources = [path, str(path), path.read_bytes(), file, image, np.asarray(noise(9, 7)), open_photo(path)]
        assert {load_photo(source).tobytes() for source in sources} == {noise(9, 7).tobytes()}


def test_the_result_shares_no_pixels_with_the_source():
    image, array = scene(), np.zeros((2, 2, 3), dtype=np.uint8)
    for source in (image, array):
        load_photo(source).putpixel((0, 0), (1, 2, 3))
    assert image.getpixel((0, 0)) == RED
    assert not array.any()


@pytest.mark.parametrize("format", ["JPEG", "PNG", "TIFF", "WEBP", "BMP"])
def test_opening_parses_the_header_and_decodes_no_pixel(format, monkeypatch):
    file = open_photo(encoded(noise(9, 7), format), name="cat")
    monkeypatch.setattr(ImageFile.ImageFile, "__init__", None)  # a second parse would fail
    assert (file.image.size, file.name, getattr(file.image, "_im", None)) == ((9, 7), "cat", None)
    assert load_photo(file).size == (9, 7)


@pytest.mark.filterwarnings("error")  # Pillow's own warning about bombs would fail this test
def test_a_photo_over_the_limit_is_refused_before_a_pixel_is_decoded():
    bomb = png(50_000, 8, 2, bytes(1000), height=50_000)
    assert refusal(bomb, name="bomb.png") == "bomb.png: 2500 megapixels; at most 60 are decoded. Shrink it."
    just_over = np.broadcast_to(np.uint8(0), (1, 60_000_001))  # never "60; at most 60"
    assert refusal(just_over).startswith("photo: 60.1 megapixels; at most 60 are decoded.")
    refusal(scene(), max_pixels=48 * 32 - 1)
    assert load_photo(scene(), max_pixels=48 * 32).size == (48, 32)


def test_a_file_that_is_no_photo_is_refused_by_name(tmp_path):
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


def test_arrays_of_another_type_or_shape_and_photos_without_pixels_are_refused():
    for array in (np.zeros((4, 4, 3)), np.zeros((3, 4, 5), "u1"), np.zeros(4, "u1"), np.zeros((4, 4), "?")):
        assert f"an array of {array.dtype} {array.shape}; expected uint8" in refusal(array)
    for empty in (np.zeros((0, 4, 3), np.uint8), Image.new("RGB", (0, 4))):
        assert "expected at least one" in refusal(empty)


@pytest.mark.skipif(sys.platform == "win32", reason="libtiff is built into Pillow there")
def test_what_pillow_and_libtiff_print_does_not_reach_the_terminal(tmp_path):
    """In a separate process: pytest has its own filters of warnings."""
    exif = turned(1)
    exif[0x010E] = "a cat" * 50
    lzw = bytearray(encoded(noise(64, 64), "TIFF", compression="tiff_lzw"))
    lzw[200:1000] = b"\xff" * 800  # codes that LZW has not defined yet
    samples = struct.pack("<HHIHH", 277, 3, 1, 3, 0)  # 3 per pixel, below 12,291
    files = {
        "exif.jpg": encoded(scene(), "JPEG", exif=exif.tobytes()[:40]),
        "palette.png": encoded(Image.new("P", (2, 2)), "PNG", transparency=b"\x00\xff"),
        "rex.gif": encoded(scene(), "GIF", save_all=True, append_images=[noise(48, 32)]),
        "deep.tif": encoded(scene(), "TIFF").replace(samples, samples.replace(b"\3\0\0\0", b"\3\x30\0\0")),
        "broken.tif": lzw,
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    code = (
        "import sys\nfrom petseg.inference.photo import load_photo\nfor path in sys.argv[1:]:\n"
        "    try: load_photo(path)\n    except Exception as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code, *files], cwd=tmp_path, capture_output=True, text=True)
    assert [line.partition(":")[0] for line in done.stdout.splitlines()] == ["deep.tif", "broken.tif"]
    (warning,) = [line for line in done.stderr.splitlines() if not line.startswith("  ")]  # and the line of code
    assert "PhotoWarning: rex.gif: holds several pictures" in warning
