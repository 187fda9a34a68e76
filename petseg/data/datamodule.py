"""Oxford-IIIT Pet, or the cartoons in its place, as a Lightning data module.

O. M. Parkhi, A. Vedaldi, A. Zisserman, C. V. Jawahar: Cats and Dogs (CVPR 2012),
https://www.robots.ox.ac.uk/~vgg/data/pets/, CC BY-SA 4.0.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import lightning as L
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from petseg.data.cache import Pixels, open_pixels
from petseg.data.cartoons import write_dataset
from petseg.data.splits import SPLITS, Example, Source, example_files, first_fraction, read_split, validation_names
from petseg.errors import DataError, MissingError, SettingsError
from petseg.files import cache_folder, data_folder, home_folder


class Batch(NamedTuple):
    """B examples of a split.

    Attributes:
        image: uint8 (B, 3, S, S), channels last in memory, values 0 to 255.
        mask: uint8 (B, S, S), labels.
        index: int64 (B,), the index of each example in its split.
    """

    image: Tensor
    mask: Tensor
    index: Tensor  # type: ignore[assignment]  # hides tuple.index, which no batch needs


class PixelDataset(Dataset[Batch]):
    """The examples of a decoded split that stand in the given rows, in that order.

    PyTorch's loader calls `__getitems__` once per batch if a data set has it. One gather of 32 rows is faster than 32
    calls and a copy that stacks them.
    """

    def __init__(self, pixels: Pixels, rows: Sequence[int]) -> None:
        self.pixels = pixels
        self.rows = torch.as_tensor(rows, dtype=torch.int64)
        self.resident: tuple[Tensor, Tensor] | None = None  # images and masks on a device, in the order of `rows`

    def move_to(self, device: torch.device) -> None:
        """Copies all pixels to a device: batches are then gathered there, and none is copied on its way."""
        rows = self.rows.numpy()
        images, masks = self.pixels.images[rows], self.pixels.masks[rows]
        self.resident = torch.from_numpy(images).to(device), torch.from_numpy(masks).to(device)

    def __len__(self) -> int:
        """Number of examples."""
        return len(self.rows)

    def __getitems__(self, indices: list[int]) -> Batch:
        """The batch of the examples with these indices."""
        index = torch.as_tensor(indices)
        if self.resident:
            index = index.to(self.resident[0].device, non_blocking=True)
            image, mask = (pixels[index] for pixels in self.resident)
        else:
            rows = self.rows[index].numpy()
            image, mask = torch.from_numpy(self.pixels.images[rows]), torch.from_numpy(self.pixels.masks[rows])
        # images lie in memory as (N, S, S, 3): permuted without a copy, that is a channels-last tensor
        image = image.permute(0, 3, 1, 2)
        if torch.backends.mps.is_available():  # whose gradients of channels-last images are wrong before PyTorch 2.14
            image = image.contiguous()
        return Batch(image, mask, index)

    def __getitem__(self, index: int) -> Batch:
        """A batch of one."""
        return self.__getitems__([index])


class PetDataModule(L.LightningDataModule):
    """Train, validation and official test split, decoded once and memory-mapped.

    Args:
        source: `oxford` reads `<data_dir>/oxford-iiit-pet/`; `cartoon` reads `<data_dir>/cartoon/oxford-iiit-pet/`,
            and writes the cartoons there first.
        data_dir: default: `files.data_folder()` for Oxford; the `data/` of the checkout or the current folder for
            cartoons, because `PETSEG_DATA_DIR` may be read-only.
        image_size: height and width of images and masks, in pixels; the aspect ratio is not kept.
        batch_size: examples per batch, on each device.
        val_fraction: fraction of each breed of the official trainval split that becomes validation.
        train_fraction: fraction of each breed of the train split that is used, to measure the effect of more examples.
        progress: show a progress bar while images are decoded.

    Raises:
        SettingsError: a setting is out of range.
    """

    def __init__(
        self,
        source: Source = "oxford",
        data_dir: Path | None = None,
        image_size: int = 128,
        batch_size: int = 32,
        val_fraction: float = 0.1,
        train_fraction: float = 1.0,
        progress: bool = True,
    ) -> None:
        super().__init__()
        for name, value in {"image_size": image_size, "batch_size": batch_size}.items():
            if value < 1:
                raise SettingsError(f"{name}={value}: must be at least 1.")
        if not 0 < val_fraction < 1:
            raise SettingsError(f"val_fraction={val_fraction}: must lie between 0 and 1, for instance 0.1.")
        if not 0 < train_fraction <= 1:
            raise SettingsError(f"train_fraction={train_fraction}: must be above 0 and at most 1, for instance 0.25.")
        self.source = source
        default = data_folder() if source == "oxford" else home_folder() / "data"
        self.data_dir = default if data_dir is None else Path(data_dir)
        self.image_size = image_size
        self.batch_size = batch_size
        self.val_fraction = val_fraction
        self.train_fraction = train_fraction
        self.progress = progress
        self.examples: dict[str, list[Example]] = {}
        self.datasets: dict[str, PixelDataset] = {}
        self._opened: dict[str, tuple[list[Example], Pixels]] = {}

    @property
    def root(self) -> Path:
        """The folder that contains `oxford-iiit-pet/` of the chosen source."""
        return self.data_dir if self.source == "oxford" else self.data_dir / "cartoon"

    def prepare_data(self) -> None:
        """Write the cartoons if they are the source, and decode; Lightning calls this in one process per machine."""
        if self.source == "cartoon":
            try:
                write_dataset(self.root)
            except MissingError as error:
                raise DataError(f"{error} The folder of the cartoons is the setting data_dir.") from error
        for split in SPLITS:
            self._open(split)

    def setup(self, stage: str | None = None) -> None:
        """Open the splits `train`, `val` and `test`; for a training on a GPU, copy them there."""
        if not self.datasets:
            self._split()
        if stage == "fit" and self.trainer:
            self.move_to_gpu(self.trainer.strategy.root_device)

    def teardown(self, stage: str) -> None:
        """Frees the GPU's memory after a training."""
        for split in self.datasets.values():
            split.resident = None

    def on_exception(self, exception: BaseException) -> None:
        """Frees it after a training that failed or was stopped."""
        self.teardown("fit")

    def _split(self) -> None:
        trainval, pixels = self._open("trainval")
        held_out = validation_names(trainval, self.val_fraction)
        train = [row for row, example in enumerate(trainval) if example.name not in held_out]
        if self.train_fraction < 1:
            train = [train[index] for index in first_fraction([trainval[row] for row in train], self.train_fraction)]
        val = [row for row, example in enumerate(trainval) if example.name in held_out]
        test, test_pixels = self._open("test")
        self.examples = {"train": [trainval[row] for row in train], "val": [trainval[row] for row in val], "test": test}
        self.datasets = {
            "train": PixelDataset(pixels, train),
            "val": PixelDataset(pixels, val),
            "test": PixelDataset(test_pixels, range(len(test))),
        }

    def move_to_gpu(self, device: torch.device) -> None:
        """Keeps the splits of a training on its GPU if they take at most half of the memory that is free there."""
        splits = [self.datasets["train"], self.datasets["val"]]
        size = sum(len(split) for split in splits) * self.image_size**2 * 4  # bytes: three of a pixel, one of its label
        if device.type == "cuda" and size <= torch.cuda.mem_get_info(device)[0] / 2:
            for split in splits:
                split.move_to(device)

    def train_dataloader(self) -> DataLoader[Batch]:
        """Shuffled batches of the train split; the last one may be short.

        Raises:
            DataError: the train split is empty, or has photos of the test split.
        """
        lists = self.root / "oxford-iiit-pet" / "annotations"
        if not self.examples["train"]:
            raise DataError(
                f"{lists / 'trainval.txt'}: no photo is left to train on, because at least one of each breed is for "
                "validation. Add photos, or lower val_fraction."
            )
        if leaked := {e.name for e in self.examples["train"]} & {e.name for e in self.examples["test"]}:
            raise DataError(
                f"{lists}: trainval.txt and test.txt share {len(leaked)} photos, such as {min(leaked)}. Remove them "
                "from one, so that the test is of photos that the network has not seen."
            )
        return self._loader("train", shuffle=True)

    def val_dataloader(self) -> DataLoader[Batch]:
        """Batches of the validation split in order."""
        return self._loader("val")

    def test_dataloader(self) -> DataLoader[Batch]:
        """Batches of the official test split in order."""
        return self._loader("test")

    def _open(self, split: str) -> tuple[list[Example], Pixels]:
        """Examples and pixels of an official split, opened once per module: that looks at every file."""
        if split not in self._opened:
            folder = self.root / "oxford-iiit-pet"
            examples = read_split(folder, split)
            files = [example_files(folder, example) for example in examples]
            name = f"{self.source}-{split}"
            self._opened[split] = examples, open_pixels(files, self.image_size, cache_folder(), name, self.progress)
        return self._opened[split]

    def _loader(self, split: str, shuffle: bool = False) -> DataLoader[Batch]:
        # without loader processes: a batch is one gather from memory
        return DataLoader(
            self.datasets[split],
            batch_size=self.batch_size,
            shuffle=shuffle,
            collate_fn=lambda batch: batch,  # `__getitems__` returns a batch already
            # the copy to the GPU then overlaps with computing
            pin_memory=torch.cuda.is_available() and not self.datasets[split].resident,
        )
