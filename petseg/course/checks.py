"""Checks of the exercises: whether an answer is right, a hint where it is not, and a table of those that pass.

The answers to the exercises of notebook 03, for instance, are checked by functions in `petseg.course.exercises_03`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any, NamedTuple

import pandas as pd

Check = Callable[..., str | None]


class Exercise(NamedTuple):
    """The function that checks an exercise, and what the exercise is called in the table of progress."""

    check: Check
    title: str


#: Every exercise by its number: `02.1` is the first of notebook 02. In each notebook, 1 and 2 are functions to write, 3
#: is something to build, and 4 is an experiment.
EXERCISES: dict[str, Exercise] = {}

#: What `check` last said of each exercise in this session: `passed`, `not yet` or `to do`.
STATES: dict[str, str] = {}


@dataclass(frozen=True)
class Result:
    """Whether an answer is right (also its truth value), and the sentence that was printed."""

    right: bool
    sentence: str

    def __bool__(self) -> bool:
        """Whether the answer is right."""
        return self.right

    def _ipython_display_(self) -> None:
        """Shows nothing in a notebook, since `check` has printed the sentence."""


class NotYetError(Exception):
    """An answer that is not right; the message says what came and gives a hint."""


class UnfilledError(NotYetError):
    """An answer that is still the `...` of the exercise."""

    def __init__(self) -> None:
        super().__init__("put your answer in place of the `...` and run the cell again.")


def exercise(number: str, title: str = "") -> Callable[[Check], Check]:
    """Registers a function as the check of an exercise: it takes the answer, and raises `NotYetError` with a hint.

    What it returns is printed when the answer is right.

    Args:
        number: of the notebook and the exercise, for instance `02.1`.
        title: what the exercise is called in the table of `progress`.
    """

    def register(function: Check) -> Check:
        EXERCISES[number] = Exercise(function, title)
        return function

    return register


def check(number: str, *answer: Any) -> Result:
    """Prints whether an answer is right, and a hint where it is not.

    Args:
        number: of the notebook and the exercise, for instance `02.1`.
        answer: what the exercise asks for, a value or a function.

    Returns:
        a true value if the answer is right.

    Raises:
        ValueError: there is no such exercise.
    """
    STATES[number], result = _result(_registered(number).check, answer)
    print(f"Exercise {number}{result.sentence}".rstrip())
    return result


def progress(notebook: str) -> pd.DataFrame:
    """A table of the exercises of a notebook, and which of them pass in this session.

    Args:
        notebook: its number, for instance `02`.

    Returns:
        a row per exercise, by its number, with the columns `exercise` (what it is called) and `state`: `passed`,
        `not yet` after a wrong answer, or `to do`.

    Raises:
        ValueError: there is no such notebook.
    """
    _registered(f"{notebook}.1")
    numbers = sorted(number for number in EXERCISES if number.startswith(f"{notebook}."))
    rows = [(EXERCISES[number].title, STATES.get(number, "to do")) for number in numbers]
    return pd.DataFrame(rows, index=numbers, columns=["exercise", "state"])


def _result(function: Check, answer: tuple[Any, ...]) -> tuple[str, Result]:
    try:
        if any(part is ... or part is None for part in answer):
            raise UnfilledError
        return "passed", Result(True, f", right. {function(*answer) or ''}")
    except UnfilledError as todo:
        return "to do", Result(False, f", still to do: {todo}")
    except NotYetError as hint:
        return "not yet", Result(False, f", not yet: {hint}")


def ask(answer: Any, *arguments: Any) -> Any:
    """The return value of a student's function for these arguments.

    Raises:
        UnfilledError: it returns nothing, or `...`.
        NotYetError: it is no function, or it raises; the message says what.
    """
    if not callable(answer):
        raise NotYetError(f"expected a function, but got {type(answer).__name__}.")
    try:
        returned = answer(*arguments)
    except NotImplementedError:
        raise UnfilledError from None
    except Exception as error:  # any error of a student's code becomes a hint
        raise NotYetError(f"your function failed with {type(error).__name__}: {error}") from error
    if returned is None or returned is ...:
        raise UnfilledError
    return returned


def _registered(number: str) -> Exercise:
    try:
        import_module(f"petseg.course.exercises_{number.partition('.')[0]}")
        return EXERCISES[number]
    except (ImportError, KeyError):
        raise ValueError(
            f"check({number!r}): no such exercise. Give notebook and exercise, for instance '02.1'."
        ) from None
