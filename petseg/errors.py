"""Errors that the user can solve. Their messages are sentences: what came, what was expected, and the remedy.

Commands print any `PetsegError` as one line; every other exception is a defect and keeps its traceback.
"""

import errno
import functools
import io
import os
import sys
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, ParamSpec, TextIO

P = ParamSpec("P")

#: Errors of a disk or folder that cannot be written to, which another attempt cannot solve.
DISK_ERRORS: Final = {
    *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EPERM, errno.EROFS),
    *(errno.ENOTDIR, errno.EEXIST, errno.EISDIR),  # a file in the place of a folder, or the other way round
}

#: The command that fetches what a data set lacks, wherever that is.
FETCH: Final = "`petseg data oxford` (with --dir if the data set is not in the default folder)"

#: The remedy for a broken file of a data set: nobody's own photos and masks are to be deleted.
REPAIR: Final = f"If the data are your own, correct it; if they are Oxford-IIIT Pet, delete it and run {FETCH}."

#: What Python's `tempfile` says if no folder can be written to.
NO_TEMPORARY_FOLDER: Final = "No usable temporary directory"
TEMPORARY_FOLDER_REMEDY: Final = "no folder for temporary files can be written to. Set TMPDIR to one that can."


class PetsegError(Exception):
    """Base of all errors whose message is written for the user."""


class DataError(PetsegError):
    """A data set, a log or a record is missing, incomplete or damaged."""


class PhotoError(PetsegError, ValueError):
    """A photo cannot be used."""


class ModelError(PetsegError):
    """Weights, a checkpoint or an encoder cannot be found, read or saved."""


class SettingsError(PetsegError, ValueError):
    """Settings are impossible or contradict each other."""


class MissingError(PetsegError):
    """This machine lacks something: an optional package, a program, a free port, a writable folder."""


class PetsegWarning(UserWarning):
    """Something goes on, but not as the user may expect; the message is a sentence as well."""


class PhotoWarning(PetsegWarning):
    """A photo is used, but not as its owner may expect."""


def exit_with_sentence(stopped: str = "stopped") -> Callable[[Callable[P, int]], Callable[P, int]]:
    """Decorate the `main` of a command: a `PetsegError` becomes a sentence on stderr and exit status 1.

    So do a `PetsegWarning`, with which the command goes on, and a machine without a folder for temporary files. After
    Ctrl-C the command prints `stopped`, or the text of the KeyboardInterrupt, and returns 130. Characters that the
    terminal cannot print are escaped.
    """

    def decorate(main: Callable[P, int]) -> Callable[P, int]:
        @functools.wraps(main)
        def run(*args: P.args, **kwargs: P.kwargs) -> int:
            for name in ("stdout", "stderr"):
                if getattr(sys, name) is None:  # closed by the shell: `petseg models >&-`
                    setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115 - for the rest of the process
            if isinstance(sys.stdout, io.TextIOWrapper):
                sys.stdout.reconfigure(errors="backslashreplace")
            show = warnings.showwarning

            def say_or_show(message: Warning | str, category: type[Warning], *where: Any) -> None:
                is_sentence = issubclass(category, PetsegWarning)
                say(f"petseg: {message}") if is_sentence else show(message, category, *where)

            warnings.showwarning = say_or_show  # type: ignore[assignment]
            try:
                status = main(*args, **kwargs)
                sys.stdout.flush()
                return status
            except PetsegError as error:
                say(f"petseg: {error}")
                return 1
            except FileNotFoundError as error:
                if NO_TEMPORARY_FOLDER not in str(error):
                    raise
                say(f"petseg: {TEMPORARY_FOLDER_REMEDY}")
                return 1
            except KeyboardInterrupt as interrupt:
                say(f"petseg: {interrupt if interrupt.args else stopped}")
                return 130  # 128 plus the number of SIGINT, as a shell reports it
            except BrokenPipeError:  # nobody reads the output any more: `petseg models | head -1`
                return 141  # 128 plus the number of SIGPIPE
            except OSError as error:  # of whatever was written: a log, a result, a temporary file
                if sys.platform == "win32" and error.errno == errno.EINVAL and not error.filename:
                    return 141  # a closed pipe, as Windows says it
                if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                    raise
                say(f"petseg: {error.filename or 'a file'} cannot be written ({error.strerror}). Free some space.")
                return 1
            finally:
                warnings.showwarning = show
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
