"""Checkpoints of runs: which one is meant, whether it is whole, and where a run that was stopped goes on."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import TorchCheckpointIO

from petseg.errors import DataError
from petseg.files import atomic_write


class WholeCheckpoints(TorchCheckpointIO):
    """Writes a checkpoint beside its place and renames it.

    Lightning would move it there from the folder for temporary files. Where that is another disk, this is a copy, and a
    run that is killed meanwhile loses the checkpoint that it had.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None) -> None:
        """Saves what the Trainer gives."""
        with atomic_write(Path(path)) as draft, draft.open("wb") as file:
            torch.save(checkpoint, file)  # given a path, PyTorch would not say that the disk is full


def find_checkpoint(name: str | Path, runs: Path = Path("runs")) -> Path:
    """The checkpoint that `--ckpt_path` means, after a look inside it.

    Args:
        name: a path; or `last` or `best`, that of the newest run that has one.
        runs: holds a folder for each run, as `petseg fit` makes it.

    Raises:
        DataError: there is none, or it cannot be read.
    """
    path = Path(name)
    if str(name) in ("last", "best"):
        files = sorted(runs.glob(f"*/checkpoints/{name}.ckpt"), key=lambda file: file.stat().st_mtime)
        if not files:
            raise DataError(
                f"--ckpt_path {name}: no run in {runs.absolute()} has a {name}.ckpt. Name a .ckpt file, or leave "
                "--ckpt_path out to start a new run."
            )
        path = files[-1]
    read_checkpoint(path)
    return path


def read_checkpoint(path: Path) -> dict[str, Any]:
    """What a checkpoint of `petseg fit` holds; its tensors stay on disk until they are used.

    Raises:
        DataError: there is no such file, or it is no whole checkpoint.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such checkpoint. `petseg fit` writes runs/version_N/checkpoints/last.ckpt.")
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        if not {"epoch", "global_step", "state_dict", "optimizer_states"} <= set(state):
            raise ValueError("not of a training")
    except (OSError, EOFError, LookupError, RuntimeError, TypeError, ValueError, pickle.UnpicklingError) as error:
        raise DataError(
            f"{path}: cannot be read as a checkpoint of `petseg fit` ({type(error).__name__}): cut off, or another "
            "kind of file. Name a whole .ckpt of runs/version_N/checkpoints."
        ) from error
    return state


def last_epoch(run: Path) -> tuple[Path | None, int]:
    """The newest checkpoint of a run that can be read, and after how many epochs it was written: None and 0 if none.

    Args:
        run: holds a folder for each attempt at one recipe.
    """
    found = sorted(run.glob("*/checkpoints/last.ckpt"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in found:
        try:
            return path, int(read_checkpoint(path)["epoch"]) + 1
        except DataError:
            print(f"{path}: was cut off while it was written; an older one is looked for")
    return None, 0
