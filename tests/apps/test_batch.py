"""`petseg segment`: which photos are meant, what their results are called, what is written and said."""

import io
import os
import re
import subprocess
import sys
import time
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFile
from skimage.data import cat, coffee

from petseg import cli
from petseg.apps import batch
from petseg.apps.batch import find_photos, parse_background
from petseg.apps.names import RESULT_ENDINGS, printable, result_names
from petseg.errors import SettingsError
from petseg.inference.predictor import Predictor

OUT = Path("/out")

# --- Which photos are meant ------------------------------------------------------------------------------------------

TREE = (
    *("z.jpg", "notes.txt", "who?.jpg", "whom.jpg", "empty/inner/.git/x.jpg", "text/notes.txt", "outer/inner/cat.jpg"),
    *("p/b.JPG", "p/a.heic", "p/c.avif", "p/notes.txt", "p/raw.cr2", "p/mask.png", "p/in/2.jpg", "p/in/deep/1.png"),
    *("p/._a.jpg", "p/.trash/old.jpg", "p/a.mask.png", "p/a.cutout.webp", "p/a.overlay.jpg"),
    *("q [1]/b1.jpg", "q [1]/a1.jpg", "q [1]/a2.png", "q [1]/.a3.jpg"),
)

OF_P = ["p/a.heic", "p/b.JPG", "p/c.avif", "p/mask.png"]


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with the files of `TREE`."""
    for name in TREE:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "recursive", "expected"),
    [
        (["p"], False, OF_P),  # neither hidden files nor results nor other kinds
        (["p"], True, [*OF_P, "p/in/2.jpg", "p/in/deep/1.png"]),
        (["z.jpg", "p/b.JPG", "p", "./p/../z.jpg"], False, ["z.jpg", "p/b.JPG", "p/a.heic", "p/c.avif", "p/mask.png"]),
        (["q [1]/*.jpg"], False, ["q [1]/a1.jpg", "q [1]/b1.jpg"]),
        (["p/**/?.???"], False, ["p/b.JPG", "p/in/2.jpg", "p/in/deep/1.png"]),
        (["q*"], False, ["q [1]/a1.jpg", "q [1]/a2.png", "q [1]/b1.jpg"]),
        (["who?.jpg"], False, ["who?.jpg"]),  # a file of exactly this name
        *(([name], True, [name]) for name in ("none.jpg", "notes.txt", ".hidden", "photo[1].jpg", "x" * 300)),
    ],
)
def test_arguments_name_photos_each_once_and_in_their_order(tree, arguments, recursive, expected):
    photos, problems = find_photos(arguments, recursive)
    assert ([str(photo) for photo in photos], problems) == (expected, [])
    absolute = [str(tree / argument) for argument in arguments]
    assert find_photos(absolute, recursive)[0] == [tree / name for name in expected]


@pytest.mark.parametrize(
    ("argument", "sentence"),
    [
        ("empty/inner", r"empty/inner: no photos in this folder; JPEG, PNG, .* are read. Name another folder."),
        ("text", r"text: no photos in this folder; .* Name another folder."),
        ("outer", r"outer: no photos in this folder; .* Add --recursive to search its subfolders."),
        ("", r"'': names no photo. Check the variable that holds its path."),
        ("*.png", r"\*.png: no file has such a name. Check the path."),
        ("https://x.org/cat?s=1", r"https://x.org/cat\?s=1: is an address; photos are read from files. Download it .*"),
    ],
)
def test_an_argument_without_photos_is_one_sentence_with_a_remedy(tree, argument, sentence):
    photos, (problem,) = find_photos([argument])
    assert photos == []
    assert re.fullmatch(sentence, problem)


def test_an_unreadable_folder_does_not_hide_the_others(tree, monkeypatch):
    scandir = os.scandir

    def refusing(path: str) -> object:
        if str(path).endswith("deep"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    photos, problems = find_photos(["p"], recursive=True)
    assert [str(photo) for photo in photos] == [*OF_P, "p/in/2.jpg"]
    assert problems == ["p/in/deep: cannot be read (Permission denied). Check its permissions."]


def test_a_path_in_a_message_is_one_line_that_any_terminal_can_print():
    assert printable("a\nb\udcff/Käfer 猫.jpg") == "a?b?/Käfer 猫.jpg"


# --- The names of the results ----------------------------------------------------------------------------------------


def names_of(*photos: str) -> list[str]:
    return result_names([Path(photo) for photo in photos], OUT)


@pytest.mark.parametrize(
    ("photos", "expected"),
    [
        (
            ["/p/cat.jpg", "/p/dog.of.mine.png", "/p/Käfer 猫.heic", "/p/none"],
            ["cat", "dog.of.mine", "Käfer 猫", "none"],
        ),
        (["/p/cat.jpg", "/p/cat.png"], ["cat_jpg", "cat_png"]),
        (["/p/cat.jpg", "/q/cat.jpg", "/q/cat.png"], ["p_cat_jpg", "q_cat_jpg", "cat_png"]),
        (["/1/p/cat.jpg", "/2/p/cat.jpg"], ["cat-[0-9a-f]{8}"] * 2),
        (["/p/cat.jpg", "/p/cat.png", "/p/cat_jpg.png"], ["p_cat_jpg", "cat_png", "cat_jpg"]),  # own stems come first
        (["/p/Cat.jpg", "/p/cat.jpg"], ["Cat-.{8}", "cat-.{8}"]),  # one file in macOS and Windows
        (["/p/\u00e9.jpg", "/p/e\u0301.jpg"], ["\u00e9-.{8}", "e\u0301-.{8}"]),
        (["/p/A.jpg", "/q/a.jpg"], ["p_A_jpg", "q_a_jpg"]),
        (["/p/" + "x" * 242, "/p/" + "x" * 243, "/p/" + "猫" * 83], ["x{242}", "x{233}-.{8}", "猫{77}-.{8}"]),
        (["/out/cat.jpg", "/out/cat.cutout.png", "/out/dog.png"], ["cat_jpg", "cat.cutout", "dog"]),
    ],
)
def test_results_are_named_by_stem_then_format_then_folder_then_a_hash(photos, expected):
    names = names_of(*photos)
    assert all(re.fullmatch(pattern, name) for pattern, name in zip(expected, names, strict=True))
    assert len(set(names)) == len(names)
    files = {str(OUT / f"{name}{ending}") for name in names for ending in RESULT_ENDINGS}
    assert not files & set(photos)
    assert max(len(os.fsencode(Path(file).name)) for file in files) <= 255


def test_names_that_are_not_text_stay_apart():
    photos = [os.fsdecode(b"/p/\xff.jpg"), os.fsdecode(b"/p/\xfe.jpg"), os.fsdecode(b"/p/" + b"\xff" * 248 + b".jpg")]
    assert len(set(names_of(*photos))) == 3


def test_the_order_of_the_photos_does_not_change_their_names():
    photos = ["/1/p/cat.jpg", "/2/p/cat.jpg", "/p/cat.png", "/p/Cat.PNG", "/p/cat_png.jpg"]
    names = dict(zip(photos, names_of(*photos), strict=True))
    for order in permutations(photos):
        assert dict(zip(order, names_of(*order), strict=True)) == names


# --- What is written and said ----------------------------------------------------------------------------------------


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with one photo, `cat.png`."""
    folder = tmp_path / "photos"
    folder.mkdir()
    Image.fromarray(cat()).save(folder / "cat.png")
    (tmp_path / "link").symlink_to(folder)
    monkeypatch.chdir(folder)
    return folder


def plain(path: Path, size: tuple[int, int] = (30, 20)) -> None:
    path.parent.mkdir(exist_ok=True)
    Image.new("RGB", size, "white").save(path)


def set_back(*paths: Path) -> None:
    """Dates files 1,000 seconds before now."""
    for path in paths:
        os.utime(path, ns=(time.time_ns() - 10**12,) * 2)


def segment(*arguments: str | Path, model: str | Path, out: str = "out") -> int:
    return cli.main(["segment", *map(str, arguments), "--out", out, "--model", str(model)])


def names(folder: Path) -> list[str]:
    """The visible files in a folder."""
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def test_the_mask_is_that_of_the_predictor_at_the_photos_size(photos, pet_model, capsys):
    assert segment("cat.png", model=pet_model) == 0
    assert capsys.readouterr() == ("1 of 1 photos done; see out\n", "")
    assert {Image.open(path).size for path in (photos / "out").iterdir()} == {(451, 300)}
    assert np.array_equal(np.asarray(Image.open("out/cat.mask.png")), Predictor(pet_model)("cat.png").mask)


MASK, OVERLAY = {"out/cat.mask.png": "PNG P"}, {"out/cat.overlay.png": "PNG RGB"}


@pytest.mark.parametrize(
    ("options", "out", "expected"),
    [
        ("", "out", MASK | OVERLAY | {"out/cat.cutout.png": "PNG RGBA"}),
        ("--only cutout --only mask --format webp", "out", MASK | {"out/cat.cutout.webp": "WEBP RGB"}),
        ("--only overlay --format jpg", "out", {"out/cat.overlay.jpg": "JPEG RGB"}),  # needs no background
        ("--only cutout --crop --format webp --background white", "out", {"out/cat.cutout.webp": "WEBP RGB"}),
        ("--only cutout --crop --format webp --background blur", "out", {"out/cat.cutout.webp": "WEBP RGB"}),
        ("--only cutout --crop --format jpg --background #ff8800", "out", {"out/cat.cutout.jpg": "JPEG RGB"}),
        ("--only cutout --crop --format jpg --background beach.png", "out", {"out/cat.cutout.jpg": "JPEG RGB"}),
        ("", "cut.png", {"cut.png": "PNG RGBA"}),
        ("", "new/cut.WEBP", {"new/cut.WEBP": "WEBP RGB"}),  # an opaque picture: the pet fills the photo
        ("--background white", "cut.jpeg", {"cut.jpeg": "JPEG RGB"}),
        ("--only mask", "mask.png", {"mask.png": "PNG P"}),
        ("--only cutout", "folder.png", {"folder.png/cat.cutout.png": "PNG RGBA"}),
    ],
)
def test_the_chosen_pictures_are_written_in_their_formats_and_nothing_else(
    photos, pet_model, options, out, expected, capsys
):
    plain(photos / "beach.png", (50, 50))
    (photos / "folder.png").mkdir()
    assert segment("cat.png", *options.split(), model=pet_model, out=out) == 0
    assert capsys.readouterr().out == f"1 of 1 photos done; see {out}\n"
    files = {path.relative_to(photos).as_posix() for path in photos.rglob("*") if path.is_file()}
    assert files == {"cat.png", "beach.png", *expected}
    assert {file: "{0.format} {0.mode}".format(Image.open(file)) for file in expected} == expected
    assert segment("cat.png", *options.split(), "--skip-existing", model=pet_model, out=out) == 0
    assert "0 of 1 photos done, 1 skipped" in capsys.readouterr().out


def test_the_header_of_a_photo_is_parsed_once(photos, pet_model, monkeypatch):
    parsed: list[str] = []
    original = ImageFile.ImageFile.__init__

    def counted(self: ImageFile.ImageFile, *args: Any) -> None:
        parsed.append(type(self).__name__)
        original(self, *args)

    monkeypatch.setattr(ImageFile.ImageFile, "__init__", counted)
    assert segment("cat.png", model=pet_model) == 0
    assert parsed == ["PngImageFile"]


def test_a_photo_that_fails_is_one_line_in_its_turn_and_the_others_go_on(photos, pet_model, capsys):
    (photos / "bad.jpg").write_text("no photo")
    assert segment("bad.jpg", "cat.png", "none.jpg", "empty/*", "x" * 300, model=pet_model) == 1
    output, errors = capsys.readouterr()
    subjects = [line.split(":")[1].strip()[:9] for line in errors.splitlines()]
    assert subjects == ["empty/*", "bad.jpg", "none.jpg", "xxxxxxxxx"]
    assert output == "1 of 4 photos done; see out\n"
    assert (photos / "out" / "cat.cutout.png").is_file()


def test_notes_keep_the_order_of_the_photos_whichever_is_done_first(photos, pet_model, capsys, monkeypatch):
    original = Predictor.photo_logits
    monkeypatch.setattr(batch, "WORKERS", 4)

    def slow_first(self: Predictor, photo: Image.Image) -> Any:
        time.sleep(0.3 if photo.width == 30 else 0)
        return original(self, photo)

    monkeypatch.setattr(Predictor, "photo_logits", slow_first)
    for number in range(6):
        frames = [Image.new("RGB", (30 + number, 20), color) for color in ("white", "black")]
        frames[0].save(photos / f"{number}.gif", save_all=True, append_images=frames[1:])
    assert segment(*(f"{number}.gif" for number in range(6)), model=pet_model) == 0
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(" ")[1] for line in lines] == [f"{number}.gif:" for number in range(6)]
    assert all("only the first is used" in line for line in lines)


def test_a_photo_without_a_pet_gets_no_cutout_and_a_line_that_says_so(photos, small_model, capsys):
    assert segment("cat.png", model=small_model) == 1
    assert names(photos / "out") == ["cat.mask.png", "cat.overlay.png"]
    assert capsys.readouterr().err.startswith("petseg: No pet found in cat.png, so there is no cut-out of it.")
    assert segment("cat.png", "--only", "mask", model=small_model) == 0


def test_a_background_is_blur_or_a_colour_or_the_image_of_a_file(photos):
    for text in ("blur", "orange", "#ff8800", "#f80", "rgb(255, 136, 0)"):
        assert parse_background(text) == text
    plain(photos / "beach.png", (7, 5))
    assert getattr(parse_background("beach.png"), "size", None) == (7, 5)
    (photos / "text.png").write_text("no image")
    for text in ("oragne", "#ff8800f", "x" * 5000, "none.jpg", "text.png"):
        with pytest.raises(SettingsError, match=r"Expected a colour \(orange, #ff8800\), blur or the file of an image"):
            parse_background(text)


def test_a_larger_photo_than_allowed_is_refused(photos, pet_model, capsys):
    assert segment("cat.png", "--max-megapixels", "0.1", model=pet_model) == 1
    assert "at most 0.1 are decoded" in capsys.readouterr().err
    assert segment("cat.png", "--max-megapixels", "0.2", model=pet_model) == 0


def test_nothing_to_do_is_one_sentence_and_no_folder_is_made(photos, pet_model, capsys):
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
        (["--background", "oragne"], "--background oragne: "),
        (["--only", "mask", "--crop"], "Add --only cutout"),
        (["--only", "mask", "--shadow"], "Add --only cutout"),
        (["--only", "overlay", "--background", "white"], "Add --only cutout"),
        *(
            (["--out", name], f"--out {name}: is the photo itself. Name another file.")
            for name in ("cat.png", "../link/cat.png")
        ),
        (["--out", "cat.png/out"], "cannot be made (Not a directory). Name another folder."),
        (["dog.png", "--out", "cut.png"], "--out cut.png: is one file, but there are 2 photos. Name a folder."),
        (["dog.png", "--out", "-"], "--out -: is one file, but there are 2 photos. Name a folder."),
        (["--out", "cut.tif"], "--out cut.tif: expected a folder, or a file whose name ends in .png, .webp or .jpg."),
        (["--out", "cut.png", "--format", "webp"], "a file whose name ends in .webp."),
        (["--out", "cut.jpg", "--only", "mask"], "a file whose name ends in .png."),
        (["--out", "cut.jpg", "--only", "mask", "--only", "mask"], "a file whose name ends in .png."),
        (["--out", "cut.jpg"], "a JPEG cannot be transparent"),
        (["--out", "cut.png", "--only", "mask", "--only", "overlay"], "a file holds one picture."),
        (["--keep-metadata"], "only a JPEG keeps them. Add --format jpg."),
        *((["--max-megapixels", number], "expected a number above 0") for number in ("0", "-1", "nan", "inf")),
    ],
)
def test_impossible_arguments_are_one_sentence_and_status_2(arguments, words, photos, pet_model, capsys):
    assert cli.main(["segment", "--out", "out", "--model", str(pet_model), "cat.png", *arguments]) == 2
    errors = capsys.readouterr().err
    assert words in errors
    assert errors.count("\n") == 1


def test_a_file_for_a_photo_without_a_pet_is_not_written_and_an_old_one_stays(photos, small_model, capsys):
    (photos / "old.png").write_bytes(b"mine")
    for name in ("new.png", "old.png"):
        assert segment("cat.png", model=small_model, out=name) == 1
        assert capsys.readouterr().err.startswith("petseg: No pet found in cat.png")
    assert [path.name for path in sorted(photos.iterdir())] == ["cat.png", "old.png"]
    assert (photos / "old.png").read_bytes() == b"mine"


def test_a_jpeg_keeps_date_and_resolution_on_request_and_never_the_place(photos, pet_model):
    exif = Image.Exif()
    exif[0x0132], exif[0x010F] = "2024:05:06 07:08:09", "Camera"
    dates = {0x9003: "2023:01:02 03:04:05", 0x9004: "2023:01:02 03:04:06"}
    exif.get_ifd(0x8769).update({**dates, 0xA420: "unique"})
    exif.get_ifd(0x8825)[2] = (52.0, 30.0, 0.0)  # latitude
    Image.fromarray(cat()).save("cat.jpg", exif=exif, dpi=(300, 300), comment=b"at home")
    arguments = ("cat.jpg", "--background", "white")
    assert segment(*arguments, "--keep-metadata", model=pet_model, out="kept.jpg") == 0
    assert segment(*arguments, model=pet_model, out="bare.jpg") == 0
    kept, bare = Image.open("kept.jpg"), Image.open("bare.jpg")
    assert dict(kept.getexif().get_ifd(0x8769)) == dates
    assert set(kept.getexif()) == {0x0132, 0x8769}
    assert kept.getexif()[0x0132] == "2024:05:06 07:08:09"
    assert (kept.info["dpi"], kept.tobytes()) == ((300, 300), bare.tobytes())
    assert not set(bare.info) & {"exif", "comment", "dpi"}
    assert "comment" not in kept.info


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
@pytest.mark.parametrize(
    "damage",
    [
        b"Exif\0\0" + b"\xff" * 40,
        b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x32",
        b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x32\0\x02\0\0\0\x04N52\0\0\0\0\0",  # a place for a date
    ],
)
def test_broken_metadata_are_not_kept_and_stop_nothing(damage, photos, pet_model):
    Image.fromarray(cat()).save("cat.jpg", exif=damage)
    assert segment("cat.jpg", "--background", "white", "--keep-metadata", model=pet_model, out="kept.jpg") == 0
    assert dict(Image.open("kept.jpg").getexif()) == {}


def test_a_device_that_fails_is_one_sentence_and_the_best_one_is_replaced_by_the_cpu(
    photos, pet_model, capsys, monkeypatch
):
    assert segment("cat.png", "--device", "cuda:99", model=pet_model) == 1
    assert re.fullmatch(r"petseg: device cuda:99: .+\. Choose another, such as cpu\.\n", capsys.readouterr().err)
    monkeypatch.setattr("petseg.inference.predictor.best_device", lambda: "cuda:99")
    assert segment("cat.png", model=pet_model) == 0
    assert re.fullmatch(r"petseg: cuda:99: .+\. The CPU computes instead, slower\.\n", capsys.readouterr().err)


def test_a_full_disk_is_one_sentence_for_each_photo(photos, pet_model, capsys, monkeypatch):
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    assert segment("cat.png", model=pet_model) == 1
    assert capsys.readouterr().err == (
        "petseg: cat.png: the results cannot be written to out (No space left on device). "
        "Check its permissions and the space on the disk.\n"
    )
    assert list((photos / "out").iterdir()) == []


def test_a_photo_that_is_dated_in_the_future_keeps_its_results(photos, pet_model):
    later = time.time() + 3600
    os.utime(photos / "cat.png", (later, later))
    assert segment("cat.png", model=pet_model) == 0
    assert len(list((photos / "out").iterdir())) == 3


def test_results_stay_until_their_successors_are_written(photos, pet_model, capsys, monkeypatch):
    assert segment("cat.png", model=pet_model) == 0
    earlier = {path.name: path.read_bytes() for path in (photos / "out").iterdir()}
    plain(photos / "cat.png")

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    assert segment("cat.png", model=pet_model) == 1
    assert {path.name: path.read_bytes() for path in (photos / "out").iterdir()} == earlier


def test_a_path_too_long_to_exist_is_one_sentence(photos, pet_model, capsys):
    for arguments in (["--out", f"{'x' * 300}.png"], ["--model", f"{'x' * 300}.safetensors"]):
        assert cli.main(["segment", "cat.png", "--model", str(pet_model), "--out", "out", *arguments]) == 1
        assert re.fullmatch(r"petseg: .+x\.(png|safetensors)\b.+\n", capsys.readouterr().err)


# --- The results of several calls ------------------------------------------------------------------------------------


def test_results_are_replaced_by_default_and_existing_ones_skipped_on_request(photos, pet_model, capsys):
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


@pytest.mark.parametrize("only", [[], ["cutout"], ["mask"], ["mask", "cutout"]])
def test_a_photo_without_a_pet_is_done_once(only, photos, small_model, capsys):
    options = ["--skip-existing", *(word for kind in only for word in ("--only", kind))]
    assert segment("cat.png", *options, model=small_model) == (0 if only == ["mask"] else 1)
    capsys.readouterr()
    assert segment("cat.png", *options, model=small_model) == 0
    assert capsys.readouterr() == ("0 of 1 photos done, 1 skipped since their results exist; see out\n", "")


def test_what_does_not_look_like_a_cat_or_a_dog_is_cut_out_with_anyway(photos, capsys):
    Image.fromarray(coffee()).save("mug.png")
    assert segment("mug.png", "--skip-existing", model="unet") == 1
    assert capsys.readouterr().err == (
        "petseg: Is this a cat or a dog? No pet found in mug.png that looks like one. "
        "If it is one, add --anyway to write its cut-out.\n"
    )
    assert "mug.cutout.png" not in names(photos / "out")
    assert segment("mug.png", "--skip-existing", model="unet") == 0  # nothing is left to do
    assert segment("mug.png", "--skip-existing", "--anyway", model="unet") == 0
    assert names(photos / "out") == ["mug.cutout.png", "mug.mask.png", "mug.overlay.png"]
    assert segment("mug.png", model="unet") == 1
    assert "mug.cutout.png" not in names(photos / "out")


@pytest.mark.parametrize("old_date", [False, True])
def test_a_replaced_photo_is_not_skipped_even_if_it_keeps_an_old_date(old_date, photos, pet_model):
    assert segment("cat.png", model=pet_model) == 0
    set_back(*(photos / "out").iterdir())
    plain(photos / "dog.png")
    if old_date:
        os.utime(photos / "dog.png", (0, 0))
    (photos / "dog.png").replace(photos / "cat.png")
    assert segment("cat.png", "--skip-existing", model=pet_model) == 0
    assert {Image.open(photos / "out" / name).size for name in names(photos / "out")} == {(30, 20)}


@pytest.mark.parametrize("replaced", [False, True])
@pytest.mark.parametrize("format", ["png", "webp"])
def test_an_old_cutout_goes_when_no_pet_is_found_any_more(format, replaced, photos, pet_model, small_model):
    assert segment("cat.png", model=pet_model) == 0
    if replaced:
        plain(photos / "cat.png")
    assert segment("cat.png", "--format", format, model=small_model) == 1
    assert not list((photos / "out").glob("*.cutout.*"))
    assert segment("cat.png", "--format", format, "--skip-existing", model=small_model) == 0
    assert segment("cat.png", "--format", format, model=pet_model) == 0  # and back again
    assert (photos / "out" / f"cat.cutout.{format}").is_file()
    assert not list((photos / "out").glob(".*"))


def test_a_cutout_that_was_not_asked_for_stays_whatever_is_found(photos, pet_model, small_model):
    assert segment("cat.png", model=pet_model) == 0
    assert segment("cat.png", "--only", "mask", model=small_model) == 0
    assert (photos / "out" / "cat.cutout.png").is_file()


@pytest.mark.parametrize("options", [["--format", "webp"], ["--only", "cutout"], ["--only", "mask"]])
def test_no_result_of_an_older_version_of_a_photo_stays_beside_new_ones(options, photos, pet_model):
    assert segment("cat.png", model=pet_model) == 0
    plain(photos / "cat.png")
    set_back(*(photos / "out").iterdir())
    assert segment("cat.png", *options, model=pet_model) == 0
    assert {Image.open(photos / "out" / name).size for name in names(photos / "out")} == {(30, 20)}


def test_results_of_the_same_photo_in_other_formats_stay(photos, pet_model):
    assert segment("cat.png", "--only", "mask", model=pet_model) == 0
    assert segment("cat.png", "--skip-existing", model=pet_model) == 0  # what was never asked for is not taken for done
    assert segment("cat.png", "--only", "cutout", "--format", "jpg", "--background", "red", model=pet_model) == 0
    assert names(photos / "out") == ["cat.cutout.jpg", "cat.cutout.png", "cat.mask.png", "cat.overlay.png"]


# --- The process -----------------------------------------------------------------------------------------------------


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_bar_shows_the_progress_of_several_photos_only_on_a_terminal(photos, pet_model, monkeypatch):
    plain(photos / "dog.png")
    shown = {}
    for terminal, argument in ((Terminal(), "."), (Terminal(), "cat.png"), (io.StringIO(), ".")):
        monkeypatch.setattr(sys, "stderr", terminal)
        assert segment(argument, model=pet_model) == 0
        shown[type(terminal), argument] = terminal.getvalue()
    assert "2/2" in shown[Terminal, "."]
    assert shown[Terminal, "cat.png"] == shown[io.StringIO, "."] == ""


def test_several_photos_are_processed_at_a_time_but_only_one_large_photo(photos, pet_model, monkeypatch):
    original = Predictor.photo_logits
    current: list[int] = []
    together = []

    def watched(self: Predictor, photo: Image.Image) -> Any:
        current.append(photo.width)
        together.append(sorted(current))
        time.sleep(0.05)
        current.remove(photo.width)
        return original(self, photo)

    monkeypatch.setattr(Predictor, "photo_logits", watched)
    monkeypatch.setattr(batch, "WORKERS", 4)
    monkeypatch.setattr(batch, "LARGE", 100 * 20)
    for number in range(4):
        plain(photos / f"small{number}.png")
        plain(photos / f"large{number}.png", (200, 20))
    assert segment(*sorted(photos.glob("*[0-3].png")), model=pet_model) == 0
    assert max(widths.count(200) for widths in together) == 1
    assert max(widths.count(30) for widths in together) > 1


def test_after_an_interruption_no_further_photo_is_started(photos, pet_model, monkeypatch, capsys):
    started = []

    def interrupted(self: Predictor, photo: Any, name: str) -> None:
        started.append(name)
        time.sleep(0.05)
        raise KeyboardInterrupt

    monkeypatch.setattr(Predictor, "__call__", interrupted)
    monkeypatch.setattr(batch, "WORKERS", 1)
    for number in range(50):
        plain(photos / f"{number}.png")
    assert segment(".", model=pet_model) == 130
    assert len(started) < 50
    assert capsys.readouterr().err == "petseg: stopped\n"


def petseg(*arguments: str | Path, **settings: Any) -> subprocess.Popen[Any]:
    """The command in a separate process."""
    environment = {**os.environ, "PYTHONPATH": str(Path(cli.__file__).parents[1]), **settings.pop("env", {})}
    command = [sys.executable, "-m", "petseg.cli", *map(str, arguments)]
    return subprocess.Popen(command, env=environment, **{"text": True, "stdout": subprocess.PIPE, **settings})


@pytest.mark.slow
def test_a_name_that_the_terminal_cannot_print_stops_nothing(photos, pet_model):
    (photos / "猫.jpg").write_text("no photo")
    arguments = ("segment", "猫.jpg", "cat.png", "--out", "猫", "--model", pet_model)
    with petseg(*arguments, env={"PYTHONIOENCODING": "ascii"}, stderr=subprocess.PIPE) as command:
        output, errors = command.communicate()
    assert (command.returncode, output) == (1, "1 of 2 photos done; see \\u732b\n")
    assert re.fullmatch(r"petseg: \\u732b.jpg: not an image.*\n", errors)


@pytest.mark.slow
def test_a_pipe_is_read_and_written(photos, pet_model):
    def piped(data: bytes, *arguments: str) -> tuple[int, bytes, str]:
        pipes = dict.fromkeys(("stdin", "stderr"), subprocess.PIPE)
        with petseg("segment", "-", "--model", pet_model, *arguments, text=False, **pipes) as command:
            output, errors = command.communicate(data)
        return command.returncode, output, errors.decode()

    status, output, errors = piped((photos / "cat.png").read_bytes(), "--out", "-", "--format", "webp")
    image = Image.open(io.BytesIO(output))
    assert (status, errors, image.format, image.size) == (0, "", "WEBP", (451, 300))
    status, output, errors = piped(b"", "--out", "-")
    assert (status, output, errors) == (1, b"", "petseg: stdin: the file is empty. Copy or download it again.\n")
    assert piped((photos / "cat.png").read_bytes(), "--out", "out")[0] == 0
    assert names(photos / "out") == ["stdin.cutout.png", "stdin.mask.png", "stdin.overlay.png"]


@pytest.mark.slow
def test_photos_are_written_whether_or_not_anybody_reads_the_messages(photos, pet_model):
    for number in range(8):
        (photos / f"{number}.jpg").write_text("no photo")
    for number in range(8, 16):
        plain(photos / f"{number}.jpg")
    with petseg("segment", ".", "--out", "out", "--model", pet_model, stderr=subprocess.STDOUT) as command:
        assert command.stdout is not None
        assert command.stdout.readline().startswith("petseg: 0.jpg: not an image")
        command.stdout.close()  # as `| head -1` does
    assert command.returncode == 1
    assert len(list((photos / "out").glob("*.cutout.png"))) == 9


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [["models"], ["segment", "--help"]])
def test_a_list_that_nobody_reads_to_its_end_leaves_no_traceback(arguments, tmp_path):
    with (tmp_path / "errors").open("w") as errors, petseg(*arguments, stderr=errors) as command:
        assert command.stdout is not None
        command.stdout.close()
    assert (tmp_path / "errors").read_text() == ""


@pytest.mark.slow
def test_a_photo_takes_few_modules(photos):
    Image.open(photos / "cat.png").save(photos / "cat.jpg")
    code = (
        "import sys; from petseg import cli; cli.main(['segment', 'cat.jpg', '--out', 'out', '--model', 'unet']); "
        "print(*(m for m in sys.modules if m.startswith('petseg.') and not hasattr(sys.modules[m], '__path__')))"
    )
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    modules = output.splitlines()[-1].split()
    shared = {"petseg.cli", "petseg.errors", "petseg.files", "petseg.labels"}
    assert len(set(modules) - shared) <= 13, modules
