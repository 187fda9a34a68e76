"""Pixels decoded once: a split's images and masks as two memory-mapped uint8 arrays.

The name of a cache's folder ends in a fingerprint of everything that it is made from. When a file or a setting changes,
the fingerprint changes too, and the cache is built again. A cache is written under a temporary name and then renamed,
so a folder with the final name is always complete, and processes that decode the same split at once need not wait for
each other. Its checksums tell whether a file of it was damaged later: then it is built again, too.
"""

import errno
import hashlib
import json
import os
import shutil
import stat
import uuid
import zlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray
from tqdm import tqdm

from petseg.data.decode import DECODER, decode
from petseg.data.splits import Files
from petseg.errors import FETCH, DataError, say
from petseg.files import read_json, write_json

#: Damaged files that an error names.
LISTED = 10


class Pixels(NamedTuple):
    """A decoded split."""

    images: NDArray[np.uint8]  # (N, S, S, 3), RGB
    masks: NDArray[np.uint8]  # (N, S, S), labels 0 to 2


def open_pixels(files: Sequence[Files], size: int, folder: Path, name: str, progress: bool = True) -> Pixels:
    """Memory-mapped pixels of the given files, of `size` x `size` pixels, decoded now if there is no valid cache.

    `folder` keeps one cache per name (such as `oxford-trainval`), size and folder of files. Raises DataError if files
    are missing, damaged or do not belong together, or the cache cannot be written.
    """
    # resolved once per folder: for each file, that would take seconds on a network drive
    parents = {parent: str(parent.resolve()) for parent in {path.parent for pair in files for path in pair}}
    prefix = f"{name}-{size}-{_hash(sorted(set(parents.values())), 8)}-"
    fingerprint = [(f"{parents[path.parent]}/{path.name}", *_version(path)) for pair in files for path in pair]
    target = folder / (prefix + _hash([DECODER, size, *fingerprint], 16))
    try:
        _remove_drafts(folder)
        if not _is_intact(target):
            _build(files, size, target, f"decode {name}-{size}" if progress else None)
            for outdated in folder.glob(prefix + "*"):
                if outdated != target:
                    shutil.rmtree(outdated, ignore_errors=True)  # the same files, before they changed
        # memory-mapped: read from disk when they are first used, and shared by all processes
        return Pixels(*(np.load(target / f"{kind}.npy", mmap_mode="r") for kind in Pixels._fields))
    except OSError as error:
        raise DataError(
            f"{folder}: decoded images cannot be kept here ({error.strerror or error}). Free some space or change its "
            "permissions, or set PETSEG_CACHE_DIR to another folder."
        ) from error


def _version(path: Path) -> tuple[int, int]:
    """Length in bytes and modification time in nanoseconds."""
    try:
        status = path.stat()
    except FileNotFoundError:
        raise DataError(f"{path}: missing, though the split lists name it. Add it, or run {FETCH}.") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}). Change the permissions of its folder.") from error
    if not stat.S_ISREG(status.st_mode):
        raise DataError(f"{path}: is a folder or a pipe, not a file. Put the file in its place.")
    return status.st_size, status.st_mtime_ns


def _is_intact(cache: Path) -> bool:
    """Whether a cache exists and has its checksums; this reads all of it, at more than 1 GB/s once it is in memory."""
    if not cache.is_dir():
        return False
    try:
        intact = bool(read_json(cache / "checksums.json") == _checksums(cache))
    except (FileNotFoundError, ValueError):
        intact = False
    if not intact:
        say(f"{cache}: damaged, so the images are decoded again.")
    return intact


def _checksums(cache: Path) -> dict[str, int]:
    """CRC-32 of both arrays' files."""
    return {name: zlib.crc32(np.memmap(cache / name, np.uint8, "r").data) for name in ("images.npy", "masks.npy")}


def _build(files: Sequence[Files], size: int, target: Path, title: str | None) -> None:
    """Decode into a temporary folder, locked while it is in use, then rename it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f".draft-{uuid.uuid4().hex}")
    lock = FileLock(f"{draft}.lock")
    with suppress(OSError, NotImplementedError):  # some network drives have no locks
        lock.acquire(timeout=0)
    try:
        draft.mkdir()  # unlike those of `tempfile`, as open to others as the umask says
        _decode_all(files, size, draft, title)
        write_json(draft / "checksums.json", _checksums(draft))
        if target.is_dir() and not _is_intact(target):
            shutil.rmtree(target)
        try:
            draft.rename(target)
        except OSError:
            if not target.is_dir():  # otherwise another process has decoded the same files in the meantime
                raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)
        lock.release()
        Path(lock.lock_file).unlink(missing_ok=True)


def _remove_drafts(folder: Path) -> None:
    """Remove the temporary folders of processes that were killed: nobody holds their locks."""
    for name in {path.name.removesuffix(".lock") for path in folder.glob(".draft-*")}:
        with suppress(OSError, NotImplementedError), FileLock(folder / f"{name}.lock", timeout=0):
            shutil.rmtree(folder / name, ignore_errors=True)
            (folder / f"{name}.lock").unlink(missing_ok=True)


def _decode_all(files: Sequence[Files], size: int, folder: Path, title: str | None) -> None:
    shape = (len(files), size, size)
    images = np.lib.format.open_memmap(folder / "images.npy", "w+", np.uint8, (*shape, 3))
    masks = np.lib.format.open_memmap(folder / "masks.npy", "w+", np.uint8, shape)
    _reserve(folder)

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


def _reserve(folder: Path) -> None:
    """Claim the space of the arrays: if the disk were full later, writing to a memory map would end the process."""
    sizes = {path: path.stat().st_size for path in folder.iterdir()}
    needed, free = sum(sizes.values()), shutil.disk_usage(folder).free
    if needed > free:
        raise OSError(errno.ENOSPC, f"{needed / 1e6:,.0f} MB are needed, {free / 1e6:,.0f} MB are free")
    if hasattr(os, "posix_fallocate"):  # neither on macOS nor on Windows
        for path, size in sizes.items():
            with path.open("r+b") as file:
                os.posix_fallocate(file.fileno(), 0, size)


def _hash(value: Any, digits: int) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:digits]
