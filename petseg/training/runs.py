"""Runs that are stopped and go on: their folders, their logs, commands in processes of their own."""

from __future__ import annotations

import csv
import os
import pickle
import shlex
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

import torch

from petseg.errors import DataError
from petseg.files import atomic_write, cache_folder, data_folder

#: (epoch, value) pairs by name of a column; epochs count from 1.
Log = dict[str, list[tuple[int, float]]]


def read_log(path: Path) -> Log:
    """(epoch, value) pairs by column of a run's `metrics.csv`, from epoch 1; none where it stopped within the first.

    Raises:
        DataError: the file is not there.
    """
    return read_logs(path).get("", {})


def read_logs(path: Path) -> dict[str, Log]:
    """The logs of a file of `write_logs`, by the name of their run; that of a `metrics.csv` has the name "".

    Raises:
        DataError: the file is not there.
    """
    if not path.is_file():
        raise DataError(f"{path}: no training log. Copy metrics.csv of the released run there.")
    logs: dict[str, Log] = defaultdict(lambda: defaultdict(list))
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            for column, value in row.items():
                if row.get("epoch") and value and column not in ("run", "epoch", "step"):
                    logs[row.get("run", "")][column].append((int(row["epoch"]) + 1, float(value)))
    return {run: dict(log) for run, log in logs.items()}


def write_log(path: Path, log: Log) -> None:
    """Writes a log as `metrics.csv`: one row per epoch, epochs from 0 as in the logs of `petseg fit`.

    Args:
        path: of the file; its folder is made if missing.
        log: (epoch, value) pairs by column.
    """
    write_logs(path, {"": log})


def write_logs(path: Path, logs: Mapping[str, Log]) -> None:
    """Writes the logs of several runs into one file, whose first column `run` holds the name of each."""
    columns = sorted({name for log in logs.values() for name in log})
    named = any(logs)  # a single log without a name has no column for it
    with atomic_write(path) as draft, draft.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*(["run"] if named else []), "epoch", *columns])
        for run, log in logs.items():
            values = {name: dict(points) for name, points in log.items()}
            for epoch in sorted({epoch for points in values.values() for epoch in points}):
                row = [values.get(name, {}).get(epoch) for name in columns]
                cells = ["" if value is None else f"{value:.6g}" for value in row]  # not more repeats elsewhere
                writer.writerow([*([run] if named else []), epoch - 1, *cells])


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


class Command:
    """A `petseg` command in a separate process, begun at once; what it prints is shown only when it fails.

    Args:
        line: as one would type it: `petseg fit --trainer.max_epochs 2`.
        folder: where it runs, and where `output.txt` keeps what it prints; made if missing.
        threads: of PyTorch, by default one: several processes run at once, and sums come out the same. None leaves the
            number to PyTorch.
        show: let it print to this process's own output instead.
    """

    def __init__(self, line: str, folder: Path, threads: int | None = 1, show: bool = False) -> None:
        program, *arguments = shlex.split(line)
        if program != "petseg":
            raise ValueError(f"{line!r}: must begin with petseg.")
        folder.mkdir(parents=True, exist_ok=True)
        self.line, self.output = line, folder / "output.txt"
        environment = {**os.environ, **({} if threads is None else {"OMP_NUM_THREADS": str(threads)})}
        # absolute, since the process has another current folder
        environment |= {"PETSEG_DATA_DIR": str(data_folder()), "PETSEG_CACHE_DIR": str(cache_folder())}
        with self.output.open("w") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "petseg.cli", *arguments],
                cwd=folder,
                env=environment,
                stdout=None if show else output,
                stderr=None if show else subprocess.STDOUT,
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

    def finish(self, timeout: float | None = 300) -> None:
        """Waits for the end, at most `timeout` seconds; None waits for as long as it takes.

        Raises:
            RuntimeError: it failed or took longer; the message ends with what it printed last.
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
