"""The committed notebooks: as a reader finds them on GitHub, and as small as they must be."""

import re
import tomllib
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import nbformat
import pytest

from petseg.files import read_json
from petseg.upkeep.execution import WIDGET
from petseg.upkeep.notebooks import MAX_BYTES, alt_texts

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "notebooks"
PATHS = sorted(FOLDER.glob("*.ipynb"))
ADDRESS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["urls"]["Repository"]
COLAB = "https://colab.research.google.com/github/{}/blob/main/notebooks/{}"


@pytest.fixture(params=PATHS, ids=lambda path: path.stem, scope="module")
def path(request: pytest.FixtureRequest) -> Path:
    return Path(request.param)


@pytest.fixture(scope="module")
def notebook(path: Path) -> Any:
    return nbformat.read(path, as_version=4)


@pytest.fixture(scope="module")
def code(notebook: Any) -> list[Any]:
    """The code cells."""
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


@pytest.fixture(scope="module")
def headings(notebook: Any) -> list[tuple[int, str]]:
    """Level and text of each heading; lines within code fences are no headings."""
    prose = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    prose = re.sub(r"^```.*?^```", "", prose, flags=re.MULTILINE | re.DOTALL)
    return [(len(marks), text) for marks, text in re.findall(r"^(#{1,6}) +(.+)$", prose, re.MULTILINE)]


def start(cell: Any) -> str:
    """The first line of a cell, by which a message names it."""
    return str(cell.source).split("\n", 1)[0]


def test_it_follows_the_format_and_is_small_enough_for_github_to_show(path: Path, notebook: Any) -> None:
    nbformat.validate(notebook)
    assert re.fullmatch(r"0[1-9]_[a-z0-9_]+", path.stem)
    assert path.stat().st_size < MAX_BYTES


def test_it_was_run_from_top_to_bottom_without_an_error_or_a_warning(code: list[Any]) -> None:
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    for cell in code:
        for output in cell.outputs:
            assert output.output_type != "error", start(cell)
            assert output.get("name") != "stderr", start(cell)
            assert not re.search(r"\b\w*Warning: |Traceback \(most recent", output.get("text", "")), start(cell)


def test_it_carries_no_photo_of_the_data_set_and_no_widget_state(notebook: Any, code: list[Any]) -> None:
    assert [start(cell) for cell in code if "photos" in cell.metadata.get("tags", []) and cell.outputs] == []
    assert "widgets" not in notebook.metadata
    assert not any(WIDGET in output.get("data", {}) for cell in code for output in cell.outputs)


def test_every_figure_has_words_for_those_who_cannot_see_it(notebook: Any) -> None:
    assert [text for text in alt_texts(notebook) if len(text) < 30] == []


def test_its_badges_and_its_set_up_cell_name_the_repository_as_pyproject_does(path: Path, notebook: Any) -> None:
    project = ADDRESS.removeprefix("https://github.com/")
    opening, setup = notebook.cells[:2]
    assert f"]({COLAB.format(project, path.name)})" in opening.source
    assert f"?src=https://github.com/{project}/blob/main/notebooks/{path.name})" in opening.source  # Kaggle
    assert f"/import/github/{project}/blob/main/notebooks/{path.name})" in opening.source  # Studio Lab
    assert setup.metadata["tags"] == ["setup"]
    assert f'"git+{ADDRESS}"' in setup.source
    assert setup.source == nbformat.read(PATHS[0], as_version=4).cells[1].source


def test_it_opens_and_closes_as_all_do(notebook: Any, code: list[Any], headings: list[tuple[int, str]]) -> None:
    opening = notebook.cells[0].source
    assert "**What you will learn**" in opening
    assert "**Time and hardware**" in opening
    assert 3 <= opening.count("\n- ") <= 5
    assert "setup = course.start(seed=" in code[1].source
    assert "profile: full" in code[1].outputs[0].text
    assert "data: oxford" in code[1].outputs[0].text
    parts = [text for level, text in headings if level == 2 and text != "Your own photo"]  # the panel comes last
    assert parts[-2:] == ["What we saw", "Your turn"]
    assert sum("**Read next**" in cell.source for cell in notebook.cells) == 1


def test_its_opening_says_how_long_the_machine_needs_as_measured(path: Path, notebook: Any) -> None:
    """Within a third, since another machine is as much faster or slower."""
    said = re.search(r"needs (\d+ \w+) in profile `quick`.*?and (\d+ \w+) in `full`", notebook.cells[0].source)
    assert said
    for quoted, profile in zip(said.groups(), ("quick", "full"), strict=True):
        number, unit = quoted.split()
        measured = read_json(ROOT / "figures/minutes.json")[path.stem][profile]["seconds"]
        assert 0.75 < int(number) * {"seconds": 1, "minutes": 60}[unit] / measured < 1.33, profile


def test_no_text_shows_a_picture_of_another_folder(notebook: Any) -> None:
    """Neither JupyterLab nor Colab would find it."""
    for cell in notebook.cells:
        shown = re.findall(r"!\[[^\]]*\]\(([^)\s]+)|<img[^>]+src=[\"']([^\"']+)", cell.source)
        for source in map("".join, shown if cell.cell_type == "markdown" else []):
            attached = source.removeprefix("attachment:") in cell.get("attachments", {})
            assert attached or source.startswith("https://"), source


def test_cells_are_few_and_those_of_code_are_short_and_at_most_two_in_a_row(notebook: Any, code: list[Any]) -> None:
    assert len(notebook.cells) <= 65
    lengths = {start(cell): len(cell.source.splitlines()) for cell in code}
    assert {line: length for line, length in lengths.items() if not 1 <= length <= 45} == {}
    assert median(lengths.values()) <= 10
    assert "ccc" not in "".join("c" if cell.cell_type == "code" else "." for cell in notebook.cells)


def test_it_opens_with_its_only_title_and_no_heading_skips_a_level(headings: list[tuple[int, str]]) -> None:
    levels = [level for level, _ in headings]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert [text for (above, _), (level, text) in pairwise(headings) if level > above + 1] == []


def test_readme_lists_every_notebook_with_its_badge() -> None:
    readme = (ROOT / "README.md").read_text()
    assert sorted(set(re.findall(r"\]\(notebooks/([\w.]+)\)", readme))) == [path.name for path in PATHS]
    for path in PATHS:
        assert f"]({COLAB.format(ADDRESS.removeprefix('https://github.com/'), path.name)})" in readme


def test_readme_gives_each_lesson_the_time_that_it_gives_itself() -> None:
    readme = (ROOT / "README.md").read_text()
    for path in PATHS:
        opening = nbformat.read(path, as_version=4).cells[0].source
        hours = {"three": 3, "four": 4}[re.search(r"(\w+) hours of study", opening)[1]]  # type: ignore[index]
        assert re.search(rf"\({re.escape(f'notebooks/{path.name}')}\) \|.*\| {hours} \|", readme), path.name


def test_no_text_uses_a_word_that_the_hook_before_a_commit_refuses() -> None:
    hooks = (ROOT / ".pre-commit-config.yaml").read_text()
    refused = re.compile(re.search(r"entry: (\(\?i\).+)$", hooks, re.MULTILINE)[1])  # type: ignore[index]
    texts = {path.name: "\n".join(cell.source for cell in nbformat.read(path, as_version=4).cells) for path in PATHS}
    texts |= {str(path): path.read_text() for path in [*ROOT.glob("petseg/**/*.py"), *ROOT.glob("*.md")]}
    assert {name: match[0] for name, text in texts.items() if (match := refused.search(text))} == {}
