"""The cartoons: drawn cats and dogs with exact trimaps, for quick runs and tests, shipped as `cartoons.zip`.

The file has the layout of Oxford-IIIT Pet: 12 invented breeds with 40 pictures each, 128 x 128 pixels. In `samples/` it
holds two more pictures, 256 x 256 pixels. All were drawn by `petseg/data/cartoon/` of version 1.0.0.
"""

from pathlib import Path
from typing import Final
from zipfile import ZipFile

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from petseg.errors import DataError
from petseg.files import atomic_write

ARCHIVE: Final = Path(__file__).with_name("cartoons.zip")
PER_BREED: Final = 40


def sample(name: str) -> Image.Image:
    """The sample `cat` or `dog`: RGB, 256 x 256. Neither is part of the data set, so no network was trained on it."""
    return _image(f"samples/{name}.png").convert("RGB")


def cartoon(name: str) -> tuple[Image.Image, NDArray[np.uint8]]:
    """One cartoon of the data set, such as `Duskpoint_1`.

    Returns:
        The picture, RGB, 128 x 128, and its trimap, uint8 (128, 128): 1 pet, 2 background, 3 boundary. Things in front
        of the pet are background; whiskers are too thin to count as pet.
    """
    return _image(f"images/{name}.jpg"), np.array(_image(f"annotations/trimaps/{name}.png"))


def write_dataset(root: str | Path, images_per_breed: int = PER_BREED) -> Path:
    """Write the cartoons to `root/oxford-iiit-pet`, in the layout that `torchvision.datasets.OxfordIIITPet` reads.

    Files that hold the same already are kept. The split lists are written last, so an interrupted call leaves nothing
    that looks like a data set; two processes may write at the same time. Of the 2 to 40 images per breed, the first
    half, rounded up, is trainval, the rest is test.

    Raises:
        DataError: the folder holds other images, such as the real photos.
        MissingError: it cannot be written.
    """
    if not 2 <= images_per_breed <= PER_BREED:
        raise ValueError(f"images_per_breed={images_per_breed}: must be 2 to {PER_BREED}")
    folder = Path(root) / "oxford-iiit-pet"
    with ZipFile(ARCHIVE) as archive:
        lines = archive.read("annotations/list.txt").decode().splitlines(keepends=True)
        header = [line for line in lines if line.startswith("#")]
        rows = [line for line in lines if not line.startswith("#") and _number(line) <= images_per_breed]
        _refuse_other_images(folder, {line.split()[0] for line in lines})
        for name in (line.split()[0] for line in rows):
            for path in (f"images/{name}.jpg", f"annotations/trimaps/{name}.png"):
                _write(folder / path, archive.read(path))
    half = (images_per_breed + 1) // 2
    trainval = [line for line in rows if _number(line) <= half]
    test = [line for line in rows if _number(line) > half]
    for split, content in {"list": header + rows, "test": test, "trainval": trainval}.items():
        _write(folder / "annotations" / f"{split}.txt", "".join(content).encode())
    return folder


def _image(member: str) -> Image.Image:
    with ZipFile(ARCHIVE) as archive, archive.open(member) as file:
        image = Image.open(file)
        image.load()
    return image


def _number(line: str) -> int:
    """Number of the image within its breed: 7 for `Duskpoint_7 1 1 1`."""
    return int(line.split()[0].rpartition("_")[2])


def _refuse_other_images(folder: Path, names: set[str]) -> None:
    other = [path for path in sorted(folder.glob("images/[!.]*")) if path.stem not in names]
    if other:
        raise DataError(
            f"{folder}: holds {len(other)} images that are not cartoons, such as {other[0].name}. Choose another "
            "folder for the cartoons, or move this one away."
        )


def _write(path: Path, content: bytes) -> None:
    """Write a file unless it holds this already: a new modification time would make the decoded pixels outdated."""
    if not path.is_file() or path.read_bytes() != content:
        with atomic_write(path) as partial:
            partial.write_bytes(content)
