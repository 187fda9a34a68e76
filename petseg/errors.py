"""What can go wrong in a way that its user can mend: one base class and five kinds below it.

The message of each is a sentence for the person who reads it: what came, what was expected, and the remedy. The command
line prints any `PetsegError` as one line; every other exception is a defect and keeps its traceback.
"""

from __future__ import annotations


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
