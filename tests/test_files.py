import os
import time
from pathlib import Path

import pytest
from disks import make_read_only

from petseg import files
from petseg.errors import MissingError

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
    monkeypatch.chdir(tmp_path)
    for chosen in (str(tmp_path / "chosen"), "chosen"):  # a relative folder is absolute from where it is read
        monkeypatch.setenv(variable, chosen)
        assert folder() == tmp_path / "chosen"
    monkeypatch.delenv(variable)
    assert folder() == CHECKOUT / name
    monkeypatch.setattr(files, "checkout", lambda: None)
    assert folder() == tmp_path / name


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
        draft.write_text(b"half", encoding="utf-8")
    assert files.read_json(path) == {"a": 1}
    assert [file.name for file in path.parent.iterdir()] == ["a.json"]


def test_a_read_only_disk_or_a_file_in_the_place_of_a_folder_is_a_sentence(disk, tmp_path):
    make_read_only(disk)
    with pytest.raises(MissingError, match=r"new/a\.json: cannot be written \(Read-only file system\)"):
        files.write_json(disk / "new" / "a.json", 1)
    (tmp_path / "file").touch()
    with pytest.raises(MissingError, match=r"file/a\.json: cannot be written \(File exists\)"):
        files.write_json(tmp_path / "file" / "a.json", 1)


def test_what_killed_processes_left_is_removed_after_an_hour(tmp_path):
    leftover, young = tmp_path / ".partial-1.json", tmp_path / ".partial-2.json"
    for path in (leftover, young):
        path.touch()
    os.utime(leftover, (time.time() - 4000,) * 2)
    files.write_json(tmp_path / "a.json", 1)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".partial-2.json", "a.json"]
