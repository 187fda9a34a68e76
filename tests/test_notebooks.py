"""The committed notebooks: as a reader finds them on GitHub, and as small as they must be."""

import re
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import nbformat
import pytest

from petseg.upkeep import notebooks as publish
from petseg.upkeep import pages, stamp

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "notebooks"
PATHS = sorted(FOLDER.glob("*.ipynb")) or [
    pytest.param(None, marks=pytest.mark.skip(reason="notebooks/ holds no notebook"))
]


@pytest.fixture(params=PATHS, ids=lambda path: path.stem if path else "none")
def path(request: pytest.FixtureRequest) -> Path:
    found: Path = request.param
    return found


@pytest.fixture
def notebook(path: Path) -> Any:
    return nbformat.read(path, as_version=4)


def code_cells(notebook: Any) -> list[Any]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def headings(notebook: Any) -> list[tuple[int, str]]:
    """Level and text of each heading; lines within code fences are no headings."""
    found = []
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            prose = re.sub(r"^```.*?^```", "", cell.source, flags=re.MULTILINE | re.DOTALL)
            found += [(len(marks), text) for marks, text in re.findall(r"^(#{1,6}) +(.+)$", prose, re.MULTILINE)]
    return found


def start(cell: Any) -> str:
    """The first line of a cell, by which a message names it."""
    return str(cell.source).split("\n", 1)[0]


def test_it_follows_the_format(notebook: Any) -> None:
    nbformat.validate(notebook)


def test_its_name_begins_with_its_number(path: Path) -> None:
    assert re.fullmatch(r"0[1-9]_[a-z0-9_]+", path.stem)


def test_it_is_small_enough_for_github_to_show(path: Path) -> None:
    assert path.stat().st_size < 300_000


def test_it_was_run_from_top_to_bottom(notebook: Any) -> None:
    counts = [cell.execution_count for cell in code_cells(notebook)]
    assert counts == list(range(1, len(counts) + 1))


def test_cells_that_show_photos_of_the_data_set_are_stripped(notebook: Any) -> None:
    tagged = [cell for cell in code_cells(notebook) if "photos" in cell.metadata.get("tags", [])]
    assert [start(cell) for cell in tagged if cell.outputs] == []


def test_it_carries_no_widget_state(notebook: Any) -> None:
    assert "widgets" not in notebook.metadata
    outputs = [output for cell in code_cells(notebook) for output in cell.outputs]
    assert not any(publish.WIDGET in output.get("data", {}) for output in outputs)


def test_every_figure_has_words_for_those_who_cannot_see_it(notebook: Any) -> None:
    short = [words for words in pages.alt_texts(notebook) if len(words) < 30]
    assert short == []


def test_it_names_the_repository_as_pyproject_does(path: Path, notebook: Any) -> None:
    before = nbformat.writes(notebook)
    assert nbformat.writes(stamp.stamped(notebook, stamp.repository(), path.name)) == before


def test_it_opens_with_the_set_up_cell_and_a_cell_that_says_how_it_runs(notebook: Any) -> None:
    first, second = code_cells(notebook)[:2]
    assert "setup" in first.metadata.get("tags", [])
    assert "setup = course.start(seed=" in second.source
    assert "profile: full" in second.outputs[0].text
    assert "data: oxford" in second.outputs[0].text


def test_it_opens_and_closes_as_all_do(notebook: Any) -> None:
    opening = notebook.cells[0].source
    for part in ("**What you will learn**", "**Time and hardware**"):
        assert part in opening
    assert 3 <= opening.count("\n- ") <= 5
    parts = [text for level, text in headings(notebook) if level == 2]
    closing = parts[:-1] if parts[-1] == "Your own photo" else parts  # the panel, which one of them has, comes last
    assert closing[-2:] == ["What we saw", "Your turn"]
    assert sum("**Read next**" in cell.source for cell in notebook.cells) == 1


def test_no_text_shows_a_picture_of_another_folder(notebook: Any) -> None:
    """Neither JupyterLab nor Colab would find it."""
    shown = [
        (found, set(cell.get("attachments", {})))
        for cell in notebook.cells
        if cell.cell_type == "markdown"
        for found in re.findall(r"!\[[^\]]*\]\(([^)\s]+)|<img[^>]+src=[\"']([^\"']+)", cell.source)
    ]
    for (markdown, html), attached in shown:
        source = markdown or html
        assert source.startswith("https://") or source.removeprefix("attachment:") in attached, source


def test_the_typical_code_cell_is_short(notebook: Any) -> None:
    assert median(len(cell.source.splitlines()) for cell in code_cells(notebook)) <= 10


def test_no_output_is_an_error_or_a_warning(notebook: Any) -> None:
    outputs = [(start(cell), output) for cell in code_cells(notebook) for output in cell.outputs]
    assert [line for line, output in outputs if output.output_type == "error"] == []
    assert [line for line, output in outputs if output.get("name") == "stderr"] == []
    shown = [(line, output.get("text", "")) for line, output in outputs]
    assert [line for line, text in shown if re.search(r"\b\w*Warning: |Traceback \(most recent", text)] == []


def test_no_code_cell_is_longer_than_a_class_that_is_the_lesson(notebook: Any) -> None:
    lengths = {start(cell): len(cell.source.splitlines()) for cell in code_cells(notebook)}
    assert {line: length for line, length in lengths.items() if length > 45} == {}


def test_no_code_cell_is_empty(notebook: Any) -> None:
    assert all(cell.source.strip() for cell in code_cells(notebook))


def test_never_more_than_two_code_cells_stand_in_a_row(notebook: Any) -> None:
    kinds = "".join("c" if cell.cell_type == "code" else "." for cell in notebook.cells)
    assert "ccc" not in kinds


def test_it_opens_with_its_only_title(notebook: Any) -> None:
    levels = [level for level, _ in headings(notebook)]
    assert notebook.cells[0].cell_type == "markdown"
    assert levels[0] == 1
    assert levels.count(1) == 1


def test_no_heading_skips_a_level(notebook: Any) -> None:
    found = headings(notebook)
    skipped = [text for (above, _), (level, text) in pairwise(found) if level > above + 1]
    assert skipped == []


def test_readme_lists_every_notebook_with_its_badge() -> None:
    readme = (ROOT / "README.md").read_text()
    listed = re.findall(r"\]\(notebooks/([\w.]+)\)", readme)
    assert sorted(set(listed)) == [path.name for path in sorted(FOLDER.glob("*.ipynb"))]
    for name in set(listed):
        assert stamp.badge(stamp.repository(), name) in readme
