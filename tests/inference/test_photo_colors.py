"""Every kind of pixels becomes 8-bit sRGB, and transparency is kept beside it."""

import struct

import numpy as np
import pytest
from photo_files import RED, SRGB, SWAPPED, WHITE, chunk, difference, encoded, png, refusal, scene, turned
from PIL import Image, ImageCms

from petseg.inference.photo import decode_photo, load_photo

PALETTE = Image.new("P", (1, 1), 1)
PALETTE.putpalette([0, 0, 0, 255, 0, 0])
FIFTH = (255, 204, 204)  # a fifth of red on white: white loses a fifth of green and blue


@pytest.mark.parametrize(
    ("source", "pixel"),
    [
        (encoded(Image.new("RGBA", (1, 1), (255, 0, 0, 51)), "PNG"), FIFTH),
        (encoded(Image.new("LA", (1, 1), (0, 51)), "PNG"), (204, 204, 204)),
        (encoded(PALETTE, "PNG"), RED),
        (encoded(PALETTE, "PNG", transparency=b"\xff\x33"), FIFTH),
        (encoded(PALETTE, "GIF", transparency=1), WHITE),
        (encoded(scene(), "PNG", transparency=RED), WHITE),
        (PALETTE.convert("PA"), RED),
        (np.array([[[255, 0, 0, 51]]], dtype=np.uint8), FIFTH),
        (encoded(Image.new("1", (2, 2), 1), "PNG"), WHITE),
        (encoded(Image.new("L", (2, 2), 77), "PNG"), (77, 77, 77)),
        (np.full((2, 2), 77, dtype=np.uint8), (77, 77, 77)),
        (Image.new("I", (1, 1), 65535), WHITE),
        (encoded(Image.new("I;16", (1, 1), 65535), "PNG"), WHITE),
    ],
)
def test_grey_and_transparent_pixels_become_rgb_on_white(source, pixel):
    assert load_photo(source).getpixel((0, 0)) == pixel


@pytest.mark.parametrize(
    ("source", "most"),
    [
        *((scene().convert(mode), 3) for mode in ("CMYK", "YCbCr", "HSV")),
        (encoded(scene().convert("CMYK"), "TIFF"), 3),
        (encoded(scene().convert("YCbCr"), "TIFF", compression="jpeg"), 16),  # in TIFF, YCbCr is always compressed
    ],
)
def test_other_colour_spaces_become_rgb(source, most):
    assert difference(load_photo(source), scene()) <= most


def test_an_inverted_cmyk_jpeg_of_adobe_is_not_a_negative():
    data = encoded(scene().convert("CMYK"), "JPEG", quality=95)
    assert b"Adobe" in data  # the marker by which decoders know that the values are inverted
    assert np.abs(np.subtract(load_photo(data).getpixel((4, 4)), RED)).max() <= 6


def test_a_lab_tiff_becomes_rgb():
    srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    muted = Image.blend(scene(), Image.new("RGB", scene().size, (128, 128, 128)), 0.6)
    data = encoded(ImageCms.profileToProfile(muted, srgb, lab, outputMode="LAB"), "TIFF")
    assert difference(load_photo(data), muted) <= 4  # steps of 1 in L, a and b


def test_16_bit_grey_is_divided_by_its_type_and_never_by_its_content():
    dark = Image.fromarray(np.array([[0, 257, 514]], dtype=np.uint16))  # the brightest is 2 of 255
    for source in (encoded(dark, "PNG"), encoded(dark, "TIFF"), dark):
        assert np.asarray(load_photo(source))[0, :, 0].tolist() == [0, 1, 2]


def test_a_16_bit_tiff_whose_white_is_zero_is_not_a_negative():
    data = encoded(Image.new("I;16", (2, 2), 514), "TIFF")
    photometric = struct.pack("<HHIHH", 262, 3, 1, 1, 0)
    assert data.count(photometric) == 1
    assert load_photo(data).getpixel((0, 0)) == (2, 2, 2)
    assert load_photo(data.replace(photometric, struct.pack("<HHIHH", 262, 3, 1, 0, 0))).getpixel((0, 0)) == (253,) * 3


@pytest.mark.parametrize("mode", ["F", "I"])
def test_pixels_without_a_white_are_refused(mode):
    assert "white is not defined" in refusal(encoded(Image.new(mode, (2, 2), 1), "TIFF"), name="scan.tif")


def test_an_embedded_colour_profile_is_converted_to_srgb_and_a_broken_one_ignored():
    for broken in (b"not a profile", bytes(128)):
        assert load_photo(encoded(scene(), "PNG", icc_profile=broken)).tobytes() == scene().tobytes()
    assert difference(load_photo(encoded(scene(), "PNG", icc_profile=SRGB)), scene()) <= 1
    photo = load_photo(encoded(Image.new("RGB", (4, 4), (200, 100, 50)), "PNG", icc_profile=SWAPPED))
    assert difference(photo, Image.new("RGB", (4, 4), (50, 100, 200))) <= 1


def test_the_alpha_channel_is_kept_beside_the_photo():
    levels = np.array([[0, 51, 255]], dtype=np.uint8)
    sticker = Image.new("RGB", (3, 1), RED)
    sticker.putalpha(Image.fromarray(levels))
    for source in (sticker, encoded(sticker, "PNG"), np.asarray(sticker)):
        photo = decode_photo(source)
        assert np.array_equal(np.asarray(photo.alpha), levels)
        assert photo.image.getpixel((1, 0)) == FIFTH
    upright = decode_photo(encoded(sticker, "PNG", exif=turned(6)))
    assert np.array_equal(np.asarray(upright.alpha), levels.T)
    assert decode_photo(encoded(scene(), "PNG")).alpha is None
    assert decode_photo(encoded(scene().convert("RGBA"), "PNG")).alpha is None  # opaque everywhere


@pytest.mark.parametrize(
    ("depth", "color", "row", "value"),
    [
        (1, 0, b"\x40", (0,)),  # two pixels each: the first is transparent
        (2, 0, b"\x70", (1,)),
        (4, 0, b"\x5f", (5,)),
        (8, 0, b"\x05\xff", (5,)),
        (16, 0, b"\x03\xe8\x03\xe9", (1000,)),  # 1000 and 1001, which are equal in 8 bits
        (8, 2, bytes([10, 20, 30, 200, 200, 200]), (10, 20, 30)),
        (16, 2, bytes([10, 10, 20, 20, 30, 30] + 6 * [200]), (2570, 5140, 7710)),
    ],
)
def test_the_transparent_colour_of_a_png_of_any_depth_stays_so(depth, color, row, value):
    photo = decode_photo(png(2, depth, color, row, chunk(b"tRNS", struct.pack(f">{len(value)}H", *value))))
    assert np.asarray(photo.alpha).tolist() == [[0, 255]]
    assert photo.image.getpixel((0, 0)) == WHITE


def bmp32(image: Image.Image) -> bytes:
    """A BMP with 32 bits per pixel and a mask for alpha (BITMAPV4HEADER)."""
    pixels = np.asarray(image)[::-1, :, [2, 1, 0, 3]].tobytes()
    header = struct.pack("<IiiHHIIiiII", 108, *image.size, 1, 32, 3, len(pixels), 2835, 2835, 0, 0)
    header += struct.pack("<IIII", 0xFF0000, 0xFF00, 0xFF, 0xFF000000) + b"BGRs" + bytes(48)
    return b"BM" + struct.pack("<IHHI", 122 + len(pixels), 0, 0, 122) + header + pixels


def test_a_bmp_whose_fourth_byte_is_zero_everywhere_is_opaque():
    plain = scene(4, 2).convert("RGBA")
    plain.putalpha(51)
    assert decode_photo(bmp32(plain)).alpha.getextrema() == (51, 51)
    plain.putalpha(0)
    photo = decode_photo(bmp32(plain))
    assert photo.alpha is None
    assert photo.image.tobytes() == scene(4, 2).tobytes()
