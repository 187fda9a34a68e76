"""Where files lie, how they are written, and which way up a photo is: folders, atomic writes, JSON, EXIF."""

import json
import os
import struct
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any, Final

from petseg.errors import DISK_ERRORS, MissingError

ORIENTATION: Final = 0x0112  # the tag of EXIF


def checkout() -> Path | None:
    """The folder of the repository that this package runs from; None if the package is installed without it."""
    folder = Path(__file__).resolve().parents[1]
    return folder if (folder / "pyproject.toml").is_file() else None


def home_folder() -> Path:
    """The checkout, else the current folder: the default place of `data/` and `runs/`."""
    return checkout() or Path.cwd()


def data_folder() -> Path:
    """The folder that contains `oxford-iiit-pet/`: `PETSEG_DATA_DIR`, else the checkout's `data/`, else `./data`."""
    return _from_environment("PETSEG_DATA_DIR") or home_folder() / "data"


def cache_folder() -> Path:
    """The folder of decoded pixels: `PETSEG_CACHE_DIR`, else `data/cache/` in the checkout, else `./data/cache`."""
    return _from_environment("PETSEG_CACHE_DIR") or home_folder() / "data" / "cache"


def runs_folder() -> Path:
    """The folder of the notebooks' runs: `PETSEG_RUNS_DIR`, else the checkout's `runs/`, else `./runs`."""
    return _from_environment("PETSEG_RUNS_DIR") or home_folder() / "runs"


def _from_environment(variable: str) -> Path | None:
    value = os.environ.get(variable)
    return Path(value).expanduser().absolute() if value else None  # absolute: the current folder may change later


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """A temporary file beside `path` to write to, which is renamed to `path` at the end: no reader sees half a file.

    Creates missing folders. If the writing fails, the temporary file is removed and an older file at `path` stays.

    Raises:
        MissingError: the disk is full, or the folder cannot be written to.
    """
    # a short name: one made from `path` could exceed the 255 bytes that file systems allow
    partial = path.with_name(f".partial-{uuid.uuid4().hex}{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(path.parent)
        yield partial
        partial.replace(path)
    except Exception as error:
        reason = error if isinstance(error, OSError) else error.__context__  # PyTorch hides that of a full disk
        if not isinstance(reason, OSError) or reason.errno not in DISK_ERRORS:
            raise
        opened = " close the program that has the file open," if sys.platform == "win32" else ""
        raise MissingError(
            f"{path}: cannot be written ({reason.strerror}). Free some space,{opened} or choose another folder."
        ) from error
    finally:
        with suppress(OSError):
            partial.unlink()


@cache  # once per process: a folder may hold many files
def _remove_leftovers(folder: Path) -> None:
    """Remove the temporary files of processes that were killed; one that is being written is younger than an hour."""
    for leftover in folder.glob(".partial-*"):
        with suppress(OSError):
            if leftover.stat().st_mtime < time.time() - 3600:
                leftover.unlink()


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 atomically."""
    with atomic_write(path) as partial:
        partial.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write indented JSON atomically."""
    write_text(path, json.dumps(value, indent=2) + "\n")


def read_json(path: Path) -> Any:
    """The content of a JSON file."""
    return json.loads(path.read_text(encoding="utf-8"))


def orientation(photo: Any) -> int:
    """EXIF's orientation of a `PIL.Image.Image`: 2 to 8 if it is to be turned."""
    data = photo.info.get("exif") or b""
    try:
        if len(data) <= 2**16:
            return int(photo.getexif().get(ORIENTATION, 1))
        # of more, each of thousands of tags may name the same megabytes, which Pillow would read each time
        data = data.removeprefix(b"Exif\0\0")
        order = "<" if data.startswith(b"II") else ">"
        (start,) = struct.unpack_from(f"{order}I", data, 4)
        (tags,) = struct.unpack_from(f"{order}H", data, start)
        values = [struct.unpack_from(f"{order}HHIH", data, start + 2 + 12 * tag) for tag in range(tags)]
        return next((value for tag, _, _, value in values if tag == ORIENTATION), 1)
    except Exception:  # however broken EXIF is, the pixels are as good as before
        return 1
