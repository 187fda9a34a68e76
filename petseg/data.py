"""Oxford-IIIT Pet, or its cartoon stand-in, as a Lightning data module.

O. M. Parkhi, A. Vedaldi, A. Zisserman, C. V. Jawahar: Cats and Dogs (CVPR 2012),
https://www.robots.ox.ac.uk/~vgg/data/pets/, CC BY-SA 4.0.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, Literal, NamedTuple

import lightning as L
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision.datasets import OxfordIIITPet

from petseg.cache import DataError, Pixels, open_pixels
from petseg.cartoon import write_dataset

Source = Literal["oxford", "cartoon"]
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


class Batch(NamedTuple):
    """Some examples.

    `image`: uint8 (B, 3, S, S), channels last in memory; `mask`: uint8 (B, S, S), labels;
    `place`: int64 (B,), where each example stands in its split.
    """

    image: Tensor
    mask: Tensor
    place: Tensor


def default_data_dir() -> Path:
    """The folder that holds `oxford-iiit-pet/`: `PETSEG_DATA_DIR`, else the checkout's `data/`, else `./data`."""
    if chosen := os.environ.get("PETSEG_DATA_DIR"):
        return Path(chosen)
    return _own_data_dir()


def checkout() -> Path | None:
    """The folder of the repository that this package is run from; None where it was installed without it."""
    folder = Path(__file__).resolve().parents[1]
    return folder if (folder / "pyproject.toml").is_file() else None


def _own_data_dir() -> Path:
    return (checkout() or Path.cwd()) / "data"


def cache_dir() -> Path:
    """Where decoded pixels are kept: `PETSEG_CACHE_DIR`, else `cache/` in `data/` of the checkout, else in `./data`."""
    if chosen := os.environ.get("PETSEG_CACHE_DIR"):
        return Path(chosen)
    return _own_data_dir() / "cache"


def read_split(folder: Path, split: Literal["trainval", "test"]) -> list[Example]:
    """The examples that an official split list names; files that no list names do not exist for us.

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


def validation_names(examples: Iterable[Example], share: float = 0.1) -> frozenset[str]:
    """Names that make the validation split: `share` of each breed, the same on every machine.

    Within a breed the names are ordered by their SHA-256, as good as a shuffle and free of any random generator.

    Args:
        examples: the official trainval split.
        share: between 0 and 1; the count is rounded, but at least 1 for each breed.
    """
    chosen: list[str] = []
    by_breed = sorted(examples, key=lambda example: example.breed)
    for _, members in groupby(by_breed, key=lambda example: example.breed):
        names = sorted((e.name for e in members), key=lambda name: hashlib.sha256(name.encode()).digest())
        chosen += names[: max(1, round(share * len(names)))]
    return frozenset(chosen)


def first_share(examples: Sequence[Example], share: float) -> list[int]:
    """Places of `share` of each breed's examples, at least 1 of each: a smaller share is part of a larger one.

    Args:
        examples: in any order; within a breed they are taken in the order of the SHA-256 of their reversed names.
        share: above 0, up to 1.
    """

    def breed(place: int) -> str:
        return examples[place].breed

    chosen: list[int] = []
    for _, members in groupby(sorted(range(len(examples)), key=breed), breed):
        ranked = sorted(members, key=lambda place: hashlib.sha256(examples[place].name[::-1].encode()).digest())
        chosen += ranked[: max(1, round(share * len(ranked)))]
    return sorted(chosen)


class PixelDataset(Dataset[Batch]):
    """Rows of a decoded split. A batch is gathered whole (`__getitems__`), not example by example.

    Args:
        pixels: the decoded split.
        rows: which of its rows belong to this data set.
    """

    def __init__(self, pixels: Pixels, rows: Sequence[int]) -> None:
        self.pixels = pixels
        self.rows = torch.as_tensor(rows, dtype=torch.int64)

    def __len__(self) -> int:
        """Number of examples."""
        return len(self.rows)

    def __getitems__(self, indices: list[int]) -> Batch:
        """The batch of the examples at these places; the image tensor is channels last without a copy."""
        index = torch.as_tensor(indices)
        rows = self.rows[index].numpy()
        image = torch.from_numpy(self.pixels.images[rows]).permute(0, 3, 1, 2)  # (B, 3, S, S)
        return Batch(image, torch.from_numpy(self.pixels.masks[rows]), index)

    def __getitem__(self, index: int) -> Batch:
        """A batch of one."""
        return self.__getitems__([index])


def _whole(batch: Any) -> Any:
    return batch


class PetDataModule(L.LightningDataModule):
    """Train, validation and official test split, decoded once and memory-mapped.

    Args:
        source: `oxford` reads `<data_dir>/oxford-iiit-pet/`; `cartoon` draws the embedded data set first.
        data_dir: see `default_data_dir`; cartoons go to `cartoon/` in it, by default in that of the checkout, since
            `PETSEG_DATA_DIR` may name a folder that cannot be written.
        image_size: height and width of images and masks, in pixels; the aspect ratio is not kept.
        batch_size: examples in a batch, on each device.
        val_share: share of each breed of the official trainval split that becomes validation.
        train_share: share of each breed of the train split that is used, to learn what more examples are worth.
        num_workers: loader processes; 0 is fastest, since a batch is one gather from memory.
        progress: show a bar while pixels are decoded.
    """

    def __init__(
        self,
        source: Source = "oxford",
        data_dir: Path | None = None,
        image_size: int = 128,
        batch_size: int = 32,
        val_share: float = 0.1,
        train_share: float = 1.0,
        num_workers: int = 0,
        progress: bool = True,
    ) -> None:
        super().__init__()
        for name, value in {"image_size": image_size, "batch_size": batch_size}.items():
            if value < 1:
                raise ValueError(f"{name}={value}: must be at least 1.")
        if not 0 < val_share < 1:
            raise ValueError(f"val_share={val_share}: must lie between 0 and 1, for instance 0.1.")
        if not 0 < train_share <= 1:
            raise ValueError(f"train_share={train_share}: must be above 0 and at most 1, for instance 0.25.")
        self.source = source
        default = default_data_dir if source == "oxford" else _own_data_dir
        self.data_dir = Path(data_dir) if data_dir is not None else default()
        self.image_size = image_size
        self.batch_size = batch_size
        self.val_share = val_share
        self.train_share = train_share
        self.num_workers = num_workers
        self.progress = progress
        self.examples: dict[str, list[Example]] = {}
        self.datasets: dict[str, PixelDataset] = {}

    @property
    def root(self) -> Path:
        """The folder that holds `oxford-iiit-pet/` of the chosen source."""
        return self.data_dir if self.source == "oxford" else self.data_dir / "cartoon"

    def prepare_data(self) -> None:
        """Draws the cartoons if they are the source, and decodes; Lightning calls it in one process only."""
        if self.source == "cartoon":
            write_dataset(self.root)
        for split in ("trainval", "test"):
            self._pixels(split)

    def setup(self, stage: str | None = None) -> None:
        """Opens the splits `train`, `val` and `test`."""
        if self.datasets:
            return
        trainval = read_split(self._folder, "trainval")
        held_out = validation_names(trainval, self.val_share)
        parts = {
            "train": [row for row, example in enumerate(trainval) if example.name not in held_out],
            "val": [row for row, example in enumerate(trainval) if example.name in held_out],
        }
        if self.train_share < 1:
            kept = first_share([trainval[row] for row in parts["train"]], self.train_share)
            parts["train"] = [parts["train"][place] for place in kept]
        pixels = self._pixels("trainval")
        for name, rows in parts.items():
            self.examples[name] = [trainval[row] for row in rows]
            self.datasets[name] = PixelDataset(pixels, rows)
        self.examples["test"] = read_split(self._folder, "test")
        self.datasets["test"] = PixelDataset(self._pixels("test"), range(len(self.examples["test"])))

    def train_dataloader(self) -> DataLoader[Batch]:
        """Shuffled batches of the train split; the last one may be short."""
        return self._loader("train", shuffle=True)

    def val_dataloader(self) -> DataLoader[Batch]:
        """Batches of the validation split in order."""
        return self._loader("val")

    def test_dataloader(self) -> DataLoader[Batch]:
        """Batches of the official test split in order."""
        return self._loader("test")

    @property
    def _folder(self) -> Path:
        return self.root / "oxford-iiit-pet"

    def _pixels(self, split: Literal["trainval", "test"]) -> Pixels:
        read_split(self._folder, split)  # a missing data set gets our sentence, not torchvision's
        listed = OxfordIIITPet(self.root, split=split, target_types="segmentation", download=False)
        files = list(zip(listed._images, listed._segs, strict=True))
        name = f"{self.source}-{split}"
        return open_pixels(files, self.image_size, cache_dir(), name, self.progress)

    def _loader(self, split: str, shuffle: bool = False) -> DataLoader[Batch]:
        return DataLoader(
            self.datasets[split],
            batch_size=self.batch_size,
            shuffle=shuffle,
            num_workers=self.num_workers,
            persistent_workers=self.num_workers > 0,
            collate_fn=_whole,
            pin_memory=torch.cuda.is_available(),
        )
