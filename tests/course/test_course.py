import os
import random

import numpy as np
import pytest
import torch

from petseg import course
from petseg.inference.predictor import Predictor


def test_start_says_how_the_notebook_runs_and_how_to_choose_otherwise(capsys, monkeypatch):
    monkeypatch.setenv("PETSEG_PROFILE", "quick")
    setup = course.start(seed=3)
    assert (setup.profile, setup.source) == ("quick", "cartoon")
    text = capsys.readouterr().out
    for word in ("petseg", "torch", f"device: {setup.device}", "seed: 3", "profile: quick", "PETSEG_PROFILE=full"):
        assert word in text


def test_start_sets_every_seed(monkeypatch):
    monkeypatch.setenv("PETSEG_PROFILE", "full")
    drawn = []
    for _ in range(2):
        assert course.start(seed=5, data=False).source == "oxford"
        # the generators that it seeds, and the seed for Lightning
        drawn.append((float(torch.rand(1)), float(np.random.rand()), random.random()))  # noqa: NPY002
        assert os.environ.pop("PL_GLOBAL_SEED") == "5"
    assert drawn[0] == drawn[1]


def test_in_full_a_missing_data_set_is_fetched_and_a_complete_one_is_not(monkeypatch, tmp_path, cartoons):
    fetched = []
    monkeypatch.setenv("PETSEG_PROFILE", "full")
    monkeypatch.setattr("petseg.course.setup.fetch_oxford", fetched.append)
    monkeypatch.setenv("PETSEG_DATA_DIR", str(cartoons))  # whole, in the official layout
    course.start()
    monkeypatch.setenv("PETSEG_DATA_DIR", str(tmp_path))
    course.start(data=False)
    assert fetched == []
    course.start()
    assert fetched == [tmp_path]


def test_profile_without_the_variable_is_full_only_where_a_gpu_is_and_another_is_refused(monkeypatch):
    monkeypatch.delenv("PETSEG_PROFILE", raising=False)
    monkeypatch.setattr(course.setup, "best_device", lambda: "cpu")
    assert course.chosen_profile() == "quick"
    monkeypatch.setattr(course.setup, "best_device", lambda: "cuda")
    assert course.chosen_profile() == "full"
    monkeypatch.setenv("PETSEG_PROFILE", "slow")
    with pytest.raises(ValueError, match="PETSEG_PROFILE=slow: must be 'quick' or 'full'"):
        course.chosen_profile()


@pytest.fixture
def setup(monkeypatch, tmp_path):
    monkeypatch.setenv("PETSEG_PROFILE", "quick")
    monkeypatch.setenv("PETSEG_RUNS_DIR", str(tmp_path / "runs"))
    return course.start()


def test_weights_are_those_of_notebook_03_in_the_profile_that_made_them_else_released_ones(
    setup, small_model, monkeypatch, capsys
):
    assert setup.weights() == "unet"
    assert "the released `unet`" in capsys.readouterr().out
    setup.trained_weights.parent.mkdir()
    setup.trained_weights.write_bytes(small_model.read_bytes())
    assert Predictor(setup.weights()).card.name == "small"
    assert "your own, from notebook 03 in profile quick" in capsys.readouterr().out
    monkeypatch.setenv("PETSEG_PROFILE", "full")
    assert course.start(data=False).weights() == "unet"


def test_threads_are_as_many_as_asked_for_and_without_a_number_as_many_as_at_the_start():
    before = torch.get_num_threads()
    try:
        course.threads(before + 1)
        assert torch.get_num_threads() == before + 1
        course.threads()
        assert torch.get_num_threads() == course.setup.DEFAULT_THREADS
    finally:
        torch.set_num_threads(before)
