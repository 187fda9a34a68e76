"""`python -m petseg.upkeep.words FILE...`: words that the course does not use, and the plain ones to say instead.

Readers are students, many of them not native speakers. They search the web for the field's terms, so a text that says
"learnt by heart" hides "overfitted" from them.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import nbformat

#: What to say instead of each word or phrase; upper and lower case are the same.
INSTEAD: Final = {
    "learnt by heart": "overfitted",
    "learned by heart": "overfitted",
    "by heart": "memorised, or overfitted",
    "numbers that learn": "trainable parameters",
    "kept for the way back": "kept for the backward pass",
    "laid behind one another": "concatenated",
    "raised from below": "upsampled",
    "a bias a channel": "one bias per channel",
    "ms an image": "ms per image",
    "one line a class": "one line per class",
    "the teacher says": "the teacher's probabilities",
    "told nothing else": "the default of",
    "is not to be had": "is not available",
    "are not to be had": "are not available",
    "there or not": "whether it exists",
    "anew": "again",
    "lest": "so that ... not",
    "desk": "session",
    "entrance": "controls",
    "exhibition": "gallery",
    "ere": "before",
    "hitherto": "until now",
    "whence": "from where",
}

_PHRASES: Final = "|".join(r"\s+".join(map(re.escape, phrase.split())) for phrase in INSTEAD)
_FORBIDDEN: Final = re.compile(rf"\b({_PHRASES})\b", re.IGNORECASE)


def forbidden(text: str) -> Iterator[tuple[int, str, str]]:
    """Each forbidden word of a text: its line, counted from 1, the word, and what to say instead."""
    for found in _FORBIDDEN.finditer(text):
        words = " ".join(found[1].lower().split())
        yield text.count("\n", 0, found.start()) + 1, words, INSTEAD[words]


def sources(path: Path) -> Iterator[tuple[str, str]]:
    """Name and text of each part of a file that people write: the cells of a notebook, else the whole file."""
    if path.suffix == ".ipynb":
        for number, cell in enumerate(nbformat.read(path, as_version=4).cells, start=1):
            yield f"{path} cell {number}", cell.source
    else:
        yield str(path), path.read_text(encoding="utf-8")


def complaints(paths: Sequence[Path]) -> list[str]:
    """One sentence for each forbidden word in the files, other than this one."""
    return [
        f'{name}:{line}: "{words}". Say instead: {instead}.'
        for path in paths
        if path.resolve() != Path(__file__).resolve()
        for name, text in sources(path)
        for line, words, instead in forbidden(text)
    ]


def main(argv: Sequence[str] | None = None) -> int:
    """Prints a line for each forbidden word; 1 when there is one."""
    found = complaints([Path(name) for name in (sys.argv[1:] if argv is None else argv)])
    print("\n".join(found), end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
