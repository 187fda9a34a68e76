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
    """The folder of the repository that this package is run from; None where it was installed without it."""
    folder = Path(__file__).resolve().parents[1]
    return folder if (folder / "pyproject.toml").is_file() else None


def home_folder() -> Path:
    """The checkout, else the current folder: where `data/` and `runs/` stand unless a variable names others."""
    return checkout() or Path.cwd()


def data_folder() -> Path:
    """The folder that holds `oxford-iiit-pet/`: `PETSEG_DATA_DIR`, else the checkout's `data/`, else `./data`."""
    return _named("PETSEG_DATA_DIR") or home_folder() / "data"


def cache_folder() -> Path:
    """Where decoded pixels are kept: `PETSEG_CACHE_DIR`, else `cache/` in `data/` of the checkout, else in `./data`."""
    return _named("PETSEG_CACHE_DIR") or home_folder() / "data" / "cache"


def runs_folder() -> Path:
    """Where the notebooks keep their runs: `PETSEG_RUNS_DIR`, else the checkout's `runs/`, else `./runs`."""
    return _named("PETSEG_RUNS_DIR") or home_folder() / "runs"


def _named(variable: str) -> Path | None:
    """The folder that an environment variable names, absolute, since the current folder may change later."""
    value = os.environ.get(variable)
    return Path(value).expanduser().absolute() if value else None


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """A temporary name beside `path` to write to, renamed to `path` at the end: nobody ever reads half a file.

    Makes the folder where it is missing. When the writing fails, the temporary file is removed and a file that was
    there before stays.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # a short name of its own: one made from `path` could exceed the 255 bytes that file systems allow
    partial = path.with_name(f".{uuid.uuid4().hex}{path.suffix}")
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def write_json(path: Path, value: Any) -> None:
    """Writes indented JSON, whole or not at all."""
    text = json.dumps(value, indent=2) + "\n"
    with atomic_write(path) as partial:
        partial.write_text(text, encoding="utf-8")


def read_json(path: Path) -> Any:
    """What a JSON file holds."""
    return json.loads(path.read_text(encoding="utf-8"))
