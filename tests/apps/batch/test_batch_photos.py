"""Which photos files, folders and patterns name."""

from __future__ import annotations

from pathlib import Path

import pytest

from petseg.apps.batch.photos import find_photos, shown


def make(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def found(*given: Path | str, recursive: bool = False) -> list[str]:
    photos, problems = find_photos(map(str, given), recursive)
    assert problems == []
    return [str(photo) for photo in photos]


def problem(*given: Path | str, recursive: bool = False) -> str:
    photos, problems = find_photos(map(str, given), recursive)
    assert photos == []
    assert len(problems) == 1
    return problems[0]


@pytest.fixture(autouse=True)
def _in_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_of_a_folder_its_own_photos_are_taken_by_name(tmp_path: Path) -> None:
    make(tmp_path, "p/b.JPG", "p/a.heic", "p/c.avif", "p/notes.txt", "p/raw.cr2", "p/inner/d.png")
    assert found("p") == ["p/a.heic", "p/b.JPG", "p/c.avif"]


def test_hidden_files_and_earlier_results_in_a_folder_are_no_photos(tmp_path: Path) -> None:
    make(tmp_path, "p/cat.jpg", "p/._cat.jpg", "p/.trash/old.jpg", "p/cat.mask.png", "p/cat.cutout.webp")
    make(tmp_path, "p/cat.overlay.jpg", "p/mask.png")
    assert found("p", recursive=True) == ["p/cat.jpg", "p/mask.png"]


def test_inner_folders_are_searched_only_when_asked(tmp_path: Path) -> None:
    make(tmp_path, "p/z.jpg", "p/b/1.jpg", "p/a/2.jpg", "p/a/deep/3.jpg")
    assert found("p") == ["p/z.jpg"]
    assert found("p", recursive=True) == ["p/z.jpg", "p/a/2.jpg", "p/a/deep/3.jpg", "p/b/1.jpg"]


def test_the_order_is_that_of_the_arguments_and_a_photo_counts_once(tmp_path: Path) -> None:
    make(tmp_path, "z.jpg", "p/a.jpg", "p/b.jpg")
    assert found("z.jpg", "p/b.jpg", "p", "./p/../z.jpg") == ["z.jpg", "p/b.jpg", "p/a.jpg"]


def test_a_pattern_that_the_shell_left_alone_is_expanded(tmp_path: Path) -> None:
    make(tmp_path, "p [1]/b1.jpg", "p [1]/a1.jpg", "p [1]/a2.png", "p [1]/.a3.jpg", "q/a1.jpg")
    assert found("p [1]/*.jpg") == ["p [1]/a1.jpg", "p [1]/b1.jpg"]
    assert found("?/a1*") == ["q/a1.jpg"]
    assert found("**/a1.jpg") == ["p [1]/a1.jpg", "q/a1.jpg"]
    assert found(tmp_path / "p [1]" / "a?.*") == [str(tmp_path / "p [1]" / name) for name in ("a1.jpg", "a2.png")]


def test_a_pattern_that_names_a_folder_means_the_photos_in_it(tmp_path: Path) -> None:
    make(tmp_path, "trip1/a.jpg", "trip2/b.jpg")
    assert found("trip*") == ["trip1/a.jpg", "trip2/b.jpg"]


def test_a_file_whose_name_looks_like_a_pattern_is_that_file(tmp_path: Path) -> None:
    make(tmp_path, "who?.jpg", "whom.jpg", "photo[1].jpg")
    assert found("who?.jpg", "photo[1].jpg") == ["who?.jpg", "photo[1].jpg"]


def test_what_is_named_is_taken_even_if_it_is_missing_or_no_photo_by_its_name() -> None:
    long = "x" * 300 + ".jpg"
    assert found("none.jpg", "notes.txt", ".hidden.jpg", long) == ["none.jpg", "notes.txt", ".hidden.jpg", long]


def test_nothing_found_is_one_sentence_with_a_remedy(tmp_path: Path) -> None:
    make(tmp_path, "text/notes.txt", "outer/inner/cat.jpg", "secret/.git/cat.jpg")
    (tmp_path / "empty").mkdir()
    assert problem("empty").startswith("empty: no photos in this folder; JPEG, PNG, ")
    assert problem("text").endswith("are read. Name another folder.")
    assert problem("outer").endswith("Add --recursive to search the folders in it.")
    assert problem("secret").endswith("Name another folder.")
    assert problem("*.jpg") == "*.jpg: no file has such a name. Check the path."


def test_a_folder_that_cannot_be_read_does_not_hide_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    make(tmp_path, "p/a.jpg", "p/closed/b.jpg", "p/open/c.jpg")
    scandir = os.scandir

    def refusing(path: str) -> object:
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    photos, problems = find_photos(["p"], recursive=True)
    assert [photo.name for photo in photos] == ["a.jpg", "c.jpg"]
    assert problems == ["p/closed: cannot be read (Permission denied). Check its permissions."]


def test_a_name_is_shown_in_one_line_that_any_terminal_can_print() -> None:
    assert shown("a\nb\udcff/Käfer 猫.jpg") == "a?b?/Käfer 猫.jpg"
