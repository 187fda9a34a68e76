"""What the project has published of its own runs: scores and training logs, as `figures/` holds them."""

from __future__ import annotations

import csv
import json
import urllib.error
import urllib.request
from collections import defaultdict
from importlib.metadata import metadata
from pathlib import Path
from typing import Any

from petseg.cache import DataError
from petseg.data import checkout
from petseg.zoo import written_whole


def repository() -> str:
    """The project's address, as `[project.urls]` of pyproject.toml says it."""
    listed = dict(entry.split(", ", 1) for entry in metadata("petseg").get_all("Project-URL") or [])
    return listed["Repository"]


def published(name: str) -> Path:
    """A file of `figures/`: that of the checkout, or else fetched once from the repository into `./figures/`.

    Args:
        name: its path in `figures/`, for instance `results.json` or `runs/unet/metrics.csv`.

    Raises:
        DataError: it is not there and could not be fetched.
    """
    path = (checkout() or Path.cwd()) / "figures" / name
    if path.is_file():
        return path
    address = f"{repository()}/raw/main/figures/{name}"
    try:
        with urllib.request.urlopen(address, timeout=30) as answer:
            content = answer.read()
    except (urllib.error.URLError, TimeoutError) as error:
        raise DataError(
            f"{address}: could not be fetched ({error}). Run the notebook in a checkout instead."
        ) from error
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(path) as draft:
        draft.write_bytes(content)
    return path


def results() -> dict[str, Any]:
    """The scores of the released models, as `make figures` wrote them to `figures/results.json`."""
    found: dict[str, Any] = json.loads(published("results.json").read_text())
    return found


def read_log(path: Path) -> dict[str, list[tuple[int, float]]]:
    """(epoch, value) pairs by column of a run's `metrics.csv`; epochs count from 1.

    Raises:
        DataError: the file is not there.
    """
    if not path.is_file():
        raise DataError(f"{path}: no training log. Copy metrics.csv of the released run there.")
    log: dict[str, list[tuple[int, float]]] = defaultdict(list)
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            for column, value in row.items():
                if row["epoch"] and value and column not in ("epoch", "step"):
                    log[column].append((int(row["epoch"]) + 1, float(value)))
    return dict(log)
