import numpy as np
import pytest

from petseg import course
from petseg.errors import DataError
from petseg.labels import CLASSES
from petseg.models import zoo
from petseg.training.runs import read_log


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
