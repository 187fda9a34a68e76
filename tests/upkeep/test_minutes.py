"""How long notebooks take: recorded by what runs them, shown on the site's first page."""

from pathlib import Path

import pytest

from petseg.errors import DataError
from petseg.files import read_json
from petseg.models.device import machine
from petseg.upkeep import minutes


def test_a_time_is_recorded_beside_those_of_other_profiles_and_notebooks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(minutes, "best_device", lambda: "cpu")
    record = tmp_path / "minutes.json"
    minutes.keep("02_b", "quick", 7.4, record)
    minutes.keep("01_a", "quick", 90.0, record)
    minutes.keep("01_a", "full", 600.0, record)
    minutes.keep("01_a", "quick", 80.0, record)
    times = read_json(record)
    assert list(times) == ["01_a", "02_b"]
    assert times["01_a"] == {
        "quick": {"seconds": 80, "machine": machine()},
        "full": {"seconds": 600, "machine": machine()},
    }
    assert minutes.sentences(times) == {
        "minutes_01": "1 min in profile `quick` or 10 min in profile `full`",
        "minutes_02": "7 seconds in profile `quick`",
    }
    table = minutes.minutes_table({"01_a": "Apples", "02_b": "Bees"}, times)
    assert "| [01 Apples](01_a.ipynb) | 1 min | 10 min | not measured |\n" in table
    assert "| [02 Bees](02_b.ipynb) | 7 seconds | not measured | not measured |" in table
    assert table.endswith(f"Measured on: {machine()}.")


def test_a_time_on_a_gpu_stands_beside_that_on_a_cpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record = tmp_path / "minutes.json"
    minutes.keep("01_a", "full", 600.0, record)
    monkeypatch.setattr(minutes, "best_device", lambda: "cuda")
    monkeypatch.setattr(minutes, "machine", lambda: "Some GPU")
    minutes.keep("01_a", "full", 170.0, record)
    times = read_json(record)
    assert (times["01_a"]["full"]["seconds"], times["01_a"][minutes.ON_GPU]["seconds"]) == (600, 170)
    assert minutes.sentences(times) == {"minutes_01": "10 min in profile `full` (3 min on a GPU)"}
    table = minutes.minutes_table({"01_a": "Apples"}, times)
    assert "| [01 Apples](01_a.ipynb) | not measured | 10 min | 3 min |" in table
    assert "Some GPU" in table


def test_a_notebook_that_was_never_measured_is_named() -> None:
    with pytest.raises(DataError, match=r"^03_c: figures/minutes\.json has no time of it\. Run python -m"):
        minutes.minutes_table({"03_c": "Cats"}, {})
