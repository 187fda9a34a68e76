"""The scripts beside the records in `figures/`: what they compute, by hand, and what the records say."""

from dataclasses import asdict
from pathlib import Path

import elsewhere
import matting
import numpy as np
import pytest
import refinement
import torch
from PIL import Image

from petseg.course.record import published
from petseg.files import read_json
from petseg.inference.matting import MatteSettings
from petseg.inference.predictor import Predictor
from petseg.inference.segmentation import PET_THRESHOLD
from petseg.labels import BACKGROUND, PET


def test_a_photo_in_a_wider_frame_keeps_its_labels_and_is_surrounded_by_background():
    photo = Image.fromarray(np.full((60, 80, 3), 200, np.uint8))
    scene, labels = refinement.in_a_wider_frame((photo, torch.full((60, 80), PET, dtype=torch.uint8)), 2.0)
    assert scene.size == labels.shape[::-1] == (160, 120)
    assert int((labels == PET).sum()) == 60 * 80
    assert int((labels == BACKGROUND).sum()) == 160 * 120 - 60 * 80


def test_every_way_is_scored_against_the_first_and_named_as_in_the_record(small_model):
    photo = Image.fromarray(np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8))
    labels = torch.zeros(48, 64, dtype=torch.uint8)
    labels[:20], labels[20:30] = 1, 2
    scores = refinement.compare(Predictor(small_model), [(photo, labels)] * 2)
    assert scores["bilinear"]["gain"] == [0, 0, 0]
    assert all(0 <= way["mean_iou"] <= 1 for way in scores.values())
    record = read_json(published("refinement.json"))
    assert all(list(ways) == list(scores) for ways in record["reported"].values() if isinstance(ways, dict))


@pytest.mark.real_data
@pytest.mark.slow
def test_two_passes_make_better_masks_of_pets_far_away_than_one(fullsize):
    scenes = [refinement.in_a_wider_frame(pair, 2.0) for pair in refinement.pairs(fullsize, 8)]
    ways = {way: refinement.WAYS[way] for way in ("bilinear", "two passes")}
    scores = refinement.compare(Predictor("unet"), scenes, ways)
    assert scores["two passes"]["mean_iou"] > scores["bilinear"]["mean_iou"] + 0.02


def test_scores_of_a_matte_with_six_pixels_equal_the_fractions_on_paper():
    labels = np.array([[0, 0, 0, 1, 1, 2]], np.uint8)
    alpha = np.array([[255, 255, 102, 51, 0, 77]], np.uint8)  # 1, 1, 0.4; 0.2, 0; the boundary does not count
    assert matting.scores([alpha], [labels]) == pytest.approx(
        {"see_through": 1 / 3, "haze": 1 / 2, "mad": 0.8 / 5, "iou": 2 / 3, "spoilt": 1.0}, abs=1e-4
    )


def test_the_recorded_settings_of_the_matte_are_the_defaults_and_beat_the_plain_ramp():
    record = read_json(published("matting.json"))
    assert record["settings"] == asdict(MatteSettings())
    for title in ("full size, validation split", "test split at 128x128"):
        matte, ramp = record[title]["matte"], record[title]["ramp"]
        assert all(matte[score] < ramp[score] for score in ("see_through", "haze", "mad", "spoilt"))


def test_the_record_says_what_the_threshold_of_the_package_does():
    record = read_json(published("elsewhere.json"))
    assert record["threshold"] == PET_THRESHOLD
    chosen = record["thresholds"][f"{PET_THRESHOLD:g}"]
    assert chosen["pets_refused"] <= 0.02
    assert chosen["false_alarms"] <= 0.06
    assert chosen["false_alarms_animal"] <= 0.2


def test_a_photo_below_the_threshold_is_refused_and_a_drawing_never_is():
    rows = [
        {"pets": 1, "tag": "pet", "segmented": True, "probability": 0.9, "iou": 0.75},
        {"pets": 1, "tag": "pet", "segmented": True, "probability": 0.2, "iou": 0.95},
        {"pets": 1, "tag": "pet", "segmented": False, "probability": 0.0, "iou": 0.0},
        {"pets": 0, "tag": "animal", "segmented": True, "probability": 0.6},
        {"pets": 0, "tag": "food", "segmented": True, "probability": 0.4},
        {"pets": 0, "tag": "person", "segmented": True, "probability": float("nan")},
    ]
    scores = elsewhere.summary(rows, 0.5)
    assert scores["mean_iou"] == pytest.approx(0.25)
    assert scores["below_half"] == pytest.approx(2 / 3)
    assert scores["pets_refused"] == pytest.approx(1 / 3)
    assert scores["false_alarms"] == pytest.approx(1 / 2)
    assert (scores["false_alarms_animal"], scores["false_alarms_food"]) == (1, 0)


def test_notebook_04_quotes_the_record_of_photos_from_elsewhere():
    record = read_json(published("elsewhere.json"))
    groups, thresholds = record["groups"], record["thresholds"]
    small, several = (
        groups[name]["mean_iou"] for name in ("pets fill less than 5 % of the photo", "three pets and more")
    )
    alarms = [thresholds[key]["false_alarms"] for key in ("0", f"{PET_THRESHOLD:g}")]
    text = (Path(__file__).parents[1] / "notebooks" / "04_evaluate.ipynb").read_text(encoding="utf-8")
    everywhere = f"`{record['model']}` has {groups['all']['mean_iou']:.2f}"
    for number in (
        f"On the {groups['all']['photos']} photos with pets from other sources, {everywhere}",
        f"on those with three or more pets {several:.2f}, on those with small pets {small:.2f}",
        f"In {alarms[0]:.0%} of the".replace("%", " %"),
        f"it is {alarms[1]:.0%}".replace("%", " %"),
    ):
        assert number in text


def test_notebook_05_quotes_the_records_of_the_matte_and_of_photos_without_animals():
    fur, alarms = read_json(published("matting.json"))["fur"], read_json(published("elsewhere.json"))["thresholds"]
    text = (Path(__file__).parents[1] / "notebooks" / "05_segment_your_pet.ipynb").read_text(encoding="utf-8")
    for number in (
        f"the errors are {fur['ramp']['alpha']:.2f} with the ramp and {fur['matte']['alpha']:.2f} with the matte",
        f"{alarms[f'{PET_THRESHOLD:g}']['false_alarms']:.0%}".replace("%", " % still pass both"),
    ):
        assert number in text
