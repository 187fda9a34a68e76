"""Exercises that say whether an answer is right, and what to look at when it is not.

The answers to the exercises of notebook 03, say, are judged by functions in `petseg.course.exercises_03`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

Judge = Callable[..., str | None]

#: What judges the answers, by number of the exercise: `02.1` is the first of notebook 02.
JUDGES: dict[str, Judge] = {}


@dataclass(frozen=True)
class Verdict:
    """Whether an answer is right, which is its truth value, and what was said about it."""

    right: bool
    sentence: str

    def __bool__(self) -> bool:
        """Whether the answer is right."""
        return self.right

    def _ipython_display_(self) -> None:
        """Shows nothing: `check` has printed the sentence, which should not stand there twice."""


class NotYetError(Exception):
    """An answer that is not right; the message says what was seen and gives a hint."""


class UnfilledError(NotYetError):
    """An answer that still is the `...` of the exercise."""

    def __init__(self) -> None:
        super().__init__("put your answer in place of the `...` and run the cell again.")


def exercise(number: str) -> Callable[[Judge], Judge]:
    """Marks a function as the judge of an exercise: it takes the answer, and raises `NotYetError` with a hint.

    What the judge returns, if anything, is said to whoever has solved it.
    """

    def register(judge: Judge) -> Judge:
        JUDGES[number] = judge
        return judge

    return register


def check(number: str, *answer: Any) -> Verdict:
    """Says whether an exercise is solved, and gives a hint where it is not.

    Args:
        number: of the notebook and the exercise in it, for instance `02.1`.
        answer: what the exercise asks for, a value or a function.

    Returns:
        true if it is right.

    Raises:
        ValueError: there is no such exercise.
    """
    verdict = _verdict(_judge(number), answer)
    print(f"Exercise {number}{verdict.sentence}".rstrip())
    return verdict


def _verdict(judge: Judge, answer: tuple[Any, ...]) -> Verdict:
    try:
        if any(part is ... or part is None for part in answer):
            raise UnfilledError
        return Verdict(True, f", right. {judge(*answer) or ''}")
    except UnfilledError as todo:
        return Verdict(False, f", still to do: {todo}")
    except NotYetError as hint:
        return Verdict(False, f", not yet: {hint}")


def ask(answer: Any, *arguments: Any) -> Any:
    """What a student's function returns for these arguments.

    Raises:
        UnfilledError: nothing, or `...`.
        NotYetError: it is no function, or it failed; the message says how.
    """
    if not callable(answer):
        raise NotYetError(f"expected a function, but got {type(answer).__name__}.")
    try:
        found = answer(*arguments)
    except NotImplementedError:
        raise UnfilledError from None
    except Exception as error:  # whatever a student's code raises becomes a hint
        raise NotYetError(f"your function failed with {type(error).__name__}: {error}") from error
    if found is None or found is ...:
        raise UnfilledError
    return found


def _judge(number: str) -> Judge:
    try:
        import_module(f"petseg.course.exercises_{number.partition('.')[0]}")
        return JUDGES[number]
    except (ImportError, KeyError):
        raise ValueError(
            f"check({number!r}): no such exercise. Say the notebook's number, a point, and its place there: '02.1'."
        ) from None
