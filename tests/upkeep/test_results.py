import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from petseg import course
from petseg.cli import main
from petseg.errors import DataError
from petseg.inference.predictor import Predictor
from petseg.labels import CLASSES
from petseg.metrics.confusion import pooled_scores
from petseg.models import zoo
from petseg.training.runs import read_log
from petseg.upkeep import results
from petseg.upkeep.ablation.table import ablation_table

CHECKOUT = Path(__file__).resolve().parents[2]
FOUND = json.loads((CHECKOUT / "figures" / "results.json").read_text())
REFINED = json.loads(results.REFINEMENT.read_text()) if results.REFINEMENT.is_file() else None
README = (CHECKOUT / "README.md").read_text()


def test_results_cover_exactly_the_released_models():
    assert sorted(FOUND["models"]) == zoo.available()


@pytest.mark.parametrize("name", sorted(FOUND["models"]))
def test_scores_follow_from_the_confusion_matrix(name):
    found = FOUND["models"][name]["test"]
    matrix = torch.tensor(found["confusion"])
    assert int(matrix.sum()) == found["images"] * 128 * 128
    for key, value in pooled_scores(matrix[None]).items():
        assert found[key] == pytest.approx(value, abs=5e-5)


@pytest.mark.parametrize("name", sorted(FOUND["models"]))
def test_the_weights_carry_the_scores_of_results_json(name):
    card = zoo.card(name)
    assert card.parameters == FOUND["models"][name]["parameters"]
    for split in ("val", "test"):
        for key, value in card.scores[split].items():
            assert FOUND["models"][name][split][key] == pytest.approx(value, abs=1e-4)


def test_readme_shows_the_table_that_results_json_makes():
    assert results.with_table(README, FOUND) == README


def test_every_score_in_readme_comes_from_results_json():
    known = {f"{value:.4f}" for model in FOUND["models"].values() for value in model["test"].values()
             if isinstance(value, float)}  # fmt: skip
    known |= {f"{value:g}" for entry in course.references() for value in entry.values() if isinstance(value, float)}
    if REFINED:
        known |= set(re.findall(r"\b0\.\d{3,}\b", results.refinement_table(REFINED)))
    if (CHECKOUT / "figures" / "ablation.json").is_file():
        known |= set(re.findall(r"\b0\.\d{3,}\b", ablation_table(course.ablation())))
    written = set(re.findall(r"\b0\.\d{3,}\b", README))
    assert written
    assert written <= known


def test_readme_shows_only_figures_that_are_there():
    shown = [path for path in re.findall(r"!\[[^\]]+\]\(([^)]+)\)", README) if "://" not in path]
    assert shown
    for path in shown:
        assert (CHECKOUT / path).is_file(), path


def test_figures_are_under_120_kilobytes():
    for path in (CHECKOUT / "figures").glob("*.png"):
        assert path.stat().st_size < 120_000, path.name


@pytest.mark.parametrize("name", zoo.available())
def test_the_run_of_every_released_model_kept_its_log(name):
    folder = CHECKOUT / "figures" / "runs" / name
    log = read_log(folder / "metrics.csv")
    recipe = zoo.card(name).recipe
    column = "val/mean_iou" if recipe["weights"] == "averaged" else "val_raw/mean_iou"
    assert dict(log[column])[recipe["epochs"]] == pytest.approx(FOUND["models"][name]["val"]["mean_iou"], abs=2e-3)
    told = json.loads((folder / "release.json").read_text())
    assert told["recipe"] == recipe
    assert recipe["test_split_scored"].endswith("UTC")
    assert yaml.safe_load((folder / "config.yaml").read_text())["seed_everything"] == recipe["seed"]


@pytest.mark.parametrize("name", zoo.available())
def test_results_are_what_the_release_counted(name):
    assert results.model_results(name) == FOUND["models"][name]


def test_a_log_of_other_weights_is_refused_in_one_sentence(tmp_path):
    with pytest.raises(DataError, match=r"release\.json: not there\. Release the model with"):
        results.model_results("unet", tmp_path)
    told = json.loads((CHECKOUT / "figures" / "runs" / "unet" / "release.json").read_text())
    told["confusion"]["test"]["pixels"][0][0] += 1000
    (tmp_path / "unet").mkdir()
    (tmp_path / "unet" / "release.json").write_text(json.dumps(told))
    with pytest.raises(DataError, match=r"tells of other weights than those of unet"):
        results.model_results("unet", tmp_path)


def test_runs_that_go_on_from_each_other_make_one_log():
    first, second = {"loss": [(1, 0.5), (2, 0.4)], "val": [(2, 0.6)]}, {"loss": [(1, 0.3)], "val": [(1, 0.7)]}
    assert results.one_after_the_other([first, second]) == {
        "loss": [(1, 0.5), (2, 0.4), (3, 0.3)],
        "val": [(2, 0.6), (3, 0.7)],
    }


def test_a_readme_without_marks_is_one_sentence():
    with pytest.raises(DataError, match=r"README\.md: must hold"):
        results.with_table("# petseg", FOUND)


def test_the_references_are_shown_where_their_marks_stand():
    assert results.reference_table(course.references()) in README
    start, end = results.REFERENCE_MARKS
    empty = README.split(start)[0] + f"{start}\n{end}" + README.split(end)[1]
    assert results.with_table(empty, FOUND) == README


@pytest.mark.skipif(
    REFINED is None, reason="python -m petseg.upkeep.fullsize has not been run on the released models yet"
)
def test_the_ways_to_full_size_are_those_of_the_model_that_people_use_and_two_looks_earn_their_place():
    assert results.refinement_table(REFINED) in README
    assert REFINED["model"] == zoo.best()
    near, far = (REFINED["reported"][key]["two looks"] for key in ("as they are", "in a frame 2.0 times as wide"))
    assert near["gain"][0] > -0.002  # no loss where the pet fills the photo
    assert far["gain"][1] > 0  # and a gain that is no chance where it does not


def test_the_table_of_references_says_what_is_not_known():
    unknown = {"name": "a", "url": "", "encoder": "scratch", "split": "unstated", "note": ""}
    unknown |= dict.fromkeys(("parameters", "size", "mean_iou", *(f"iou_{c}" for c in CLASSES), "accuracy"))
    assert results.reference_table([unknown]).splitlines()[-1] == (
        "| 1 | a (no public page found) | - | - | unstated | scratch | - | - | - | - | - |"
    )


def test_every_reference_has_a_source_or_says_that_none_was_found():
    for entry in course.references():
        assert entry["url"].startswith("https://") or "no public page" in entry["note"]


def test_the_mean_iou_of_a_reference_is_that_of_its_classes():
    for entry in course.references():
        if entry["mean_iou"] is not None:
            assert entry["mean_iou"] == pytest.approx(np.mean([entry[f"iou_{c}"] for c in CLASSES]), abs=1e-3)


@pytest.mark.parametrize(
    "change", [{"split": "train"}, {"mean_iou": 64}, {"parameters": 0}, {"size": "128"}, {"url": None}, {"name": 1}]
)
def test_a_reference_that_cannot_be_right_is_one_sentence(change, tmp_path):
    path = tmp_path / "references.yaml"
    path.write_text(yaml.safe_dump({"references": [course.references()[0] | change]}))
    with pytest.raises(DataError, match=r"references\.yaml: cannot be read as references .*See the comment"):
        course.references(path)


def test_chelsea_is_found_where_she_sits():
    from skimage.data import cat

    mask = Predictor("unet")(cat(), name="Chelsea").mask
    assert mask.shape == (300, 451)
    assert (mask[120:200, 150:280] == 0).mean() > 0.99  # her face
    assert (mask[:80, :15] == 1).mean() > 0.95  # what is left of her


@pytest.mark.real_data
def test_the_released_unet_keeps_its_promise_on_a_fifth_of_the_test_split(oxford, tmp_path, monkeypatch):
    from petseg.data.datamodule import PetDataModule, PixelDataset
    from petseg.training.scoring import evaluate
    from petseg.training.task import SegmentationTask
    from petseg.training.weights import use_weights

    module = PetDataModule("oxford", oxford, progress=False)
    module.prepare_data()
    module.setup()
    whole = module.datasets["test"]
    module.datasets["test"] = PixelDataset(whole.pixels, range(0, len(whole), 5))
    task = SegmentationTask()
    use_weights(task, "unet")
    scores = pooled_scores(evaluate(task, module, "test"))
    expected = FOUND["models"]["unet"]["test"]
    for key in ("mean_iou", "iou_pet", "iou_background", "iou_boundary"):
        assert scores[key] == pytest.approx(expected[key], abs=0.015)


@pytest.mark.real_data
def test_full_size_photos_get_masks_that_match_their_trimaps(fullsize, tmp_path):
    from PIL import Image

    photos = sorted((fullsize / "oxford-iiit-pet" / "images").glob("*.jpg"))
    assert main(["segment", *map(str, photos), "--out", str(tmp_path)]) == 0
    matrix = np.zeros((3, 3), dtype=np.int64)
    for photo in photos:
        mask = np.asarray(Image.open(tmp_path / f"{photo.stem}.mask.png"))
        trimap = fullsize / "oxford-iiit-pet" / "annotations" / "trimaps" / f"{photo.stem}.png"
        truth = np.asarray(Image.open(trimap)) - 1
        assert mask.shape == truth.shape
        matrix += np.bincount(truth.ravel().astype(int) * 3 + mask.ravel(), minlength=9).reshape(3, 3)
    pet_iou = matrix[0, 0] / (matrix[0].sum() + matrix[:, 0].sum() - matrix[0, 0])
    assert pet_iou >= 0.78
