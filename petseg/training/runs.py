"""Runs of `petseg fit`: their folders, configurations, checkpoints, and logs with one row per epoch."""

import csv
import errno
import math
import pickle
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, cast

import torch
import yaml

from petseg.errors import DataError, MissingError
from petseg.files import atomic_write, write_text

#: (epoch, value) pairs by name of a column; epochs count from 1.
Log = dict[str, list[tuple[int, float]]]

#: Of the `config.yaml` of a run, what its epochs depend on.
SECTIONS = ("seed_everything", "trainer", "model", "data", "average")


def read_log(path: Path) -> Log:
    """The log of a run's `metrics.csv`; empty where the run was stopped within its first epoch.

    Raises DataError if there is no such file.
    """
    return read_logs(path).get("", {})


def read_logs(path: Path) -> dict[str, Log]:
    """The logs of a file of `write_logs`, by the name of their run; the log of a `metrics.csv` has the name "".

    Raises:
        DataError: there is no such file, or it is none of `petseg fit`.
    """
    if not path.is_file():
        raise DataError(f"{path}: no training log. Copy metrics.csv of the released run there.")
    logs: dict[str, Log] = defaultdict(lambda: defaultdict(list))
    try:
        with path.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(line for line in file if line.endswith("\n")):  # a full disk cuts off the last
                for column, value in row.items():
                    if row.get("epoch") and value and column not in ("run", "epoch", "step"):
                        logs[row.get("run", "")][column].append((int(row["epoch"]) + 1, float(value)))
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}). Change its permissions.") from error
    except (TypeError, ValueError, csv.Error) as error:
        raise DataError(f"{path}: is no log of `petseg fit` ({error}). Undo what has changed in it.") from error
    return {run: dict(log) for run, log in logs.items()}


def write_logs(path: Path, logs: Mapping[str, Log]) -> None:
    """Writes logs with one row per epoch; a column `run` holds their names, unless the only one has the name ""."""
    columns = sorted({name for log in logs.values() for name in log})
    named = any(logs)
    with atomic_write(path) as draft, draft.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*(["run"] if named else []), "epoch", *columns])
        for run, log in logs.items():
            values = {name: dict(points) for name, points in log.items()}
            for epoch in sorted({epoch for points in values.values() for epoch in points}):
                row = [values.get(name, {}).get(epoch) for name in columns]
                cells = ["" if value is None else f"{value:.6g}" for value in row]  # further digits vary by machine
                writer.writerow([*([run] if named else []), epoch - 1, *cells])  # from 0, as in Lightning's logs


def joined(logs: Sequence[Log]) -> Log:
    """One log of the logs of a run and of those that resumed it; where two have an epoch, the later one counts."""
    columns = dict.fromkeys(name for log in logs for name in log)
    return {name: sorted({e: v for log in logs for e, v in log.get(name, [])}.items()) for name in columns}


def read_config(run: Path) -> dict[str, Any]:
    """The `config.yaml` that `petseg fit` wrote into the folder of a run; empty where there is none.

    Raises DataError if it cannot be read, or a section is missing.
    """
    path = run / "config.yaml"
    if not path.is_file():
        return {}
    try:
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
        missing = {*SECTIONS, "ckpt_path"} - set(config)
    except (OSError, TypeError, ValueError, yaml.YAMLError) as error:
        raise DataError(f"{path}: cannot be read ({type(error).__name__}). Remove it to use defaults.") from error
    if missing:
        raise DataError(f"{path}: lacks {', '.join(sorted(missing))}. Remove it to use defaults.")
    return cast(dict[str, Any], config)


def run_of(checkpoint: Path) -> Path | None:
    """The folder of a checkpoint's run; None for a copy elsewhere, beside which other programs may have their files."""
    folder = checkpoint.absolute().parent
    return folder.parent if folder.name == "checkpoints" else None


def attempts(run: Path) -> list[Path]:
    """The folders of a run, of those that it resumed and of those that resumed it, in the order of their start.

    Each `petseg fit --ckpt_path` writes into a new folder beside the others; its `config.yaml` names the checkpoint.
    """
    run = run.resolve()
    earlier: dict[Path, Path | None] = {}
    for file in run.parent.glob("*/config.yaml"):
        with suppress(DataError):  # of another run; whoever needs this run's configuration reads it again
            checkpoint = read_config(file.parent)["ckpt_path"]
            # a relative path starts where `petseg fit` was called, in a folder above
            paths = [(folder / checkpoint).resolve() for folder in run.parents[1:]] if checkpoint else []
            earlier[file.parent] = next((before for before in map(run_of, paths) if before and before.is_dir()), None)

    def chain(attempt: Path) -> list[Path]:
        passed = [attempt]
        # renamed to the run that it resumed, one names itself
        while (before := earlier.get(passed[-1])) and before in earlier and before not in passed:
            passed.append(before)
        return passed

    def start(attempt: Path) -> tuple[float, int]:
        # none is older than what it resumed, although a copied folder may say so
        return max((passed / "config.yaml").stat().st_mtime for passed in chain(attempt)), len(chain(attempt))

    return sorted((attempt for attempt in earlier if set(chain(attempt)) & set(chain(run))), key=start) or [run]


def logs_of(run: Path) -> list[Path]:
    """The `metrics.csv` of each attempt at a run. Raises DataError if there is none."""
    logs = [attempt / "metrics.csv" for attempt in attempts(run) if (attempt / "metrics.csv").is_file()]
    if not logs:
        raise DataError(f"{run}: holds no metrics.csv. Name the folder that `petseg fit` made, runs/version_N.")
    return logs


def keep_log(run: Path, folder: Path) -> None:
    """Copies a run's configuration and its log, joined over all attempts, into a folder.

    Absolute paths in the configuration become file names, since the rest belongs to this machine. Raises DataError if
    the run has no log.
    """
    write_logs(folder / "metrics.csv", {"": joined([read_log(log) for log in logs_of(run)])})
    if config := read_config(attempts(run)[0]):
        config["data"]["data_dir"] = None
        write_text(folder / "config.yaml", yaml.safe_dump(_without_folders(config), sort_keys=False))


def _without_folders(value: Any) -> Any:
    """A configuration whose absolute paths have become file names."""
    if isinstance(value, dict):
        return {key: _without_folders(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_without_folders(entry) for entry in value]
    return Path(value).name if isinstance(value, str) and Path(value).is_absolute() else value


def find_checkpoint(name: str | Path, runs: Path = Path("runs")) -> Path:
    """The checkpoint that `--ckpt_path` names: a path, or `last` or `best` of the newest run in `runs`.

    Of a run that was resumed, `last` is that of its newest attempt, and `best` the one with the highest score. Raises
    DataError if there is none, or it cannot be read.
    """
    path = Path(name)
    if str(name) in ("last", "best"):
        starts = [*runs.glob("*/checkpoints/*.ckpt"), *runs.glob("*/config.yaml")]  # the latter, where there is one
        started = {file.relative_to(runs).parts[0]: file.stat().st_mtime for file in starts}
        newest = runs / max(started, key=lambda run: started[run], default="version_N")
        files = [attempt / "checkpoints" / f"{name}.ckpt" for attempt in attempts(newest)]
        files = [file for file in files if file.is_file()]
        if not files:
            if name == "best" and any(
                (attempt / "checkpoints" / "last.ckpt").is_file() for attempt in attempts(newest)
            ):
                raise DataError(
                    f"--ckpt_path best: no epoch of the newest run, {newest.absolute()}, was validated. Name `last`."
                )
            raise DataError(
                f"--ckpt_path {name}: the newest run, {newest.absolute()}, has no {name}.ckpt: it ended within its "
                "first epoch. Start it again without --ckpt_path, or name a .ckpt file of another run."
                if started
                else f"--ckpt_path {name}: {runs.absolute()} holds no run. Name a .ckpt file, or leave --ckpt_path out "
                "to start a new run."
            )
        path = max(files, key=_score) if name == "best" else files[-1]
        if path.is_relative_to(runs.resolve()):  # not of a run that is a link to another place
            path = runs / path.relative_to(runs.resolve())  # relative where `runs` is, so that the folder can be moved
    read_checkpoint(path)
    return path


def _score(best: Path) -> float:
    """The score on validation of a `best.ckpt`; a resumed run begins its own, which can be worse than that before."""
    try:
        callbacks = read_checkpoint(best).get("callbacks", {})
    except DataError:
        return -math.inf  # cut off
    states = (state for name, state in callbacks.items() if name.startswith("BestCheckpoint"))
    return next((float(state["best_model_score"]) for state in states), -math.inf)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The content of a checkpoint of `petseg fit`; its tensors stay on disk until they are used.

    Raises DataError if there is no such file, or it is not a whole checkpoint.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such checkpoint. `petseg fit` writes runs/version_N/checkpoints/last.ckpt.")
    try:
        # weights_only: a checkpoint cannot run code
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        if not {"epoch", "global_step", "state_dict", "optimizer_states"} <= set(state):
            raise ValueError("not of a training")
    except (OSError, EOFError, LookupError, RuntimeError, TypeError, ValueError, pickle.UnpicklingError) as error:
        raise DataError(
            f"{path}: cannot be read as a checkpoint of `petseg fit` ({type(error).__name__}): cut off, or another "
            "kind of file. Name a whole .ckpt of runs/version_N/checkpoints."
        ) from error
    return state


def last_epoch(runs: Path) -> tuple[Path | None, int]:
    """The readable `last.ckpt` with the most epochs in a folder of runs, and their number; None and 0 without one."""
    epochs: dict[Path, int] = {}
    for path in runs.glob("*/checkpoints/last.ckpt"):
        with suppress(DataError):  # cut off while it was written; an older one may be whole
            epochs[path] = int(read_checkpoint(path)["epoch"]) + 1
    last = max(epochs, key=lambda path: epochs[path], default=None)
    return last, epochs[last] if last else 0


def check_writable(path: Path) -> None:
    """Makes the folder of a file and checks that it can be written to, before hours are spent on the file's content.

    Raises MissingError if it cannot.
    """
    try:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, "it is a folder")
        path.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise MissingError(f"{path}: cannot be written ({error.strerror}). Name a file elsewhere.") from error
