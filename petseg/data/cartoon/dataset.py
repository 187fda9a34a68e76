"""A folder of cartoons in the official Oxford-IIIT Pet layout, written completely or not at all."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Final

from PIL import Image

from petseg.data.cartoon.breeds import BREEDS, Breed
from petseg.data.cartoon.picture import draw_pet
from petseg.errors import DataError, SettingsError

#: Increase it with every change to the drawings, so that existing data sets are drawn again.
DRAWING_VERSION: Final = 1
FOLDER: Final = "oxford-iiit-pet"
MARKER: Final = "cartoon.json"
JPEG_QUALITY: Final = 92

_HEADER = """#Image CLASS-ID SPECIES BREED ID
#ID: 1:{breeds} Class ids
#SPECIES: 1:Cat 2:Dog
#BREED ID: 1-{cats}:Cat 1:{dogs}:Dog
#All images with 1st letter as capital are cat images
#images with small first letter are dog images
"""


def write_dataset(
    root: str | os.PathLike[str], images_per_breed: int = 40, size: int = 128, progress: bool = False
) -> Path:
    """Draw all breeds into `root/oxford-iiit-pet`, for `torchvision.datasets.OxfordIIITPet(root)` to read.

    The data set is drawn in a temporary folder and renamed at the end, so that an interrupted run leaves no incomplete
    one, and two processes can draw at the same time. A complete data set with the same settings is kept; one with other
    settings is replaced.

    Args:
        root: folder that will hold `oxford-iiit-pet/`; made if missing.
        images_per_breed: 2 or more; the first half (rounded up) of each breed is trainval, the rest test.
        size: height and width in pixels, 32 or more.
        progress: count the pictures on stderr.

    Returns:
        The folder `root/oxford-iiit-pet`, with images/*.jpg, annotations/trimaps/*.png (values 1 pet,
        2 background, 3 boundary), annotations/{list,trainval,test}.txt and cartoon.json.

    Raises:
        SettingsError: fewer than 2 images per breed, or a size below 32.
        DataError: the folder holds other files than cartoons, such as the real photos.
    """
    if images_per_breed < 2:
        raise SettingsError(
            f"images_per_breed={images_per_breed}: must be at least 2: trainval and test need one each."
        )
    target = Path(root) / FOLDER
    settings = {"drawing_version": DRAWING_VERSION, "images_per_breed": images_per_breed, "size": size}
    _refuse_foreign(target)
    if _is_complete(target, settings):
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".cartoon-", dir=target.parent, ignore_cleanup_errors=True) as work:
        drawn = Path(work) / FOLDER
        _draw_all(drawn, images_per_breed, size, progress)
        _write_lists(drawn / "annotations", images_per_breed)
        (drawn / MARKER).write_text(json.dumps(settings, indent=2) + "\n")
        _move_into_place(drawn, target, settings)
    return target


def _refuse_foreign(target: Path) -> None:
    if target.is_dir() and any(target.iterdir()) and not (target / MARKER).is_file():
        raise DataError(
            f"{target}: holds files but no {MARKER}, so these are not cartoons and are left alone. "
            "Draw the cartoons into another folder, or move this one away."
        )


def _is_complete(target: Path, settings: dict[str, int]) -> bool:
    """Whether the folder was drawn with these settings and still holds every picture and trimap."""
    try:
        written = json.loads((target / MARKER).read_text())
    except (OSError, ValueError):
        return False
    expected = settings["images_per_breed"] * len(BREEDS)
    files = ("images", "*.jpg"), ("annotations/trimaps", "*.png"), ("annotations", "*.txt")
    counts = [sum(1 for _ in (target / folder).glob(pattern)) for folder, pattern in files]
    return bool(written == settings) and counts == [expected, expected, 3]


def _draw_all(folder: Path, images_per_breed: int, size: int, progress: bool) -> None:
    (folder / "images").mkdir(parents=True)
    (folder / "annotations" / "trimaps").mkdir(parents=True)
    jobs = [(breed, number) for breed in BREEDS for number in range(1, images_per_breed + 1)]
    # in one thread: the many short drawing calls hold the interpreter lock, so threads gain nothing
    for done, (breed, number) in enumerate(jobs, start=1):
        _draw_one(folder, breed, number, size)
        if progress and (done % 20 == 0 or done == len(jobs)):
            print(f"\rcartoons: {done}/{len(jobs)}", end="", file=sys.stderr, flush=True)
    if progress:
        print(file=sys.stderr)


def _draw_one(folder: Path, breed: Breed, number: int, size: int) -> None:
    image, trimap = draw_pet(breed, number, size)
    image.save(folder / "images" / f"{breed.name}_{number}.jpg", quality=JPEG_QUALITY)
    Image.fromarray(trimap).save(folder / "annotations" / "trimaps" / f"{breed.name}_{number}.png")


def _write_lists(folder: Path, images_per_breed: int) -> None:
    """Write list.txt, trainval.txt and test.txt: `Name_ID CLASS-ID SPECIES BREED-ID`, all ids from 1."""
    breeds = sorted(BREEDS, key=lambda breed: breed.name.casefold())
    count = {"cat": 0, "dog": 0}
    trainval: list[str] = []
    test: list[str] = []
    for class_id, breed in enumerate(breeds, start=1):
        count[breed.species] += 1
        ids = f"{class_id} {1 if breed.species == 'cat' else 2} {count[breed.species]}"
        lines = [f"{breed.name}_{number} {ids}\n" for number in range(1, images_per_breed + 1)]
        half = (images_per_breed + 1) // 2
        trainval += lines[:half]
        test += lines[half:]
    header = _HEADER.format(breeds=len(breeds), cats=count["cat"], dogs=count["dog"])
    everything = sorted(trainval + test, key=_class_and_number)
    for name, text in (("list", [header, *everything]), ("trainval", trainval), ("test", test)):
        (folder / f"{name}.txt").write_text("".join(text), newline="\n")


def _class_and_number(line: str) -> tuple[int, int]:
    image, class_id, *_ = line.split()
    return int(class_id), int(image.rpartition("_")[2])


def _move_into_place(drawn: Path, target: Path, settings: dict[str, int]) -> None:
    """Renames the finished data set; if another process with the same settings was faster, its data set stays."""
    for attempt in range(10):
        with contextlib.suppress(OSError):  # the target exists already
            drawn.rename(target)
            return
        if _is_complete(target, settings):
            return
        _refuse_foreign(target)
        # outdated cartoons are moved into the temporary folder; another process may have moved them already
        with contextlib.suppress(FileNotFoundError):
            target.rename(drawn.with_name(f"stale-{attempt}"))
    drawn.rename(target)
