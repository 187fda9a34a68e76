import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from petseg import course
from petseg.errors import DataError
from petseg.labels import CLASSES
from petseg.models import zoo
from petseg.training.runs import read_log

CHECKOUT = Path(__file__).resolve().parents[2]

#: What the notebooks read of `figures/`: through functions of `course`, and by name.
SHOWN = (
    *("results.json", "ablation.json", "ablation-long.json", "refinement.json", "references.yaml"),
    *sorted(
        {
            name
            for path in (CHECKOUT / "notebooks").glob("*.ipynb")
            for name in re.findall(r'published\(\\"([^"\\]+)', path.read_text())
        }
    ),
)


def test_published_results_are_those_of_the_checkout():
    assert course.results()["models"]["unet"]["parameters"] == 7_778_643
    log = read_log(course.published("runs/unet/metrics.csv"))
    assert log["val/mean_iou"][-1][0] == zoo.card("unet").recipe["max_epochs"]


def test_a_record_that_is_missing_is_one_sentence():
    with pytest.raises(DataError, match=r"nothing\.json: no such record\. Install petseg again"):
        course.published("nothing.json")


def test_what_is_built_holds_every_record_and_reads_it_without_a_checkout(tmp_path):
    source, built = tmp_path / "source", tmp_path / "built"
    pieces = shutil.ignore_patterns("*.safetensors", "__pycache__", "*.png", "*.jpg")
    for folder in ("petseg", "figures"):
        shutil.copytree(CHECKOUT / folder, source / folder, ignore=pieces)
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(CHECKOUT / name, source / name)
    command = [sys.executable, "setup.py", "-q", "build_py", "--build-lib", str(built)]
    subprocess.run(command, cwd=source, check=True, capture_output=True)
    code = (
        "from petseg import course, files; assert files.checkout() is None; "
        f"print(*(course.published(name) for name in {SHOWN}), sep='\\n'); "
        "print(course.results() and course.ablation() and course.ablation(long=True) and course.refinement() "
        "and len(course.references()))"
    )
    found = subprocess.run([sys.executable, "-c", code], cwd=built, capture_output=True, text=True, check=True)
    *paths, count = found.stdout.splitlines()
    assert "duplicates.json" in SHOWN  # the pattern finds what it looks for
    assert paths == [str(built / "petseg" / "course" / "records" / name) for name in SHOWN]
    assert count == str(len(course.references()))


@pytest.mark.parametrize("entry", course.references(), ids=lambda entry: entry["name"])
def test_a_reference_holds_what_its_comment_promises(entry):
    assert entry["url"].startswith("https://") or "no public page" in entry["note"]
    assert entry["split"] in ("test", "validation", "unstated")
    assert all(entry[key] is None or entry[key] >= 1 for key in ("parameters", "size"))
    scores = [entry[key] for key in ("mean_iou", *(f"iou_{name}" for name in CLASSES), "accuracy")]
    assert all(score is None or 0 < score < 1 for score in scores)
    if entry["mean_iou"] is not None:
        assert entry["mean_iou"] == pytest.approx(np.mean(scores[1:4]), abs=1e-3)
