"""What can go wrong in a way that its user can mend: one base class and five kinds below it.

The message of each is a sentence for the person who reads it: what came, what was expected, and the remedy. Command
lines print any `PetsegError` as one line (`exit_with_sentence`); every other exception is a defect and keeps its
traceback.
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import ParamSpec, TextIO

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
                say(f"petseg: {error}")
                return 1
            except KeyboardInterrupt:
                say(f"petseg: {stopped}")
                return 130  # 128 plus the number of SIGINT, as a shell reports it
            except BrokenPipeError:  # nobody reads the output any more: `petseg models | head -1`
                return 141  # 128 plus the number of SIGPIPE
            finally:
                _flush(sys.stdout)  # Python's own flush at the end would print a traceback

        return run

    return decorate


def say(text: str, stream: TextIO | None = None) -> None:
    """Prints a line to stderr or another stream; if nobody reads it (`petseg segment ... 2>&1 | head -1`), drops it."""
    stream = stream or sys.stderr
    with suppress(OSError):
        print(text, file=stream)
    _flush(stream)


def _flush(stream: TextIO) -> None:
    """Flushes a stream; if that fails, everything that is written to it from now on is dropped."""
    try:
        stream.flush()
    except OSError:
        with suppress(OSError), open(os.devnull, "wb") as nowhere:  # noqa: PTH123 - not a path in Windows
            os.dup2(nowhere.fileno(), stream.fileno())
