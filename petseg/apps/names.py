"""Names of results and of downloads: short enough for all file systems, and no two that one of them takes for equal."""

import hashlib
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path, PurePath
from typing import IO, Final
from zipfile import ZipFile

KINDS: Final = ("mask", "overlay", "cutout")
FORMATS: Final = ("png", "webp", "jpg")

#: Endings of the command's results; in a folder, files with them are not photos.
RESULT_ENDINGS: Final = (".mask.png", *(f".{kind}.{format}" for kind in KINDS[1:] for format in FORMATS))

#: Names that Windows refuses, whatever their ending.
RESERVED: Final = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10))}

LONGEST: Final = 255  # bytes of a name: file systems allow no more


def result_names(photos: Sequence[Path], folder: Path) -> list[str]:
    """A name for the results of each photo, so that no file is written twice and none replaces a photo.

    The first of these that no other photo has: the stem (`cat`), stem and format (`cat_jpg`), folder, stem and format
    (`holiday_cat_jpg`), stem and a hash of the path (`cat-1a2b3c4d`). Names that differ only in case, or in how an
    accent is encoded, count as equal: they are one file in macOS and Windows. The order of the photos has no effect.
    """
    used = {folded(absolute(photo)) for photo in photos}
    names: dict[Path, str] = {}
    for level in count():
        proposed = {photo: _candidate(photo, level) for photo in photos if photo not in names}
        times = Counter(map(folded, proposed.values()))
        for photo, name in proposed.items():
            files = {folded(absolute(folder / f"{name}{ending}")) for ending in RESULT_ENDINGS}
            if times[folded(name)] == 1 and not files & used:
                used |= files
                names[photo] = name
        if not proposed:
            break
    return [names[photo] for photo in photos]


def _candidate(photo: Path, level: int) -> str:
    with_format = f"{photo.stem}_{photo.suffix.lstrip('.')}".rstrip("_")
    with_folder = f"{Path(absolute(photo)).parent.name}_{with_format}".lstrip("_")
    names, longest = (photo.stem, with_format, with_folder), max(RESULT_ENDINGS, key=len)
    if level < len(names):
        return shortened(names[level], longest)
    return shortened(photo.stem, longest, origin=f"{absolute(photo)}{level - len(names) or ''}")


def shortened(name: str, ending: str, origin: str = "") -> str:
    """The name if it has at most 255 bytes with an ending; otherwise, or if it has an origin, its start and a hash."""
    most = LONGEST - len(ending)
    if not origin and len(os.fsencode(name)) <= most:
        return name
    digest = hashlib.sha256(os.fsencode(origin or name)).hexdigest()[:8]
    start = os.fsencode(name)[: most - len(digest) - 1].decode("utf-8", "ignore")  # no half character at its end
    return f"{start}-{digest}"


def same_file(path: Path, other: Path) -> bool:
    """Whether two paths name one file that exists."""
    with suppress(OSError, ValueError):
        return path.samefile(other)
    return False


def folded(path: str) -> str:
    """The same text for all spellings that some file system takes for one name."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", path).casefold())


def absolute(path: Path) -> str:
    """The path from the root, without `..`; links in it stay."""
    return os.path.abspath(path)  # noqa: PTH100 - `Path.resolve` would take two links to one file for one photo


def printable(path: Path | str) -> str:
    """A path for a message: in one line, with `?` for characters that cannot be printed."""
    return "".join(character if character.isprintable() else "?" for character in str(path))


def file_name(photo: str, kind: str, format: str = "png") -> str:
    """Name of a file to download: `my dog.jpg` and `cutout` give `my dog.cutout.png`; at most 255 bytes."""
    stem = PurePath(photo.replace("\\", "/")).stem
    plain = re.sub(r"[^\w .()-]", "_", stem).strip(" .")
    if plain.partition(".")[0].lower() in RESERVED:
        plain = f"_{plain}"
    ending = f".{kind}.{format}"
    return shortened(plain or "photo", ending) + ending


def write_archive(file: IO[bytes], pictures: Iterable[tuple[str, bytes]]) -> None:
    """Writes pictures, each a name of `file_name` and its bytes, as a ZIP file; holds only one of them in memory.

    A name that some file system takes for an earlier one (`Rex` and `rex`) gets a number.
    """
    used: set[str] = set()
    with ZipFile(file, "w") as archive:  # not compressed: pictures are compressed already
        for name, data in pictures:
            free, numbers = name, count(2)
            while folded(free) in used:  # rex.cutout.png, rex-2.cutout.png
                stem, kind, format = name.rsplit(".", 2)
                ending = f"-{next(numbers)}.{kind}.{format}"
                free = shortened(stem, ending) + ending
            used.add(folded(free))
            archive.writestr(free, data)
