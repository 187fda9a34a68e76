"""Where a photo comes from: a path, bytes, an open file, an array; and whether its size is allowed."""

from __future__ import annotations

import math
from pathlib import Path
from typing import IO, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from petseg.errors import PhotoError

PhotoInput: TypeAlias = "str | Path | bytes | IO[bytes] | Image.Image | NDArray[np.uint8]"


def name_of(source: object) -> str:
    """What messages call a photo that was given no name: its file's name, else "photo"."""
    if not isinstance(source, str | Path):
        source = getattr(source, "filename", "") or getattr(source, "name", "")
    return (Path(source).name or str(source) or "photo") if isinstance(source, str | Path) else "photo"


def bytes_of(source: object, name: str) -> bytes:
    """All bytes of a path, of bytes or of a file opened in binary mode; anything else is a `PhotoError`."""
    if isinstance(source, str | Path):
        source = _read(Path(source), name)
    elif hasattr(source, "read"):
        source = source.read()
    if not isinstance(source, bytes | bytearray | memoryview):
        raise PhotoError(
            f"{name}: a {type(source).__name__} came; expected a path, bytes, a file opened in binary mode, "
            "a Pillow image or a uint8 array."
        )
    if not len(source):
        raise PhotoError(f"{name}: the file is empty. Copy or download it again.")
    return bytes(source)


def _read(path: Path, name: str) -> bytes:
    if path.is_dir():
        raise PhotoError(f"{name}: is a folder; expected a photo. Name the photos in it, one by one.")
    if not path.exists():
        raise PhotoError(f"{name}: no such file in {path.absolute().parent}. Check the path.")
    if not path.is_file():
        raise PhotoError(f"{name}: is a device or a pipe; expected a photo. Save it to a file first.")
    return path.read_bytes()


def check_size(size: tuple[int, int], max_pixels: int, name: str) -> None:
    """Raises `PhotoError` where width times height is 0 or above the limit."""
    pixels = size[0] * size[1]
    if pixels < 1:
        raise PhotoError(f"{name}: {size[0]} x {size[1]} pixels; expected at least one. Choose another photo.")
    if pixels > max_pixels:
        came, most = math.ceil(pixels / 1e5) / 10, max_pixels / 1e6  # rounded up: never "60; at most 60"
        raise PhotoError(f"{name}: {came:g} megapixels; at most {most:g} are decoded. Shrink it.")


def from_array(array: NDArray[Any], max_pixels: int, name: str) -> Image.Image:
    """The image of a uint8 array (H, W), (H, W, 3) or (H, W, 4); any other is a `PhotoError`."""
    channels = array.shape[2:] if array.ndim in (2, 3) else (0,)
    if array.dtype != np.uint8 or channels not in ((), (3,), (4,)):
        raise PhotoError(
            f"{name}: an array of {array.dtype} {array.shape} came; expected uint8, values 0 to 255, of "
            "shape (H, W), (H, W, 3) or (H, W, 4). Scale and transpose it first."
        )
    check_size((array.shape[1], array.shape[0]), max_pixels, name)
    return Image.fromarray(np.ascontiguousarray(array))
