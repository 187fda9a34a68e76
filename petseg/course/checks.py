"""Checks of the exercises: whether an answer is right, and a hint where it is not.

The answers to the exercises of notebook 03, for instance, are checked by functions in `petseg.course.exercises_03`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

Check = Callable[..., str | None]

#: The function that checks an exercise, by its number: `02.1` is the first exercise of notebook 02.
CHECKS: dict[str, Check] = {}


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


def exercise(number: str) -> Callable[[Check], Check]:
    """Registers a function as the check of an exercise: it takes the answer, and raises `NotYetError` with a hint.

    What it returns is printed when the answer is right.
    """

    def register(function: Check) -> Check:
        CHECKS[number] = function
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
    result = _result(_registered(number), answer)
    print(f"Exercise {number}{result.sentence}".rstrip())
    return result


def _result(function: Check, answer: tuple[Any, ...]) -> Result:
    try:
        if any(part is ... or part is None for part in answer):
            raise UnfilledError
        return Result(True, f", right. {function(*answer) or ''}")
    except UnfilledError as todo:
        return Result(False, f", still to do: {todo}")
    except NotYetError as hint:
        return Result(False, f", not yet: {hint}")


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


def _registered(number: str) -> Check:
    try:
        import_module(f"petseg.course.exercises_{number.partition('.')[0]}")
        return CHECKS[number]
    except (ImportError, KeyError):
        raise ValueError(
            f"check({number!r}): no such exercise. Give notebook and exercise, for instance '02.1'."
        ) from None
