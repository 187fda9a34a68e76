"""Checks of gaps and exercises: whether an answer is right, a hint if it is not, and a table of those that pass.

Those of notebook 03, for instance, are declared in `petseg.course.lesson_03`.
"""

import inspect
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple, cast

import pandas as pd

from petseg.course.comparison import changed, close, difference, other_kind, shown
from petseg.course.hints import NotYetError, UnfilledError, ask, hint_for
from petseg.files import read_json, runs_folder, write_json

Check = Callable[..., str]
Wrong = Mapping[str, Any]  # wrong results by the hints that they earn


class Exercise(NamedTuple):
    """An exercise or a gap."""

    check: Check
    title: str
    reference: Any = None  # what the notebook uses until a gap is filled
    wrong: Callable[[], Mapping[str, Any]] = dict  # answers with a mistake, by the hints that they earn


#: Every exercise by its number, and every gap by its letter: `02.1` is the first exercise of notebook 02, `02.a` its
#: first gap in `notebooks/practice/`.
EXERCISES: dict[str, Exercise] = {}

#: The last result of `check` for each exercise in this session: `passed`, `not yet` or `to do`.
STATES: dict[str, str] = {}


def exercise(number: str, title: str, reference: Any = None) -> Callable[[Check], Check]:
    """Registers a function as the check of an exercise, or of a gap with its `reference`.

    The function takes the answer, raises `NotYetError` with a hint, or returns a sentence to print.
    """

    def register(function: Check) -> Check:
        EXERCISES[number] = Exercise(function, title, reference)
        return function

    return register


def gap(
    number: str, title: str, cases: Sequence[tuple[Any, ...]], fact: str, kind: Callable[[Any, Any], str] = other_kind
) -> Callable[[Callable[..., Iterator[Any]]], Callable[..., Any]]:
    """Registers a gap, or an exercise, whose answer is a function that must give the right result on every case.

    It decorates a generator that takes a case and yields the right result, then the wrong ones by the hints that they
    earn; in its place stands the function of the right results. A hint is given only if its mistake explains the answer
    on every case. `fact` is printed after a right answer. `kind` compares a result whose numbers are right with the
    expected one and says what else is wrong, or nothing.
    """

    def register(results_of: Callable[..., Iterator[Any]]) -> Callable[..., Any]:
        def reference(*case: Any, **named: Any) -> Any:
            return next(results_of(*case, **named))

        def mistakes(*case: Any) -> Wrong:
            _, wrong = results_of(*case)
            return cast(Wrong, wrong)

        def compare(answer: Any) -> str:
            results: list[Any] = []
            expected, given = [reference(*case) for case in cases], [deepcopy(case) for case in cases]
            for case in given:
                try:
                    results.append(ask(answer, *case))
                except NotYetError:
                    if all(map(close, results, expected)):
                        raise
                    break  # an earlier case says more
            wrong = [index for index, result in enumerate(results) if not close(result, expected[index])]
            if not wrong:
                if hint := next(filter(None, map(kind, results, expected)), ""):
                    raise NotYetError(hint)
                if any(map(changed, given, cases)):
                    raise NotYetError("the result is right, but your function changes what it is given. Copy it first.")
                return fact
            case, index = cases[wrong[0]], wrong[0]
            otherwise = f"for {', '.join(map(shown, case))} {difference(results[index], expected[index])}"
            tables = [mistakes(*case) for case, _ in zip(cases, results, strict=False)]
            explained = {hint: tuple(table.get(hint) for table in tables) for hint in tables[index]}
            raise hint_for(tuple(results), explained, otherwise)

        def mistaken(hint: str, *case: Any) -> Any:
            return mistakes(*case)[hint]

        wrong = lambda: {hint: partial(mistaken, hint) for hint in mistakes(*cases[0])}  # noqa: E731
        EXERCISES[number] = Exercise(compare, title, reference, wrong)
        return reference

    return register


def trial(
    number: str, title: str, reference: Any, bugs: Mapping[str, Any], fact: str, otherwise: str
) -> Callable[[Callable[[Any], Any]], Callable[[Any], Any]]:
    """Registers a gap whose answer is run, for instance in a training: it must end as with the reference.

    It decorates the run, a function of the answer. `reference` takes an argument `bug`; `bugs` are its values by the
    hints for answers that end as with this bug. `otherwise` is the hint for all others.
    """
    wrong = {hint: partial(reference, bug=bug) for hint, bug in bugs.items()}

    def register(run: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def compare(answer: Any) -> str:
            result, expected = run(answer), run(reference)
            if not close(result, expected):
                said = otherwise.format(expected=shown(expected), result=shown(result))
                raise hint_for(result, {hint: run(version) for hint, version in wrong.items()}, said)
            return fact

        EXERCISES[number] = Exercise(compare, title, reference, lambda: wrong)
        return run

    return register


def check(number: str, *answer: Any) -> Any:
    """Prints whether the answer to an exercise, such as `02.1`, or a gap, such as `02.a`, is right, or a hint.

    For a gap it returns the answer if it is right, else petseg's version, with which the notebook goes on.
    """
    function, _, reference, *_ = _registered(number)
    try:
        if any(part is ... or part is None for part in answer):
            raise UnfilledError
        if left := [comment for part in answer for comment in _open(part)]:
            raise UnfilledError(left)
        if any(part is reference for part in answer):  # this cell alone was run again
            raise UnfilledError(missing="this is petseg's version. First run the cell above, which has yours.")
        STATES[number], sentence = "passed", f"right. {_fact(function, *answer)}"
        _save(number)
    except UnfilledError as unfilled:
        STATES[number], sentence = "to do", f"still to do: {unfilled}"
    except NotYetError as hint:
        STATES[number], sentence = "not yet", f"not yet: {hint}"
    if number[-1].isdigit():
        print(f"Exercise {number}, {sentence}")
        return None
    passed = STATES[number] == "passed"
    print(f"Gap {number}, {sentence}" + ("" if passed else " Until then, the notebook goes on with petseg's version."))
    return answer[0] if passed else reference


def _fact(function: Callable[..., str], *answer: Any) -> str:
    """What a check says of a right answer; a hint also where it fails on what the answer returns."""
    try:
        return function(*answer)
    except NotYetError:
        raise
    except Exception as error:
        why = f"the check cannot use it ({type(error).__name__}: {error})"
        raise NotYetError(f"{why}. Compare types and shapes with those in the text.") from error


def _open(answer: Any) -> list[str]:
    """The comments above each `...` that stands on a line by itself in a function, or in a method of a class."""
    functions = list(vars(answer).values()) if inspect.isclass(answer) else [answer]
    try:
        sources = [inspect.getsource(function) for function in functions if inspect.isfunction(function)]
    except OSError:  # there is no source, for instance in a plain Python shell
        return []
    matches = (re.findall(r"^(?:\s*# ?(.*)\n)?\s*\.\.\.\s*(?:#|$)", source, re.MULTILINE) for source in sources)
    return [comment for comments in matches for comment in comments]


def progress(notebook: str | None = None) -> pd.DataFrame:
    """A table of the gaps and exercises of a notebook, such as `02`, or of how many are done in every notebook.

    Its columns are `exercise`, the title, and `state`: `passed`, `not yet` after a wrong answer, or `to do`. What
    passed in an earlier session is remembered.
    """
    tried = {number: state for number, state in STATES.items() if state != "to do"}
    states = dict.fromkeys(_passed(), "passed") | tried
    if notebook is None:
        return pd.DataFrame({name: _done(name, states) for name in _notebooks()}, ["gaps", "exercises"]).T
    rows = [(EXERCISES[number].title, states.get(number, "to do")) for number in _numbers(notebook)]
    return pd.DataFrame(rows, index=_numbers(notebook), columns=["exercise", "state"])


def _notebooks() -> list[str]:
    return sorted({module.split("_")[1] for module in _modules()})


def _numbers(notebook: str) -> list[str]:
    """The gaps of a notebook, then its exercises."""
    _registered(f"{notebook}.1")
    numbers = [number for number in EXERCISES if number.startswith(f"{notebook}.")]
    return sorted(numbers, key=lambda number: (number[-1].isdigit(), number))


def _done(notebook: str, states: Mapping[str, str]) -> list[str]:
    kinds = ([n for n in _numbers(notebook) if n[-1].isdigit() == digit] for digit in (False, True))
    return [f"{sum(states.get(n) == 'passed' for n in kind)} of {len(kind)}" if kind else "" for kind in kinds]


def _passed() -> list[str]:
    """What has passed in this or an earlier session."""
    path = runs_folder() / "progress.json"
    return list(read_json(path)) if path.is_file() else []


def _save(number: str) -> None:
    if number not in (passed := _passed()):
        write_json(runs_folder() / "progress.json", sorted([*passed, number]))


def _registered(number: str) -> Exercise:
    for module in _modules(number.partition(".")[0]):
        import_module(f"petseg.course.{module}")
    if number not in EXERCISES:
        raise ValueError(f"{number}: no such exercise. Give notebook and exercise, for instance '02.1'.")
    return EXERCISES[number]


def _modules(notebook: str = "") -> list[str]:
    """The modules that check the gaps and exercises of one or all notebooks."""
    return sorted(path.stem for path in Path(__file__).parent.glob(f"lesson_{notebook}*.py"))
