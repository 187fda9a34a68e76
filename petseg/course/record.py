"""What the project has published of its runs: scores and training logs, as `figures/` holds them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from petseg.errors import DataError
from petseg.files import checkout, read_json


def published(name: str) -> Path:
    """A file of the checkout's `figures/`; without a checkout, its copy in the installed package.

    Args:
        name: its path in `figures/`, for instance `results.json` or `runs/unet/metrics.csv`.

    Raises:
        DataError: there is no such file.
    """
    home = checkout()
    folder = home / "figures" if home else Path(__file__).with_name("records")  # setup.py puts it into the wheel
    path = folder / name
    if not path.is_file():
        raise DataError(f"{path}: no such record. Install petseg again, or run the notebook in a checkout.")
    return path


def results() -> dict[str, Any]:
    """The scores of the released models, as `make figures` wrote them to `figures/results.json`."""
    found: dict[str, Any] = read_json(published("results.json"))
    return found


def ablation(long: bool = False) -> dict[str, Any]:
    """What each change of a short recipe does to its score, as `make ablation` wrote it to `figures/ablation.json`.

    Args:
        long: the runs of `make ablation ARGS=--long` instead, in which a fifth of the images is seen 30 times, not all
            of them 8 times: `figures/ablation-long.json`.

    Returns:
        `data`, in words; `recipe` of the base; `base`: a summary for each seed; `noise`: `mean` of their scores and, in
        points, their standard deviation (`seeds`), that of one run's `difference` from the mean, and its `limit` with
        95 %; `variants`: summaries with `weights` and `score` (mean IoU), those that count, `points` above the base's
        mean, and the `limit` up to which chance explains them. A summary holds `change`, `settings` that differ from
        the recipe, `seed`, `epochs`, `seconds`, `host`, `val` (scores by weights) and `cost`.
    """
    found: dict[str, Any] = read_json(published("ablation-long.json" if long else "ablation.json"))
    return found


def refinement() -> dict[str, Any]:
    """Masks at the photos' original size, by each way to get there: `figures/refinement.json`.

    Returns:
        `model`; `tolerance` of the boundary F-score in pixels; `chosen on` and `reported`: two halves of the photos,
        each with the number of `photos` and, by scene and way, its scores and its `gain` in mean IoU over the first way
        as (value, lower, upper end of its 95 % interval).
    """
    found: dict[str, Any] = read_json(published("refinement.json"))
    return found


def references() -> list[dict[str, Any]]:
    """What others report for this data set; the comment at the top of `figures/references.yaml` explains the fields."""
    found: list[dict[str, Any]] = yaml.safe_load(published("references.yaml").read_text())["references"]
    return found
