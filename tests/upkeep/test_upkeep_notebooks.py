"""Notebooks made ready for the repository: stamped, run, stripped."""

from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from petseg.errors import DataError
from petseg.upkeep import notebooks as publish
from petseg.upkeep import pages

HERE = "https://github.com/someone/theirs"
TITLE = "# Cats\n\n[![Open in Colab](old)](old)\n\nOf cats."
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="


def written(*cells: Any) -> Any:
    return new_notebook(cells=[new_markdown_cell(TITLE), *cells])


def tagged(source: str, *tags: str, outputs: Any = ()) -> Any:
    return new_code_cell(source, metadata={"tags": list(tags)}, outputs=list(outputs))


def picture(alt: str) -> Any:
    return new_output("display_data", {"image/png": PNG, "text/plain": alt}, metadata={"image/png": {"alt": alt}})


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "pyproject.toml").write_text(f'[project.urls]\nRepository = "{HERE}"\n')
    (tmp_path / "README.md").write_text("[![Open in Colab](x)](https://example.com/notebooks/01_cats.ipynb) and text\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PETSEG_PROFILE", "quick")
    monkeypatch.delenv("PETSEG_DATA_DIR", raising=False)
    monkeypatch.setenv("PETSEG_RUNS_DIR", "elsewhere")
    return tmp_path


def save(folder: Path, name: str, notebook: Any) -> Path:
    path = folder / "notebooks" / name
    nbformat.write(notebook, path)
    return path


def test_the_address_is_written_into_set_up_cell_badge_and_readme(checkout: Path) -> None:
    path = save(checkout, "01_cats.ipynb", written(tagged("# setup", "setup")))
    assert publish.main(["stamp"]) == 0
    opening, setup = nbformat.read(path, as_version=4).cells
    link = "https://colab.research.google.com/github/someone/theirs/blob/main/notebooks/01_cats.ipynb"
    assert f"]({link})" in opening.source
    page = "someone/theirs/blob/main/notebooks/01_cats.ipynb"
    assert f"](https://kaggle.com/kernels/welcome?src=https://github.com/{page})" in opening.source
    assert f"](https://studiolab.sagemaker.aws/import/github/{page})" in opening.source
    assert opening.source.endswith("Of cats.")
    assert f"git+{HERE}" in setup.source
    assert f"]({link}) and text\n" in (checkout / "README.md").read_text()


def test_stamping_twice_changes_nothing(checkout: Path) -> None:
    path = save(checkout, "01_cats.ipynb", written(tagged("# setup", "setup")))
    publish.stamp()
    first = path.read_bytes(), (checkout / "README.md").read_bytes()
    publish.stamp()
    assert (path.read_bytes(), (checkout / "README.md").read_bytes()) == first


def test_a_notebook_without_set_up_cell_is_one_sentence(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save(checkout, "01_cats.ipynb", written(tagged("1 + 1")))
    assert publish.main(["stamp"]) == 1
    assert "01_cats.ipynb: has 0 cells tagged 'setup'" in capsys.readouterr().err


def test_photos_widgets_and_this_machine_are_left_out() -> None:
    widget = new_output("display_data", {publish.WIDGET: {"model_id": "1"}, "text/plain": "Slider()"})
    words = new_output("stream", name="stdout", text="three cats")
    photos = tagged("show()", "photos", outputs=[picture("a cat")])
    notebook = written(photos, tagged("slide()", outputs=[widget, words]))
    notebook.metadata = {"widgets": {"state": 1}, "language_info": {"name": "python", "version": "3.99"}}
    notebook.cells[1].execution_count = 1
    notebook.cells[2].metadata["execution"] = {"iopub.execute_input": "2026"}
    found = publish.fit_to_commit(notebook, "01_cats.ipynb")
    nbformat.validate(found)
    assert [cell.outputs for cell in found.cells[1:]] == [[], [words]]
    assert found.cells[1].execution_count == 1
    assert "execution" not in found.cells[2].metadata
    assert "widgets" not in found.metadata
    assert "3.99" not in str(found.metadata)


@pytest.mark.parametrize(
    ("output", "sentence"),
    [
        (new_output("stream", name="stderr", text="Epoch 1: 50%"), "wrote to stderr: 'Epoch 1: 50%'"),
        (new_output("stream", name="stdout", text=f"read {Path.cwd()}/data"), f"names the folder {Path.cwd()}"),
    ],
)
def test_noise_and_names_of_this_machine_are_refused(output: Any, sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        publish.fit_to_commit(written(tagged("train()", outputs=[output])), "03.ipynb")


def test_renewing_keeps_the_outputs_and_runs_each_notebook_from_its_own_state(checkout: Path) -> None:
    code = "import os\nprint(os.environ['PETSEG_PROFILE'], os.path.basename(os.environ['PETSEG_RUNS_DIR']))"
    paths = [save(checkout, f"{name}.ipynb", written(tagged(code))) for name in ("01_cats", "02_dogs")]
    assert publish.main(["notebooks"]) == 0
    cells = [nbformat.read(path, as_version=4).cells[1] for path in paths]
    assert [cell.outputs[0].text for cell in cells] == ["quick 01_cats\n", "quick 02_dogs\n"]
    assert [cell.execution_count for cell in cells] == [1, 1]


def test_renewing_records_the_time_of_a_run_from_nothing_alone(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[str] = []
    monkeypatch.setattr(publish.minutes, "keep", lambda name, *_: kept.append(name))
    source = "import os, pathlib\nfolder = pathlib.Path(os.environ['PETSEG_RUNS_DIR'])\n"
    source += "folder.mkdir(parents=True, exist_ok=True)\n(folder / 'run.json').touch()"
    save(checkout, "01_cats.ipynb", written(new_code_cell(source)))
    for _ in range(2):
        assert publish.main(["notebooks"]) == 0
    assert kept == ["01_cats"]


def test_measuring_records_the_time_and_leaves_the_notebook_as_it_was(checkout: Path) -> None:
    path = save(checkout, "01_cats.ipynb", written(tagged("print('meow')")))
    before = path.read_bytes()
    assert publish.main(["minutes"]) == 0
    assert path.read_bytes() == before
    assert "01_cats" in (checkout / "figures" / "minutes.json").read_text()


def test_a_notebook_that_fails_is_left_as_it_was(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = save(checkout, "01_cats.ipynb", written(tagged("cats = 1 / 0")))
    before = path.read_bytes()
    assert publish.main(["notebooks", "01"]) == 1
    assert "ZeroDivisionError" in capsys.readouterr().err
    assert path.read_bytes() == before
    assert sorted(entry.name for entry in path.parent.iterdir()) == ["01_cats.ipynb"]


def test_a_notebook_too_large_for_github_is_not_written(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = save(checkout, "01_cats.ipynb", written(tagged("print('x' * 400_000)")))
    before = path.read_bytes()
    assert publish.main(["notebooks"]) == 1
    assert "01_cats.ipynb: 400," in capsys.readouterr().err
    assert path.read_bytes() == before


def test_a_page_has_the_words_of_every_figure() -> None:
    notebook = written(tagged("a", outputs=[picture('Cats "sit" & purr')]), tagged("b", outputs=[picture("Dogs run")]))
    html = pages.page(notebook)
    assert 'alt="Dogs run"' in html
    assert "alt='Cats \"sit\" &amp; purr'" in html or "Cats &quot;sit&quot; &amp; purr" in html
    assert "No description" not in html


def test_a_page_holds_the_pictures_that_are_attached_to_its_texts() -> None:
    cell = new_markdown_cell("![The panel](attachment:panel.png)", attachments={"panel.png": {"image/png": PNG}})
    assert f"data:image/png;base64,{PNG}" in pages.page(new_notebook(cells=[cell]))


def test_stamping_reads_attached_pictures_again(checkout: Path) -> None:
    cell = new_markdown_cell("![The panel](attachment:panel.jpg)", attachments={"panel.jpg": {"image/jpeg": "old"}})
    path = save(checkout, "05_pet.ipynb", written(tagged("# setup", "setup"), cell))
    (checkout / "figures").mkdir()
    (checkout / "figures" / "panel.jpg").write_bytes(b"a picture")
    publish.stamp()
    (attached,) = nbformat.read(path, as_version=4).cells[-1].attachments.values()
    assert attached == {"image/jpeg": "YSBwaWN0dXJl"}


def test_asking_for_no_notebook_there_is_one_sentence(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save(checkout, "01_cats.ipynb", written())
    assert publish.main(["course", "07"]) == 1
    assert capsys.readouterr().err == "petseg: notebooks/ holds no notebook 07.\n"
