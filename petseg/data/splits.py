"""The official splits of Oxford-IIIT Pet, and the validation split that is taken from its trainval split."""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Final, Literal

from petseg.errors import FETCH, REPAIR, DataError

#: The data sets: photos or drawings.
Source = Literal["oxford", "cartoon"]

#: Image and trimap of an example.
Files = tuple[Path, Path]

SPLITS: Final = ("trainval", "test")
SPECIES: Final = {1: "cat", 2: "dog"}


@dataclass(frozen=True)
class Example:
    """One line of a split list: name (`Abyssinian_201`), class 1 to 37, species `cat` or `dog`."""

    name: str
    class_id: int
    species: str

    @property
    def breed(self) -> str:
        """The name without its number: `Abyssinian`, `saint_bernard`."""
        return self.name.rpartition("_")[0]


def example_files(folder: Path, example: Example) -> Files:
    """Image and trimap of an example; `folder` is `oxford-iiit-pet/`."""
    return folder / "images" / f"{example.name}.jpg", folder / "annotations" / "trimaps" / f"{example.name}.png"


def read_split(folder: Path, split: str) -> list[Example]:
    """Examples of an official split list, `trainval`, `test` or `list` (both), in its order. Other images are ignored.

    Raises:
        DataError: the list is missing or empty, names an image twice, or has a line that is not `name class species
            breed`.
    """
    path = folder / "annotations" / f"{split}.txt"
    examples: dict[str, Example] = {}
    for number, line in enumerate(_lines(path), start=1):
        if line.strip() and not line.startswith("#"):
            try:
                example = _parse(line)
            except ValueError as error:
                raise DataError(
                    f"{path}, line {number}: {line!r} is not 'name class species breed': {error}. {REPAIR}"
                ) from None
            if example.name in examples:
                raise DataError(f"{path}, line {number}: {example.name} for the second time. Remove the line.")
            examples[example.name] = example
    if not examples:
        raise DataError(f"{path}: names no image. {REPAIR}")
    return list(examples.values())


def validation_names(examples: Iterable[Example], fraction: float = 0.1) -> frozenset[str]:
    """Names of the validation split, the same on every machine: a fraction of each breed of the official trainval."""
    examples = list(examples)
    return frozenset(examples[index].name for index in _part_of_each_breed(examples, fraction, lambda name: name))


def first_fraction(examples: Sequence[Example], fraction: float) -> list[int]:
    """Indices of a fraction of each breed, in order; a smaller fraction is part of a larger one."""
    # reversed names: in the order of `validation_names`, the first ones have gone to validation
    return sorted(_part_of_each_breed(examples, fraction, lambda name: name[::-1]))


def _part_of_each_breed(examples: Sequence[Example], fraction: float, key: Callable[[str], str]) -> list[int]:
    """Indices of a fraction (0 to 1) of each breed, rounded, but at least 1: the first by SHA-256 of their names' key.

    This is as good as a shuffle, and needs no random generator whose version could change it.
    """

    def breed(index: int) -> str:
        return examples[index].breed

    chosen: list[int] = []
    for _, members in groupby(sorted(range(len(examples)), key=breed), breed):
        ranked = sorted(members, key=lambda index: hashlib.sha256(key(examples[index].name).encode()).digest())
        chosen += ranked[: max(1, round(fraction * len(ranked)))]
    return chosen


def _lines(path: Path) -> list[str]:
    try:
        if path.is_file():  # a pipe would be waited for
            return path.read_text(encoding="utf-8-sig", errors="replace").splitlines()  # Windows editors add a mark
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}). Change its permissions.") from error
    raise DataError(
        f"{path}: missing. Fetch the data set with {FETCH}, name the folder that holds oxford-iiit-pet/ (data_dir, "
        "or PETSEG_DATA_DIR where that is not given), or use the cartoons: --data.source cartoon."
    )


def _parse(line: str) -> Example:
    """The example that a line describes, or a ValueError that says what is wrong with it."""
    columns = line.split()
    if len(columns) != 4:
        raise ValueError(f"{len(columns)} columns, expected 4")
    class_id, species, breed_id = (int(column) for column in columns[1:])
    if species not in SPECIES:
        raise ValueError(f"species {species}, expected 1 (cat) or 2 (dog)")
    if not columns[0].isprintable() or Path(columns[0]).name != columns[0]:
        raise ValueError("the name is not that of a file")
    if class_id < 1 or breed_id < 1:
        raise ValueError(f"class {class_id} and breed {breed_id}, which start at 1")
    return Example(columns[0], class_id, SPECIES[species])
