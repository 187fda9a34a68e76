"""Runs the notebooks: `make course` writes a page of each, `make notebooks` keeps their outputs for the repository.

`make practice` writes the practice version and the solutions of each lesson; see `petseg.upkeep.practice`. All work in
the checkout that is the current folder.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import nbformat

from petseg.course.setup import chosen_profile
from petseg.errors import DataError, exit_with_sentence
from petseg.files import atomic_write, read_json, write_json
from petseg.models.device import machine
from petseg.models.segmenter import best_device
from petseg.upkeep.execution import run, strip
from petseg.upkeep.pages import index, page, slides
from petseg.upkeep.practice import NOTEBOOKS, write_practice

PAGES: Final = Path("build/course")
SLIDES: Final = Path("build/slides")

#: How long each notebook takes, by profile; the site's first page shows it.
MINUTES: Final = Path("figures/minutes.json")

MAX_BYTES: Final = 300_000  # GitHub shows no larger notebook


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
    parser.add_argument("--force", action="store_true", help="practice: overwrite a student's answers")
    options = parser.parse_intermixed_args(argv)  # flags may stand before the numbers
    if options.command == "notebooks":
        os.environ.setdefault("PETSEG_PROFILE", "full")
    paths = [path for path in sorted(NOTEBOOKS.glob("*.ipynb")) if path.name.startswith(tuple(options.names or [""]))]
    if not paths:
        raise DataError(f"{NOTEBOOKS}/ holds no notebook {' or '.join(options.names)}".rstrip() + ".")
    for number, path in enumerate(paths, start=1):
        print(f"[{number}/{len(paths)}] {path.stem} ... ", end="", flush=True)
        start = time.monotonic()
        if options.command == "practice":
            write_practice(path, options.force)
        else:
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
