"""Two processes that train together (DDP) against one, by the real command."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
import yaml

from petseg.errors import DataError
from petseg.training.benchmark.epoch import opened
from petseg.training.benchmark.row import Row, compared
from petseg.training.benchmark.settings import Settings
from petseg.training.runs import read_log

#: Seconds after which a training of a few hundred images is given up.
TIMEOUT = 1800


def processes_row(settings: Settings) -> Row:
    """Images per second of `petseg fit` with one and with two processes, each on its own device or thread.

    Two GPUs are used where there are two, else CPU threads with gloo. The first epoch of each training does not count.
    """
    on_gpus = torch.cuda.device_count() >= 2
    threads = 1 if on_gpus else max(1, torch.get_num_threads() // 2)
    one, two = f"1 process, {_counted(threads)}", f"2 processes, {_counted(threads)} each"
    asked = {one: (1, threads), two: (2, threads)}
    if not on_gpus and 2 * threads <= torch.get_num_threads():
        asked[f"1 process, {_counted(2 * threads)}"] = (1, 2 * threads)
    rates = {name: _images_per_second(settings, on_gpus, *numbers) for name, numbers in asked.items()}
    title = f"`petseg fit` at {settings.size} px in one and in two processes"
    note = f"{'NCCL on GPUs' if on_gpus else 'gloo on the CPU'}; the batch of {settings.batch} is per process"
    return compared(title, "images/s", rates, two, one, note)


def _counted(threads: int) -> str:
    return f"{threads} thread{'s' * (threads > 1)}"


def _images_per_second(settings: Settings, on_gpus: bool, processes: int, threads: int) -> list[float]:
    """That of each epoch after the first, by the log that `petseg fit` writes."""
    available = min(settings.images, len(opened(settings).datasets["train"]))
    steps = max(1, available // (settings.batch * processes))
    with TemporaryDirectory(prefix="petseg-ddp-") as name:
        folder = Path(name)
        command = [sys.executable, "-m", "petseg.cli", *_arguments(settings, folder, steps, on_gpus, processes)]
        environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
        done = subprocess.run(command, env=environment, timeout=TIMEOUT, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise DataError(f"the row processes: petseg fit: exit status {done.returncode}. {done.stderr[-2000:]}")
        log = read_log(next(folder.glob("runs/*/metrics.csv")))
    images = steps * settings.batch * processes
    return [images / seconds for _, seconds in log["train/seconds"][1:]]


def _arguments(settings: Settings, folder: Path, steps: int, on_gpus: bool, processes: int) -> list[str]:
    """The command, whose recipe it writes into the folder."""
    recipe = folder / "recipe.yaml"
    recipe.write_text(yaml.safe_dump(_plain_types(settings.recipe)))
    flags: dict[str, Any] = {
        "config": recipe,
        "data.data_dir": settings.data_dir,
        "data.progress": "false",
        "trainer.max_epochs": settings.rounds + 1,
        "trainer.limit_train_batches": steps,
        "trainer.limit_val_batches": 0,
        "trainer.enable_progress_bar": "false",
        "trainer.accelerator": "gpu" if on_gpus else "cpu",
        "trainer.devices": processes,
    }
    if processes > 1:
        flags["trainer.strategy"] = "ddp"
    if not on_gpus and torch.cuda.is_available():
        flags["trainer.precision"] = "32-true"  # what the GPU would take is not native here
    flags["trainer.logger.init_args.save_dir"] = folder
    return ["fit", *(part for name, value in flags.items() for part in (f"--{name}", str(value)))]


def _plain_types(recipe: Mapping[str, Any]) -> dict[str, Any]:
    return {name: dict(value) if isinstance(value, Mapping) else value for name, value in recipe.items()}
