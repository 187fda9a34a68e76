import re
from pathlib import Path

import nbformat
import numpy as np
import pytest

from petseg import course
from petseg.errors import DataError
from petseg.labels import CLASSES
from petseg.models import zoo
from petseg.training.runs import read_log

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"


def test_published_results_are_those_of_the_checkout():
    assert course.results()["models"]["unet"]["parameters"] == 7_778_643
    log = read_log(course.published("runs/unet/metrics.csv"))
    assert log["val/mean_iou"][-1][0] == zoo.card("unet").recipe["max_epochs"]


def test_a_record_that_is_missing_is_one_sentence():
    with pytest.raises(DataError, match=r"nothing\.json: no such record\. Install petseg again"):
        course.published("nothing.json")


@pytest.mark.parametrize("entry", course.references(), ids=lambda entry: entry["name"])
def test_a_reference_holds_what_its_comment_promises(entry):
    assert entry["url"].startswith("https://") or "no public page" in entry["note"]
    assert entry["split"] in ("test", "validation", "unstated")
    assert all(entry[key] is None or entry[key] >= 1 for key in ("parameters", "size"))
    scores = [entry[key] for key in ("mean_iou", *(f"iou_{name}" for name in CLASSES), "iou_foreground", "accuracy")]
    assert all(score is None or 0 < score < 1 for score in scores)
    if entry["mean_iou"] is not None:
        assert entry["mean_iou"] == pytest.approx(np.mean(scores[1:4]), abs=1e-3)


def test_notebook_07_quotes_what_the_encoder_s_weights_gain_and_lose():
    runs = course.ablation()["variants"]
    (pretrained,) = (run["points"] for run in runs if run["change"].endswith("encoder from ImageNet"))
    (scratch,) = (run["points"] for run in runs if run["change"].endswith("encoder from random weights"))
    text = (Path(__file__).resolve().parents[2] / "notebooks/07_compare_fairly.ipynb").read_text(encoding="utf-8")
    assert f"it gains {pretrained:.1f} points, with random ones it loses {-scratch:.1f}" in text


def test_notebook_03_quotes_the_ablations_and_its_own_outputs():
    notebook = nbformat.read(NOTEBOOKS / "03_train.ipynb", as_version=4)
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    said = "".join(output.get("text", "") for cell in notebook.cells for output in cell.get("outputs", []))
    rows = {}
    for name, study in (("long", course.ablation(long=True)), ("short", course.ablation())):
        rows |= {(name, run["change"]): (-run["points"], run["limit"]) for run in study["variants"]}
    gain, limit = rows["long", "no augmentation"]
    loss, _ = rows["short", "no augmentation"]
    assert f"gains {gain:.2f} points in 30 epochs, more than its limit of {limit:.2f}" in text
    assert f"*loses* {-loss:.2f} points" in text
    dice = [rows[study, "cross-entropy alone"] for study in ("long", "short")]
    gains, limits = zip(*dice, strict=True)
    assert f"{gains[0]:.2f} and {gains[1]:.2f} points, and both are within their limits" in text
    assert f"limits of {limits[0]:.2f} and {limits[1]:.2f}" in text
    averaging, limit = rows["short", "no weight averaging"]
    assert f"scored {-averaging:.2f} points lower than the last ones, limit {limit:.2f}" in text
    (mean_iou, baseline) = re.search(r"mean IoU (0\.\d{3}); the baseline has (0\.\d{3})\nIoU of pet", said).groups()
    ladder = next(cell.source for cell in notebook.cells if "figures.ladder" in cell.source)
    assert f"{baseline} if setup.quick" in ladder
    assert f"{mean_iou} if setup.quick" in ladder
    assert f"the baseline of Oxford's photos is {baseline}" in text
