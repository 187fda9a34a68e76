"""The study of the mattes: its scores by hand, its rule, and the record beside the settings in use."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from petseg.files import read_json
from petseg.inference.matting import MatteSettings
from petseg.upkeep.mattes.__main__ import missed
from petseg.upkeep.mattes.scores import counts, scores

CHECKOUT = Path(__file__).resolve().parents[2]


def test_scores_of_six_pixels_equal_the_fractions_on_paper() -> None:
    labels = np.array([[0, 0, 0, 1, 1, 2]], np.uint8)
    alpha = np.array([[255, 255, 102, 51, 0, 77]], np.uint8)  # 1, 1, 0.4; 0.2, 0; the boundary does not count
    assert scores([counts(alpha, labels)]) == pytest.approx(
        {"see_through": 1 / 3, "haze": 1 / 2, "mad": 0.8 / 5, "iou": 2 / 3, "spoilt": 1.0}, abs=1e-4
    )


def test_a_better_cut_out_misses_the_goals_by_less() -> None:
    good = {"see_through": 0.01, "haze": 0.01, "spoilt": 0.0, "iou": 0.97}
    assert missed(good) == 0
    assert 0 < missed(good | {"haze": 0.02}) < missed(good | {"haze": 0.03})
    assert missed(good | {"iou": 0.9}) > 0


def test_the_recorded_settings_are_those_in_use_and_beat_the_plain_ramp() -> None:
    record = read_json(CHECKOUT / "figures" / "matting.json")
    assert record["settings"] == asdict(MatteSettings())
    for title in ("full size, the other half", "test split at 128x128"):
        matte, ramp = record[title]["matte"], record[title]["ramp"]
        assert all(matte[score] < ramp[score] for score in ("see_through", "haze", "mad"))
        # of 30 photos one is 3 %: there it may spoil as many
        assert matte["spoilt"] < ramp["spoilt"] or (record[title]["photos"] == 30 and matte["spoilt"] == ramp["spoilt"])
