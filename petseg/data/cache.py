"""Pixels decoded once: a split's images and masks as two memory-mapped uint8 arrays.

The name of a cache's folder ends in a fingerprint of everything that it is made from. When a file or a setting changes,
the fingerprint changes too, and the cache is built again. A cache is written under a temporary name and then renamed,
so a folder with the final name is always complete, and processes that decode the same split at once need no lock.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from petseg.data.splits import Files
from petseg.errors import DataError
from petseg.labels import labels_from_trimap

#: Increase it whenever decoding changes, so that older caches are no longer used.
DECODER = 1

#: Damaged files that an error names.
LISTED = 10


@dataclass(frozen=True, eq=False)
class Pixels:
    """A decoded split.

    Attributes:
        images: uint8 (N, S, S, 3), RGB.
        masks: uint8 (N, S, S), labels 0 to 2.
        folder: the cache that both are memory-mapped from; None for arrays in memory.
    """

    images: NDArray[np.uint8]
    masks: NDArray[np.uint8]
    folder: Path | None = None

    @classmethod
    def open(cls, folder: Path) -> Pixels:
        """Memory-map both arrays: pixels are read from disk when they are first used, and shared by all processes."""
        images, masks = (np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("images", "masks"))
        return cls(images, masks, folder)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the path of a cache: NumPy would copy all pixels (241 MB for Oxford) to every loader process."""
        return (Pixels.open, (self.folder,)) if self.folder else (Pixels, (self.images, self.masks))


def open_pixels(files: Sequence[Files], size: int, folder: Path, name: str, progress: bool = True) -> Pixels:
    """Memory-mapped pixels of the given files, decoded now if there is no valid cache.

    Args:
        size: height and width in pixels to which both are resized, without keeping the aspect ratio.
        folder: where caches are kept; created if missing.
        name: of this cache, for instance `oxford-trainval`. One cache is kept per name, size and folder of files.
        progress: show a progress bar while decoding.

    Raises:
        DataError: files are missing or cannot be read; the message names them.
    """
    # resolved once per folder: for each file, that would take seconds on a network drive
    parents = {parent: str(parent.resolve()) for parent in {path.parent for pair in files for path in pair}}
    prefix = f"{name}-{size}-{_hash(sorted(set(parents.values())), 8)}-"
    fingerprint = [(f"{parents[path.parent]}/{path.name}", *_version(path)) for pair in files for path in pair]
    target = folder / (prefix + _hash([DECODER, size, *fingerprint], 16))
    if not target.is_dir():
        _build(files, size, target, f"decode {name}-{size}" if progress else None)
        for outdated in folder.glob(prefix + "*"):
            if outdated != target:
                shutil.rmtree(outdated, ignore_errors=True)  # the same files, before they changed
    return Pixels.open(target)


def decode(image: Path, trimap: Path, size: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """One example, resized: uint8 (size, size, 3), RGB, and uint8 (size, size), labels 0 to 2.

    Raises:
        DataError: a file is not an image, or the trimap has other values than 1 to 3.
    """
    # Pillow looks at the content, not at the name: the official folder has PNG and GIF files that are called .jpg
    with _reading(image), Image.open(image) as file:
        # Pillow's bilinear filter averages over all pixels that it shrinks into one, so nothing aliases
        pixels = np.asarray(file.convert("RGB").resize((size, size), Image.Resampling.BILINEAR))
    with _reading(trimap), Image.open(trimap) as file:
        # between pet (1) and boundary (3), interpolation would invent background (2); nearest neighbour copies values
        values = np.asarray(file.resize((size, size), Image.Resampling.NEAREST), dtype=np.uint8)
    try:
        return pixels, labels_from_trimap(values, str(trimap))
    except ValueError as error:
        raise DataError(str(error)) from None


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turn whatever goes wrong with a file into a sentence that names it."""
    try:
        yield
    except Exception as error:  # Pillow has no common base: OSError, SyntaxError, zlib.error, DecompressionBombError...
        raise DataError(
            f"{path}: cannot be read ({error or type(error).__name__}). Delete it and run `petseg data oxford`."
        ) from error


def _version(path: Path) -> tuple[int, int]:
    """Length in bytes and modification time in nanoseconds."""
    try:
        status = path.stat()
    except FileNotFoundError:
        raise DataError(
            f"{path}: missing, though the split lists name it. Fetch it again with `petseg data oxford`."
        ) from None
    return status.st_size, status.st_mtime_ns


def _build(files: Sequence[Files], size: int, target: Path, title: str | None) -> None:
    """Decode into a temporary folder, then rename it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(dir=target.parent, prefix=".draft-"))
    try:
        _decode_all(files, size, draft, title)
        try:
            draft.rename(target)
        except OSError:
            if not target.is_dir():  # otherwise another process has decoded the same files in the meantime
                raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _decode_all(files: Sequence[Files], size: int, folder: Path, title: str | None) -> None:
    shape = (len(files), size, size)
    images = np.lib.format.open_memmap(folder / "images.npy", "w+", np.uint8, (*shape, 3))
    masks = np.lib.format.open_memmap(folder / "masks.npy", "w+", np.uint8, shape)

    def decode_into(row: int) -> str | None:
        try:
            images[row], masks[row] = decode(*files[row], size)
        except DataError as error:
            return str(error)  # the other files are decoded too, so that all damaged ones are named at once
        return None

    # threads are enough: Pillow releases the interpreter's lock while it decodes and resizes
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        results = tqdm(pool.map(decode_into, range(len(files))), title, len(files), disable=title is None, leave=False)
        problems = [problem for problem in results if problem]
    if problems:
        more = [f"... and {len(problems) - LISTED} more files."] if len(problems) > LISTED else []
        raise DataError("\n".join(problems[:LISTED] + more))
    images.flush()
    masks.flush()


def _hash(value: Any, digits: int) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:digits]
