"""`make torture`: broken files, full disks, killed processes and bad requests by the thousand, one module per kind.

A module has `NAME`, the kind in the table, and `run(scale)`, which returns `Tally.row()` for the cases of `short` (some
seconds, for `make test`) or of `full` (some minutes).
"""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import Random
from typing import Any

from petseg.errors import PetsegError


class Skipped(Exception):  # noqa: N818 - nothing failed
    """This machine cannot try a kind; the message says what it lacks."""


class Tally:
    """Counts cases, those that were lost, and the seconds of the slowest."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self.clock = clock
        self.tried = 0
        self.slowest = 0.0
        self.lost: list[str] = []
        self.skipped: list[str] = []

    @contextmanager
    def case(self, name: str, seconds: float = float("inf")) -> Iterator[None]:
        """One case: it is lost if an assertion or anything else fails within, or if it takes longer than `seconds`."""
        self.tried += 1
        start = self.clock()
        try:
            yield
            if (taken := self.clock() - start) > seconds:
                self.lost.append(f"{name}: took {taken:.1f} s, at most {seconds:g} are allowed")
        except Exception as error:
            self.lost.append(f"{name}: {type(error).__name__}: {error}"[:500])
        finally:
            self.slowest = max(self.slowest, self.clock() - start)

    @contextmanager
    def unless(self, lacks: type[Exception]) -> Iterator[None]:
        """Cases that this machine cannot try if it raises this error: then the row says what it lacks."""
        try:
            yield
        except lacks as error:
            self.skipped = list(dict.fromkeys([*self.skipped, str(error)]))

    def row(self, **more: Any) -> dict[str, Any]:
        """The kind's row of the table."""
        row = {"tried": self.tried, "lost": len(self.lost), "slowest_seconds": round(self.slowest, 2)}
        skipped = {"skipped": self.skipped} if self.skipped else {}
        return row | more | skipped | {"lost_cases": self.lost}


def refused(action: Callable[[], object], sentence: str) -> None:
    """Asserts that an action ends with a sentence that this pattern finds."""
    try:
        action()
    except PetsegError as error:
        if not re.search(sentence, str(error)):
            raise AssertionError(f"expected {sentence!r}, said: {error}") from error
    else:
        raise AssertionError(f"done without a word, expected {sentence!r}")


def mutated(content: bytes, generator: Random) -> bytes:
    """The content with some bytes changed, removed or inserted; of some, the end is missing."""
    changed = bytearray(content)
    for _ in range(generator.randint(1, 8)):
        at = generator.randrange(len(content))
        changed[at : at + generator.randint(0, 2)] = generator.randbytes(generator.randint(0, 2))
    return bytes(changed[: generator.choice([None, None, None, generator.randrange(len(content))])])
