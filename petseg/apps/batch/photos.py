"""Which photos somebody means who names files, folders and patterns such as `photos/*.jpg`."""

from __future__ import annotations

import glob
import os
import stat
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from petseg.inference.photo import READABLE

#: Endings of photos that are read; in a folder, other files are passed over.
ENDINGS: Final = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".webp", ".gif", ".bmp", ".dib", ".tif", ".tiff"}
    | {".heic", ".heif", ".hif", ".avif"}
)

#: Endings of files that this command writes; in a folder, they are no photos.
RESULT_ENDINGS: Final = (
    ".mask.png",
    *(f".{kind}.{format}" for kind in ("overlay", "cutout") for format in ("png", "webp", "jpg")),
)


def find_photos(given: Iterable[str], recursive: bool = False) -> tuple[list[Path], list[str]]:
    """The photos that paths and patterns name, each once, in the order in which they were given.

    A file is taken whatever it is called. Of a folder, files with one of `ENDINGS` are taken, sorted by name; hidden
    files and earlier results are passed over. `*` and `?` stand for any characters where no file has that very name,
    for shells that leave them to the program (Windows).

    Args:
        given: paths and patterns.
        recursive: whether the folders within a folder are searched too.

    Returns:
        The photos, and a sentence for each folder or pattern without any. A path at which there is nothing counts as a
        photo: what is wrong with it is said in its turn.
    """
    photos: dict[str, Path] = {}
    problems: list[str] = []
    for text in given:
        for path in _matches(text, problems):
            # `os.path` says False of an impossible path, where `Path` may raise
            chosen = _in_folder(path, recursive, problems) if os.path.isdir(path) else [path]  # noqa: PTH112
            for photo in chosen:
                photos.setdefault(absolute(photo), photo)
    return list(photos.values()), problems


def shown(path: Path | str) -> str:
    """A path for a message: as it was given, in one line, with `?` for what cannot be printed."""
    return "".join(character if character.isprintable() else "?" for character in str(path))


def absolute(path: Path) -> str:
    """The path from the root, without `..`; links in it stay."""
    return os.path.abspath(path)  # noqa: PTH100 - `Path.resolve` would take two links to one file for one photo


def _matches(text: str, problems: list[str]) -> list[Path]:
    """The files and folders that a path or pattern names."""
    if os.path.lexists(text) or not any(wildcard in text for wildcard in "*?"):
        return [Path(text)]
    # brackets stand for themselves: folders are called "photos [2024]"
    names = sorted(glob.glob(text.replace("[", "[[]"), recursive=True))  # noqa: PTH207 - it may be absolute
    if not names:
        problems.append(f"{shown(text)}: no file has such a name. Check the path.")
    return [Path(name) for name in names]


def _in_folder(folder: Path, recursive: bool, problems: list[str]) -> list[Path]:
    photos: list[Path] = []
    errors: list[OSError] = []
    inner: list[str] = []
    for path, folders, files in os.walk(folder, onerror=errors.append):
        visible = sorted(name for name in folders if not _hidden(Path(path, name)))
        inner = inner or visible
        folders[:] = visible if recursive else []
        photos += _photos(Path(path), files)
    problems += [
        f"{shown(error.filename)}: cannot be read ({error.strerror}). Check its permissions." for error in errors
    ]
    if not photos and not errors:
        remedy = "Add --recursive to search the folders in it." if inner and not recursive else "Name another folder."
        problems.append(f"{shown(folder)}: no photos in this folder; {READABLE}. {remedy}")
    return photos


def _photos(folder: Path, names: Iterable[str]) -> Iterator[Path]:
    for name in sorted(names):
        photo = folder / name
        is_result = name.lower().endswith(RESULT_ENDINGS)
        if photo.suffix.lower() in ENDINGS and not is_result and not _hidden(photo):
            yield photo


def _hidden(path: Path) -> bool:
    """Whether a file or folder is hidden: by a dot (also macOS' `._cat.jpg`, which is no photo), or as in Windows."""
    if path.name.startswith("."):
        return True
    return sys.platform == "win32" and bool(path.lstat().st_file_attributes & stat.FILE_ATTRIBUTE_HIDDEN)
