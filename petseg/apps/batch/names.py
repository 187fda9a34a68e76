"""A name for the results of each photo of one call, so that no file is written twice."""

from __future__ import annotations

import hashlib
import os
import unicodedata
from collections import Counter
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import Final

from petseg.apps.batch.photos import RESULT_ENDINGS, absolute

#: Bytes of the longest name that a result may have before its ending: file systems allow 255 in all.
LONGEST: Final = 255 - max(map(len, RESULT_ENDINGS))


def result_names(photos: Sequence[Path], folder: Path) -> list[str]:
    """A name for each photo's results: its stem where no other photo has the same.

    Else the first of these that is no other photo's: stem and format (`cat_jpg`), with the folder before them
    (`holiday_cat_jpg`), the stem with a hash of the path (`cat-1a2b3c4d`). Names that differ only in case, or in how an
    accent is encoded, count as the same, since they are one file in macOS and Windows. The order of the photos does
    not change their names.

    Args:
        photos: different paths.
        folder: where the results will lie. A name whose results would overwrite one of the photos is not given.
    """
    occupied = {folded(absolute(photo)) for photo in photos}
    names: dict[int, str] = {}

    def give(index: int, name: str) -> None:
        files = {folded(absolute(folder / f"{name}{ending}")) for ending in RESULT_ENDINGS}
        if not files & occupied:
            occupied.update(files)
            names[index] = name

    for proposal in (_with_stem, _with_format, _with_folder):
        proposed = [shortened(proposal(photo)) for photo in photos]
        times = Counter(map(folded, proposed))
        for index, name in enumerate(proposed):
            if index not in names and times[folded(name)] == 1:
                give(index, name)
    for index, photo in enumerate(photos):
        attempts = count()
        while index not in names:
            give(index, _with_hash(photo.stem, f"{absolute(photo)}{next(attempts) or ''}"))
    return [names[index] for index in range(len(photos))]


def _with_stem(photo: Path) -> str:
    return photo.stem


def _with_format(photo: Path) -> str:
    return f"{photo.stem}_{photo.suffix.lstrip('.')}".rstrip("_")


def _with_folder(photo: Path) -> str:
    return f"{Path(absolute(photo)).parent.name}_{_with_format(photo)}".lstrip("_")


def _with_hash(name: str, origin: str, most: int = LONGEST) -> str:
    """A name of at most so many bytes that ends in a hash of where it comes from."""
    digest = hashlib.sha256(os.fsencode(origin)).hexdigest()[:8]
    start = os.fsencode(name)[: most - len(digest) - 1].decode("utf-8", "ignore")  # no half character at its end
    return f"{start}-{digest}"


def shortened(name: str, most: int = LONGEST) -> str:
    """The name, or its start and a hash of it, so that it has at most so many bytes."""
    return name if len(os.fsencode(name)) <= most else _with_hash(name, name, most)


def folded(path: str) -> str:
    """The same text for all spellings that some file system takes for one name."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", path).casefold())
