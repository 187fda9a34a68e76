"""Gaps and exercises of the notebooks: an open cell is not accepted, a notebook of solutions passes all."""

import re
from pathlib import Path
from typing import Any, NamedTuple

import nbformat
import pytest

from petseg import course
from petseg.course import checks
from petseg.course.checks import Exercise, check
from petseg.course.hints import NotYetError, UnfilledError, ask
from petseg.models import unet

FOLDER = Path(__file__).resolve().parents[2] / "notebooks"
PATHS = sorted(FOLDER.glob("*.ipynb"))


class Task(NamedTuple):
    """An exercise of a notebook: its number, the notebook's imports, and the open cell."""

    number: str
    imports: str
    cell: str


def code_of(path: Path) -> list[Any]:
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]


def checked(source: str) -> list[str]:
    """The numbers of the exercises that a text checks."""
    return re.findall(r'course\.check\("(\d\d\.\d)"', source)


def tasks(path: Path) -> list[Task]:
    cells = code_of(path)
    tagged = [cell.source for cell in cells if "exercise" in cell.metadata.get("tags", [])]
    return [Task(number, cells[1].source, source) for source in tagged for number in checked(source)]


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_every_notebook_has_exercises_in_order_and_a_table_and_lessons_with_gaps_have_8_to_15(path: Path) -> None:
    cells = code_of(path)
    table = course.progress(path.stem[:2])
    exercises = [number for number in table.index if number[-1].isdigit()]
    gaps = [number for number in table.index if not number[-1].isdigit()]
    assert [task.number for task in tasks(path)] == exercises != []
    assert [cell.metadata["gap"].split()[0] for cell in cells if "gap" in cell.metadata] == gaps
    marks = sum(cell.source.count("# ✎ ") for cell in cells)
    assert marks == 0 if not gaps else 8 <= len(gaps) <= marks <= 15, "gaps are checked in petseg/course/lesson_NN.py"
    assert any(cell.source in (f'course.progress("{path.stem[:2]}")', "course.progress()") for cell in cells)
    assert table["exercise"].str.len().min() > 3


@pytest.mark.parametrize("task", [task for path in PATHS for task in tasks(path)], ids=lambda task: task.number)
def test_the_open_cell_runs_and_is_not_accepted(task: Task, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setenv("PETSEG_PROFILE", "quick")
    names: dict[str, Any] = dict(vars(unet))  # notebook 02 writes these classes in its cells
    exec(task.imports, names)
    capsys.readouterr()
    exec(task.cell, names)
    assert f"Exercise {task.number}, still to do" in capsys.readouterr().out


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_solutions_are_committed_executed_in_a_notebook_that_fails_unless_every_check_passes(path: Path) -> None:
    numbers = [task.number for task in tasks(path)]
    cells = code_of(FOLDER / "solutions" / f"{path.stem[:2]}_solutions.ipynb")
    assert checked("\n".join(cell.source for cell in cells)) == numbers
    assert re.fullmatch(rf'assert .*course.progress\("{path.stem[:2]}"\)\["state"\].* == "passed".*', cells[-1].source)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell.outputs]
    kinds = {output.get("name", output.output_type) for output in outputs}
    assert kinds <= {"stdout", "display_data", "execute_result"}
    said = "".join(output.get("text", "") for output in outputs)
    assert [number for number in numbers if f"Exercise {number}, right" not in said] == []


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Two exercises and a gap of notebook 98 and an exercise of 99, each to square 3."""

    def square_of_three(answer: int) -> str:
        if answer != 9:
            raise NotYetError(f"{answer} is not the square of 3.")
        return "Squares grow fast."

    titles = {"98.1": "square 3", "98.2": "square 4", "98.a": "square 5", "99.1": "of another notebook"}
    exercises = {number: Exercise(square_of_three, title) for number, title in titles.items()}
    exercises["98.a"] = Exercise(square_of_three, "square 5", reference=9.0)
    monkeypatch.setenv("PETSEG_RUNS_DIR", str(tmp_path))
    monkeypatch.setattr(checks, "EXERCISES", exercises)
    monkeypatch.setattr(checks, "STATES", {})


def test_what_a_check_finds_is_printed_for_the_student_and_listed_in_the_table_of_progress(
    example: None, capsys: Any
) -> None:
    for number, answer in (("98.1", 6), ("98.1", 9), ("98.2", 6), ("98.2", ...), ("98.2", 6)):
        check(number, answer)
    said = capsys.readouterr().out.splitlines()
    assert said[:2] == ["Exercise 98.1, not yet: 6 is not the square of 3.", "Exercise 98.1, right. Squares grow fast."]
    assert said[3].startswith("Exercise 98.2, still to do: ")
    table = course.progress("98")
    assert table["exercise"].to_dict() == {"98.a": "square 5", "98.1": "square 3", "98.2": "square 4"}
    assert list(table["state"]) == ["to do", "passed", "not yet"]
    with pytest.raises(ValueError, match=r"^99.9: no such exercise"):
        check("99.9", 1)


def test_what_passed_in_an_earlier_session_counts_in_the_table_of_all_notebooks(
    example: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    check("98.a", 9)
    check("98.1", 9)
    monkeypatch.setattr(checks, "STATES", {})
    monkeypatch.setattr(checks, "_notebooks", lambda: ["98", "99"])
    assert course.progress().to_dict("index") == {
        "98": {"gaps": "1 of 1", "exercises": "1 of 2"},
        "99": {"gaps": "", "exercises": "0 of 1"},
    }
    check("98.1", ...)  # its cell, still open in another notebook, is run
    assert course.progress("98")["state"]["98.1"] == "passed"


def test_until_a_gap_is_filled_the_notebook_goes_on_with_petsegs_version(example: None, capsys: Any) -> None:
    assert [check("98.a", answer) for answer in (..., 6, 9)] == [9, 9, 9]
    assert check("98.a", 9) == 9
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("Gap 98.a, still to do: ")
    assert all(line.endswith("goes on with petseg's version.") for line in said[:2])
    assert said[2] == "Gap 98.a, right. Squares grow fast."
    assert check("98.1", 9) is None


def test_a_function_that_fails_becomes_a_hint_and_an_open_one_is_still_to_do() -> None:
    def halved(x: float) -> float:
        return x / 0

    with pytest.raises(NotYetError, match="halved failed with ZeroDivisionError: division by zero"):
        ask(halved, 1)
    with pytest.raises(NotYetError, match="expected a function, but got int"):
        ask(3, 1)
    for nothing in (None, ...):
        with pytest.raises(UnfilledError):
            ask(lambda result=nothing: result)
    with pytest.raises(UnfilledError, match=r"print returns nothing\. End it with `return`\."):
        ask(print)
