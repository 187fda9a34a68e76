"""`petseg.inference.photo`: every photo comes out upright and in sRGB, and everything else is refused in a sentence."""

from __future__ import annotations

import io
import random
import struct
import threading
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageFile, TiffImagePlugin

from petseg.errors import PhotoError
from petseg.inference.photo import load_photo

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def scene(width: int = 48, height: int = 32) -> Image.Image:
    """Red on the upper left, green on the upper right, blue below: no turn or flip maps it onto itself."""
    image = Image.new("RGB", (width, height), BLUE)
    image.paste(RED, (0, 0, width // 2, height // 2))
    image.paste(GREEN, (width // 2, 0, width, height // 2))
    return image


def encoded(image: Image.Image, format: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def difference(one: Image.Image, other: Image.Image) -> int:
    assert one.size == other.size
    return int(np.abs(np.asarray(one, dtype=int) - np.asarray(other, dtype=int)).max())


def noise(width: int, height: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8))


def refusal(source: Any, **options: Any) -> str:
    with pytest.raises(PhotoError) as caught:
        load_photo(source, **options)
    message = str(caught.value)
    assert "\n" not in message
    assert message.endswith(".")
    return message


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


def test_the_first_frame_of_an_animation_is_taken() -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in (RED, GREEN)]
    for format in ("GIF", "WEBP", "PNG", "TIFF"):
        options = {"lossless": True} if format == "WEBP" else {}
        data = encoded(frames[0], format, save_all=True, append_images=frames[1:], **options)
        assert load_photo(data).getpixel((3, 3)) == RED


def test_what_is_see_through_lies_on_white() -> None:
    half = Image.new("RGBA", (1, 1), (255, 0, 0, 51))  # a fifth of red: white loses a fifth of green and blue
    assert load_photo(encoded(half, "PNG")).getpixel((0, 0)) == (255, 204, 204)
    assert load_photo(encoded(Image.new("LA", (1, 1), (0, 51)), "PNG")).getpixel((0, 0)) == (204, 204, 204)
    palette = Image.new("P", (1, 1), 1)
    palette.putpalette([0, 0, 0, 255, 0, 0])
    assert load_photo(encoded(palette, "PNG")).getpixel((0, 0)) == RED
    assert load_photo(encoded(palette, "PNG", transparency=b"\xff\x33")).getpixel((0, 0)) == (255, 204, 204)
    assert load_photo(encoded(palette, "GIF", transparency=1)).getpixel((0, 0)) == WHITE
    assert load_photo(encoded(scene(), "PNG", transparency=RED)).getpixel((4, 4)) == WHITE
    assert load_photo(palette.convert("PA")).getpixel((0, 0)) == RED
    assert load_photo(np.array([[[255, 0, 0, 51]]], dtype=np.uint8)).getpixel((0, 0)) == (255, 204, 204)


def test_black_and_white_and_grey_become_rgb() -> None:
    assert load_photo(encoded(Image.new("1", (2, 2), 1), "PNG")).getpixel((0, 0)) == WHITE
    assert load_photo(encoded(Image.new("L", (2, 2), 77), "PNG")).getpixel((0, 0)) == (77, 77, 77)
    assert load_photo(np.full((2, 2), 77, dtype=np.uint8)).getpixel((0, 0)) == (77, 77, 77)


@pytest.mark.parametrize("mode", ["CMYK", "YCbCr", "HSV"])
def test_other_colour_spaces_become_rgb(mode: str) -> None:
    converted = scene().convert(mode)
    assert difference(load_photo(converted), scene()) <= 3
    if mode == "CMYK":
        assert difference(load_photo(encoded(converted, "TIFF")), scene()) <= 3
    if mode == "YCbCr":  # in TIFF this always comes compressed as JPEG; Pillow 12 cannot read it otherwise
        assert difference(load_photo(encoded(converted, "TIFF", compression="jpeg")), scene()) <= 16


def test_an_inverted_cmyk_jpeg_of_adobe_is_not_a_negative() -> None:
    data = encoded(scene().convert("CMYK"), "JPEG", quality=95)
    assert b"Adobe" in data  # the marker by which decoders know that the values are inverted
    assert np.abs(np.subtract(load_photo(data).getpixel((4, 4)), RED)).max() <= 6


def test_a_lab_tiff_becomes_rgb() -> None:
    srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    muted = Image.blend(scene(), Image.new("RGB", scene().size, (128, 128, 128)), 0.6)
    data = encoded(ImageCms.profileToProfile(muted, srgb, lab, outputMode="LAB"), "TIFF")
    assert difference(load_photo(data), muted) <= 4  # steps of 1 in L, a and b


def test_16_bit_grey_is_divided_by_its_type_and_never_by_its_content() -> None:
    dark = np.array([[0, 257, 514]], dtype=np.uint16)  # the brightest is 2 of 255
    for format in ("PNG", "TIFF"):
        photo = load_photo(encoded(Image.fromarray(dark), format))
        assert np.asarray(photo)[0, :, 0].tolist() == [0, 1, 2]
    assert np.asarray(load_photo(Image.fromarray(dark)))[0, :, 0].tolist() == [0, 1, 2]
    assert load_photo(Image.new("I", (1, 1), 65535)).getpixel((0, 0)) == WHITE
    assert load_photo(encoded(Image.new("I;16", (1, 1), 65535), "PNG")).getpixel((0, 0)) == WHITE


def test_a_16_bit_tiff_whose_white_is_zero_is_not_a_negative() -> None:
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    data = encoded(Image.new("I;16", (2, 2), 514), "TIFF", tiffinfo=tags)
    photometric = struct.pack("<HHIHH", 262, 3, 1, 1, 0)
    assert data.count(photometric) == 1
    assert load_photo(data).getpixel((0, 0)) == (2, 2, 2)
    assert load_photo(data.replace(photometric, struct.pack("<HHIHH", 262, 3, 1, 0, 0))).getpixel((0, 0)) == (253,) * 3


def test_pixels_without_a_white_are_refused() -> None:
    for mode in ("F", "I"):
        assert "white is not defined" in refusal(encoded(Image.new(mode, (2, 2), 1), "TIFF"), name="scan.tif")


def test_an_embedded_colour_profile_is_converted_to_srgb() -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert difference(load_photo(encoded(scene(), "PNG", icc_profile=srgb)), scene()) <= 1
    grey = Image.new("RGB", (4, 4), (200, 100, 50))
    photo = load_photo(encoded(grey, "PNG", icc_profile=swapped(srgb)))
    assert difference(photo, Image.new("RGB", (4, 4), (50, 100, 200))) <= 1


def swapped(profile: bytes) -> bytes:
    """An sRGB profile whose red and blue primaries have changed places."""
    assert profile.count(b"rXYZ") == profile.count(b"bXYZ") == 1
    return profile.replace(b"rXYZ", b"~XYZ").replace(b"bXYZ", b"rXYZ").replace(b"~XYZ", b"bXYZ")


def test_a_broken_colour_profile_is_ignored() -> None:
    for profile in (b"not a profile", b"\x00" * 128):
        assert load_photo(encoded(scene(), "PNG", icc_profile=profile)).tobytes() == scene().tobytes()


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
        assert message == "bomb.png: 2500 megapixels; at most 40 are decoded. Shrink it."
        refusal(np.zeros((3, 3), dtype=np.uint8), max_pixels=8)
        refusal(scene(), max_pixels=48 * 32 - 1)
        assert load_photo(scene(), max_pixels=48 * 32).size == (48, 32)


def test_a_photo_just_over_the_limit_is_not_said_to_be_just_at_it() -> None:
    array = np.broadcast_to(np.uint8(0), (1, 40_000_001))
    assert refusal(array).startswith("photo: 40.1 megapixels; at most 40 are decoded.")


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


@pytest.mark.parametrize(
    ("head", "what"),
    [
        (b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic", "a HEIC photo"),
        (b"\x00\x00\x00\x18ftypmif1\x00\x00\x00\x00mif1avif", "an AVIF photo"),
        (b"\x00\x00\x00\x18ftypisom\x00\x00\x00\x00isommp42", "a video"),
        (b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>', "an SVG drawing"),
        (b"<!DOCTYPE html>\n<html><title>404</title>", "a web page"),
        (b"%PDF-1.7", "a PDF document"),
        (b"PPM is an image, but not one of ours", "not an image"),
    ],
)
def test_a_format_that_is_not_read_is_named_with_its_remedy(head: bytes, what: str) -> None:
    message = refusal(head, name="cat")
    assert message == f"cat: {what}; JPEG, PNG, WebP, GIF, BMP and TIFF are read. Export it as JPEG or PNG."


def test_arrays_of_another_type_or_shape_are_refused() -> None:
    for array in (np.zeros((4, 4, 3)), np.zeros((3, 4, 5), np.uint8), np.zeros(4, np.uint8), np.zeros((4, 4), bool)):
        assert f"an array of {array.dtype} {array.shape} came" in refusal(array)
    assert "expected at least one" in refusal(np.zeros((0, 4, 3), np.uint8))
    assert "expected at least one" in refusal(Image.new("RGB", (0, 4)))


@pytest.mark.parametrize("format", ["JPEG", "PNG"])
def test_a_photo_cut_in_its_last_quarter_keeps_its_rows_and_the_rest_is_grey(format: str) -> None:
    photo = noise(64, 256)
    data = encoded(photo, format)
    whole = np.asarray(load_photo(data))
    with pytest.warns(UserWarning, match=r"cat: the last \d+ rows are missing"):
        cut = np.asarray(load_photo(data[: len(data) * 9 // 10], name="cat"))
    assert cut.shape == whole.shape
    assert np.array_equal(cut[:192], whole[:192])
    assert (cut[-8:] == 128).all()


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP"])
def test_half_a_photo_is_refused(format: str) -> None:
    data = encoded(noise(64, 256), format)
    message = refusal(data[: len(data) // 2], name="half")
    assert message.startswith("half: ")
    if format in ("JPEG", "PNG"):
        assert "at least 75% are needed" in message


def test_a_cut_progressive_jpeg_is_refused() -> None:
    data = encoded(noise(64, 256), "JPEG", progressive=True)
    assert "0% of its rows" in refusal(data[: len(data) * 9 // 10])


def test_black_rows_count_as_rows() -> None:
    """Only missing rows are missing: a night sky below is no reason to refuse."""
    photo = noise(64, 256)
    photo.paste((0, 0, 0), (0, 16, 64, 256))
    data = encoded(photo, "PNG", compress_level=0)
    with pytest.warns(UserWarning, match="rows are missing"):
        assert load_photo(data[: len(data) * 9 // 10]).size == (64, 256)


def test_pillows_switches_are_left_alone() -> None:
    before = ImageFile.LOAD_TRUNCATED_IMAGES, Image.MAX_IMAGE_PIXELS
    test_a_photo_cut_in_its_last_quarter_keeps_its_rows_and_the_rest_is_grey("JPEG")
    assert before == (ImageFile.LOAD_TRUNCATED_IMAGES, Image.MAX_IMAGE_PIXELS)


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
