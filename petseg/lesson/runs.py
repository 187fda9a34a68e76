"""Runs that are stopped and go on: their folders, their logs, commands in processes of their own."""

from __future__ import annotations

import os
import pickle
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import lightning as L
import torch
from torch.utils.data import RandomSampler

from petseg.lesson.progress import Log


def new_version() -> str:
    """A name for a run's own folder: names sort as the runs began, and two processes never share one."""
    return f"{datetime.now():%Y%m%d-%H%M%S-%f}-{os.getpid()}"


def last_epoch(run: Path) -> tuple[Path | None, int]:
    """The newest checkpoint of a run that can be read, and after how many epochs it was written: None and 0 if none.

    Args:
        run: holds a folder for each attempt at one recipe.
    """
    found = sorted(run.glob("*/checkpoints/last.ckpt"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in found:
        try:
            return path, int(torch.load(path, map_location="cpu", weights_only=True, mmap=True)["epoch"]) + 1
        except (OSError, EOFError, KeyError, RuntimeError, pickle.UnpicklingError):
            print(f"{path}: was cut off while it was written; an older one is looked for")
    return None, 0


def unfinished(run: Path, epochs: int) -> Path | None:
    """The newest `last.ckpt` below `run`, unless its training was finished; says what it found.

    Args:
        run: holds a folder for each attempt at one recipe.
        epochs: how many the recipe asks for.
    """
    checkpoint, done = last_epoch(run)
    if checkpoint is None or done >= epochs:
        print(f"{run.name}: no unfinished run, training starts at epoch 1")
        return None
    print(f"{run.name}: a run stopped after epoch {done} of {epochs}, and training goes on from there")
    return checkpoint


def joined(logs: Sequence[Log]) -> Log:
    """One log of the logs of a run and of those that resumed it: where two know an epoch, the later one counts."""
    columns = dict.fromkeys(name for log in logs for name in log)
    return {name: sorted({e: v for log in logs for e, v in log.get(name, [])}.items()) for name in columns}


class EpochSeeds(L.Callback):
    """Lets the randomness of an epoch follow from the run's seed and the epoch's number, not from what was before.

    Checkpoints do not hold the state of the random generators. Without this, a run that goes on meets its images in
    another order and with other changes than one that was never stopped. Samplers of distributed runs do the same.
    Loader processes would draw the order too early: `num_workers` must be 0. An epoch's seed is the run's plus its
    number, so that runs whose luck is to be compared need seeds that lie further apart than they have epochs.

    Args:
        seed: that of `L.seed_everything` when None.
    """

    def __init__(self, seed: int | None = None) -> None:
        self.seed = int(os.environ.get("PL_GLOBAL_SEED", 0)) if seed is None else seed

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Seeds the order of the examples."""
        sampler = getattr(trainer.train_dataloader, "sampler", None)
        if isinstance(sampler, RandomSampler):
            sampler.generator = torch.Generator().manual_seed(self.seed + trainer.current_epoch)

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Seeds the random changes, each process its own."""
        if batch_idx == 0:
            torch.manual_seed(self.seed + trainer.current_epoch + 1_000_003 * trainer.global_rank)


class Command:
    """A `petseg` command in a process of its own, begun at once; what it says is shown only when it fails.

    Args:
        line: as one would type it: `petseg fit --trainer.max_epochs 2`.
        folder: where it runs, and where its output goes; made if missing.
    """

    def __init__(self, line: str, folder: Path) -> None:
        program, *arguments = shlex.split(line)
        if program != "petseg":
            raise ValueError(f"{line!r}: must begin with petseg.")
        folder.mkdir(parents=True, exist_ok=True)
        self.line, self.output = line, folder / "output.txt"
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}  # several run at once, and sums come out the same
        with self.output.open("w") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "petseg.cli", *arguments],
                cwd=folder,
                env=environment,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def kill_once_there(self, path: Path, timeout: float = 300) -> int:
        """Kills the process (SIGKILL: it cannot tidy up) as soon as a file is there; returns its exit status."""
        end = time.monotonic() + timeout
        while not path.is_file():
            if self.process.poll() is not None or time.monotonic() > end:
                self.process.kill()
                raise RuntimeError(f"{self.line}: ended, or took too long, before it wrote {path.name}. {self._tail()}")
            time.sleep(0.01)
        self.process.kill()
        return self.process.wait()

    def finish(self, timeout: float = 300) -> None:
        """Waits for the end.

        Raises:
            RuntimeError: it failed or took longer than `timeout` seconds; the message ends with what it said last.
        """
        try:
            status: int | str = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            status = f"none after {timeout:.0f} s"
        if status != 0:
            raise RuntimeError(f"{self.line}: exit status {status}. {self._tail()}")

    def _tail(self) -> str:
        return "It said:\n" + self.output.read_text()[-2000:]
