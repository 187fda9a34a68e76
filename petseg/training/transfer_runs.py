"""Records of the runs that notebook 06 compares: written after each training, read again, copied to be published."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from petseg.errors import DataError
from petseg.files import read_json, write_json

#: The methods that are compared: all weights start at random values; ImageNet's encoder, frozen; ImageNet's encoder,
#: trained with a separate learning rate.
METHODS = ("scratch", "frozen", "fine-tuned")


@dataclass(frozen=True)
class TransferRun:
    """A finished run.

    Attributes:
        name: of its files.
        method: one of `METHODS`.
        fraction: of each breed's training examples.
        images: number of training examples.
        steps: number of training steps.
        trainable_parameters: number of parameters that the optimiser could change.
        scores: of the validation split, in fp32, as `metrics.pooled_scores` returns them.
        low: lower end of the mean IoU's 95 % interval, from the bootstrap over the split's images.
        high: its upper end.
        confusion: the split's confusion matrix in pixels (3, 3), rows true, columns predicted.
        step_seconds: median time of a training step.
        minutes: from the first to the last step, validations included.
        precision: of the training steps, as Lightning names it.
        device: its type, for instance `cpu`.
        loss: (step, mean training loss since the point before).
        val: (step, mean IoU on validation) of each validation during training, in the training's precision.
        weight_change: by stage of the encoder, `|after - before| / |before|` of its weights.
    """

    name: str
    method: str
    fraction: float
    images: int
    steps: int
    trainable_parameters: int
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
    weight_change: dict[str, float]


def read_run(path: Path) -> TransferRun:
    """The run of a file that notebook 06 wrote.

    Raises:
        DataError: the file is damaged, or another version of petseg wrote it.
    """
    try:
        return _run(read_json(path)["run"])
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{path.name}: holds no run that can be read ({error}). Delete it; notebook 06 then trains it again."
        ) from error


def read_runs(path: Path) -> list[TransferRun]:
    """The runs of a file that `publish_runs` wrote.

    Raises:
        DataError: the file is damaged, or another version of petseg wrote it.
    """
    try:
        return [_run(entry["run"]) for entry in read_json(path)]
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path.name}: holds no runs that can be read ({error}). Fetch the file again.") from error


def publish_runs(folder: Path, out: Path) -> int:
    """Copies the records of all finished runs into one file, with settings and log, without weights.

    Args:
        folder: that of notebook 06's runs.
        out: the file, for instance `figures/runs/transfer/runs.json`. Runs that it holds already stay, unless the
            folder has one of the same settings.

    Returns:
        the number of runs that the file holds.

    Raises:
        DataError: the folder has none, or one cannot be read.
    """
    paths = sorted(folder.glob("*.json"))
    if not paths:
        raise DataError(f"{folder}: holds no finished run. Run notebook 06 in profile full first.")
    records = [
        {"settings": read_json(path)["settings"], "run": _rounded(asdict(run))}
        for path, run in zip(paths, map(read_run, paths), strict=True)
    ]
    if out.is_file():
        read_runs(out)  # refuses a damaged file
        settings = [record["settings"] for record in records]
        records += [record for record in read_json(out) if record["settings"] not in settings]
    records.sort(key=lambda record: (record["run"]["steps"], record["run"]["images"], record["run"]["method"]))
    write_json(out, records)
    return len(records)


def _run(record: dict[str, Any]) -> TransferRun:
    unknown = set(record) - {field.name for field in fields(TransferRun)}
    if unknown:
        raise ValueError(f"unknown: {', '.join(sorted(unknown))}")
    pairs = {key: [(int(step), float(value)) for step, value in record[key]] for key in ("loss", "val")}
    return TransferRun(**{**record, **pairs})


def _rounded(value: Any) -> Any:
    """The same with floats of six digits; further digits differ between machines."""
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, dict):
        return {key: _rounded(entry) for key, entry in value.items()}
    return [_rounded(entry) for entry in value] if isinstance(value, list | tuple) else value
