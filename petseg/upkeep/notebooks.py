"""Runs the notebooks: `make course` writes a page of each, `make notebooks` keeps their outputs for the repository.

`make practice` writes the practice version of each lesson, in which the student fills gaps. A gap is the code from a
comment `# ✎ hint` to the next blank line or the end of its block. The lesson's cell names its check in its metadata:
`"gap": "02.d DoubleConv"`. All work in the checkout that is the current folder.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import nbformat
from nbclient.exceptions import CellExecutionError
from nbconvert.preprocessors import ExecutePreprocessor
from nbformat import NotebookNode

from petseg.course.setup import chosen_profile
from petseg.errors import DataError, PetsegError, exit_with_sentence
from petseg.files import atomic_write, read_json, write_json
from petseg.models.device import machine
from petseg.models.segmenter import best_device
from petseg.upkeep.pages import index, page, slides

NOTEBOOKS: Final = Path("notebooks")
PRACTICE: Final = NOTEBOOKS / "practice"
PAGES: Final = Path("build/course")
SLIDES: Final = Path("build/slides")

#: How long each notebook takes, by profile; the site's first page shows it.
MINUTES: Final = Path("figures/minutes.json")

MAX_BYTES: Final = 300_000  # GitHub shows no larger notebook
WIDGET: Final = "application/vnd.jupyter.widget-view+json"
HOURS: Final = 3600  # in seconds

GAP: Final = re.compile(r"^( *)# ✎ .+$")
HOW_TO_PRACTISE: Final = (
    "**Practice version**: at each ✎, put your code in place of the `...`; the comment says what is missing. The cell "
    "below checks your answer and gives a hint. Until a gap is filled, the notebook goes on with petseg's version, so "
    "you can leave a gap and come back. {count} cells have gaps; the [filled lesson]({lesson}) has the answers."
)


def course(path: Path) -> None:
    """Runs a notebook and writes its page, an HTML file that needs no file beside it."""
    notebook = run(path)
    with atomic_write(PAGES / f"{path.stem}.html") as partial:
        partial.write_text(page(notebook), encoding="utf-8")


def write_slides(path: Path) -> None:
    """Writes a notebook as slides, with its committed outputs."""
    with atomic_write(SLIDES / f"{path.stem}.html") as partial:
        partial.write_text(slides(nbformat.read(path, as_version=4)), encoding="utf-8")


def renew(path: Path) -> None:
    """Runs a notebook, with a separate folder of runs, and writes it with its outputs, stripped."""
    os.environ["PETSEG_RUNS_DIR"] = str(Path("build/runs", path.stem).resolve())
    notebook = strip(run(path), path.name)
    text = nbformat.writes(notebook) + "\n"
    if len(text.encode()) > MAX_BYTES:
        raise DataError(f"{path.name}: {len(text.encode()):,} bytes; at most {MAX_BYTES:,} are shown on GitHub.")
    with atomic_write(path) as partial:
        partial.write_text(text, encoding="utf-8")


def run(path: Path, notebook: NotebookNode | None = None) -> NotebookNode:
    """The notebook, by default as the file has it, executed in the file's folder by a new kernel.

    Raises:
        PetsegError: a cell failed; the message ends with its traceback.
    """
    notebook = notebook or nbformat.read(path, as_version=4)
    quiet = ["--log-level=40"]  # each kernel would warn that it talks over TCP
    kernel = ExecutePreprocessor(timeout=2 * HOURS, kernel_name="python3", extra_arguments=quiet)
    try:
        kernel.preprocess(notebook, {"metadata": {"path": str(path.parent)}})
    except CellExecutionError as error:
        traceback = "\n".join(str(error).splitlines()[-25:])
        raise PetsegError(f"{path} failed:\n{traceback}") from error
    return notebook


def write_practice(path: Path) -> None:
    """Writes the practice version of a lesson, if the lesson has gaps."""
    lesson = nbformat.read(path, as_version=4)
    if any("gap" in cell.metadata for cell in lesson.cells):
        with atomic_write(PRACTICE / path.name) as partial:
            partial.write_text(nbformat.writes(practice(lesson, path.name)) + "\n", encoding="utf-8")


def practice(lesson: NotebookNode, name: str, filled: bool = False) -> NotebookNode:
    """A lesson with gaps, each followed by its check and a link to the answer, and without outputs.

    With `filled`, its gaps hold the lesson's answers.
    """
    cells, heading, gaps = [], "", 0
    for cell in (NotebookNode(cell) for cell in lesson.cells):
        cells.append(cell)
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
            cells.append(_new_cell("code", f"{answer} = course.check({number!r}, {answer})".replace("'", '"'), cell.id))
            link = f"Stuck? The lesson has the [answer](../{name}#{heading})."
            cells.append(_new_cell("markdown", link, cell.id))
    opening = cells[0]
    opening.source = opening.source.replace(f"notebooks/{name}", f"notebooks/practice/{name}")
    how = HOW_TO_PRACTISE.format(count=gaps, lesson=f"../{name}")
    opening.source = opening.source.replace("**What you will learn**", f"{how}\n\n**What you will learn**")
    return nbformat.v4.new_notebook(cells=cells, metadata=lesson.metadata)


def _new_cell(kind: str, source: str, beside: str) -> NotebookNode:
    new = nbformat.v4.new_code_cell if kind == "code" else nbformat.v4.new_markdown_cell
    return new(source, id=f"{beside}-{'check' if kind == 'code' else 'link'}")  # the same in each call


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


def strip(notebook: NotebookNode, name: str) -> NotebookNode:
    """The notebook without photos, widgets and what differs between machines; changes it in place.

    Raises:
        DataError: a cell wrote to stderr, or an output names a folder of this machine.
    """
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            photos = "photos" in cell.metadata.get("tags", [])
            cell.outputs = [] if photos else [out for out in cell.outputs if WIDGET not in out.get("data", {})]
            _refuse(cell, name)
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    return notebook


def _refuse(cell: NotebookNode, name: str) -> None:
    first_line = cell.source.partition("\n")[0]
    where = f"{name}: the cell '{first_line}'"
    for output in cell.outputs:
        if output.get("name") == "stderr":
            raise DataError(f"{where} wrote to stderr: {output.text[:300]!r}. Make it silent.")
    written = str(cell.outputs)
    for folder in {str(Path.cwd()), str(Path.home()), os.environ.get("PETSEG_DATA_DIR", "/")} - {"/"}:
        if folder in written:
            raise DataError(f"{where} names the folder {folder} of this machine. Print only its last part.")


def record(name: str, seconds: float) -> None:
    """Writes into `MINUTES` how long a notebook took on this machine in the chosen profile."""
    times = read_json(MINUTES) if MINUTES.is_file() else {}
    profile = chosen_profile()
    key = "full on a GPU" if profile == "full" and best_device() != "cpu" else profile
    times[name] = times.get(name, {}) | {key: {"seconds": round(seconds), "machine": machine()}}
    write_json(MINUTES, dict(sorted(times.items())))


COMMANDS: Final = {"course": course, "notebooks": renew, "practice": write_practice, "slides": write_slides}


@exit_with_sentence()
def main(argv: Sequence[str] | None = None) -> int:
    """Runs `python -m petseg.upkeep.notebooks course|notebooks|practice|slides [01 02 ...]`."""
    parser = argparse.ArgumentParser(prog="petseg.upkeep.notebooks", description=__doc__)
    parser.add_argument("command", choices=tuple(COMMANDS))
    parser.add_argument("names", nargs="*", help="numbers of the notebooks; default: all")
    parser.add_argument("--record", action="store_true", help=f"write how long each took into {MINUTES}")
    options = parser.parse_args(argv)
    if options.command == "notebooks":
        os.environ.setdefault("PETSEG_PROFILE", "full")
    paths = [path for path in sorted(NOTEBOOKS.glob("*.ipynb")) if path.name.startswith(tuple(options.names or [""]))]
    if not paths:
        raise DataError(f"{NOTEBOOKS}/ holds no notebook {' or '.join(options.names)}".rstrip() + ".")
    for number, path in enumerate(paths, start=1):
        print(f"[{number}/{len(paths)}] {path.stem} ... ", end="", flush=True)
        start = time.monotonic()
        COMMANDS[options.command](path)
        seconds = time.monotonic() - start
        print(f"{seconds:.0f} s", flush=True)
        if options.record:
            record(path.stem, seconds)
    if options.command == "course":
        start_page = PAGES / "index.html"
        with atomic_write(start_page) as partial:
            partial.write_text(index(sorted(PAGES.glob("[0-9]*.html"))), encoding="utf-8")
        print(f"All of them ran. Look at them in a browser: {start_page}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
