"""The official splits of Oxford-IIIT Pet, and the validation split that is taken from its trainval split."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Literal

from petseg.errors import DataError

SPECIES = ("cat", "dog")


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


def example_files(folder: Path, example: Example) -> tuple[Path, Path]:
    """Image and trimap of an example; `folder` is `oxford-iiit-pet/`."""
    return folder / "images" / f"{example.name}.jpg", folder / "annotations" / "trimaps" / f"{example.name}.png"


def read_split(folder: Path, split: Literal["trainval", "test"]) -> list[Example]:
    """The examples that an official split list names; other files in the folder are ignored.

    Args:
        folder: `oxford-iiit-pet/`.
        split: which list.

    Raises:
        DataError: the list is missing or a line of it is not `name class species breed`.
    """
    path = folder / "annotations" / f"{split}.txt"
    if not path.is_file():
        raise DataError(
            f"{path}: not there. Fetch the data set with `petseg data oxford`, set PETSEG_DATA_DIR to the folder that "
            "holds oxford-iiit-pet/, or use the cartoons: --data.source cartoon."
        )
    lines = [line.split() for line in path.read_text().splitlines() if line.strip() and not line.startswith("#")]
    try:
        return [Example(name, int(cls), SPECIES[int(species) - 1]) for name, cls, species, _ in lines]
    except (ValueError, IndexError) as error:
        raise DataError(
            f"{path}: holds a line that is not 'name class species breed' ({error}). "
            "Fetch it again with `petseg data oxford`."
        ) from error


def validation_names(examples: Iterable[Example], fraction: float = 0.1) -> frozenset[str]:
    """Names of the examples in the validation split: `fraction` of each breed, the same on every machine.

    Args:
        examples: the official trainval split.
        fraction: between 0 and 1; the count is rounded, but at least 1 per breed.
    """
    chosen: list[str] = []
    by_breed = sorted(examples, key=lambda example: example.breed)
    for _, members in groupby(by_breed, key=lambda example: example.breed):
        # the order of the SHA-256 is as good as a shuffle, and needs no random generator whose version could change it
        names = sorted((e.name for e in members), key=lambda name: hashlib.sha256(name.encode()).digest())
        chosen += names[: max(1, round(fraction * len(names)))]
    return frozenset(chosen)


def first_fraction(examples: Sequence[Example], fraction: float) -> list[int]:
    """Indices of `fraction` of each breed's examples, at least 1 per breed; a smaller fraction is part of a larger one.

    Args:
        examples: in any order.
        fraction: above 0, up to 1.
    """

    def breed(index: int) -> str:
        return examples[index].breed

    chosen: list[int] = []
    for _, members in groupby(sorted(range(len(examples)), key=breed), breed):
        # reversed names: the order of `validation_names` would start with those that are left over from validation
        ranked = sorted(members, key=lambda index: hashlib.sha256(examples[index].name[::-1].encode()).digest())
        chosen += ranked[: max(1, round(fraction * len(ranked)))]
    return sorted(chosen)
