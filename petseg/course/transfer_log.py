"""What a run of notebook 06 leaves: a record that is read again, and that is copied to be published."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from petseg.errors import DataError
from petseg.files import write_json


@dataclass(frozen=True)
class Run:
    """A finished run.

    Attributes:
        name: of its files.
        way: `scratch`, `frozen` or `fine-tuned`.
        share: of each breed's training examples.
        images: training examples.
        steps: taken.
        learnt: how many numbers could change.
        scores: as `metrics.pooled_scores` gives them, of the validation split, in fp32.
        low: lower end of the mean IoU's 95 % interval, from the bootstrap over the split's images.
        high: its upper end.
        confusion: the split's confusion matrix in pixels (3, 3), rows true, columns predicted.
        step_seconds: median time of a training step.
        minutes: from first to last step, checks included.
        precision: of the training steps, as Lightning names it.
        device: its type.
        loss: (step, mean training loss of the steps before).
        val: (step, mean IoU on validation) at each check, in the training's precision.
        moved: by stage of the encoder, how far its weights went: |after - before| / |before|.
    """

    name: str
    way: str
    share: float
    images: int
    steps: int
    learnt: int
    scores: dict[str, float]
    low: float
    high: float
    confusion: list[list[int]]
    step_seconds: float
    minutes: float
    precision: str
    device: str
    loss: list[tuple[int, float]]
    val: list[tuple[int, float]]
    moved: dict[str, float]

    def summary(self) -> str:
        """The run in a line: way, data, mean IoU with its interval, time."""
        score = f"mean IoU {self.scores['mean_iou']:.3f} [{self.low:.3f}, {self.high:.3f}]"
        time = f"{1e3 * self.step_seconds:.0f} ms a step, {self.minutes:.1f} min"
        return f"{self.way:<11}{self.images:>6,} pictures {self.steps:>5,} steps  {score}  {time}"


def read_run(path: Path) -> Run:
    """The run of a file that `train` wrote.

    Raises:
        DataError: the file is damaged, or another petseg wrote it.
    """
    try:
        return _run(json.loads(path.read_text())["run"])
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{path.name}: holds no run that can be read ({error}). Delete it, and it is run anew."
        ) from error


def read_runs(path: Path) -> list[Run]:
    """The runs of a file that `publish_runs` wrote.

    Raises:
        DataError: the file is damaged, or another petseg wrote it.
    """
    try:
        return [_run(one["run"]) for one in json.loads(path.read_text())]
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path.name}: holds no runs that can be read ({error}). Fetch the file again.") from error


def publish_runs(folder: Path, out: Path) -> int:
    """Copies the records of all finished runs into one file, with settings and log, without weights.

    Args:
        folder: that of notebook 06's runs.
        out: the file, for instance `figures/runs/transfer/runs.json`.

    Returns:
        how many runs there are.

    Raises:
        DataError: there is none, or one cannot be read.
    """
    found = sorted(folder.glob("*.json"))
    runs = [read_run(path) for path in found]
    if not runs:
        raise DataError(f"{folder}: holds no finished run. Run notebook 06 in profile full first.")
    settings = [json.loads(path.read_text())["settings"] for path in found]
    records = [{"settings": how, "run": _rounded(asdict(run))} for how, run in zip(settings, runs, strict=True)]
    records.sort(key=lambda one: (one["run"]["steps"], one["run"]["images"], one["run"]["way"]))
    write_json(out, records)
    return len(records)


def _run(record: dict[str, Any]) -> Run:
    unknown = set(record) - {field.name for field in fields(Run)}
    if unknown:
        raise ValueError(f"unknown: {', '.join(sorted(unknown))}")
    pairs = {key: [(int(step), float(value)) for step, value in record[key]] for key in ("loss", "val")}
    return Run(**{**record, **pairs})


def _rounded(value: Any) -> Any:
    """The same with floats of six digits, more than a rerun on another machine repeats."""
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, dict):
        return {key: _rounded(one) for key, one in value.items()}
    return [_rounded(one) for one in value] if isinstance(value, list | tuple) else value
