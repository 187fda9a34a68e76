"""The words that the course does not use."""

from pathlib import Path

import nbformat
import pytest

from petseg.upkeep import words

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("text", ["It begins ANEW.", "learnt by\nheart", "lest it fails", "at the desk"])
def test_a_forbidden_word_is_found_in_any_case_and_across_lines(text: str) -> None:
    assert len(list(words.forbidden(text))) == 1


@pytest.mark.parametrize("text", ["the latest desktop", "a manewver", "exhibitions are plural", "where there is"])
def test_a_longer_word_is_spared(text: str) -> None:
    assert list(words.forbidden(text)) == []


def test_the_longer_of_two_phrases_is_named_with_its_line_and_what_to_say_instead() -> None:
    assert list(words.forbidden("Fine.\nIt has learnt by heart.")) == [(2, "learnt by heart", "overfitted")]


def test_cells_of_a_notebook_are_searched_but_not_its_outputs(tmp_path: Path) -> None:
    output = nbformat.v4.new_output("stream", text="anew")
    cells = [nbformat.v4.new_markdown_cell("fine"), nbformat.v4.new_code_cell("# again, lest", outputs=[output])]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "a.ipynb")
    (found,) = words.complaints([tmp_path / "a.ipynb"])
    assert "cell 2:1" in found
    assert '"lest"' in found


def test_the_command_fails_and_prints_the_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.md").write_text("It is trained anew.\n")
    assert words.main([str(tmp_path / "a.md")]) == 1
    assert 'a.md:1: "anew". Say instead: again.' in capsys.readouterr().out
    assert words.main([]) == 0


def test_no_text_of_the_project_uses_a_forbidden_word() -> None:
    patterns = ("petseg/**/*.py", "notebooks/**/*.ipynb", "notebooks/**/*.md", "*.md", "data/README.md", "Makefile")
    others = {".ipynb_checkpoints", "node_modules"}
    paths = [path for pattern in patterns for path in sorted(ROOT.glob(pattern)) if not others & set(path.parts)]
    assert words.complaints(paths) == []
