"""What is worth saying about a photo that was used, such as that only the first picture of an animation was."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

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
