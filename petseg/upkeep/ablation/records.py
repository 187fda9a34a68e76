"""The record of the ablation: `figures/ablation.json` holds results, `figures/runs/ablation.csv` the curves."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, get_args

from petseg.errors import DataError
from petseg.files import read_json, write_json
from petseg.metrics.confusion import SCORES
from petseg.training.runs import Log, read_logs, write_logs
from petseg.upkeep.ablation.compare import Summary, collected
from petseg.upkeep.ablation.plan import Plan, Weights, merged

#: What `collected` adds to a summary; it is computed again whenever the record is written.
DERIVED: Final = ("weights", "score", "points", "limit")


@dataclass(frozen=True)
class Records:
    """What is on record of a plan.

    Attributes:
        plan: the runs; a record of another recipe does not count.
        measured: the JSON file.
        curves: the CSV file, a row for each epoch of each run.
    """

    plan: Plan
    measured: Path
    curves: Path

    def summaries(self) -> dict[str, Summary]:
        """The summaries of the plan's runs by name: those that are on record with the plan's recipe.

        Raises:
            DataError: the file is damaged.
        """
        if not self.measured.is_file():
            return {}
        try:
            content = read_json(self.measured)
            listed = {entry["name"]: entry for entry in (*content["base"], *content["variants"])}
            found = {}
            for run in self.plan.trained:
                if (entry := listed.get(run.name)) and _recipe(content["recipe"], entry) == run.recipe:
                    _check(entry)
                    found[run.name] = {key: value for key, value in entry.items() if key not in DERIVED}
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise DataError(
                f"{self.measured}: damaged ({type(error).__name__}: {error}). Restore it from git, or delete it and "
                "train again."
            ) from error
        return found

    def keep(self, summary: Summary, log: Log | None = None) -> None:
        """Puts a run on record, the curves first, so that no summary lacks them.

        Args:
            summary: replaces that of the same name.
            log: its curves; None leaves those that are on record.

        Raises:
            DataError: the curves of a run on record are missing.
        """
        found = self.summaries() | {summary["name"]: summary}
        if log is not None:
            logs = read_logs(self.curves) if self.curves.is_file() else {}
            logs[summary["name"]] = {column: log[column] for column in log if not column.startswith("lr-")}
            names = [run.name for run in self.plan.trained if run.name in found]
            if missing := [name for name in names if name not in logs]:
                raise DataError(f"{self.curves}: has no curves of {', '.join(missing)}. Restore it from git.")
            write_logs(self.curves, {name: logs[name] for name in names})
        write_json(self.measured, collected(self.plan, found))


def _recipe(base: Mapping[str, Any], entry: Mapping[str, Any]) -> dict[str, Any]:
    """All settings of a run on record: the base's, its seed, and what it changes."""
    return merged({"seed_everything": entry["seed"], **base}, entry["settings"])


def _check(entry: Mapping[str, Any]) -> None:
    """Raises ValueError or KeyError where a summary lacks a finite number."""
    numbers = [entry["val"][weights][score] for weights in get_args(Weights) for score in SCORES]
    numbers += [entry[key] for key in ("seed", "epochs", "seconds")]
    numbers += [entry["cost"][key] for key in ("parameters", "multiply_adds", "milliseconds")]
    if not all(isinstance(number, int | float) and math.isfinite(number) for number in numbers):
        raise ValueError(f"{entry['name']}: a score is not a finite number")
