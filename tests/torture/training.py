"""Training: killed anywhere, by any signal, in one process and in two, then resumed as if nothing had happened."""

import os
import random
import signal
import sys
import time
import traceback
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import torch
from lightning.pytorch.loggers.csv_logs import ExperimentWriter
from lightning.pytorch.strategies.launchers import subprocess_script

from petseg import cli
from petseg.data import cache
from petseg.data.cartoons import write_dataset
from petseg.data.datamodule import PetDataModule
from petseg.files import read_json
from petseg.training.runs import Log, find_checkpoint, joined, logs_of, read_checkpoint, read_log
from petseg.training.scoring import evaluate
from petseg.training.task import SegmentationTask

from . import Skipped, Tally
from .caches import child

NAME = "training"

#: What a signal interrupts: the owner and name of a function, and at most how many of its calls pass before.
PLACES: dict[str, tuple[Any, str, int]] = {
    "decoding": (cache, "decode", 20),
    "training": (SegmentationTask, "training_step", 8),
    "validating": (SegmentationTask, "validation_step", 4),
    "saving": (torch, "save", 3),
    "logging": (ExperimentWriter, "save", 8),
}
STATUS = {"SIGTERM": 143, "SIGINT": 130, "SIGKILL": -9}

#: What a resumed run must have in common with the run that was left alone.
STATE = ("state_dict", "current_model_state", "optimizer_states", "lr_schedulers", "epoch", "global_step")


def run(scale: str) -> dict[str, Any]:
    """Compares the checkpoint and the log of killed and resumed runs with those of one that was left alone."""
    if not hasattr(os, "fork"):
        raise Skipped("starts a training within a second, which only `os.fork` can")
    # from another process, which has no threads yet: a fork copies those locks that they hold, but not the threads
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(attempt, scale).result().row()


def attempt(scale: str) -> Tally:
    """Tries each case in turn."""
    cases = list(product(PLACES, STATUS, (1, 2)))
    if scale == "short":
        cases = [("saving", "SIGKILL", 1), ("logging", "SIGINT", 1), ("validating", "SIGTERM", 1)]
        cases.append(("training", "SIGKILL", 2))
    tally, generator = Tally(), random.Random(0)
    with TemporaryDirectory() as name:
        root = Path(name)
        os.environ["PETSEG_CACHE_DIR"] = str(root / "cache")
        folder = write_dataset(root / "data", images_per_breed=6)
        split = folder / "annotations" / "trainval.txt"  # without a breed: an odd number of examples to validate on
        split.write_text("".join(line for line in split.open(encoding="utf-8") if not line.startswith("Inkwell")))
        alone: dict[int, tuple[Any, Log]] = {}
        for number, (place, kind, processes) in enumerate(cases):
            with tally.case(f"{kind} while {place}, {processes} processes"):
                if processes not in alone:
                    status = fit(root / f"alone-{processes}", root, processes)
                    assert status == 0, output(root / f"alone-{processes}")
                    alone[processes] = result(root / f"alone-{processes}")
                    scoring = child(partial(scored_as_in_one, root / f"alone-{processes}", root / "data"))
                    assert os.waitpid(scoring, 0)[1] == 0, "one process scores otherwise"
                killed_and_resumed(root / f"{number}", root, place, kind, processes, generator, alone[processes])
    return tally


def scored_as_in_one(folder: Path, data: Path) -> None:
    """Asserts that the last confusion matrix of a run is that of its checkpoint, scored by this process alone."""
    (run,) = folder.glob("runs/*")
    task = SegmentationTask.load_from_checkpoint(run / "checkpoints" / "last.ckpt", weights_only=True)
    matrices = evaluate(task, PetDataModule("oxford", data, image_size=16, progress=False))
    assert len(matrices) % 2 == 1, "the sampler repeats no example"
    assert matrices.sum(dim=0).tolist() == read_json(run / "val_confusion.json")["pixels"]


def killed_and_resumed(
    folder: Path, root: Path, place: str, kind: str, processes: int, generator: random.Random, expected: tuple[Any, Log]
) -> None:
    """One case; after a kill before the first checkpoint, the run begins again."""
    owner, name, most = PLACES[place]
    passing, function = generator.randint(0, most), getattr(owner, name)

    def interrupted(*args: Any, **settings: Any) -> Any:
        nonlocal passing
        passing -= 1
        if passing == -1:  # Ctrl-C goes to all processes of a terminal
            (os.killpg if kind == "SIGINT" else os.kill)(os.getpid(), getattr(signal, kind))
        return function(*args, **settings)

    own_cache = folder if place == "decoding" else root
    with patch.object(owner, name, interrupted):
        status = fit(folder, own_cache, processes)
    assert status == STATUS[kind], f"ended with {status}: {output(folder)}"
    assert ("petseg: stopped; --ckpt_path last goes on" in output(folder)) == (kind == "SIGINT"), output(folder)
    if kind == "SIGTERM" or (kind, processes) == ("SIGINT", 1):
        assert "Traceback" not in output(folder), output(folder)
    checkpoints = list(folder.glob("runs/*/checkpoints/last.ckpt"))
    status = fit(folder, own_cache, processes, ["--ckpt_path", "last"] if checkpoints else [])
    assert status == 0, output(folder)
    checkpoint, log = result(folder)
    assert same(checkpoint, expected[0]), "other weights than those of a run left alone"
    assert log == expected[1], "a gap or another value in the log"


def fit(folder: Path, cached: Path, processes: int, more: Sequence[str] = (), seconds: float = 300) -> int:
    """The exit status of a tiny `petseg fit` in a process of its own; nothing that it started may be left after it."""
    data = next(path / "data" for path in folder.parents if (path / "data").is_dir())
    given = ["fit", "--data.data_dir", str(data), "--data.image_size", "16", "--data.batch_size", "4"]
    given += ["--model.network.channels", "[4,8]", "--trainer.max_epochs", "3", "--trainer.accelerator", "cpu"]
    given += ["--trainer.precision", "32-true", "--trainer.enable_progress_bar", "false"]
    given += ["--trainer.devices", "2", "--trainer.strategy", "ddp"] if processes > 1 else []
    folder.mkdir(parents=True, exist_ok=True)
    if (process := os.fork()) == 0:
        _fit_and_exit(folder, cached, [*given, *more])
    end, status = time.monotonic() + seconds, None
    while time.monotonic() < end and (status is None or _alive(process)):
        time.sleep(0.02)
        if status is None and (waited := os.waitpid(process, os.WNOHANG))[0]:
            status, end = os.waitstatus_to_exitcode(waited[1]), time.monotonic() + 60
    if _alive(process):
        os.killpg(process, signal.SIGKILL)
        raise AssertionError("no end" if status is None else "processes are left after the first")
    assert status is not None
    return status


def _alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def _fit_and_exit(folder: Path, cached: Path, given: list[str]) -> None:
    status = 1
    try:
        os.setsid()
        os.chdir(folder)
        os.environ["PETSEG_CACHE_DIR"] = str(cached / "cache")
        file = os.open("output.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(file, 1)
        os.dup2(file, 2)
        signal.signal(signal.SIGINT, signal.default_int_handler)  # as in a process that a shell starts
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        # the second process begins anew, without what interrupts the first
        command = [sys.executable, "-m", "petseg.cli", *given]
        with patch.object(subprocess_script, "_basic_subprocess_cmd", lambda: command):
            status = cli.main(given)
    except SystemExit as error:
        status = int(error.code or 0)
    except Exception:
        traceback.print_exc()
    finally:
        os._exit(status)


def output(folder: Path) -> str:
    """What the runs in a folder printed."""
    return (folder / "output.txt").read_text(encoding="utf-8")


def result(folder: Path) -> tuple[Any, Log]:
    """The last checkpoint, and the log over all attempts without times; each epoch has one row."""
    runs = sorted(folder.glob("runs/*"), key=lambda run: int(run.name.rpartition("_")[2]))
    logs = [read_log(path) for path in logs_of(runs[-1])]
    assert [epoch for log in logs for epoch, _ in log.get("train/loss", [])] == [1, 2, 3], "a gap or a double row"
    log = joined(logs)
    log.pop("train/seconds")
    checkpoint = read_checkpoint(find_checkpoint("last", folder / "runs"))
    return {key: checkpoint[key] for key in STATE}, log


def same(value: Any, other: Any) -> bool:
    """Whether two nested values are equal, tensors bit for bit."""
    if isinstance(value, torch.Tensor):
        return torch.equal(value, other)
    if isinstance(value, dict):
        return value.keys() == other.keys() and all(same(value[key], other[key]) for key in value)
    if isinstance(value, list):
        return len(value) == len(other) and all(map(same, value, other))
    return bool(value == other)
