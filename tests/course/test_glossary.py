"""The glossary: in alphabetical order, one sentence per term, and each link leads to a heading that exists."""

import re
from pathlib import Path

import nbformat
import pytest

FOLDER = Path(__file__).resolve().parents[2] / "notebooks"
ENTRY = re.compile(r"- \*\*(?P<term>.+?)\*\*: (?P<text>.+) \[(?P<number>\d\d)\]\((?P<name>[\w.]+)#(?P<anchor>\S+)\)")
LINES = [line for line in (FOLDER / "glossary.md").read_text().splitlines() if line.startswith("- ")]


def anchors(path: Path) -> set[str]:
    """The anchors of a notebook's headings, as JupyterLab and GitHub make them: spaces become dashes."""
    texts = [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "markdown"]
    return {found.replace(" ", "-") for text in texts for found in re.findall(r"^#{1,6} +(.+)$", text, re.MULTILINE)}


@pytest.fixture(scope="module")
def known() -> dict[str, set[str]]:
    return {path.name: anchors(path) for path in FOLDER.glob("*.ipynb")}


@pytest.mark.parametrize("line", LINES, ids=lambda line: line[4:30])
def test_an_entry_is_one_sentence_whose_link_leads_to_a_heading(line: str, known: dict[str, set[str]]) -> None:
    entry = ENTRY.fullmatch(line)
    assert entry, line
    assert entry["text"].endswith(".")
    assert entry["name"].startswith(entry["number"])
    assert entry["anchor"] in known[entry["name"]]


def test_terms_are_in_alphabetical_order_and_each_is_there_once() -> None:
    terms = [line.split("**")[1].casefold() for line in LINES]
    assert terms == sorted(set(terms))


def test_every_notebook_defines_terms() -> None:
    assert {line.rpartition("[")[2][:2] for line in LINES} == {path.name[:2] for path in FOLDER.glob("*.ipynb")}
