import numpy as np
import pytest
import torch

from petseg import course


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
        assert course.start(seed=5).source == "oxford"
        drawn.append((float(torch.rand(1)), float(np.random.rand())))  # noqa: NPY002 - the generator that it seeds
    assert drawn[0] == drawn[1]


def test_profile_without_the_variable_is_full_only_where_a_gpu_is(monkeypatch):
    monkeypatch.delenv("PETSEG_PROFILE", raising=False)
    monkeypatch.setattr(course.setup, "best_device", lambda: "cpu")
    assert course.chosen_profile() == "quick"
    monkeypatch.setattr(course.setup, "best_device", lambda: "cuda")
    assert course.chosen_profile() == "full"


def test_another_profile_is_refused_in_one_sentence(monkeypatch):
    monkeypatch.setenv("PETSEG_PROFILE", "slow")
    with pytest.raises(ValueError, match="PETSEG_PROFILE=slow: must be 'quick' or 'full'"):
        course.chosen_profile()
