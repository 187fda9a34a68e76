"""Runs of `petseg fit`: their folders, their configurations and their logs, one row per epoch."""

from __future__ import annotations

import csv
import errno
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, cast

import yaml

from petseg.errors import DataError, MissingError
from petseg.files import atomic_write

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


def check_writable(path: Path) -> None:
    """Makes the folder of a file and looks whether it can be written to, before hours are spent on what the file holds.

    Raises:
        MissingError: it cannot.
    """
    try:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, "it is a folder")
        path.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise MissingError(f"{path}: cannot be written ({error.strerror}). Name a file elsewhere.") from error


def joined(logs: Sequence[Log]) -> Log:
    """One log of the logs of a run and of those that resumed it: where two know an epoch, the later one counts."""
    columns = dict.fromkeys(name for log in logs for name in log)
    return {name: sorted({e: v for log in logs for e, v in log.get(name, [])}.items()) for name in columns}


def read_config(run: Path) -> dict[str, Any]:
    """The configuration that `petseg fit` wrote into a run's folder; empty where there is none.

    Raises:
        DataError: it cannot be read, or a section is missing.
    """
    path = run / "config.yaml"
    if not path.is_file():
        return {}
    try:
        config = yaml.safe_load(path.read_text())
        missing = {"seed_everything", "trainer", "model", "data", "average", "ckpt_path"} - set(config)
    except (OSError, TypeError, ValueError, yaml.YAMLError) as error:
        raise DataError(f"{path}: cannot be read ({type(error).__name__}). Remove it, and defaults count.") from error
    if missing:
        raise DataError(f"{path}: lacks {', '.join(sorted(missing))}. Remove it, and defaults count.")
    return cast(dict[str, Any], config)


def attempts(run: Path) -> list[Path]:
    """A run with those that it resumed and those that resumed it, in the order in which they began.

    Each `petseg fit --ckpt_path` writes into a folder of its own, whose `config.yaml` names the checkpoint.

    Args:
        run: folder of `petseg fit`, `runs/version_N`; the others are looked for beside it.
    """
    run = run.resolve()
    resumed: dict[Path, Path | None] = {}
    for file in run.parent.glob("*/config.yaml"):
        with suppress(DataError):  # another run's; our own is read again by those that need it
            checkpoint = read_config(file.parent)["ckpt_path"]
            # a relative path counts from where `petseg fit` was called, which holds the folder of all runs
            resumed[file.parent] = (run.parents[1] / checkpoint).resolve().parent.parent if checkpoint else None

    def first(one: Path) -> Path:
        earlier = resumed.get(one)
        return first(earlier) if earlier in resumed else one

    family = [one for one in resumed if first(one) == first(run)]
    return sorted(family, key=lambda one: (one / "config.yaml").stat().st_mtime) or [run]


def keep_log(run: Path, folder: Path) -> None:
    """Copies what is worth keeping of a run: its configuration, and its log with one row an epoch.

    A run that was resumed gives one log; where two attempts know an epoch, the later one counts. The configuration
    keeps of every path its last part, since the rest is of this machine.

    Args:
        run: folder of `petseg fit`, `runs/version_N`.
        folder: made if missing.

    Raises:
        DataError: the run has no log.
    """
    write_log(folder / "metrics.csv", joined([read_log(log) for log in logs_of(run)]))
    if config := read_config(attempts(run)[0]):
        config["data"]["data_dir"] = None
        with atomic_write(folder / "config.yaml") as partial:
            partial.write_text(yaml.safe_dump(_without_folders(config), sort_keys=False))


def logs_of(run: Path) -> list[Path]:
    """The logs of a run's attempts, at least one."""
    logs = [one / "metrics.csv" for one in attempts(run) if (one / "metrics.csv").is_file()]
    if not logs:
        raise DataError(f"{run}: holds no metrics.csv. Name the folder that `petseg fit` made, runs/version_N.")
    return logs


def _without_folders(value: Any) -> Any:
    """A configuration whose absolute paths have become file names."""
    if isinstance(value, dict):
        return {key: _without_folders(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_without_folders(one) for one in value]
    return Path(value).name if isinstance(value, str) and Path(value).is_absolute() else value
