"""Notebooks are run, stripped for the repository, and written as pages."""

import re
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import nbformat
import pytest
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from petseg.errors import DataError, PetsegError
from petseg.upkeep import execution, notebooks

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="


def tagged(source: str, *tags: str, outputs: Any = ()) -> Any:
    return new_code_cell(source, metadata={"tags": list(tags)}, outputs=list(outputs))


def picture(alt: str) -> Any:
    return new_output("display_data", {"image/png": PNG, "text/plain": alt}, metadata={"image/png": {"alt": alt}})


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "notebooks").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PETSEG_PROFILE", "quick")
    monkeypatch.delenv("PETSEG_DATA_DIR", raising=False)
    monkeypatch.setenv("PETSEG_RUNS_DIR", "elsewhere")
    return tmp_path


def save(folder: Path, name: str, *sources: str) -> Path:
    path = folder / "notebooks" / name
    nbformat.write(new_notebook(cells=[new_code_cell(source) for source in sources]), path)
    return path


def test_photos_widgets_and_this_machine_are_left_out() -> None:
    widget = new_output("display_data", {execution.WIDGET: {"model_id": "1"}, "text/plain": "Slider()"})
    text = new_output("stream", name="stdout", text="three cats")
    photos = tagged("show()", "photos", outputs=[picture("a cat")])
    notebook = new_notebook(cells=[photos, tagged("slide()", outputs=[widget, text])])
    notebook.metadata = {"widgets": {"state": 1}, "language_info": {"name": "python", "version": "3.99"}}
    notebook.cells[0].execution_count = 1
    notebook.cells[1].metadata["execution"] = {"iopub.execute_input": "2026"}
    stripped = execution.strip(notebook, "01_cats.ipynb")
    nbformat.validate(stripped)
    assert [cell.outputs for cell in stripped.cells] == [[], [text]]
    assert stripped.cells[0].execution_count == 1
    assert "execution" not in stripped.cells[1].metadata
    assert "widgets" not in stripped.metadata
    assert "3.99" not in str(stripped.metadata)


@pytest.mark.parametrize(
    ("output", "sentence"),
    [
        (new_output("stream", name="stderr", text="Epoch 1: 50%"), "wrote to stderr: 'Epoch 1: 50%'"),
        (new_output("stream", name="stdout", text=f"read {Path.cwd()}/data"), f"names the folder {Path.cwd()}"),
    ],
)
def test_noise_and_names_of_this_machine_are_refused(output: Any, sentence: str) -> None:
    with pytest.raises(DataError, match=re.escape(sentence)):
        execution.strip(new_notebook(cells=[tagged("train()", outputs=[output])]), "03.ipynb")


@pytest.mark.notebooks
def test_renewing_runs_each_notebook_with_a_separate_folder_of_runs_and_keeps_its_outputs(checkout: Path) -> None:
    code = "import os\nprint(os.environ['PETSEG_PROFILE'], os.path.basename(os.environ['PETSEG_RUNS_DIR']))"
    paths = [save(checkout, f"{name}.ipynb", code) for name in ("01_cats", "02_dogs")]
    assert notebooks.main(["notebooks", "--record"]) == 0
    cells = [nbformat.read(path, as_version=4).cells[0] for path in paths]
    assert [cell.outputs[0].text for cell in cells] == ["quick 01_cats\n", "quick 02_dogs\n"]
    assert [cell.execution_count for cell in cells] == [1, 1]
    assert '"02_dogs": {\n    "quick": {\n      "seconds"' in (checkout / notebooks.MINUTES).read_text()


@pytest.mark.notebooks
@pytest.mark.parametrize(
    ("code", "sentence"),
    [("cats = 1 / 0", "ZeroDivisionError"), ("print('x' * 400_000)", "01_cats.ipynb: 400,")],
    ids=["a cell fails", "too large for GitHub"],
)
def test_a_notebook_that_cannot_be_renewed_stays_as_it_was(
    code: str, sentence: str, checkout: Path, capsys: Any
) -> None:
    path = save(checkout, "01_cats.ipynb", code)
    before = path.read_bytes()
    assert notebooks.main(["notebooks", "01"]) == 1
    assert sentence in capsys.readouterr().err
    assert path.read_bytes() == before
    assert [entry.name for entry in path.parent.iterdir()] == ["01_cats.ipynb"]


@pytest.mark.notebooks
def test_the_course_writes_a_page_of_each_notebook_and_stops_at_one_that_fails(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.delenv("PETSEG_RUNS_DIR")
    path = save(checkout, "01_cats.ipynb", "import os\nprint('meow in', os.environ['PETSEG_RUNS_DIR'])")
    save(checkout, "02_dogs.ipynb", "dogs = 1 / 0")
    save(checkout, "03_more.ipynb", "print('more')")
    before = path.read_bytes()
    assert notebooks.main(["course"]) == 1
    said = capsys.readouterr()
    assert "[2/3] 02_dogs" in said.out
    assert "[3/3]" not in said.out
    assert "02_dogs.ipynb failed" in said.err
    assert "ZeroDivisionError" in said.err
    meow = f"meow in {checkout / 'build/runs/course'}"  # apart from the reader's own runs
    assert meow in (checkout / "build/course/01_cats.html").read_text()
    assert path.read_bytes() == before


def test_a_page_has_the_alt_text_of_every_figure_and_the_pictures_attached_to_its_texts() -> None:
    cells = [tagged("a", outputs=[picture('Cats "sit" & purr')]), tagged("b", outputs=[picture("Dogs run")])]
    attachments = {"panel.png": {"image/png": PNG}}
    text = new_markdown_cell("![The panel](attachment:panel.png)", attachments=attachments)
    html = notebooks.page(new_notebook(cells=[*cells, text]))
    assert 'alt="Dogs run"' in html
    assert 'Cats "sit" &amp; purr' in html.replace("&quot;", '"')
    assert "No description" not in html
    assert html.count(f"data:image/png;base64,{PNG}") == 3


def test_asking_for_no_notebook_there_is_one_sentence(checkout: Path, capsys: Any) -> None:
    assert notebooks.main(["course", "07"]) == 1
    assert capsys.readouterr().err == "petseg: notebooks/ holds no notebook 07.\n"


def test_a_page_needs_no_network_for_formulas_and_badges_and_leads_to_the_other_pages() -> None:
    source = (
        "Price `$5`: $m/\\sqrt{v}$, see [training](03_train.ipynb#Loss), [why](glossary.md) and [x](https://x.org)."
    )
    html = notebooks.page(new_notebook(cells=[new_markdown_cell(source)]))
    assert html.count("<math") == 1
    assert "<code>$5</code>" in html
    assert "mathjax.js" not in html.lower()
    links = re.findall(r'<a href="([^"#]+[^"]*)"', html)
    assert links == ["03_train.html#Loss", notebooks.REPOSITORY + "glossary.md", "https://x.org"]
    assert "prefers-color-scheme: dark" in html
    badges = [f"[![Open in {name}](https://x.org/b.svg)](https://{name}.org)" for name in ("Colab", "Kaggle")]
    html = notebooks.page(new_notebook(cells=[new_markdown_cell("# Build it\n\n" + " ".join(badges))]))
    assert "<title>Build it</title>" in html
    assert "x.org" not in html
    assert re.search(r">Open in Colab</a> · <a href=.https://Kaggle.org.>Open in Kaggle</a>", html)


def test_slides_begin_a_column_at_each_section_and_leave_the_set_up_out() -> None:
    texts = ["# Cats", "## Purr", "How? $x^2$\n\n## Sleep"]
    cells = [new_markdown_cell(text) for text in texts]
    html = notebooks.slides(
        new_notebook(cells=[*cells, tagged("x = 1"), new_code_cell("y", metadata={"tags": ["setup"]})])
    )
    body = html[html.index('<div class="slides">') :]
    columns = body.split("<section><section>")[1:]
    assert ["Cats" in columns[0], "Purr" in columns[1] and "How" in columns[1], "Sleep" in columns[2]] == [True] * 3
    assert len(columns) == 3
    assert "<msup>" in columns[1]  # a formula that needs no script


def test_slides_take_their_scripts_from_the_folder_where_those_were_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    lesson = new_notebook(cells=[new_markdown_cell("# Cats")])
    assert "https://unpkg.com/reveal.js" in notebooks.slides(lesson)
    (notebooks.SLIDES / "node_modules").mkdir(parents=True)
    html = notebooks.slides(lesson)
    assert "unpkg" not in html
    assert all(f'"{notebooks.SCRIPTS[key]}' in html for key in notebooks.SCRIPTS)


def test_the_index_lists_each_page_by_its_heading(tmp_path: Path) -> None:
    (tmp_path / "01_a.html").write_text("<h1>Explore<a>¶</a></h1>")
    (tmp_path / "02_b.html").write_text("<p>no heading</p>")
    html = notebooks.index([tmp_path / "01_a.html", tmp_path / "02_b.html"])
    assert '<a href="01_a.html">Explore</a>' in html
    assert '<a href="02_b.html">02_b</a>' in html


@pytest.mark.parametrize("error", [DeadKernelError("Kernel died"), CellTimeoutError("timed out")])
def test_a_kernel_that_ends_or_a_cell_without_an_end_is_one_sentence(error, monkeypatch):
    monkeypatch.setattr(execution.ExecutePreprocessor, "preprocess", Mock(side_effect=error))
    with pytest.raises(PetsegError, match=r"^01_cats.ipynb: its kernel ended, or a cell took more than two hours"):
        execution.run(Path("01_cats.ipynb"), new_notebook())
