"""Data sets that lack something or hold the wrong thing: named in a sentence before training starts."""

import os
import random
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import numpy as np
from disks import NoDiskError, make_read_only, small_disk
from PIL import Image, ImageOps
from PIL.ExifTags import Base

from petseg.data.datamodule import PetDataModule
from petseg.data.decode import decode
from petseg.errors import PetsegError

from . import Tally, mutated, refused

NAME = "data sets"

#: A title, what breaks the folder `oxford-iiit-pet`, and what the sentence about it says; None: it is used as it is.
Case = tuple[str, Callable[[Path], object], str | None]

PHOTO, TRIMAP = "images/pug_3.jpg", "annotations/trimaps/pug_3.png"
LISTS = ("annotations/trainval.txt", "annotations/test.txt")


def run(scale: str) -> dict[str, Any]:
    """Tries every case with the data module, then files with random bytes."""
    tally, generator = Tally(), random.Random(0)
    with TemporaryDirectory() as name, patch.dict(os.environ, PETSEG_CACHE_DIR=f"{name}/cache"):
        root = Path(name)
        write(root / "good" / "oxford-iiit-pet")
        for title, damage, sentence in [*files(), *sizes(), *values(), *lists()]:
            with tally.case(title, seconds=5):
                attempt(broken(root, damage), sentence)
        with tally.unless(NoDiskError):
            read_only(tally, root)
        for number in range(2_000 if scale == "full" else 60):
            damaged = generator.choice([PHOTO, TRIMAP, *LISTS])
            with tally.case(f"{damaged} with random bytes, number {number}", seconds=5), suppress(PetsegError):
                attempt(broken(root, on(damaged, partial(mutated, generator=generator))), None)
    return tally.row()


def write(folder: Path) -> None:
    """A data set of three breeds with six images each, half of them in the test split."""
    generator = np.random.default_rng(0)
    lists = dict.fromkeys(LISTS, "")
    for path in (folder / PHOTO, folder / TRIMAP):
        path.parent.mkdir(parents=True)
    for label, breed in enumerate(("pug", "bombay", "saint_bernard"), start=1):
        for number in range(1, 7):
            name = f"{breed}_{number}"
            save(generator.integers(0, 256, (18, 24, 3), np.uint8), folder / f"images/{name}.jpg", "JPEG")
            save(generator.integers(1, 4, (18, 24), np.uint8), folder / f"annotations/trimaps/{name}.png")
            lists[LISTS[number > 3]] += f"{name} {label} {1 + label % 2} 1\n"
    for name, lines in lists.items():
        (folder / name).write_text(lines)


def save(array: np.ndarray, path: Path, kind: str = "PNG") -> None:
    Image.fromarray(array).save(path, kind)


def broken(root: Path, damage: Callable[[Path], object]) -> Path:
    """A copy of the good data set with this damage."""
    shutil.rmtree(root / "case", ignore_errors=True)
    folder = shutil.copytree(root / "good" / "oxford-iiit-pet", root / "case" / "oxford-iiit-pet")
    damage(folder)
    return folder


def prepared(data_dir: Path) -> PetDataModule:
    """What happens before training starts."""
    module = PetDataModule("oxford", data_dir, image_size=16, batch_size=4, progress=False)
    module.prepare_data()
    module.setup()
    module.train_dataloader()
    return module


def attempt(folder: Path, sentence: str | None) -> None:
    """The data set is refused with a sentence, or its pixels are those of its files."""
    if sentence:
        return refused(lambda: prepared(folder.parent), sentence)
    module = prepared(folder.parent)
    for split, dataset in module.datasets.items():
        for index, example in enumerate(module.examples[split]):
            files = (folder / f"images/{example.name}.jpg", folder / f"annotations/trimaps/{example.name}.png")
            image, mask = decode(*files, 16)
            assert np.array_equal(dataset[index].image[0].permute(1, 2, 0), image), f"pixels of {example.name}"
            assert np.array_equal(dataset[index].mask[0], mask), f"mask of {example.name}"
    return None


def files() -> Iterator[Case]:
    """Missing, extra and unreadable files."""
    yield "nothing", lambda _: None, None
    for name in (*LISTS, PHOTO, TRIMAP):
        yield f"{name} missing", instead(name, lambda _: None), f"{name}: missing"
        yield f"{name} is a folder", instead(name, Path.mkdir), f"{name}: (is a folder|missing)"
        yield f"{name} leads nowhere", instead(name, lambda path: path.symlink_to("x")), f"{name}: missing"
        yield f"{name} leads to itself", instead(name, lambda path: path.symlink_to(path)), f"{name}: (cannot|missing)"
        yield f"{name} is a pipe", instead(name, os.mkfifo), f"{name}: (is a folder or a pipe|missing)"
    for name in ("images", "annotations/trimaps", "annotations"):
        yield f"{name}/ missing", lambda folder, name=name: shutil.rmtree(folder / name), "missing"
    for name in (PHOTO, TRIMAP):
        yield f"{name} is a page", on(name, lambda _: b"<html>"), f"{name}: cannot be read"
        for tenth in range(10):
            cut = on(name, lambda content, tenth=tenth: content[: len(content) * tenth // 10])
            yield f"{name} cut at {tenth}0%", cut, f"{name}: cannot be read"
    extra = ("images/._pug_3.jpg", "images/notes.txt", "images/pug_99.jpg", "annotations/trimaps/._pug_3.png")
    yield "extra files", lambda folder: [(folder / name).write_bytes(b"x") for name in extra], None


def sizes() -> Iterator[Case]:
    """Trimaps that do not belong to their photos, and EXIF orientations."""
    for w, h in ((18, 24), (23, 18), (24, 19), (1, 1), (48, 36)):
        sentence = r"pug_3\.jpg has {} x {} pixels, but \S*pug_3\.png has {} x {}: they do not belong together"
        yield f"trimap of {w} x {h}", image(TRIMAP, Image.new("L", (w, h), 1)), sentence.format(24, 18, w, h)
        yield f"photo of {w} x {h}", image(PHOTO, Image.new("RGB", (w, h))), sentence.format(w, h, 24, 18)
    for orientation in range(10):
        yield f"orientation {orientation}", partial(orient, orientation=orientation), None
    for orientation in range(5, 9):
        turned = partial(orient, orientation=orientation, trimap_too=True)
        yield f"orientation {orientation}, trimap upright", turned, "stored on its side, .*do not belong together"


def orient(folder: Path, orientation: int, trimap_too: bool = False) -> None:
    """Gives the photo an EXIF orientation; turns the trimap upright, as some tools do."""
    exif = Image.Exif()
    exif[Base.Orientation] = orientation
    with Image.open(folder / PHOTO) as photo:
        photo.save(folder / PHOTO, "JPEG", exif=exif)
    if trimap_too:
        with Image.open(folder / TRIMAP) as trimap:
            trimap.getexif()[Base.Orientation] = orientation
            ImageOps.exif_transpose(trimap).save(folder / TRIMAP, "PNG", exif=b"")


def values() -> Iterator[Case]:
    """Trimaps of other values and modes, photos of other modes."""
    for wrong in ((0, 1, 2), (1, 2, 4), (1, 2, 255), (0, 255), (257,), (513,), (65281,)):
        array = np.resize(np.array(wrong, np.uint16 if max(wrong) > 255 else np.uint8), (18, 24))
        yield f"trimap of {wrong}", image(TRIMAP, Image.fromarray(array)), "png: has the values"
    trimap = Image.fromarray(np.resize(np.array((1, 2, 3), np.uint8), (18, 24)))
    for mode, kind in {"1": "PNG", "LA": "PNG", "RGB": "PNG", "RGBA": "PNG", "F": "TIFF", "CMYK": "TIFF"}.items():
        yield f"trimap in {mode}", image(TRIMAP, trimap.convert(mode), kind), "png: cannot .*one channel of integers"
    for mode, kind in {"L": "PNG", "P": "PNG", "I": "TIFF", "I;16": "PNG"}.items():
        yield f"trimap in {mode}", image(TRIMAP, trimap.convert(mode), kind), None
    for mode in ("1", "L", "P", "LA", "RGBA"):
        yield f"photo in {mode}", image(PHOTO, Image.new("L", (24, 18), 9).convert(mode)), None
    for mode, kind in {"I;16": "PNG", "I": "TIFF", "F": "TIFF"}.items():
        yield f"photo in {mode}", image(PHOTO, trimap.convert(mode), kind), "more than 8 bits per channel"


def lists() -> Iterator[Case]:
    """Split lists that are wrong, and some that only look unusual."""
    wrong_lines = (
        *("pug", "pug_1 1 2", "pug_1 1 2 1 1", "pug_1,1,2,1", "pug_1 one 2 1", "pug_1 1 3 1", "pug_1 0 2 1"),
        *("pug_1 1 2 -1", "../pug_1 1 2 1", "a/pug_1 1 2 1", "pug\0_1 1 2 1", "pug_1 1.5 2 1", "x" * 100_000),
    )
    usual = {
        "with CRLF": lambda content: content.replace(b"\n", b"\r\n"),
        "with a mark": lambda content: b"\xef\xbb\xbf" + content,
        "with tabs": lambda content: content.replace(b" ", b"\t"),
        "with comments": lambda content: b"#Image CLASS-ID\n\n  \n" + content + b"\n\n",
        "without its last line's end": lambda content: content[:-1],
    }
    for name in LISTS:
        line = rf"{name}, line \d+: "
        for wrong in wrong_lines:
            yield f"{name}: {wrong[:9]}", on(name, lambda text, wrong=wrong: text + wrong.encode()), line
        yield f"{name}: unknown", on(name, lambda text: text + b"x 1 2 1\n"), r"x\.jpg: missing, though the split lists"
        yield f"{name}: long", on(name, lambda text: text + b"x" * 300 + b" 1 1 1\n"), r"x\.jpg: cannot be read"
        yield f"{name} doubled", on(name, lambda text: text * 2), f"{line}.*second time"
        yield f"{name} empty", on(name, lambda _: b""), f"{name}: names no image"
        yield f"{name} of comments", on(name, lambda _: b"# pug_1 1 2 1\n"), f"{name}: names no image"
        yield f"{name} in UTF-16", on(name, lambda text: text.decode().encode("utf-16")), line
        yield f"{name} is a photo", lambda folder, name=name: shutil.copy(folder / PHOTO, folder / name), line
        for title, edit in usual.items():
            yield f"{name} {title}", on(name, edit), None
    copied = lambda folder: shutil.copy(folder / LISTS[1], folder / LISTS[0])  # noqa: E731
    yield "one list twice", copied, r"trainval\.txt and test\.txt share \d photos, such as bombay"
    ones = b"pug_1 1 2 1\nbombay_1 2 1 1\nsaint_bernard_1 3 2 1\n"
    yield "one photo of each breed", on(LISTS[0], lambda _: ones), "no photo is left to train on"


def read_only(tally: Tally, root: Path) -> None:
    """Folders that nobody may write to, not even root."""
    with small_disk(root / "disk", "4m") as disk:
        shutil.copytree(root / "good", disk / "data")
        make_read_only(disk)
        with tally.case("read-only data", seconds=5):
            attempt(disk / "data" / "oxford-iiit-pet", None)
        with tally.case("read-only cartoons", seconds=5):
            refused(PetDataModule("cartoon", disk, progress=False).prepare_data, "Read-only.*data_dir")


def on(name: str, edit: Callable[[bytes], bytes]) -> Callable[[Path], object]:
    """Damage: a file's content is edited."""
    return lambda folder: (folder / name).write_bytes(edit((folder / name).read_bytes()))


def instead(name: str, make: Callable[[Path], object]) -> Callable[[Path], object]:
    """Damage: something else is made in the place of a file."""
    return lambda folder: ((folder / name).unlink(), make(folder / name))


def image(name: str, picture: Image.Image, kind: str = "PNG") -> Callable[[Path], object]:
    """Damage: another image, whatever the ending of its name."""
    return lambda folder: picture.save(folder / name, kind)
