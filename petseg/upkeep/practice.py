"""Makes two notebooks of each lesson: its practice version, and the solutions of its exercises.

A gap of the practice version is the code from a comment `# ✎ hint` to the next blank line or the end of its block. The
lesson's cell names its check in its metadata: `"gap": "02.d DoubleConv"`. Solutions are in the metadata, too, so that
the lesson does not show them: `"solution"` of the exercise's cell is a list of cells such as `{"code": "..."}` or
`{"markdown": "..."}`. The solutions' imports are the `"solution"` of the lesson's cell with imports.
"""

import os
import re
from copy import deepcopy
from pathlib import Path
from typing import Final
from unittest.mock import patch
from zlib import crc32

import nbformat
from nbformat import NotebookNode

from petseg.errors import DataError
from petseg.files import write_text
from petseg.upkeep.execution import run, strip

NOTEBOOKS: Final = Path("notebooks")
PRACTICE: Final = NOTEBOOKS / "practice"
SOLUTIONS: Final = NOTEBOOKS / "solutions"

GAP: Final = re.compile(r"^( *)# ✎ .+$")
HOW_TO_PRACTISE: Final = (
    "**Practice version**: at each ✎, put your code in place of the `...`; the comment says what is missing. The cell "
    "below checks your answer and gives a hint. Until a gap is filled, the notebook goes on with petseg's version, so "
    "you can leave a gap and come back. {count} cells have gaps; the [filled lesson]({lesson}) has the answers."
)


def write_practice(path: Path, force: bool = False) -> None:
    """Writes the practice version of a lesson and its solutions, executed in profile `quick`, if it has them.

    Only `force` overwrites answers of a student in the practice version.
    """
    lesson, target = nbformat.read(path, as_version=4), PRACTICE / path.name
    if any("gap" in cell.metadata for cell in lesson.cells):
        if not force and target.is_file() and (answers := count_answers(nbformat.read(target, as_version=4))):
            raise DataError(
                f"{target}: holds {answers} {'answer' if answers == 1 else 'answers'} of yours, which would be lost. "
                "Copy the file to another folder, or overwrite it: make practice FORCE=1."
            )
        write_text(target, nbformat.writes(practice(lesson, path.name)) + "\n")
    if any("solution" in cell.metadata for cell in lesson.cells):
        target = SOLUTIONS / f"{path.name[:2]}_solutions.ipynb"
        made = solutions(lesson, path.name)
        if force or not target.is_file() or sources(nbformat.read(target, as_version=4)) != sources(made):
            apart = str(Path("build/runs", target.stem).resolve())  # what passes here was not solved by the student
            with patch.dict(os.environ, PETSEG_PROFILE="quick", PETSEG_RUNS_DIR=apart):
                write_text(target, nbformat.writes(strip(run(target, made), target.name)) + "\n")


def sources(notebook: NotebookNode) -> list[tuple[str, str]]:
    """Kind and source of each cell: all of a notebook but its outputs."""
    return [(cell.cell_type, cell.source) for cell in notebook.cells]


def count_answers(notebook: NotebookNode) -> int:
    """How many gaps and exercises of a practice version are no longer as they were written, wholly or in part.

    Each cell is compared with its own checksum, since the lesson may have changed in the meantime.
    """
    return sum(cell.metadata.get("open") != _checksum(cell) for cell in notebook.cells if _is_for_student(cell))


def practice(lesson: NotebookNode, name: str, filled: bool = False) -> NotebookNode:
    """A lesson with gaps, each followed by its check and a link to the answer, and without outputs.

    With `filled`, its gaps hold the lesson's answers.
    """
    cells, heading, gaps = [], "", 0
    for cell in deepcopy(lesson.cells):
        cells.append(cell)
        cell.metadata.pop("solution", None)
        if cell.cell_type == "markdown":
            headings = re.findall(r"^#+ (.+)$", cell.source, re.MULTILINE)
            heading = headings[-1].replace(" ", "-") if headings else heading
            cell.source = re.sub(r"\]\((?!https?:|attachment:|#)", "](../", cell.source)
            continue
        cell.outputs, cell.execution_count = [], None
        if "setup" in cell.metadata.get("tags", []):
            cell.source = cell.source.replace("..", "../..")
        if "gap" in cell.metadata:
            number, answer = cell.metadata["gap"].split()
            gaps += 1
            cell.source = cell.source if filled else with_gaps(cell.source)
            checked = f"{answer} = course.check({number!r}, {answer})".replace("'", '"')
            link = f"Stuck? The lesson has the [answer](../{name}#{heading})."
            cells += [_cell("code", checked, f"{cell.id}-check"), _cell("markdown", link, f"{cell.id}-link")]
        if _is_for_student(cell):
            cell.metadata["open"] = _checksum(cell)
    opening = cells[0]
    opening.source = opening.source.replace(f"notebooks/{name}", f"notebooks/practice/{name}")
    how = HOW_TO_PRACTISE.format(count=gaps, lesson=f"../{name}")
    opening.source = opening.source.replace("**What you will learn**", f"{how}\n\n**What you will learn**")
    return nbformat.v4.new_notebook(cells=cells, metadata=lesson.metadata)


def _is_for_student(cell: NotebookNode) -> bool:
    return "gap" in cell.metadata or "exercise" in cell.metadata.get("tags", [])


def _checksum(cell: NotebookNode) -> str:
    return f"{crc32(cell.source.encode()):08x}"


def with_gaps(source: str) -> str:
    """The source of a cell with `...` in place of its answers."""
    lines: list[str] = []
    indent: str | None = None
    for line in source.splitlines():
        if match := GAP.match(line):
            indent = match[1]
            lines += [line, f"{indent}..."]
        elif indent is None or not line.strip() or not line.startswith(indent):
            indent = None
            lines.append(line)
    return "\n".join(lines)


def solutions(lesson: NotebookNode, name: str) -> NotebookNode:
    """The notebook of solutions of a lesson, without outputs: each solution below the heading of its exercise."""
    title = re.search(r"^# (.+)$", lesson.cells[0].source, re.MULTILINE)[1]  # type: ignore[index]
    opening = (
        f"# Solutions of notebook {name[:2]}\n\nEach cell below solves an exercise of [{title}](../{name}) and "
        "explains the answer. Other answers can be right, too."
    )
    setup = next(cell for cell in lesson.cells if "setup" in cell.metadata.get("tags", []))
    texts, numbers = [("markdown", opening, "opening"), ("code", setup.source.replace("..", "../.."), setup.id)], []
    heading = ""
    for cell in lesson.cells:
        headings = re.findall(r"^### (Exercise .+)$", cell.source, re.MULTILINE)
        heading = headings[-1] if headings else heading
        if heading and "solution" in cell.metadata:
            texts.append(("markdown", f"## {heading}", f"{cell.id}-heading"))
            numbers += re.findall(r'course\.check\("([^"]+)"', cell.source)
        parts = [next(iter(part.items())) for part in cell.metadata.get("solution", [])]
        texts += [(kind, source, f"{cell.id}-{place}") for place, (kind, source) in enumerate(parts)]
    listed = ", ".join(f'"{number}"' for number in numbers)
    closing = f'assert (course.progress("{name[:2]}")["state"][[{listed}]] == "passed").all()'
    cells = [_cell(*text) for text in [*texts, ("code", closing, "closing")]]
    cells[1].metadata["tags"] = ["setup"]
    return nbformat.v4.new_notebook(cells=cells, metadata=lesson.metadata)


def _cell(kind: str, source: str, name: str) -> NotebookNode:
    new = nbformat.v4.new_code_cell if kind == "code" else nbformat.v4.new_markdown_cell
    return new(source, id=name)
