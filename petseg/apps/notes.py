"""What is worth saying about a photo that was used, such as that only the first picture of an animation was."""

from __future__ import annotations

import threading
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from petseg.errors import PhotoWarning


@contextmanager
def photo_notes() -> Iterator[list[str]]:
    """Collects the sentences of each `PhotoWarning` in a `with` block; the list is filled at the end of the block.

    One thread at a time: Python's warning filters hold for all threads.
    """
    notes: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", PhotoWarning)  # of each photo, not only of the first
        yield notes
    for warning in caught:
        if issubclass(warning.category, PhotoWarning):
            notes.append(str(warning.message))
        else:
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)


@contextmanager
def notes_by_thread() -> Iterator[Callable[[], list[str]]]:
    """Collects the sentences of each `PhotoWarning` that any thread gives in a `with` block, for each thread apart.

    Yields:
        A function that returns those of the thread which calls it, and forgets them.
    """
    notes: defaultdict[int, list[str]] = defaultdict(list)

    def keep(message: Warning | str, category: type[Warning], *where: Any) -> None:
        if issubclass(category, PhotoWarning):
            notes[threading.get_ident()].append(str(message))
        else:
            show(message, category, *where)

    with warnings.catch_warnings():
        warnings.simplefilter("always", PhotoWarning)  # of each photo, not only of the first
        show = warnings.showwarning
        warnings.showwarning = keep  # type: ignore[assignment]
        yield lambda: notes.pop(threading.get_ident(), [])
