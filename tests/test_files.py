from pathlib import Path

import pytest

from petseg import files

CHECKOUT = Path(__file__).resolve().parents[1]
FOLDERS = {
    "PETSEG_DATA_DIR": (files.data_folder, "data"),
    "PETSEG_CACHE_DIR": (files.cache_folder, "data/cache"),
    "PETSEG_RUNS_DIR": (files.runs_folder, "runs"),
}


@pytest.mark.parametrize("variable", FOLDERS)
def test_a_folder_is_that_of_the_variable_then_of_the_checkout_then_of_the_current_folder(
    variable, monkeypatch, tmp_path
):
    folder, name = FOLDERS[variable]
    monkeypatch.setenv(variable, str(tmp_path / "chosen"))
    assert folder() == tmp_path / "chosen"
    monkeypatch.delenv(variable)
    assert folder() == CHECKOUT / name
    monkeypatch.setattr(files, "checkout", lambda: None)
    monkeypatch.chdir(tmp_path)
    assert folder() == tmp_path / name


@pytest.mark.parametrize("variable", FOLDERS)
def test_a_relative_folder_is_absolute_from_where_it_is_read(variable, monkeypatch, tmp_path):
    monkeypatch.setenv(variable, "some/where")
    monkeypatch.chdir(tmp_path)
    assert FOLDERS[variable][0]() == tmp_path / "some/where"


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "new" / "a.json"
    files.write_json(path, {"a": 1})
    with pytest.raises(TypeError):
        files.write_json(path, {"a": object()})
    with (
        pytest.raises(FileNotFoundError),
        files.atomic_write(path),
    ):  # nothing is written, so there is nothing to rename
        pass
    with pytest.raises(TypeError), files.atomic_write(path) as draft:
        draft.write_text(b"half")
    assert files.read_json(path) == {"a": 1}
    assert [file.name for file in path.parent.iterdir()] == ["a.json"]
