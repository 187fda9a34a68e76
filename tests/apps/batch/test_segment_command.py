"""`petseg segment`, called as in a terminal."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from skimage.data import cat

from petseg import cli
from petseg.apps.batch import run
from petseg.inference.predictor import Predictor


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with one photo, `cat.png`, that is also the current folder."""
    folder = tmp_path / "photos"
    folder.mkdir()
    Image.fromarray(cat()).save(folder / "cat.png")
    monkeypatch.chdir(folder)
    return folder


def plain(path: Path, size: tuple[int, int] = (30, 20)) -> Path:
    path.parent.mkdir(exist_ok=True)
    Image.new("RGB", size, "white").save(path)
    return path


def animation(path: Path) -> Path:
    frames = [Image.new("RGB", (30, 20), color) for color in ("white", "black")]
    frames[0].save(path, save_all=True, append_images=frames[1:])
    return path


def segment(*arguments: str | Path, model: Path, out: str = "out") -> int:
    return cli.main(["segment", *map(str, arguments), "--out", out, "--model", str(model)])


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_mask_overlay_and_cutout_have_the_photos_size(photos: Path, pet_model: Path, capsys: Any) -> None:
    assert segment("cat.png", model=pet_model) == 0
    out = photos / "out"
    assert names(out) == ["cat.cutout.png", "cat.mask.png", "cat.overlay.png"]
    assert {Image.open(path).size for path in out.iterdir()} == {(451, 300)}
    mask = Image.open(out / "cat.mask.png")
    assert mask.mode == "P"
    assert set(np.unique(np.asarray(mask))) <= {0, 1, 2}
    assert Image.open(out / "cat.cutout.png").mode == "RGBA"
    assert capsys.readouterr() == ("1 of 1 photos done; see out\n", "")


def test_a_folder_is_cut_out_and_its_results_are_no_photos_the_next_time(photos: Path, pet_model: Path) -> None:
    plain(photos / "dog.jpg")
    for _ in range(2):
        assert segment(".", model=pet_model, out=".") == 0
    assert len(names(photos)) == 2 + 2 * 3


def test_a_photo_that_fails_is_one_line_in_its_turn_and_the_others_go_on(
    photos: Path, pet_model: Path, capsys: Any
) -> None:
    (photos / "bad.jpg").write_text("no photo")
    assert segment("bad.jpg", "cat.png", "none.jpg", "empty/*", "x" * 300, model=pet_model) == 1
    output, errors = capsys.readouterr()
    lines = errors.splitlines()
    assert [line.split(":")[1].strip()[:9] for line in lines] == ["empty/*", "bad.jpg", "none.jpg", "xxxxxxxxx"]
    assert output == "1 of 4 photos done; see out\n"
    assert (photos / "out" / "cat.cutout.png").is_file()


def test_notes_keep_the_order_of_the_photos_whichever_is_done_first(
    photos: Path, pet_model: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = Predictor.__call__
    monkeypatch.setattr(run, "WORKERS", 4)

    def slow_first(self: Predictor, photo: Any, *, name: str) -> Any:
        time.sleep(0.3 if name == "0.gif" else 0)
        return original(self, photo, name=name)

    monkeypatch.setattr(Predictor, "__call__", slow_first)
    moving = [animation(photos / f"{number}.gif") for number in range(6)]
    assert segment(*(path.name for path in moving), model=pet_model) == 0
    lines = capsys.readouterr().err.splitlines()
    assert lines == [f"petseg: {n}.gif: holds several pictures; only the first is used." for n in range(6)]


def test_a_photo_without_a_pet_is_said_to_have_none_and_gets_no_cutout(
    photos: Path, small_model: Path, capsys: Any
) -> None:
    assert segment("cat.png", model=small_model) == 1
    assert names(photos / "out") == ["cat.mask.png", "cat.overlay.png"]
    assert (
        capsys.readouterr().err
        == "petseg: No pet found in cat.png, so there is no cut-out of it. Try a photo that shows the pet larger.\n"
    )
    assert segment("cat.png", "--only", "mask", model=small_model) == 0


def test_no_result_is_lost_whatever_the_photos_are_called(photos: Path, pet_model: Path) -> None:
    sizes = {
        "cat.jpg": (30, 20),
        "Cat.png": (31, 20),
        "twin/cat.png": (32, 20),
        "Käfer.png": (33, 20),
        "Ka\u0308fer.png": (34, 20),
        "x" * 251 + ".png": (35, 20),
        "猫" * 83 + ".png": (36, 20),
    }
    for name, size in sizes.items():
        plain(photos / name, size)
    assert segment(".", "--recursive", "--only", "mask", model=pet_model) == 0
    masks = names(photos / "out")
    assert {Image.open(photos / "out" / name).size for name in masks} == {*sizes.values(), (451, 300)}
    assert len({name.casefold() for name in masks}) == len(sizes) + 1


def test_only_crop_background_and_format_shape_the_cutout(photos: Path, pet_model: Path) -> None:
    plain(photos / "beach.png", (50, 50))
    options = ["--only", "cutout", "--only", "mask", "--crop", "--format", "jpg"]
    for background in ("white", "#ff8800", "beach.png", "blur"):
        assert segment("cat.png", *options, "--background", background, model=pet_model) == 0
    assert names(photos / "out") == ["cat.cutout.jpg", "cat.mask.png"]
    assert Image.open(photos / "out" / "cat.cutout.jpg").mode == "RGB"


def test_results_are_replaced_unless_existing_ones_are_to_be_skipped(
    photos: Path, pet_model: Path, capsys: Any
) -> None:
    assert segment("cat.png", model=pet_model) == 0
    overlay = photos / "out" / "cat.overlay.png"
    overlay.write_bytes(b"mine")
    plain(photos / "dog.png")
    capsys.readouterr()
    assert segment("cat.png", "dog.png", "--skip-existing", model=pet_model) == 0
    assert overlay.read_bytes() == b"mine"
    assert capsys.readouterr().out == "1 of 2 photos done, 1 skipped since their results exist; see out\n"
    assert segment("cat.png", "--skip-existing", "--format", "webp", model=pet_model) == 0
    assert (photos / "out" / "cat.cutout.webp").is_file()
    assert segment("cat.png", model=pet_model) == 0
    assert overlay.read_bytes() != b"mine"


def test_a_larger_photo_than_allowed_is_refused(photos: Path, pet_model: Path, capsys: Any) -> None:
    assert segment("cat.png", "--max-megapixels", "0.1", model=pet_model) == 1
    assert "at most 0.1 are decoded" in capsys.readouterr().err
    assert segment("cat.png", "--max-megapixels", "0.2", model=pet_model) == 0


def test_nothing_to_do_is_one_sentence_and_no_folder_is_made(photos: Path, pet_model: Path, capsys: Any) -> None:
    (photos / "empty").mkdir()
    assert segment("empty", model=pet_model) == 1
    output, errors = capsys.readouterr()
    assert output == ""
    assert errors.startswith("petseg: empty: no photos in this folder;")
    assert errors.count("\n") == 1
    assert not (photos / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--format", "jpg"], "a JPEG cannot be transparent"),
        (["--background", "oragne"], "--background oragne: expected a colour"),
        (["--only", "mask", "--crop"], "Add --only cutout"),
        (["--out", "cat.png"], "--out cat.png: cannot be made (File exists). Name another folder."),
    ],
)
def test_arguments_that_cannot_be_followed_are_one_sentence_and_status_2(
    arguments: list[str], words: str, photos: Path, pet_model: Path, capsys: Any
) -> None:
    assert cli.main(["segment", "cat.png", "--out", "out", "--model", str(pet_model), *arguments]) == 2
    errors = capsys.readouterr().err
    assert words in errors
    assert errors.count("\n") == 1


@pytest.mark.parametrize("megapixels", ["0", "-1", "nan", "inf", "many"])
def test_a_limit_that_is_no_number_above_0_is_wrong_usage(megapixels: str, capsys: Any) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main(["segment", "a.jpg", "--out", "out", f"--max-megapixels={megapixels}"])
    assert stop.value.code == 2
    assert "expected a number above 0" in capsys.readouterr().err


def test_a_full_disk_is_one_sentence_for_each_photo(
    photos: Path, pet_model: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    assert segment("cat.png", model=pet_model) == 1
    assert capsys.readouterr().err == (
        "petseg: cat.png: the results cannot be written to out (No space left on device). "
        "Check its permissions and the space on the disk.\n"
    )
    assert names(photos / "out") == []


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_bar_shows_the_progress_of_several_photos_on_a_terminal_alone(
    photos: Path, pet_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain(photos / "dog.png")
    shown = {}
    for terminal, given in ((Terminal(), "."), (Terminal(), "cat.png"), (io.StringIO(), ".")):
        monkeypatch.setattr(sys, "stderr", terminal)
        assert segment(given, model=pet_model) == 0
        shown[type(terminal), given] = terminal.getvalue()
    assert "2/2" in shown[Terminal, "."]
    assert shown[Terminal, "cat.png"] == shown[io.StringIO, "."] == ""


def test_photos_are_worked_on_side_by_side_within_a_budget_of_pixels() -> None:
    budget = run.PixelBudget(100)
    held, most = [], []
    lock = threading.Lock()

    def work(pixels: int) -> None:
        with budget.hold(pixels):
            with lock:
                held.append(pixels)
                most.append(list(held))
            time.sleep(0.01)
            with lock:
                held.remove(pixels)

    sizes = [40, 40, 40, 60, 500, 100, 10] * 4
    threads = [threading.Thread(target=work, args=(pixels,)) for pixels in sizes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(most) == len(sizes)
    assert all(sum(pixels) <= 100 or pixels == [500] for pixels in most)
    assert max(map(len, most)) > 1


def test_after_an_interruption_no_further_photo_is_begun(
    photos: Path, pet_model: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    begun = []

    def interrupted(job: run.Job, *_: Any) -> None:
        begun.append(job)
        raise KeyboardInterrupt

    monkeypatch.setattr(run, "_segment", interrupted)
    monkeypatch.setattr(run, "WORKERS", 1)
    for number in range(50):
        plain(photos / f"{number}.png")
    assert segment(".", model=pet_model) == 130
    assert len(begun) < 50
    assert capsys.readouterr().err == "petseg: stopped\n"


def test_a_name_that_the_terminal_cannot_print_stops_nothing(photos: Path, pet_model: Path) -> None:
    (photos / "猫.jpg").write_text("no photo")
    process = subprocess.run(
        [sys.executable, "-m", "petseg.cli", "segment", "猫.jpg", "--out", "猫", "--model", str(pet_model)],
        env={**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONPATH": str(Path(cli.__file__).parents[1])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 1
    assert "Traceback" not in process.stderr
    assert "\\u732b.jpg: not an image" in process.stderr
    assert "see \\u732b" in process.stdout
