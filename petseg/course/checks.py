"""Checks of the exercises: whether an answer is right, a hint if it is not, and a table of those that pass.

The answers to the exercises of notebook 03, for instance, are checked by functions in `petseg.course.exercises_03`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

Check = Callable[..., str]


class Exercise(NamedTuple):
    """The function that checks an exercise, and its title in the table of progress."""

    check: Check
    title: str


#: Every exercise by its number: `02.1` is the first of notebook 02. In each notebook, 1 and 2 are functions to write, 3
#: is something to build, and 4 is an experiment.
EXERCISES: dict[str, Exercise] = {}

#: The last result of `check` for each exercise in this session: `passed`, `not yet` or `to do`.
STATES: dict[str, str] = {}


class NotYetError(Exception):
    """An answer that is not right; the message says what came and gives a hint."""


class UnfilledError(NotYetError):
    """An answer that is still the `...` of the exercise."""

    def __init__(self) -> None:
        super().__init__("put your answer in place of the `...` and run the cell again.")


def exercise(number: str, title: str) -> Callable[[Check], Check]:
    """Registers a function as the check of an exercise.

    The function takes the answer, raises `NotYetError` with a hint, or returns a sentence to print.
    """

    def register(function: Check) -> Check:
        EXERCISES[number] = Exercise(function, title)
        return function

    return register


def check(number: str, *answer: Any) -> None:
    """Prints whether the answer to an exercise, such as `02.1`, is right, and a hint if it is not."""
    function = _registered(number).check
    try:
        if any(part is ... or part is None for part in answer):
            raise UnfilledError
        STATES[number], sentence = "passed", f"right. {function(*answer)}"
    except UnfilledError as unfilled:
        STATES[number], sentence = "to do", f"still to do: {unfilled}"
    except NotYetError as hint:
        STATES[number], sentence = "not yet", f"not yet: {hint}"
    print(f"Exercise {number}, {sentence}")


def progress(notebook: str) -> pd.DataFrame:
    """A table of the exercises of a notebook, such as `02`, with a row for each number.

    Its columns are `exercise`, the title, and `state`: `passed`, `not yet` after a wrong answer, or `to do`.
    """
    _registered(f"{notebook}.1")
    numbers = sorted(number for number in EXERCISES if number.startswith(f"{notebook}."))
    rows = [(EXERCISES[number].title, STATES.get(number, "to do")) for number in numbers]
    return pd.DataFrame(rows, index=numbers, columns=["exercise", "state"])


def _registered(number: str) -> Exercise:
    try:
        import_module(f"petseg.course.exercises_{number.partition('.')[0]}")
        return EXERCISES[number]
    except (ImportError, KeyError):
        raise ValueError(f"{number}: no such exercise. Give notebook and exercise, for instance '02.1'.") from None


def ask(function: Any, *arguments: Any) -> Any:
    """The return value of a student's function, which must return something.

    Raises:
        UnfilledError: it returns nothing, or `...`.
        NotYetError: it is no function, or it raises; the message says what.
    """
    returned = call(function, *arguments)
    if returned is None or returned is ...:
        raise UnfilledError
    return returned


def call(function: Any, *arguments: Any) -> Any:
    """The return value of a student's function, which may return nothing; an error in it becomes a hint."""
    if not callable(function):
        raise NotYetError(f"expected a function, but got {type(function).__name__}.")
    try:
        return function(*arguments)
    except NotImplementedError:
        raise UnfilledError from None
    except Exception as error:
        name = getattr(function, "__name__", "your function")
        raise NotYetError(f"{name} failed with {type(error).__name__}: {error}") from error


def as_number(result: Any) -> float:
    """A student's result as a number; a hint if it is none."""
    try:
        return float(result)
    except (TypeError, ValueError):
        raise NotYetError(f"expected one number, but got {type(result).__name__}.") from None


def close(result: Any, expected: Any) -> bool:
    """Whether two numbers, tensors or arrays agree within a relative and absolute error of 1e-4."""
    return bool(np.shape(result) == np.shape(expected) and np.allclose(result, expected, rtol=1e-4, atol=1e-4))


def hint_for(result: Any, mistakes: Mapping[str, Any], otherwise: str) -> NotYetError:
    """The hint of the first mistake whose result equals the student's; `otherwise` if there is none."""
    return NotYetError(next((hint for hint, value in mistakes.items() if close(result, value)), otherwise))
