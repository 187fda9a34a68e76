"""Notebooks as the repository holds them: run from top to bottom, stripped of photos, stamped with its address.

`make course` runs them and writes pages, `make notebooks` runs them and keeps their outputs, `make stamp` renews
set-up cells, badges and pictures; `minutes` runs them only to record how long they take. All work in the checkout that
is the current folder.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import nbformat
from nbclient.exceptions import CellExecutionError
from nbconvert.preprocessors import ExecutePreprocessor, TagRemovePreprocessor

from petseg.errors import DataError, exit_with_sentence
from petseg.files import atomic_write
from petseg.upkeep import minutes
from petseg.upkeep.pages import page
from petseg.upkeep.stamp import repository, stamped, stamped_readme, with_pictures

NOTEBOOKS = Path("notebooks")
FIGURES = Path("figures")
MAX_BYTES = 300_000
WIDGET = "application/vnd.jupyter.widget-view+json"


def stamp() -> None:
    """Renews set-up cells, badges and pictures of all notebooks, and the badges of README."""
    address = repository()
    for path in _named([]):
        notebook = stamped(nbformat.read(path, as_version=4), address, path.name)
        _write(path, with_pictures(notebook, FIGURES))
    readme = Path("README.md")
    with atomic_write(readme) as draft:
        draft.write_text(stamped_readme(readme.read_text(), address))


def run(path: Path, minutes: float = 120) -> Any:
    """A copy of the notebook, executed in its folder by a new kernel.

    Raises:
        CellExecutionError: a cell failed.
    """
    notebook = nbformat.read(path, as_version=4)
    quiet = ["--log-level=40"]  # each kernel would warn that it talks over TCP
    kernel = ExecutePreprocessor(timeout=round(60 * minutes), kernel_name="python3", extra_arguments=quiet)
    kernel.preprocess(notebook, {"metadata": {"path": str(path.parent)}})
    return notebook


def fit_to_commit(notebook: Any, name: str) -> Any:
    """An executed notebook without photos, widgets and what differs between machines.

    Raises:
        DataError: a cell wrote to stderr, or an output names the folder of this machine.
    """
    strip = TagRemovePreprocessor(enabled=True, remove_all_outputs_tags={"photos"})
    counts = [cell.get("execution_count") for cell in notebook.cells]
    notebook, _ = strip.preprocess(notebook, {})
    for cell, count in zip(notebook.cells, counts, strict=True):
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.execution_count = count  # which went with the outputs, although the cell was run
            cell.outputs = [output for output in cell.outputs if WIDGET not in output.get("data", {})]
            _refuse(cell, name)
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    return notebook


def _refuse(cell: Any, name: str) -> None:
    first = cell.source.partition("\n")[0]
    if any(output.get("name") == "stderr" for output in cell.outputs):
        text = next(output.text for output in cell.outputs if output.get("name") == "stderr")
        raise DataError(f"{name}: the cell '{first}' wrote to stderr: {text[:300]!r}. Make it silent.")
    printed = nbformat.v4.writes(nbformat.v4.new_notebook(cells=[cell]))
    for folder in {str(Path.cwd()), str(Path.home()), *filter(None, [os.environ.get("PETSEG_DATA_DIR")])} - {"/"}:
        if folder in printed:
            raise DataError(f"{name}: the cell '{first}' names the folder {folder} of this machine. Print its name.")


def course(names: Sequence[str], pages: Path = Path("build/course")) -> int:
    """Runs notebooks and writes a page of each; stops at the first that fails."""
    for path, say in _counted(names):
        try:
            notebook = run(path)
        except CellExecutionError as error:
            return _failed(path, error)
        pages.mkdir(parents=True, exist_ok=True)
        with atomic_write(pages / f"{path.stem}.html") as draft:
            draft.write_text(page(notebook))
        say()
    print("All of it ran. Look at it in a browser:")
    print("\n".join(f"  {pages / path.stem}.html" for path in _named(names)))
    return 0


def renew(names: Sequence[str]) -> int:
    """Runs notebooks, each from its own state alone, and keeps their outputs as the repository may hold them."""
    os.environ.setdefault("PETSEG_PROFILE", "full")
    for path, say in _counted(names):
        runs = Path("build/runs", path.stem).resolve()
        from_nothing = not any(runs.glob("*"))
        os.environ["PETSEG_RUNS_DIR"] = str(runs)
        try:
            notebook = fit_to_commit(run(path), path.name)
        except CellExecutionError as error:
            return _failed(path, error)
        _write(path, notebook)
        seconds = say()
        if from_nothing:  # a notebook that finds its earlier runs takes less time
            minutes.keep(path.stem, os.environ["PETSEG_PROFILE"], seconds)
    return 0


def measure(names: Sequence[str]) -> int:
    """Runs notebooks, each from an empty folder of runs, to record how long they take; keeps nothing else."""
    profile = os.environ.setdefault("PETSEG_PROFILE", "quick")
    for path, say in _counted(names):
        with tempfile.TemporaryDirectory() as runs:
            os.environ["PETSEG_RUNS_DIR"] = runs
            try:
                run(path)
            except CellExecutionError as error:
                return _failed(path, error)
        minutes.keep(path.stem, profile, say())
    return 0


def _named(names: Sequence[str]) -> list[Path]:
    """The notebooks whose names begin so; all of them when no name is given."""
    found = sorted(path for path in NOTEBOOKS.glob("*.ipynb") if not names or path.name.startswith(tuple(names)))
    if not found:
        raise DataError(f"{NOTEBOOKS}/ holds no notebook {' or '.join(names)}".rstrip() + ".")
    return found


def _counted(names: Sequence[str]) -> Iterator[tuple[Path, Any]]:
    paths = _named(names)
    for number, path in enumerate(paths, start=1):
        print(f"[{number}/{len(paths)}] {path.stem} ... ", end="", flush=True)
        begun = time.monotonic()
        yield path, lambda begun=begun: _said(time.monotonic() - begun)


def _said(seconds: float) -> float:
    print(f"{seconds:.0f} s", flush=True)
    return seconds


def _failed(path: Path, error: CellExecutionError) -> int:
    print("failed", flush=True)
    print("\n".join(str(error).splitlines()[-25:]), file=sys.stderr)
    print(f"{path} failed; above is what its kernel said.", file=sys.stderr)
    return 1


def _write(path: Path, notebook: Any) -> None:
    text = nbformat.writes(notebook) + "\n"
    if len(text.encode()) > MAX_BYTES:
        raise DataError(f"{path.name}: {len(text.encode()):,} bytes; at most {MAX_BYTES:,} are shown on GitHub.")
    with atomic_write(path) as draft:
        draft.write_text(text)


@exit_with_sentence()
def main(argv: Sequence[str] | None = None) -> int:
    """Runs `python -m petseg.upkeep.notebooks course|notebooks|stamp|minutes [01 02 ...]`."""
    parser = argparse.ArgumentParser(prog="petseg.upkeep.notebooks", description=__doc__)
    parser.add_argument("command", choices=("course", "notebooks", "stamp", "minutes"))
    parser.add_argument("names", nargs="*", help="numbers of the notebooks, all by default")
    chosen = parser.parse_args(argv)
    if chosen.command == "stamp":
        stamp()
        return 0
    return {"course": course, "notebooks": renew, "minutes": measure}[chosen.command](chosen.names)


if __name__ == "__main__":
    sys.exit(main())
