"""Practice versions and solutions: made from the lessons and up to date; gaps that run filled and unfilled."""

import os
import re
from copy import deepcopy
from pathlib import Path
from typing import Any

import nbformat
import pytest

from petseg.errors import DataError
from petseg.upkeep.execution import run
from petseg.upkeep.practice import GAP, NOTEBOOKS, practice, solutions, sources, with_gaps, write_practice

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / NOTEBOOKS
LESSONS = [
    path
    for path in sorted(FOLDER.glob("*.ipynb"))
    if any("gap" in cell.metadata for cell in nbformat.read(path, as_version=4).cells)
]


@pytest.fixture(params=LESSONS, ids=lambda path: path.stem)
def lesson(request: pytest.FixtureRequest) -> Path:
    return Path(request.param)


def practised(lesson: Path, filled: bool = False) -> Any:
    return practice(nbformat.read(lesson, as_version=4), lesson.name, filled)


def test_a_gap_ends_with_its_block_or_at_a_blank_line() -> None:
    lesson = """
def area(side):
    square = side
    # ✎ the side, squared
    for _ in range(1):
        square *= side

    # ✎ return it
    return square


print("the end")"""
    assert (
        with_gaps(lesson)
        == """
def area(side):
    square = side
    # ✎ the side, squared
    ...

    # ✎ return it
    ...


print("the end")"""
    )


def test_a_gap_within_brackets_ends_with_them() -> None:
    assert with_gaps("f(\n    # ✎ one\n    1,\n    2,\n)") == "f(\n    # ✎ one\n    ...\n)"


def test_practice_notebooks_are_those_that_make_practice_writes() -> None:
    committed = {path.name: path.read_text(encoding="utf-8") for path in (FOLDER / "practice").glob("*.ipynb")}
    assert committed.keys() == {path.name for path in LESSONS}
    stale = [path.name for path in LESSONS if nbformat.writes(practised(path)) + "\n" != committed[path.name]]
    assert stale == [], "run `make practice`"


def test_solutions_are_those_that_make_practice_writes_and_practice_versions_do_not_hold_them() -> None:
    lessons = {path.name: nbformat.read(path, as_version=4) for path in sorted(FOLDER.glob("*.ipynb"))}
    for name, lesson in lessons.items():
        exercises = [cell for cell in lesson.cells if "exercise" in cell.metadata.get("tags", [])]
        assert all("solution" in cell.metadata for cell in exercises), name
        committed = nbformat.read(FOLDER / "solutions" / f"{name[:2]}_solutions.ipynb", as_version=4)
        assert sources(committed) == sources(solutions(lesson, name)), f"{name}: run `make practice`"
        assert not any("solution" in cell.metadata for cell in practice(lesson, name).cells)


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The practice version of a lesson with a gap and an exercise, as `make practice` wrote it."""
    (tmp_path / NOTEBOOKS).mkdir()
    monkeypatch.chdir(tmp_path)
    gap = nbformat.v4.new_code_cell("def one():\n    # ✎ return it\n    return 1", metadata={"gap": "98.a one"})
    task = nbformat.v4.new_code_cell("answer = ...", metadata={"tags": ["exercise"]})
    title = nbformat.v4.new_markdown_cell("# Numbers")
    path = tmp_path / NOTEBOOKS / "98_numbers.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[title, gap, task]), path)
    write_practice(path)
    return path


def replace(path: Path, old: str, new: str) -> None:
    """Replaces a text in the cells of a notebook."""
    notebook = nbformat.read(path, as_version=4)
    assert any(old in cell.source for cell in notebook.cells)
    for cell in notebook.cells:
        cell.source = cell.source.replace(old, new)
    nbformat.write(notebook, path)


@pytest.mark.parametrize(
    ("open_lines", "answer"),
    [
        ("    ...", "    return 2"),
        ("    # ✎ return it\n    ...", "    return 2"),
        ("    # ✎ return it", "    two = 2\n    # ✎ return it"),
        ("answer = ...", "answer = 3"),
        ("answer = ...", "answer = x[..., None]"),
        ("answer = ...", "part = 3\nanswer = ..."),
    ],
)
def test_an_answer_of_a_student_is_overwritten_only_by_force(checkout: Path, open_lines: str, answer: str) -> None:
    target = checkout.parent / "practice" / checkout.name
    untouched = target.read_text(encoding="utf-8")
    write_practice(checkout)
    replace(target, open_lines, answer)
    answered = target.read_text(encoding="utf-8")
    with pytest.raises(DataError, match=r"98_numbers.ipynb: holds 1 answer of yours, which would be lost"):
        write_practice(checkout)
    assert target.read_text(encoding="utf-8") == answered
    write_practice(checkout, force=True)
    assert target.read_text(encoding="utf-8") == untouched


def test_solutions_are_run_apart_from_what_the_student_has_solved(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lesson = nbformat.read(checkout, as_version=4)
    lesson.cells.append(nbformat.v4.new_code_cell("", metadata={"tags": ["setup"]}))
    lesson.cells[2].metadata["solution"] = [{"code": "answer = 3"}]
    nbformat.write(lesson, checkout)
    (checkout.parent / "solutions").mkdir()
    folders = []

    def seen(path: Path, notebook: Any) -> Any:
        folders.append(os.environ["PETSEG_RUNS_DIR"])
        return notebook

    monkeypatch.setattr("petseg.upkeep.practice.run", seen)
    write_practice(checkout)
    assert folders == [str(Path("build/runs/98_solutions").resolve())]


def test_a_lesson_that_is_edited_again_and_again_is_written_without_force(checkout: Path) -> None:
    for old, new in (("return it", "return 1"), ("answer = ...", "result = ..."), ("result = ...", "result = 0")):
        replace(checkout, old, new)
        write_practice(checkout)
        assert new in (checkout.parent / "practice" / checkout.name).read_text(encoding="utf-8")


def test_each_gap_is_marked_checked_and_linked_to_a_heading_of_the_lesson(lesson: Path) -> None:
    source = nbformat.read(lesson, as_version=4)
    marked = [cell for cell in source.cells if re.search(GAP.pattern, cell.source, re.MULTILINE)]
    assert [cell.id for cell in marked] == [cell.id for cell in source.cells if "gap" in cell.metadata]
    # the practice version keeps the line of a ✎ alone: a second line would go with the answer
    assert [cell.id for cell in marked if re.search(GAP.pattern + r"\n *# ", cell.source, re.MULTILINE)] == []
    cells = practised(lesson).cells
    headings = {line.lstrip("# ").replace(" ", "-") for cell in source.cells for line in cell.source.splitlines()}
    for place, cell in enumerate(cells):
        if "gap" in cell.metadata:
            compile(cell.source, cell.id, "exec")
            assert f'course.check("{cell.metadata["gap"].split()[0]}"' in cells[place + 1].source
            link = re.search(rf"\(\.\./{lesson.name}#(\S+)\)", cells[place + 2].source)
            assert link
            assert link[1] in headings
    assert not any(cell.get("outputs") for cell in cells)
    assert f"blob/main/notebooks/practice/{lesson.name})" in cells[0].source


@pytest.mark.notebooks
def test_the_lessons_answers_pass_every_check_and_it_runs_unfilled(
    lesson: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """In one run: each gap is filled and checked, then opened and checked again, and the notebook goes on without."""
    monkeypatch.setenv("PETSEG_PROFILE", "quick")
    monkeypatch.setenv("PETSEG_RUNS_DIR", str(tmp_path))
    notebook, filled = practised(lesson), {cell.id: cell for cell in practised(lesson, filled=True).cells}
    cells: list[Any] = []
    for cell in notebook.cells:
        if "gap" in cell.metadata:
            answered = [deepcopy(filled[name]) for name in (cell.id, f"{cell.id}-check")]
            answered[0].id, answered[1].id = f"{cell.id}-filled", f"{cell.id}-right"
            cells += answered
        cells.append(cell)
    notebook.cells = cells
    run(FOLDER / "practice" / lesson.name, notebook)
    for end, expected in {
        "-right": r"Gap \S+, right\.",
        "-check": r"Gap \S+, still to do: .* goes on with petseg's version\.",
    }.items():
        said = [cell.outputs[0].text for cell in cells if cell.id.endswith(end)]
        assert len(said) >= 8
        assert [text for text in said if not re.match(expected, text)] == []
