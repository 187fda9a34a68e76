"""The folder that Sphinx reads: notebooks, the site's texts, and the pages made from records, cards and docstrings."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any, Final

import nbformat
import yaml

from petseg.errors import DataError
from petseg.files import read_json
from petseg.models import zoo
from petseg.upkeep import minutes
from petseg.upkeep.site import live
from petseg.upkeep.site.chapters import chapter, page_text
from petseg.upkeep.site.records import ABLATIONS, KNOWN, ablation_page, other_page, refinement_page, results_page
from petseg.upkeep.site.reference import reference_pages
from petseg.upkeep.stamp import repository

#: Texts of the checkout that are pages as they are, where they exist.
TEXTS: Final = {"notebooks/glossary.md": "glossary.md", "CHANGELOG.md": "changelog.md", "data/README.md": "data.md"}


def assemble(folder: Path) -> Path:
    """Writes the folder from the checkout that is the current folder.

    Raises:
        DataError: a notebook has no title, or its time was never measured.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    address = repository()
    _write_chapters(folder, address)
    for source, name in TEXTS.items():
        if Path(source).is_file():
            _write(folder / name, page_text(Path(source).read_text(encoding="utf-8"), Path(source).parent, address))
    _write_records(folder / "results")
    for name, text in reference_pages(Path("petseg")).items():
        _write(folder / "reference" / f"{name}.md", text)
    _write_texts(folder)
    shutil.copy("figures/chelsea.jpg", folder)
    return folder


def _write_chapters(folder: Path, address: str) -> None:
    for path in sorted(Path("notebooks").rglob("*.ipynb")):
        if ".ipynb_checkpoints" in path.parts:
            continue
        page = folder / path.relative_to("notebooks")
        notebook = chapter(nbformat.read(path, as_version=4), path, address, page.with_suffix(""))
        _write(page, nbformat.writes(notebook))


def _write_records(folder: Path) -> None:
    figures = Path("figures")
    references = yaml.safe_load((figures / "references.yaml").read_text(encoding="utf-8"))["references"]
    _write(folder / "released.md", results_page(read_json(figures / "results.json"), references))
    for name in ABLATIONS:
        _write(folder / f"{name}.md", ablation_page(name, read_json(figures / f"{name}.json")))
    _write(folder / "refinement.md", refinement_page(read_json(figures / "refinement.json")))
    for path in sorted(figures.glob("*.json")):
        if path.stem not in KNOWN:
            _write(folder / f"{path.stem}.md", other_page(path.stem, read_json(path)))
    for card in zoo.cards():
        _write(folder / f"model-{card.name}.md", card.markdown())


def _write_texts(folder: Path) -> None:
    """The texts of `notebooks/site/`, with what the other pages say about themselves in place of `<!-- NAME -->`."""
    named, times = titles(folder), read_json(minutes.RECORD)
    parts = {
        "notebooks": minutes.minutes_table(named, times),
        "chapters": "\n".join(f"{name[:2]} {words} <{name}>" for name, words in named.items()),
        "solutions": _entries(folder, "solutions/*.ipynb"),
        "records": _records(folder),
        "glossary": _entries(folder, "glossary.md"),
        **minutes.sentences(times),
        **live.page_parts(),
    }
    for path in sorted(Path("notebooks/site").glob("*.md")):
        text = path.read_text(encoding="utf-8")
        _write(folder / path.name, re.sub(r"<!-- (\w+) -->", lambda mark: parts[mark[1]], text))


def _entries(folder: Path, pattern: str) -> str:
    """Entries of the navigation: the pages of a pattern, one per line."""
    return "\n".join(path.relative_to(folder).with_suffix("").as_posix() for path in sorted(folder.glob(pattern)))


def _records(folder: Path) -> str:
    """Entries of the navigation: the records without a page of their own, and the model cards."""
    others = sorted(path.stem for path in Path("figures").glob("*.json") if path.stem not in KNOWN)
    cards = [f"Model card of {name} <results/model-{name}>" for name in zoo.available()]
    return "\n".join([*(f"results/{name}" for name in others), *cards])


def titles(folder: Path) -> dict[str, str]:
    """The title of each notebook of the course, by its name without its ending."""
    return {path.stem: title(nbformat.read(path, as_version=4), path.name) for path in sorted(folder.glob("0*.ipynb"))}


def title(notebook: Any, name: str) -> str:
    """The title in a notebook's first cell.

    Raises:
        DataError: there is none.
    """
    found = re.search(r"^# (.+)$", notebook.cells[0].source, re.MULTILINE)
    if not found:
        raise DataError(f"{name}: its first cell has no title. Begin it with '# ' and the title.")
    return found[1]


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
