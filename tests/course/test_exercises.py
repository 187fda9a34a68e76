"""The exercises of the notebooks: four in each, an open cell is not accepted, a notebook of solutions passes all."""

import re
from pathlib import Path
from typing import Any, NamedTuple

import nbformat
import pytest

from petseg import course
from petseg.course import checks
from petseg.course.checks import Exercise, NotYetError, UnfilledError, ask, check, exercise

FOLDER = Path(__file__).resolve().parents[2] / "notebooks"
PATHS = sorted(FOLDER.glob("*.ipynb"))


class Task(NamedTuple):
    """An exercise of a notebook: its number, the notebook's imports, and the open cell."""

    number: str
    imports: str
    cell: str


def code_of(path: Path) -> list[Any]:
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]


def tasks(path: Path) -> list[Task]:
    cells = code_of(path)
    found = []
    for cell in cells:
        if "exercise" in cell.metadata.get("tags", []):
            number = re.search(r'course\.check\("(\d\d\.\d)"', cell.source)
            assert number, cell.source
            found.append(Task(number[1], cells[1].source, cell.source))
    return found


def solutions_of(path: Path) -> Path:
    return FOLDER / "solutions" / f"{path.stem[:2]}_solutions.ipynb"


ALL = [task for path in PATHS for task in tasks(path)]


@pytest.fixture(params=ALL, ids=[task.number for task in ALL])
def task(request: pytest.FixtureRequest) -> Task:
    found: Task = request.param
    return found


@pytest.fixture
def namespace(task: Task, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setenv("PETSEG_PROFILE", "quick")
    names: dict[str, Any] = {}
    exec(task.imports, names)
    return names


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_every_notebook_has_two_functions_something_to_build_and_an_experiment(path: Path) -> None:
    assert [task.number for task in tasks(path)] == [f"{path.stem[:2]}.{number}" for number in (1, 2, 3, 4)]


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_every_notebook_ends_its_exercises_with_a_table_of_those_that_pass(path: Path) -> None:
    assert any(cell.source == f'course.progress("{path.stem[:2]}")' for cell in code_of(path))


def test_the_open_cell_runs_and_is_not_accepted(task: Task, namespace: dict[str, Any], capsys: Any) -> None:
    capsys.readouterr()
    exec(task.cell, namespace)
    assert f"Exercise {task.number}, still to do" in capsys.readouterr().out


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_solutions_are_a_notebook_of_their_own_that_fails_unless_every_check_passes(path: Path) -> None:
    """`make test` runs it."""
    sources = [cell.source for cell in code_of(solutions_of(path))]
    checked = re.findall(r'course\.check\("(\d\d\.\d)"', "\n".join(sources))
    assert checked == [task.number for task in tasks(path)]
    assert sources[-1] == f'assert (course.progress("{path.stem[:2]}")["state"] == "passed").all()'


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_solutions_are_committed_executed_with_every_check_passed(path: Path) -> None:
    cells = code_of(solutions_of(path))
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell.outputs]
    assert {output.get("name", output.output_type) for output in outputs} <= {
        "stdout",
        "display_data",
        "execute_result",
    }
    said = "".join(output.get("text", "") for output in outputs)
    for task in tasks(path):
        assert f"Exercise {task.number}, right" in said


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_no_solution_is_on_the_same_page_as_its_exercise(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    assert not [cell.source for cell in notebook.cells if "<summary>Solution" in cell.source]


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> None:
    def square_of_three(answer: int) -> str:
        if answer != 9:
            raise NotYetError(f"{answer} is not the square of 3.")
        return "Squares grow fast."

    monkeypatch.setattr(checks, "_registered", lambda number: Exercise(square_of_three, "square 3"))
    monkeypatch.setattr(checks, "STATES", {})


def test_what_a_check_finds_is_printed_for_the_student(example: None, capsys: Any) -> None:
    assert not check("01.1", 6)
    assert check("01.1", 9)
    assert not check("01.1", ...)
    said = capsys.readouterr().out.splitlines()
    assert said[:2] == ["Exercise 01.1, not yet: 6 is not the square of 3.", "Exercise 01.1, right. Squares grow fast."]
    assert said[2].startswith("Exercise 01.1, still to do: ")


def test_progress_lists_what_the_last_check_of_each_exercise_said(
    example: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    titles = {"98.1": "square 3", "98.2": "square 4", "98.3": "square 5", "99.1": "of another notebook"}
    monkeypatch.setattr(checks, "EXERCISES", {n: Exercise(str, title) for n, title in titles.items()})
    for number, answer in (("98.1", 6), ("98.1", 9), ("98.2", 6)):
        check(number, answer)
    table = course.progress("98")
    assert table["exercise"].to_dict() == {"98.1": "square 3", "98.2": "square 4", "98.3": "square 5"}
    assert table["state"].to_dict() == {"98.1": "passed", "98.2": "not yet", "98.3": "to do"}


def test_every_exercise_has_a_title_in_the_table_of_progress() -> None:
    for path in PATHS:
        table = course.progress(path.stem[:2])
        assert len(table) == 4, path.stem
        assert table["exercise"].str.len().min() > 3, path.stem


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
    @exercise("00.1", "anything")
    def anything(answer: int) -> None:
        return None

    assert checks.EXERCISES.pop("00.1") == Exercise(anything, "anything")
