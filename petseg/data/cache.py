"""Pixels decoded once: a split's images and masks as two memory-mapped uint8 arrays.

A cache lies in a folder whose name holds a fingerprint of all that it was made from. When a file, its size or a
setting changes, the fingerprint does, and the cache is made anew. It is written under a temporary name and renamed,
so a folder that bears the final name is whole.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from tqdm import tqdm

from petseg.errors import DataError
from petseg.labels import labels_from_trimap

#: Raised by hand whenever decoding changes, so that older caches are no longer found.
DECODER = 1


@dataclass(frozen=True)
class Pixels:
    """The decoded split: `images` uint8 (N, S, S, 3), RGB, and `masks` uint8 (N, S, S), labels 0 to 2."""

    images: NDArray[np.uint8]
    masks: NDArray[np.uint8]


def open_pixels(
    files: Sequence[tuple[Path, Path]], size: int, folder: Path, name: str, progress: bool = True
) -> Pixels:
    """Memory-mapped pixels of the given files, decoded now if no valid cache is there.

    Args:
        files: (image, trimap) of each example.
        size: height and width in pixels to which both are resized, without keeping the aspect ratio.
        folder: where caches lie; made if missing.
        name: what this cache is called, for instance `oxford-trainval`; one cache is kept per name and size.
        progress: show a progress bar while decoding.

    Raises:
        DataError: a file is missing, is not an image, or is not a trimap.
    """
    prefix = f"{name}-{size}-"
    target = folder / (prefix + fingerprint(files, size))
    if not target.is_dir():
        _build(files, size, target, progress)
        for other in folder.glob(prefix + "*"):
            if other != target:
                shutil.rmtree(other, ignore_errors=True)  # made from files that have changed since
    return Pixels(np.load(target / "images.npy", mmap_mode="r"), np.load(target / "masks.npy", mmap_mode="r"))


def fingerprint(files: Sequence[tuple[Path, Path]], size: int) -> str:
    """Sixteen hexadecimal digits that change with any file's path, length or time of change, and with the size.

    Raises:
        DataError: a file is missing.
    """
    digest = hashlib.sha256(json.dumps([DECODER, size]).encode())
    for path in (path for pair in files for path in pair):
        try:
            status = path.stat()
        except FileNotFoundError:
            raise DataError(
                f"{path}: missing, though the split lists name it. Fetch it again with `petseg data oxford`."
            ) from None
        digest.update(f"{path.resolve()}\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:16]


def decode(image: Path, trimap: Path, size: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """One example: the image resized with antialiasing, the mask by nearest neighbour, which invents no labels.

    Returns:
        uint8 (size, size, 3), RGB, and uint8 (size, size), labels 0 to 2.

    Raises:
        DataError: a file is not an image, or the trimap holds other values than 1 to 3.
    """
    try:
        # by content, not by name: the official folder holds PNG and GIF files that are called .jpg
        with Image.open(image) as file:
            pixels = file.convert("RGB").resize((size, size), Image.Resampling.BILINEAR)
        with Image.open(trimap) as file:
            values = np.asarray(file.resize((size, size), Image.Resampling.NEAREST), dtype=np.uint8)
        return np.asarray(pixels), labels_from_trimap(values, trimap.name)
    except (UnidentifiedImageError, OSError, ValueError) as error:
        raise DataError(
            f"{image.name}: cannot be decoded with its trimap ({error}). Delete both and run `petseg data oxford`."
        ) from error


def _build(files: Sequence[tuple[Path, Path]], size: int, target: Path, progress: bool) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(dir=target.parent, prefix=".draft-"))
    try:
        _decode_all(files, size, draft, f"decode {target.name.rsplit('-', 1)[0]}" if progress else None)
        try:
            draft.rename(target)
        except OSError:
            if not target.is_dir():  # another process, decoding the same files, may have been first
                raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _decode_all(files: Sequence[tuple[Path, Path]], size: int, draft: Path, title: str | None) -> None:
    count = len(files)
    images = np.lib.format.open_memmap(draft / "images.npy", "w+", np.uint8, (count, size, size, 3))
    masks = np.lib.format.open_memmap(draft / "masks.npy", "w+", np.uint8, (count, size, size))
    # threads are enough: Pillow releases the interpreter's lock while it decodes and resizes
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        decoded = pool.map(lambda pair: decode(pair[0], pair[1], size), files)
        for row, (image, mask) in enumerate(tqdm(decoded, title, count, disable=title is None, leave=False)):
            images[row], masks[row] = image, mask
    images.flush()
    masks.flush()
