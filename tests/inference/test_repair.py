"""What every viewer shows is read: JPEGs that end a little early, PNGs with odd chunks, TIFFs in planes."""

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
import tifffile
from photo_files import SRGB, SWAPPED, chunk, difference, encoded, noise, refusal, scene
from PIL import Image
from skimage.data import cat

from petseg.inference.photo import decode_photo, load_photo

CHELSEA = Image.fromarray(cat())
KINDS: list[dict[str, Any]] = [
    {},
    {"progressive": True},
    {"restart_marker_rows": 1},
    {"subsampling": 0, "progressive": True},
]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("options", KINDS)
@pytest.mark.parametrize("photo", [CHELSEA, CHELSEA.convert("L"), Image.new("RGB", (300, 200))])
def test_a_jpeg_without_its_end_marker_is_read_whole(photo, options):
    data = encoded(photo, "JPEG", **options)
    for cut in (data[:-1], data[:-2]):
        assert load_photo(cut).tobytes() == load_photo(data).tobytes()


@pytest.mark.parametrize("options", KINDS)
def test_a_jpeg_cut_by_a_few_bytes_is_read_and_only_its_last_rows_suffer(options):
    data = encoded(CHELSEA, "JPEG", quality=90, **options)
    whole, cut = (np.asarray(load_photo(file), dtype=int) for file in (data, data[:-30]))
    assert np.array_equal(cut[:-32], whole[:-32])
    assert np.abs(cut - whole).mean() < 1
    if "progressive" in options:  # a refinement may be missing
        assert np.abs(np.asarray(load_photo(data[: len(data) * 3 // 4]), dtype=int) - whole).mean() < 3


@pytest.mark.parametrize(
    ("options", "part"),
    [(options, part) for options in KINDS for part in (0.02, 0.1, 0.3)] + [(KINDS[0], 0.5), (KINDS[2], 0.5)],
)
def test_a_jpeg_with_too_much_missing_is_refused(options, part):
    data = encoded(CHELSEA, "JPEG", quality=90, **options)
    message = refusal(data[: int(len(data) * part)], name="cat.jpg")
    assert message.startswith("cat.jpg: ")
    assert message.endswith("Copy or download it again.")


def test_half_a_photo_of_any_other_format_and_a_png_with_too_few_pixels_are_refused():
    for format in ("PNG", "WEBP", "TIFF", "GIF", "BMP"):
        data = encoded(noise(64, 256), format)
        assert refusal(data[: len(data) // 2], name="half").startswith("half: ")
    short = chunk(b"IDAT", zlib.compress(b"\0" + bytes(3))[:-6])
    assert refusal(encoded(scene(), "PNG")[:33] + short, name="cat").startswith("cat: ")


def with_chunk(data: bytes, extra: bytes, before: bool) -> bytes:
    """A PNG with another chunk before or after its pixels."""
    return data[:33] + extra + data[33:] if before else data[:-12] + extra + data[-12:]


EXTRAS = {
    "large tEXt": chunk(b"tEXt", b"workflow\0" + bytes(3_000_000)),
    "damaged tEXt": chunk(b"tEXt", b"workflow\0text", damaged=True),
    "large zTXt": chunk(b"zTXt", b"workflow\0\0" + zlib.compress(bytes(3_000_000))),
    "huge zTXt": chunk(b"zTXt", b"workflow\0\0" + zlib.compress(bytes(70_000_000))),
    "huge zTXt with orientation": chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(bytes(70_000_000))),
    "damaged eXIf": chunk(b"eXIf", b"MM\0*", damaged=True),
    "large iTXt": chunk(b"iTXt", b"workflow\0\1\0\0\0" + zlib.compress(bytes(3_000_000))),
    "large iCCP": chunk(b"iCCP", b"profile\0\0" + zlib.compress(bytes(3_000_000))),
    "huge iCCP": chunk(b"iCCP", b"profile\0\0" + zlib.compress(bytes(40_000_000))),
    "damaged iCCP": chunk(b"iCCP", b"profile\0\0" + zlib.compress(bytes(9)), damaged=True),
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("extra", EXTRAS.values(), ids=EXTRAS)
def test_a_png_with_a_large_or_damaged_extra_chunk_is_read_silently(extra, before):
    assert load_photo(with_chunk(encoded(scene(), "PNG"), extra, before)).tobytes() == scene().tobytes()


def test_a_large_colour_profile_is_still_applied():
    large = struct.pack(">I", len(SRGB) + 3_000_000) + SWAPPED[4:] + bytes(3_000_000)
    extra = chunk(b"iCCP", b"large\0\0" + zlib.compress(large))
    photo = load_photo(with_chunk(encoded(Image.new("RGB", (4, 4), (200, 100, 50)), "PNG"), extra, True))
    assert difference(photo, Image.new("RGB", (4, 4), (50, 100, 200))) <= 1


@pytest.mark.parametrize("before", [True, False])
def test_the_orientation_in_a_pngs_text_is_obeyed_wherever_it_stands(before):
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    extra = chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp)
    data = with_chunk(encoded(scene().rotate(90, expand=True), "PNG"), extra, before)
    assert load_photo(data).tobytes() == scene().tobytes()


def planar_tiff(planes: np.ndarray, **options: Any) -> bytes:
    """A TIFF of planes (C, H, W), one after the other; channels beyond those of a colour are alpha."""
    file = io.BytesIO()
    colors = {"minisblack": 1, "separated": 4}.get(options["photometric"], 3)
    extra = ["unassalpha"] * (len(planes) - colors) or None
    tifffile.imwrite(file, planes, planarconfig="separate", extrasamples=extra, **options)
    return file.getvalue()


@pytest.mark.parametrize("options", [{}, {"tile": (16, 16)}, {"compression": "deflate"}])
@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("unit", [np.uint8(1), np.uint16(257)])
def test_a_tiff_that_stores_its_channels_as_planes_is_read(options, byteorder, channels, unit):
    pixels = np.asarray(noise(40, 24).convert("RGBA"))[..., :channels].copy()
    pixels[..., 3:] = np.linspace(1, 255, 40).astype(np.uint8)[:, None]
    data = planar_tiff(pixels.transpose(2, 0, 1) * unit, photometric="rgb", byteorder=byteorder, **options)
    photo, expected = decode_photo(data), decode_photo(pixels)
    assert photo.image.tobytes() == expected.image.tobytes()
    assert channels == 3 or photo.alpha.tobytes() == expected.alpha.tobytes()


@pytest.mark.parametrize(
    ("photometric", "channels", "compression"),
    [(*layout, compression) for layout in (("minisblack", 2), ("cielab", 3)) for compression in (None, "deflate")]
    + [("separated", 4, None)],
)
def test_a_tiff_whose_planes_pillow_misreads_is_refused(photometric, channels, compression):
    planes = np.zeros((channels, 8, 8), np.uint16 if photometric == "separated" else np.uint8)
    data = planar_tiff(planes, photometric=photometric, compression=compression)
    assert refusal(data).startswith("photo: cannot be decoded (")
