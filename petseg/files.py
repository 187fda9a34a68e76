"""Where files lie and how they are written: folders, atomic writes, JSON."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


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
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # a short name: one made from `path` could exceed the 255 bytes that file systems allow
    partial = path.with_name(f".{uuid.uuid4().hex}{path.suffix}")
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def write_json(path: Path, value: Any) -> None:
    """Write indented JSON atomically."""
    text = json.dumps(value, indent=2) + "\n"
    with atomic_write(path) as partial:
        partial.write_text(text, encoding="utf-8")


def read_json(path: Path) -> Any:
    """The content of a JSON file."""
    return json.loads(path.read_text(encoding="utf-8"))
