"""What the benchmark runs: the real thing, or one small enough for CI."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from petseg.data.cartoons import write_dataset
from petseg.data.datamodule import PetDataModule
from petseg.errors import DataError, SettingsError
from petseg.files import data_folder
from petseg.models import zoo
from petseg.training.recipes import read_recipe

#: Mean IoU on validation that the project's ancestor reached: the goal of `time_to_accuracy`.
TARGET: Final = 0.647


@dataclass(frozen=True)
class Settings:
    """What the rows measure.

    Attributes:
        recipe: our way, at the full size of its images in every epoch.
        fast: the recipe of `time_to_accuracy`, with its own sizes.
        data_dir: holds `oxford-iiit-pet/`.
        rounds: measurements of each value.
        steps: training steps in one measurement of a step.
        images: in the shortened epochs that are measured.
        sides: heights and widths of images, in pixels, in `growth_side`.
        batches: batch sizes in `growth_batch`.
        counts: numbers of images in `growth_images`.
        matrix: rows and columns of the matrices whose product gives the machine's peak; four times as many on a GPU.
        target: mean IoU on validation that `time_to_accuracy` trains to.
        limit: seconds after which such a training ends without it.
        runs: trainings of each way in `time_to_accuracy`.
        models: released models that `int8` measures; none for an untrained network.
    """

    recipe: Mapping[str, Any]
    fast: Mapping[str, Any]
    data_dir: Path
    rounds: int = 5
    steps: int = 3
    images: int = 960
    sides: tuple[int, ...] = (64, 96, 128, 192)
    batches: tuple[int, ...] = (8, 16, 32)
    counts: tuple[int, ...] = (240, 480, 960)
    matrix: int = 2048
    target: float = TARGET
    limit: float = 3600.0
    runs: int = 3
    models: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuses what cannot be measured."""
        if self.runs < 1:
            raise SettingsError(f"--runs {self.runs}: at least 1 training of each way is needed.")

    @property
    def batch(self) -> int:
        """Images per step of our way."""
        return int(self.recipe["data"]["batch_size"])

    @property
    def size(self) -> int:
        """Height and width of the images, in pixels."""
        return int(self.recipe["data"]["image_size"])

    def data(self, recipe: Mapping[str, Any] | None = None) -> PetDataModule:
        """The data module of a recipe, by default ours.

        Raises:
            DataError: the data set is not there.
        """
        if not (self.data_dir / "oxford-iiit-pet" / "annotations" / "trainval.txt").is_file():
            raise DataError(
                f"{self.data_dir}: holds no oxford-iiit-pet/, which this benchmark trains on. Fetch it with `petseg "
                "data oxford`, set PETSEG_DATA_DIR to the folder that holds it, or use cartoons: --quick."
            )
        chosen = {**(recipe or self.recipe)["data"], "source": "oxford", "data_dir": self.data_dir}
        return PetDataModule(**chosen, progress=False)


@contextmanager
def full(runs: int = 3) -> Iterator[Settings]:
    """The real data at the recipe's size."""
    models = tuple(card.name for card in zoo.cards() if zoo.runnable(card))
    yield Settings(at_one_size(read_recipe("course")), read_recipe("fast"), data_folder(), runs=runs, models=models)


@contextmanager
def quick(runs: int = 1) -> Iterator[Settings]:
    """Every row in seconds: a tiny network and a few cartoons. Its numbers say nothing about the real training."""
    with TemporaryDirectory(prefix="petseg-bench-") as folder:
        write_dataset(folder, images_per_breed=4)
        yield Settings(
            tiny(at_one_size(read_recipe("course"))),
            tiny(read_recipe("fast")),
            Path(folder),
            rounds=2,
            steps=1,
            images=8,
            sides=(16, 24, 32, 48),
            batches=(2, 4, 8),
            counts=(4, 8, 12),
            matrix=128,
            target=0.05,
            limit=60.0,
            runs=runs,
        )


def at_one_size(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """A recipe without progressive resizing: all epochs at the data's own size."""
    return {**recipe, "model": {**recipe["model"], "sizes": [1.0], "size_starts": [0.0]}}


def tiny(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """A recipe with a network of two stages, small images and small batches."""
    network = {**recipe["model"]["network"], "init_args": {"channels": [4, 8]}}
    model = {**recipe["model"], "network": network}
    return {**recipe, "model": model, "data": {**recipe["data"], "image_size": 32, "batch_size": 4}}
