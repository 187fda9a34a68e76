"""The folder that Sphinx reads: notebooks, the site's texts, and the pages made from records, cards and docstrings."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import nbformat
import yaml

from petseg.errors import DataError
from petseg.files import read_json
from petseg.models import zoo
from petseg.upkeep.site.chapters import chapter, page_text
from petseg.upkeep.site.records import KNOWN, ablation_page, other_page, refinement_page, results_page
from petseg.upkeep.site.reference import reference_pages
from petseg.upkeep.stamp import repository

#: Texts of the checkout that are pages as they are, where they exist.
TEXTS: Final = {"notebooks/glossary.md": "glossary.md", "CHANGELOG.md": "changelog.md", "data/README.md": "data.md"}


def assemble(folder: Path) -> Path:
    """Writes the folder from the checkout that is the current folder.

    Raises:
        DataError: a notebook does not say its title, time and hardware in its first cell.
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
    _write(folder / "ablation.md", ablation_page(read_json(figures / "ablation.json")))
    _write(folder / "refinement.md", refinement_page(read_json(figures / "refinement.json")))
    for path in sorted(figures.glob("*.json")):
        if path.stem not in KNOWN:
            _write(folder / f"{path.stem}.md", other_page(path.stem, read_json(path)))
    for card in zoo.cards():
        _write(folder / f"model-{card.name}.md", card.markdown())


def _write_texts(folder: Path) -> None:
    """The texts of `notebooks/site/`, with what the other pages say about themselves in place of `<!-- NAME -->`."""
    parts = {
        "notebooks": notebook_table(folder.glob("0*.ipynb")),
        "chapters": chapter_entries(folder.glob("0*.ipynb")),
        "solutions": _entries(folder, "solutions/*.ipynb"),
        "records": _records(folder),
        "glossary": _entries(folder, "glossary.md"),
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


def chapter_entries(paths: Iterable[Path]) -> str:
    """Entries of the navigation: each notebook with its number and title."""
    named = {path.stem: opening(nbformat.read(path, as_version=4), path.name)[0] for path in sorted(paths)}
    return "\n".join(f"{stem[:2]} {title} <{stem}>" for stem, title in named.items())


def notebook_table(paths: Iterable[Path]) -> str:
    """A table of the notebooks: title, time and hardware, each in the words of its first cell."""
    lines = ["| notebook | time and hardware |", "|---|---|"]
    for path in sorted(paths):
        title, needs = opening(nbformat.read(path, as_version=4), path.name)
        lines.append(f"| [{path.stem[:2]} {title}]({path.name}) | {needs} |")
    return "\n".join(lines)


def opening(notebook: Any, name: str) -> tuple[str, str]:
    """Title, and time and hardware, from a notebook's first cell.

    Raises:
        DataError: it lacks one of them.
    """
    source = notebook.cells[0].source
    title = re.search(r"^# (.+)$", source, re.MULTILINE)
    needs = re.search(r"^\*\*Time and hardware\*\*:? *(.+?)(?:\n\n|\Z)", source, re.MULTILINE | re.DOTALL)
    if not title or not needs:
        raise DataError(f"{name}: its first cell lacks a title or the line '**Time and hardware**: ...'. Add it.")
    sentence = " ".join(needs[1].split())
    return title[1], sentence[0].upper() + sentence[1:]


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
