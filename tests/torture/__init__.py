"""`make torture`: broken files, full disks, killed processes and bad requests by the thousand, one module per kind.

A module has `NAME`, the kind in the table, and `run(scale)`, which returns `Tally.row()` for the cases of `short` (at
most 15 seconds, for `make test`) or of `full` (at most ten minutes).
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from petseg.errors import PetsegError


class Skipped(Exception):  # noqa: N818 - nothing failed
    """This machine cannot try a kind; the message says what it lacks."""


class Tally:
    """Counts cases, those that were lost, and the seconds of the slowest."""

    def __init__(self) -> None:
        self.tried = 0
        self.slowest = 0.0
        self.lost: list[str] = []

    @contextmanager
    def case(self, name: str, seconds: float = float("inf")) -> Iterator[None]:
        """One case: it is lost if an assertion or anything else fails within, or if it takes longer than `seconds`."""
        self.tried += 1
        start = time.perf_counter()
        try:
            yield
            if (taken := time.perf_counter() - start) > seconds:
                self.lost.append(f"{name}: took {taken:.1f} s, at most {seconds:g} are allowed")
        except Exception as error:
            self.lost.append(f"{name}: {type(error).__name__}: {error}"[:500])
        finally:
            self.slowest = max(self.slowest, time.perf_counter() - start)

    def row(self, **more: Any) -> dict[str, Any]:
        """The kind's row of the table."""
        row = {"tried": self.tried, "lost": len(self.lost), "slowest_seconds": round(self.slowest, 2)}
        return row | more | {"lost_cases": self.lost}


def refused(action: Callable[[], object], sentence: str) -> None:
    """Asserts that an action ends with a sentence that this pattern finds."""
    try:
        action()
    except PetsegError as error:
        if not re.search(sentence, str(error)):
            raise AssertionError(f"expected {sentence!r}, said: {error}") from error
    else:
        raise AssertionError(f"done without a word, expected {sentence!r}")
