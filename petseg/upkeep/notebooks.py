"""Notebooks as the repository holds them: stamped with its address, run from top to bottom, stripped of photos.

`make course` runs them and writes pages, `make notebooks` runs them and keeps their outputs, `make stamp` renews
set-up cells and badges. All work in the checkout that is the current folder.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import time
import tomllib
import warnings
from base64 import b64encode
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import nbformat
from bs4 import BeautifulSoup
from nbclient.exceptions import CellExecutionError
from nbconvert import HTMLExporter
from nbconvert.preprocessors import ExecutePreprocessor, TagRemovePreprocessor

from petseg.errors import DataError
from petseg.files import atomic_write

NOTEBOOKS = Path("notebooks")
MAX_BYTES = 300_000
WIDGET = "application/vnd.jupyter.widget-view+json"
BADGE = "https://colab.research.google.com/assets/colab-badge.svg"

#: What every notebook begins with. In a checkout it installs that, elsewhere what the repository holds; pip keeps the
#: PyTorch, NumPy and ipywidgets that are there, since they are new enough.
SETUP = """\
# The same in every notebook: installs petseg where it is missing, as on Colab.
import sys
from importlib.util import find_spec
from pathlib import Path

if find_spec("petseg") is None:
    in_checkout = Path("../petseg").is_dir()
    where = "--editable .." if in_checkout else "git+{repository}"
    %pip install --quiet {{where}}
    if in_checkout:  # Python looks there by itself only from its next start on
        sys.path.append(str(Path("..").resolve()))"""


def repository() -> str:
    """The project's address, from the checkout's `pyproject.toml`: the only place where it is written by hand."""
    found: str = tomllib.loads(Path("pyproject.toml").read_text())["project"]["urls"]["Repository"]
    return found


def setup_cell(address: str) -> str:
    """Source of the set-up cell for a repository at this address."""
    return SETUP.format(repository=address)


def badge(address: str, name: str) -> str:
    """Markdown of the badge that opens a notebook on Colab."""
    place = address.removeprefix("https://github.com/")
    return f"[![Open in Colab]({BADGE})](https://colab.research.google.com/github/{place}/blob/main/notebooks/{name})"


def stamped(notebook: Any, address: str, name: str) -> Any:
    """The notebook with its set-up cell (tag `setup`) and its badge made anew.

    Raises:
        DataError: it does not have one of each.
    """
    setups = [cell for cell in notebook.cells if "setup" in cell.metadata.get("tags", [])]
    opening = notebook.cells[0]
    source, badges = re.subn(r"^\[!\[Open in Colab\].*$", badge(address, name), opening.source, flags=re.MULTILINE)
    if len(setups) != 1 or badges != 1:
        raise DataError(
            f"{name}: has {len(setups)} cells tagged 'setup' and {badges} badges in its first cell; one of each is "
            "needed. Tag a code cell, or put the line '[![Open in Colab]()]()' below the title."
        )
    setups[0].source, opening.source = setup_cell(address), source
    return notebook


def stamped_readme(readme: str, address: str) -> str:
    """README's text with each of its Colab badges leading to this repository."""
    pattern = r"\[!\[Open in Colab\]\([^)]*\)\]\(\S*?/notebooks/([\w.]+)\)"
    return re.sub(pattern, lambda found: badge(address, found[1]), readme)


def stamp() -> None:
    """Renews set-up cells and badges of all notebooks and of README, from `pyproject.toml`."""
    address = repository()
    for path in _named([]):
        _write(path, stamped(nbformat.read(path, as_version=4), address, path.name))
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
    for place in {str(Path.cwd()), str(Path.home()), *filter(None, [os.environ.get("PETSEG_DATA_DIR")])} - {"/"}:
        if place in printed:
            raise DataError(f"{name}: the cell '{first}' names the folder {place} of this machine. Print its name.")


def page(notebook: Any, folder: Path = NOTEBOOKS) -> str:
    """HTML of a notebook that needs no file beside it, each figure with the words for readers who cannot see it.

    Args:
        notebook: executed.
        folder: from where its texts name pictures.
    """
    exporter = HTMLExporter()
    with warnings.catch_warnings():
        exporter.log.disabled = True  # it warns of missing alt texts, which come next
        body, _ = exporter.from_notebook_node(notebook)
    soup = BeautifulSoup(body, "html.parser")
    for image, words in zip(soup.select(".jp-RenderedImage img"), alt_texts(notebook), strict=True):
        image["alt"] = words
    # nbconvert's own embed_images would fetch those of the web as well
    for image in soup.select("img[src]"):
        picture = folder / str(image["src"])
        if "://" not in str(image["src"]) and picture.suffix == ".png" and picture.is_file():
            image["src"] = f"data:image/png;base64,{b64encode(picture.read_bytes()).decode()}"
    return str(soup)


def alt_texts(notebook: Any) -> list[str]:
    """Alt text of each picture among the outputs, in their order; empty where it has none."""
    outputs = (output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs)
    kinds = ("image/png", "image/jpeg")
    return [
        output.metadata.get(kind, {}).get("alt", "")
        for output in outputs
        for kind in kinds
        if kind in output.get("data", {}) and "text/html" not in output.data
    ]


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
        os.environ["PETSEG_RUNS_DIR"] = str(Path("build/runs", path.stem).resolve())
        try:
            notebook = fit_to_commit(run(path), path.name)
        except CellExecutionError as error:
            return _failed(path, error)
        _write(path, notebook)
        say()
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
        yield path, lambda begun=begun: print(f"{time.monotonic() - begun:.0f} s", flush=True)


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


def main(argv: Sequence[str] | None = None) -> int:
    """Runs `python -m petseg.upkeep.notebooks course|notebooks|stamp [01 02 ...]`."""
    parser = argparse.ArgumentParser(prog="petseg.upkeep.notebooks", description=__doc__)
    parser.add_argument("command", choices=("course", "notebooks", "stamp"))
    parser.add_argument("names", nargs="*", help="numbers of the notebooks, all by default")
    chosen = parser.parse_args(argv)
    try:
        if chosen.command == "stamp":
            stamp()
            return 0
        return course(chosen.names) if chosen.command == "course" else renew(chosen.names)
    except DataError as error:
        print(f"petseg: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
