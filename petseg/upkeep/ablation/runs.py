"""A run of the plan: trained by `petseg fit` in a separate process, resumed after a break, and put on record.

None of this scores the test split.
"""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Final

import torch
import yaml

from petseg.errors import DataError
from petseg.files import atomic_write
from petseg.metrics.confusion import SCORES
from petseg.training.checkpoints import last_epoch
from petseg.training.command import run_command
from petseg.training.runs import Log, joined, read_log
from petseg.training.task import SegmentationTask
from petseg.upkeep.ablation.compare import Summary
from petseg.upkeep.ablation.cost import host, measure_cost
from petseg.upkeep.ablation.plan import Run, Weights
from petseg.upkeep.ablation.records import Records

#: The prefix that a log gives the scores of each kind of weights.
COLUMNS: Final[dict[Weights, str]] = {"averaged": "val", "raw": "val_raw"}


def train(run: Run, work: Path, records: Records) -> Summary:
    """Trains a run and puts it on record; what is on record already stays, and what was begun is resumed.

    Args:
        run: of the plan.
        work: holds a folder for each run, with its checkpoints until it is done.
        records: where the summary and the curves go.

    Returns:
        the summary.

    Raises:
        DataError: the training failed, or the record is damaged.
    """
    if summary := records.summaries().get(run.name):
        return summary
    folder = work / f"{run.name}-{run.fingerprint}"
    if last_epoch(folder / "runs")[1] < run.epochs:
        try:
            run_command(command(run, folder), folder, threads=None, timeout=None)
        except RuntimeError as error:
            raise DataError(f"{run.name}: the training failed. {error}") from error
    return _record(run, folder, records)


def command(run: Run, folder: Path) -> str:
    """The `petseg` command that begins or resumes the training of a run in its folder, which gets the recipe."""
    with atomic_write(folder / "recipe.yaml") as draft:
        draft.write_text(f"# {run.name}: {run.change}\n" + yaml.safe_dump(dict(run.recipe), sort_keys=False))
    arguments = ["petseg", "fit", "--config", "recipe.yaml", "--trainer.enable_progress_bar", "false"]
    checkpoint, _ = last_epoch(folder / "runs")
    if checkpoint:
        arguments += ["--ckpt_path", str(checkpoint.resolve())]
    return shlex.join(arguments)


def time_again(run: Run, records: Records) -> Summary | None:
    """The summary of a run with its network timed again, on this machine; None where the run is not on record."""
    summary = records.summaries().get(run.name)
    if summary:
        summary["cost"] = measure_cost(_network(run), run.recipe["data"]["image_size"])
        records.keep(summary)
    return summary


def _record(run: Run, folder: Path, records: Records) -> Summary:
    """Puts a run that is done on record, and removes its checkpoints."""
    versions = sorted((path.parent for path in folder.glob("runs/*/metrics.csv")), key=lambda p: p.stat().st_mtime)
    log = joined([read_log(version / "metrics.csv") for version in versions])
    summary = {
        "name": run.name,
        "change": run.change,
        "settings": dict(run.settings),
        "seed": run.recipe["seed_everything"],
        "epochs": run.epochs,
        "seconds": round(sum(map(_seconds, versions))),
        "host": host(),
        "val": {weights: _last_scores(run, log, column) for weights, column in COLUMNS.items()},
        "cost": measure_cost(_network(run), run.recipe["data"]["image_size"]),
    }
    records.keep(summary, log)
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
