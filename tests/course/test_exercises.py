"""The exercises of the notebooks: the open cell is not accepted, the folded solution is."""

import re
from pathlib import Path
from typing import Any, NamedTuple

import nbformat
import pytest

from petseg import course
from petseg.course import checks
from petseg.course.checks import NotYetError, UnfilledError, ask, check, exercise

FOLDER = Path(__file__).resolve().parents[2] / "notebooks"
SOLUTION = re.compile(
    r"\A<details><summary>Solution</summary>\n\n```python\n(.*?)\n```\n\n(.+)\n\n</details>\Z", re.DOTALL
)


class Exercise(NamedTuple):
    """An exercise of a notebook: what the notebook imports, the open cell, the markdown below it."""

    number: str
    imports: str
    cell: str
    below: str


def exercises(path: Path) -> list[Exercise]:
    cells = nbformat.read(path, as_version=4).cells
    codes = [cell.source for cell in cells if cell.cell_type == "code"]
    found = []
    for place, cell in enumerate(cells):
        if "exercise" in cell.metadata.get("tags", []):
            number = re.search(r'course\.check\("(\d\d\.\d)"', cell.source)
            assert number, cell.source
            found.append(Exercise(number[1], codes[1], cell.source, cells[place + 1].source))
    return found


PATHS = sorted(FOLDER.glob("*.ipynb"))
ALL = [one for path in PATHS for one in exercises(path)]


@pytest.fixture(params=ALL, ids=[one.number for one in ALL])
def task(request: pytest.FixtureRequest) -> Exercise:
    found: Exercise = request.param
    return found


@pytest.fixture
def namespace(task: Exercise, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setenv("PETSEG_PROFILE", "quick")
    names: dict[str, Any] = {}
    exec(task.imports, names)
    return names


def verdict(cell: str) -> str:
    """The last statement of an exercise cell: its call of `course.check`."""
    return cell.strip().splitlines()[-1]


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_every_notebook_has_three_exercises_of_its_own_number(path: Path) -> None:
    assert [one.number for one in exercises(path)] == [f"{path.stem[:2]}.{place}" for place in (1, 2, 3)]


def test_the_open_cell_runs_and_is_not_accepted(task: Exercise, namespace: dict[str, Any], capsys: Any) -> None:
    capsys.readouterr()
    exec(task.cell, namespace)
    assert f"Exercise {task.number}, still to do" in capsys.readouterr().out


def test_the_folded_solution_is_accepted(task: Exercise, namespace: dict[str, Any]) -> None:
    solution = SOLUTION.fullmatch(task.below)
    assert solution, task.below
    exec(solution[1], namespace)
    assert eval(verdict(task.cell), namespace)


def test_what_a_check_finds_is_printed_for_the_student(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setattr(checks, "_registered", lambda number: square_of_three)

    def square_of_three(answer: int) -> str:
        if answer != 9:
            raise NotYetError(f"{answer} is not the square of 3.")
        return "Squares grow fast."

    assert not check("01.1", 6)
    assert check("01.1", 9)
    assert not check("01.1", ...)
    said = capsys.readouterr().out.splitlines()
    assert said[:2] == ["Exercise 01.1, not yet: 6 is not the square of 3.", "Exercise 01.1, right. Squares grow fast."]
    assert said[2].startswith("Exercise 01.1, still to do: ")


def test_a_function_that_fails_becomes_a_hint_and_an_open_one_is_still_to_do() -> None:
    with pytest.raises(NotYetError, match="ZeroDivisionError: division by zero"):
        ask(lambda x: x / 0, 1)
    with pytest.raises(NotYetError, match="expected a function, but got int"):
        ask(3, 1)
    for nothing in (None, ...):
        with pytest.raises(UnfilledError):
            ask(lambda result=nothing: result)


def test_an_unknown_exercise_is_one_sentence() -> None:
    with pytest.raises(ValueError, match=r"check\('99.9'\): no such exercise"):
        course.check("99.9", 1)


def test_a_check_is_found_by_its_number() -> None:
    @exercise("00.1")
    def anything(answer: int) -> None:
        return None

    assert checks.CHECKS.pop("00.1") is anything
