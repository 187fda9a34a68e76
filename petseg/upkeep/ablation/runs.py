"""A run of the plan: trained by `petseg fit` in a process of its own, resumed after a break, and put on record.

A record is a folder of `figures/runs/ablations/`: `config.yaml`, which `petseg fit --config` takes, a small
`metrics.csv`, and `summary.json`. The test split is scored by none of this.
"""

from __future__ import annotations

import csv
import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import torch
import yaml

from petseg.errors import DataError
from petseg.files import atomic_write, data_folder, write_json
from petseg.labels import CLASSES
from petseg.training.runs import Log, joined, last_epoch, read_log
from petseg.training.task import SegmentationTask
from petseg.upkeep.ablation.cost import host, measure_cost
from petseg.upkeep.ablation.plan import Run, Weights

#: The scores of a summary, by the name that a log gives them.
SCORES = ("mean_iou", *(f"iou_{name}" for name in CLASSES), "accuracy")
COLUMNS: dict[Weights, str] = {"averaged": "val", "raw": "val_raw"}


def train(run: Run, work: Path, records: Path) -> dict[str, Any]:
    """Trains a run and puts it on record; what is on record already stays, and what was begun goes on.

    Args:
        run: of the plan.
        work: holds a folder for each run, with its checkpoints for as long as it is not done.
        records: holds a record for each run that is.

    Returns:
        the summary.

    Raises:
        DataError: the training failed, or the record is damaged.
    """
    if found := read_summary(run, records):
        return found
    folder = work / f"{run.name}-{run.fingerprint}"
    if last_epoch(folder / "runs")[1] < run.epochs and (status := start(run, folder).wait()) != 0:
        said = (folder / "output.txt").read_text()[-1500:]
        raise DataError(f"{run.name}: training ended with status {status}. It said last:\n{said}")
    return _record(run, folder, records)


def start(run: Run, folder: Path) -> subprocess.Popen[bytes]:
    """Begins the training of a run, or goes on with it, in a process of its own; what it says goes to `output.txt`."""
    folder.mkdir(parents=True, exist_ok=True)
    _write_yaml(folder / "recipe.yaml", run)
    flags = ["--config", "recipe.yaml", "--trainer.enable_progress_bar", "false"]
    checkpoint, _ = last_epoch(folder / "runs")
    if checkpoint:
        flags += ["--ckpt_path", str(checkpoint.resolve())]
    environment = {**os.environ, "PETSEG_DATA_DIR": str(data_folder().resolve())}  # it runs in another folder
    with (folder / "output.txt").open("w") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "petseg.cli", "fit", *flags],
            cwd=folder,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        )


def read_summary(run: Run, records: Path) -> dict[str, Any] | None:
    """The summary of a run; None where there is none, or one of another recipe.

    Raises:
        DataError: it is damaged.
    """
    path = records / run.name / "summary.json"
    if not path.is_file():
        return None
    try:
        summary: dict[str, Any] = json.loads(path.read_text())
        numbers = [summary["val"][weights][score] for weights in get_args(Weights) for score in SCORES]
        numbers += [summary[key] for key in ("seed", "epochs", "seconds")]
        numbers += [summary["cost"][key] for key in ("parameters", "multiply_adds", "milliseconds")]
        if not all(isinstance(number, int | float) and math.isfinite(number) for number in numbers):
            raise ValueError("a score is no number")
        return summary if summary["recipe"] == run.fingerprint else None
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{path}: damaged ({type(error).__name__}: {error}). Delete the folder and train {run.name} again."
        ) from error


def measured_anew(run: Run, records: Path) -> dict[str, Any] | None:
    """The summary of a run with its network timed once more, on this machine; None where the run is not on record."""
    summary = read_summary(run, records)
    if summary:
        summary["cost"] = measure_cost(_network(run), run.recipe["data"]["image_size"])
        write_json(records / run.name / "summary.json", summary)
    return summary


def _record(run: Run, folder: Path, records: Path) -> dict[str, Any]:
    """Writes the record of a run that is done, the summary last, and removes the run's checkpoints."""
    versions = sorted((path.parent for path in folder.glob("runs/*/metrics.csv")), key=lambda p: p.stat().st_mtime)
    log = joined([read_log(version / "metrics.csv") for version in versions])
    summary = {
        "name": run.name,
        "change": run.change,
        "recipe": run.fingerprint,
        "seed": run.recipe["seed_everything"],
        "epochs": run.epochs,
        "seconds": round(sum(map(_seconds, versions))),
        "host": host(),
        "val": {weights: _last_scores(run, log, column) for weights, column in COLUMNS.items()},
        "cost": measure_cost(_network(run), run.recipe["data"]["image_size"]),
    }
    kept = records / run.name
    kept.mkdir(parents=True, exist_ok=True)
    _write_yaml(kept / "config.yaml", run)
    _write_log(kept / "metrics.csv", log)
    write_json(kept / "summary.json", summary)
    for checkpoint in folder.glob("runs/*/checkpoints/*.ckpt"):
        checkpoint.unlink()  # 100 MB each; the record says how to train it again
    return summary


def _last_scores(run: Run, log: Log, column: str) -> dict[str, float]:
    try:
        return {score: round(dict(log[f"{column}/{score}"])[run.epochs], 5) for score in SCORES}
    except KeyError as error:
        raise DataError(
            f"{run.name}: its log has no {error} of epoch {run.epochs}. Delete runs/ablations/{run.name}-* and train "
            "it again."
        ) from error


def _seconds(version: Path) -> float:
    """Seconds between the beginning of a training and its last checkpoint; what was lost after that does not count."""
    end, begun = version / "checkpoints" / "last.ckpt", version / "config.yaml"
    return max(0.0, end.stat().st_mtime - begun.stat().st_mtime) if end.is_file() and begun.is_file() else 0.0


def _network(run: Run) -> torch.nn.Module:
    model = {key: value for key, value in run.recipe["model"].items() if key != "augment"}
    return SegmentationTask(**model).network


def _write_yaml(path: Path, run: Run) -> None:
    with atomic_write(path) as draft:
        draft.write_text(f"# {run.name}: {run.change}\n" + yaml.safe_dump(dict(run.recipe), sort_keys=False))


def _write_log(path: Path, log: Log) -> None:
    """A log with one row an epoch and five digits a number; epochs count from 0, as in the logs of `petseg fit`."""
    columns = sorted(name for name in log if not name.startswith("lr-"))
    by_epoch = {name: dict(log[name]) for name in columns}
    with atomic_write(path) as draft, draft.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["epoch", *columns])
        for epoch in sorted({epoch for values in by_epoch.values() for epoch in values}):
            values = [by_epoch[name].get(epoch) for name in columns]
            writer.writerow([epoch - 1, *("" if value is None else f"{value:.5g}" for value in values)])
