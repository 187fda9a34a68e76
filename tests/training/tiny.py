"""A training of seconds: a tiny U-Net on small cartoons, and what it writes."""

import csv
from pathlib import Path

from petseg.data.datamodule import PetDataModule


def flags(cartoons: Path, **more: object) -> list[str]:
    """Flags of `petseg fit` for four epochs; None leaves one out."""
    settings = {
        "data.data_dir": cartoons,
        "data.image_size": 32,
        "data.batch_size": 4,
        "data.progress": "false",
        "model.learning_rate": 6e-2,
        "model.augment.degrees": 15,
        "model.network.channels": "[4,8]",
        "trainer.max_epochs": 4,
        "trainer.accelerator": "cpu",
        "trainer.precision": "32-true",  # the same on processors with bf16 and without
        "trainer.enable_progress_bar": "false",
        "trainer.enable_model_summary": "false",
        **more,
    }
    given = {name: value for name, value in settings.items() if value is not None}
    return [part for name, value in given.items() for part in (f"--{name}", str(value))]


def pets(cartoons: Path) -> PetDataModule:
    """The data of such a training."""
    return PetDataModule("oxford", cartoons, image_size=32, batch_size=8, progress=False)


def version(number: int = 0) -> Path:
    """The folder of a run in the current folder."""
    return Path("runs") / f"version_{number}"


def rows(run: Path) -> list[dict[str, str]]:
    """The rows of a run's log."""
    with (run / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def column(run: Path, name: str) -> list[float]:
    """The values of a column of a run's log."""
    return [float(row[name]) for row in rows(run) if row.get(name)]
