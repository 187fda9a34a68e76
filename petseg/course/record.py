"""The published scores and training logs, which `figures/` holds."""

from pathlib import Path
from typing import Any

import yaml

from petseg.errors import DataError
from petseg.files import checkout, read_json


def published(name: str) -> Path:
    """A file of the checkout's `figures/`, for instance `results.json`; without a checkout, its copy in the package.

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
    """The scores of the released models, which `make figures` writes."""
    return read_json(published("results.json"))


def ablation(long: bool = False) -> dict[str, Any]:
    """How each change of a short recipe changes its score; with `long`, of 30 epochs on a fifth of the images.

    Returns:
        `data`, in words; `recipe` of the base; `base`: a summary for each seed; `noise`: `mean` of their scores and, in
        points, their standard deviation (`seeds`), that of one run's `difference` from the mean, and its `limit` with
        95 %; `variants`: summaries with `score` (mean IoU), `points` above the base's mean, and the
        `limit` up to which chance explains them. A summary holds `change`, `settings`, the flags that change the
        recipe, `epochs`, `seconds`, `host`, `val` (scores by weights) and `cost`.
    """
    return read_json(published("ablation-long.json" if long else "ablation.json"))


def refinement() -> dict[str, Any]:
    """Scores of masks at the photos' original size, by the method that enlarges them.

    Returns:
        `model`; `tolerance` of the boundary F-score in pixels; `reported`: the number of `photos` and, by scene and
        method, its scores and its `gain` in mean IoU over the first method as (value, lower, upper end of its 95 %
        interval).
    """
    return read_json(published("refinement.json"))


def references() -> list[dict[str, Any]]:
    """The scores that others report for this data set; `figures/references.yaml` explains the fields."""
    return yaml.safe_load(published("references.yaml").read_text(encoding="utf-8"))["references"]
