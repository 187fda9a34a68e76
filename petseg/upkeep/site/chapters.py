"""Notebooks as pages of the site: links that work there, alt texts, and notes where outputs are missing on purpose."""

from __future__ import annotations

import re
from base64 import b64decode
from pathlib import Path
from typing import Any, Final

from nbformat.v4 import new_markdown_cell

from petseg.files import atomic_write
from petseg.upkeep.pages import alt_texts

#: Stands below a cell whose outputs were removed because they show photos of the data set.
PHOTOS: Final = (
    "*This cell shows photos of Oxford-IIIT Pet. Their copyright is their owners', so they are not published here: "
    "run the notebook to see them.*"
)


def chapter(notebook: Any, source: Path, address: str, pictures: Path) -> Any:
    """A notebook as Sphinx reads it.

    Args:
        notebook: as it is committed, with its outputs; is changed.
        source: its path in the checkout, for instance `notebooks/02_build_the_unet.ipynb`.
        address: of the repository, to which links lead that leave `notebooks/`.
        pictures: a folder of the page, for the pictures that its texts carry as attachments.
    """
    cells = []
    for cell in notebook.cells:
        cells.append(cell)
        if cell.cell_type == "markdown":
            cell.source = page_text(_detached(cell, pictures), source.parent, address)
        elif cell.cell_type == "code":
            cells += _adapted(cell)
    notebook.cells = cells
    return notebook


def page_text(text: str, folder: Path, address: str) -> str:
    """Markdown whose relative links work on the site, and whose badges are words, which need no network.

    Args:
        text: Markdown.
        folder: where its file lies in the checkout, as a relative path.
        address: of the repository.
    """
    text = re.sub(r"\[!\[([^\]]+)\]\(https://[^)]+\.svg\)\]", r"[\1]", text)
    text = re.sub(r"^(\[Open in .*)$", lambda line: line[1].replace(") [", ") · ["), text, flags=re.MULTILINE)
    return re.sub(r"(?<=\]\()([^)\s]+)(?=\))", lambda link: site_link(link[1], folder, address), text)


def site_link(link: str, folder: Path, address: str) -> str:
    """A link of a file in the checkout, as it stands on the site: to the repository where it leaves `notebooks/`.

    The anchor of a heading is written as JupyterLab does, `#Step-6:-a-soft-edge`; the site's is `#step-6-a-soft-edge`.
    """
    if re.match(r"[a-z]+:", link):
        return link
    link, sharp, anchor = link.partition("#")
    anchor = sharp + re.sub(r"[^\w-]", "", anchor.lower())
    if not link:
        return anchor
    parts: list[str] = []
    for part in (folder / link).parts:
        parts = parts[:-1] if part == ".." else [*parts, part]
    if parts[:1] == ["notebooks"]:
        return link + anchor
    return f"{address}/blob/main/{'/'.join(parts)}{anchor}" if parts else address


def _detached(cell: Any, pictures: Path) -> str:
    """The cell's text with its attachments as files beside the page."""
    text: str = cell.source
    for name, content in cell.pop("attachments", {}).items():
        with atomic_write(pictures / name) as draft:
            draft.write_bytes(b64decode(next(iter(content.values()))))
        text = text.replace(f"attachment:{name}", f"{pictures.name}/{name}")
    return text


def _adapted(cell: Any) -> list[Any]:
    """Gives a code cell the tags and alt text that MyST-NB reads; returns the cells that belong below it."""
    tags = cell.metadata.get("tags", [])
    if "setup" in tags:
        cell.metadata["tags"] = [*tags, "hide-cell"]  # folded: the same in every notebook
    words = " ".join(alt_texts(type(cell)(cells=[cell])))
    if words:
        cell.metadata["mystnb"] = {"image": {"alt": words}}
    return [new_markdown_cell(PHOTOS)] if "photos" in tags and not cell.outputs else []
