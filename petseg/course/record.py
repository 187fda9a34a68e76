"""What the project has published of its own runs: scores and training logs, as `figures/` holds them."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from importlib.metadata import metadata
from pathlib import Path
from typing import Any

import yaml

from petseg.errors import DataError
from petseg.files import atomic_write, checkout
from petseg.labels import CLASSES

#: Where the scores of a reference may have been taken.
SPLITS = ("test", "validation", "unstated")


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
    with atomic_write(path) as draft:
        draft.write_bytes(content)
    return path


def results() -> dict[str, Any]:
    """The scores of the released models, as `make figures` wrote them to `figures/results.json`."""
    found: dict[str, Any] = json.loads(published("results.json").read_text())
    return found


def ablation() -> dict[str, Any]:
    """What each change of the recipe is worth, as `make ablation` wrote it to `figures/ablation.json`.

    Returns:
        `data`, in words; `base`: a summary for each seed; `noise`: `mean` of their scores and, in points, their
        standard deviation (`seeds`), that of one run's `difference` from the mean, and its `limit` with 95 %;
        `variants`: summaries with `weights` and `score` (mean IoU), those that count, `points` above the base's mean,
        and the `limit` up to which chance explains them. A summary holds `change`, `seed`, `epochs`, `seconds`, `host`,
        `val` (scores by weights) and `cost`.

    Raises:
        DataError: the file is neither here nor in the repository.
    """
    found: dict[str, Any] = json.loads(published("ablation.json").read_text())
    return found


def references(path: Path | None = None) -> list[dict[str, Any]]:
    """What others report for this data set; the file says what its fields mean.

    Raises:
        DataError: an entry lacks a field, or holds what the field cannot.
    """
    path = path or published("references.yaml")
    try:
        found: list[dict[str, Any]] = yaml.safe_load(path.read_text())["references"]
        for entry in found:
            _check_reference(entry)
    except (OSError, yaml.YAMLError, KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{path.name}: cannot be read as references ({type(error).__name__}: {error}). See the comment at its top."
        ) from error
    return found


def _check_reference(entry: Mapping[str, Any]) -> None:
    """Raises ValueError or KeyError where a reference is not what `references.yaml` promises."""
    for key in ("name", "encoder", "url", "note"):
        if not isinstance(entry[key], str):
            raise ValueError(f"{entry.get('name')}: {key} must be text")
    if entry["split"] not in SPLITS:
        raise ValueError(f"{entry['name']}: split must be one of {', '.join(SPLITS)}")
    for key in ("parameters", "size"):
        if entry[key] is not None and (not isinstance(entry[key], int) or entry[key] < 1):
            raise ValueError(f"{entry['name']}: {key} must be a whole number from 1, or null")
    for key in ("mean_iou", *(f"iou_{label}" for label in CLASSES), "accuracy"):
        if entry[key] is not None and not 0 <= entry[key] <= 1:
            raise ValueError(f"{entry['name']}: {key} must lie between 0 and 1, or be null")
