"""Photos of every kind, and damaged ones: each is a mask of its size or one sentence, in two seconds and a gigabyte."""

import io
import os
import re
import struct
import time
import warnings
import zipfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any, TypeAlias

import numpy as np
import pillow_heif
import tifffile
import torch
from inference.photo_files import SRGB, SWAPPED, encoded, noise, png, scene
from PIL import Image, features

from petseg.errors import PhotoError
from petseg.inference.predictor import Predictor
from petseg.labels import CLASSES
from petseg.models import zoo
from petseg.models.segmenter import Segmenter
from petseg.models.unet import UNet

from . import Tally, mutated

NAME = "photos"

#: A title, a photo, and what it gives: a mask of this width and height, a sentence (None), or either ("any").
Case: TypeAlias = "tuple[str, bytes | str, tuple[int, int] | str | None]"

SECONDS = {"short": 5, "full": 2}  # of the processor; tests that run side by side slow each other down
MEGABYTES = 1000  # beyond what Python and PyTorch take
SIZE = (24, 16)

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
MODES = {
    "PNG": ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"),
    "JPEG": ("L", "RGB", "CMYK"),
    "WEBP": ("L", "RGB", "RGBA"),
    "GIF": ("1", "L", "P", "RGB", "RGBA"),
    "BMP": ("1", "L", "P", "RGB", "RGBA"),
    "TIFF": ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "LAB", "I;16"),
    "AVIF": ("L", "RGB", "RGBA") if features.check("avif") else (),
    "HEIF": ("L", "RGB", "RGBA"),
}
ANIMATED: dict[str, Any] = {"save_all": True, "append_images": [noise(*SIZE)]}
OPTIONS: dict[str, list[dict[str, Any]]] = {
    "JPEG": [{"progressive": True}, {"subsampling": 0}, {"restart_marker_rows": 1}, {"quality": 1}, {"comment": b"a"}],
    "PNG": [{"transparency": (255, 0, 0)}, *({"icc_profile": data} for data in (SRGB, SWAPPED, b"broken")), ANIMATED],
    "WEBP": [{"lossless": True}, {"quality": 0}, ANIMATED],
    "GIF": [{"interlace": 0}, {"transparency": 1}, ANIMATED],
    "TIFF": [ANIMATED, *({"compression": name} for name in ("tiff_lzw", "packbits", "jpeg", "zstd"))],
    "MPO": [ANIMATED],
}
NO_PHOTOS = (
    *(b"", b"dear diary", bytes(1000), b"<!DOCTYPE html>\n<html><title>404</title></html>", b"%PDF-1.7\n1 0 obj"),
    *(b'<svg xmlns="http://www.w3.org/2000/svg"/>', b"\0\0\0\x18ftypisom\0\0\0\0isommp42", b"\xff\x0a" + bytes(100)),
    b"II*\0\x10\0\0\0CR\x02\0" + bytes(100),  # before: a video, JPEG XL; this: a camera raw file
)
ODD_NAMES = (
    *("cat.jpg", "cat", ".png", "a b.png", "猫\u0301.png", "new\nline.png", "-x.png", "%s{}.png", "x" * 250),
    os.fsdecode(b"\xff.png"),
)


def run(scale: str) -> dict[str, Any]:
    """Tries every kind once, then damaged copies of the readable ones: 200, in full 20,000."""
    random = Random(0)
    with TemporaryDirectory() as name:
        folder = Path(name)
        kinds = [*modes(), *layouts(), *sizes(), *on_disk(folder)]
        readable = [(title, source) for title, source, expected in kinds if expected == SIZE and source[:0] == b""]
        copies = (readable[index % len(readable)] for index in range(200 if scale == "short" else 20_000))
        cases = [*kinds, *((f"damaged {title}", mutated(data, random), "any") for title, data in copies)]
        torch.manual_seed(0)
        segmenter = Segmenter(UNet(channels=(4, 8)))
        card = zoo.ModelCard.of(segmenter, name="tiny", size=(32, 32))
        model = zoo.save(folder / "tiny.safetensors", segmenter, card)
        # in another process: its memory is that of the photos, and a decoder that crashes does not end the table
        with ProcessPoolExecutor(1, get_context("spawn")) as pool:
            return pool.submit(attempt, str(model), cases, SECONDS[scale]).result().row(kinds=len(kinds))


def attempt(model: str, cases: Sequence[Case], seconds: float) -> Tally:
    """Segments each photo in at most these seconds."""
    tally, predictor = Tally(time.process_time), Predictor(model, device="cpu")
    warnings.simplefilter("ignore")
    for name, source, expected in cases:
        before = memory(reset=True)
        with tally.case(name, seconds):
            size, sentence = None, "a mask."
            try:
                result = predictor(source)
                size = result.photo.size
                assert (result.mask.shape, result.mask.max() < len(CLASSES)) == (size[::-1], True)
            except PhotoError as error:
                sentence = str(error)
            assert expected in ("any", size), sentence
            assert re.fullmatch(r".+\.", sentence), f"not one sentence: {sentence}"
            assert memory() - before < MEGABYTES, f"{memory() - before:.0f} MB"
    return tally


def memory(reset: bool = False) -> float:
    """The megabytes of this process at most since the last reset (Linux)."""
    if not Path("/proc/self/clear_refs").exists():
        return 0
    if reset:
        Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")
    return int(re.findall(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text(encoding="utf-8"))[0]) / 1000


def modes() -> Iterator[Case]:
    """Every mode that Pillow writes in each format, with other options and profiles."""
    drawn = {mode: scene(*SIZE).convert(mode) for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr")}
    drawn |= {"I;16": Image.new("I;16", SIZE, 30_000), "LAB": Image.new("LAB", SIZE, (99, 0, 0))}
    for format, mode in ((format, mode) for format, names in MODES.items() for mode in names):
        file = io.BytesIO()
        # pillow_heif's plugin is not registered, as in petseg
        pillow_heif.from_pillow(drawn[mode]).save(file) if format == "HEIF" else drawn[mode].save(file, format)
        yield f"{format} {mode}", file.getvalue(), SIZE
    for format, options in ((format, options) for format, several in OPTIONS.items() for options in several):
        yield f"{format} {options}"[:60], encoded(drawn["RGB"], format, **options), SIZE
    for mode, compression in (("1", "group3"), ("1", "group4"), ("YCbCr", "jpeg"), ("I;16", "tiff_lzw")):
        yield f"TIFF {mode} {compression}", encoded(drawn[mode], "TIFF", compression=compression), SIZE
    yield "CMYK with a profile of RGB", encoded(drawn["CMYK"], "JPEG", icc_profile=SRGB), SIZE


def layouts() -> Iterator[Case]:
    """What Pillow does not write: depths and interlacing of PNG, planes and tiles of TIFF, BMP with 16 bits."""
    for depth, color, row in ((2, 0, 6), (4, 0, 12), (16, 2, 144), (16, 4, 96), (16, 6, 192)):
        yield f"PNG {depth} bits, colour {color}", png(24, depth, color, bytes(row)), (24, 1)
    pixels = np.asarray(scene(*SIZE))
    adam7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
    rows = b"".join(b"\0" + row.tobytes() for x, y, dx, dy in adam7 for row in pixels[y::dy, x::dx])
    yield "PNG interlaced", png(24, 8, 2, rows[1:], height=16, interlaced=True), SIZE
    several = ({}, {"tile": (16, 16)}, {"byteorder": ">"}, {"bigtiff": True}, {"compression": "deflate"})
    for planar, dtype, options in product(("contig", "separate"), (np.uint8, np.uint16), several):
        array, file = pixels.astype(dtype) * (257 if dtype is np.uint16 else 1), io.BytesIO()
        array = array if planar == "contig" else array.transpose(2, 0, 1)
        tifffile.imwrite(file, array, planarconfig=planar, photometric="rgb", **options)
        yield f"TIFF {planar} {dtype.__name__} {options}", file.getvalue(), SIZE
    for height in (16, -16):  # from the last row to the first; from the first to the last
        bmp = struct.pack("<IiiHHIIiiII", 40, 24, height, 1, 16, 0, 0, 0, 0, 0, 0) + bytes(24 * 16 * 2)
        yield f"BMP 16 bits {height}", b"BM" + struct.pack("<IHHI", 54 + 24 * 16 * 2, 0, 0, 54) + bmp, SIZE


def sizes() -> Iterator[Case]:
    """One pixel, 5,000 in a row, almost 60 megapixels and just more; files cut at every tenth of their length."""
    for size, format in product(((1, 1), (1, 5000), (5000, 1)), FORMATS):
        yield f"{format} {size}", encoded(noise(*size), format), size
    rows = bytes(968) + (b"\0" + bytes(968)) * 7739  # each begins with the number of its filter
    yield "PNG 7740x7740", png(7740, 1, 0, rows, height=7740), (7740, 7740)
    yield "JPEG 7740x7740", encoded(Image.new("RGB", (7740, 7740), "red"), "JPEG"), (7740, 7740)
    yield from ((f"PNG {side}x{side}", png(side, 1, 0, b"", height=side), None) for side in (7750, 50_000))
    for format, tenth in product(FORMATS, range(1, 10)):
        data = encoded(noise(64, 48), format)
        yield f"{format}, {tenth} tenths", data[: len(data) * tenth // 10], "any"


def on_disk(folder: Path) -> Iterator[Case]:
    """Wrong endings, odd names, what is no photo, and what is no file."""
    photo, archive = encoded(scene(*SIZE), "PNG"), io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("cat.png", photo)
    yield from ((f"{data!r:.20}", data, None) for data in (*NO_PHOTOS, archive.getvalue()))
    for name in ODD_NAMES:
        (folder / name).write_bytes(photo)
        yield f"named {name!r:.20}", str(folder / name), SIZE
    (folder / "link.png").symlink_to(folder / "cat.jpg")
    yield "link", str(folder / "link.png"), SIZE
    (folder / "denied.png").write_bytes(photo)
    (folder / "denied.png").chmod(0)
    yield "no permission", str(folder / "denied.png"), "any"  # root may read it
    (folder / "broken.png").symlink_to(folder / "gone.png")
    (folder / "circle.png").symlink_to(folder / "circle.png")
    os.mkfifo(folder / "pipe.png")
    for name in ("broken.png", "circle.png", "pipe.png", "gone.png", "y" * 300, "nul\0.png", "cat.jpg/x.png", ""):
        yield f"{name!r:.20}", str(folder / name), None
    yield from ((name, name, None) for name in ("/dev/null", "/dev/zero", "https://example.org/cat.jpg"))
