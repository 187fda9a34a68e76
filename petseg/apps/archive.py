"""Several pictures as one ZIP file to download."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import count
from pathlib import PurePath
from typing import IO
from zipfile import ZipFile

from petseg.apps.batch.names import folded


def write_archive(file: IO[bytes], pictures: Iterable[tuple[str, bytes]]) -> None:
    """Writes a ZIP file; of pictures that come one by one, only one is held in memory.

    No name comes twice on any file system: where one is given already, perhaps in other letters (`Rex` and `rex`), a
    number is added.

    Args:
        file: opened in binary mode, to write to.
        pictures: the name, as `captions.file_name` gives it, and the file of each picture.
    """
    given: set[str] = set()
    with ZipFile(file, "w") as archive:  # stored as they are: pictures are compressed already
        for name, data in pictures:
            free = next(attempt for attempt in _attempts(name) if folded(attempt) not in given)
            given.add(folded(free))
            archive.writestr(free, data)


def _attempts(name: str) -> Iterable[str]:
    """The name itself, then with numbers: `rex.cutout.png`, `rex-2.cutout.png`, `rex-3.cutout.png`."""
    yield name
    kind = "".join(PurePath(name).suffixes[-2:])  # .cutout.png
    stem = name.removesuffix(kind)
    for number in count(2):
        ending = f"-{number}{kind}"
        yield stem.encode()[: 255 - len(ending)].decode("utf-8", "ignore") + ending
