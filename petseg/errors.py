"""What can go wrong in a way that its user can mend: one base class and five kinds below it.

The message of each is a sentence for the person who reads it: what came, what was expected, and the remedy. Command
lines print any `PetsegError` as one line (`exit_with_sentence`); every other exception is a defect and keeps its
traceback.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import ParamSpec

P = ParamSpec("P")


class PetsegError(Exception):
    """The base of all errors whose message is written for the user."""


class DataError(PetsegError):
    """A data set, a log or a record that is missing, incomplete or damaged."""


class PhotoError(PetsegError, ValueError):
    """A photo that cannot be used."""


class ModelError(PetsegError):
    """Weights, a checkpoint or an encoder that cannot be found, read or saved."""


class SettingsError(PetsegError, ValueError):
    """Settings that are impossible, or that do not fit each other."""


class MissingError(PetsegError):
    """Something that this machine lacks: an optional package, a program, a free port, a writable folder."""


class PhotoWarning(UserWarning):
    """A photo that is used, but not as its owner may expect; a sentence for the user, as in the errors above."""


def exit_with_sentence(stopped: str = "stopped") -> Callable[[Callable[P, int]], Callable[P, int]]:
    """Decorates the `main` of a command, so that it ends with a sentence on stderr where it cannot go on.

    Args:
        stopped: what is said after Ctrl-C.

    Returns:
        The decorator. What it makes of `main` returns main's exit status; 1 after a `PetsegError`, 130 after Ctrl-C.
    """

    def decorate(main: Callable[P, int]) -> Callable[P, int]:
        @functools.wraps(main)
        def run(*args: P.args, **kwargs: P.kwargs) -> int:
            try:
                return main(*args, **kwargs)
            except PetsegError as error:
                print(f"petseg: {error}", file=sys.stderr)
                return 1
            except KeyboardInterrupt:
                print(f"petseg: {stopped}", file=sys.stderr)
                return 130  # 128 plus the number of SIGINT, as a shell reports it

        return run

    return decorate
