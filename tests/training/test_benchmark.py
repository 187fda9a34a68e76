"""`petseg bench`: how it measures, both ways to train, and what it prints and writes."""

import json
import math
import os
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from PIL import Image

from petseg import cli
from petseg.errors import DataError
from petseg.files import read_json
from petseg.training import benchmark as bench
from petseg.training import plain
from petseg.training.benchmark import Race, alternate, compared
from petseg.training.profiler import StepProfiler
from petseg.training.recipes import read_recipe

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:This DataLoader will create"),  # more processes than cores
]


@pytest.fixture(autouse=True)
def _own_checkout(tmp_path, monkeypatch):
    """Default files go to a folder of the test."""
    monkeypatch.setattr("petseg.files.checkout", lambda: tmp_path / "own")


@pytest.fixture
def settings():
    with bench.prepare(quick=True) as settings:
        yield settings


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still until a test sets `now`."""
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr("time.perf_counter", lambda: clock.now)
    return clock


def test_ways_alternate_and_the_first_round_does_not_count():
    calls = []
    ways = {name: lambda name=name: calls.append(name) or float(len(calls)) for name in ("ours", "plain")}
    assert alternate(ways, 2) == {"ours": [3.0, 5.0], "plain": [4.0, 6.0]}
    assert calls == ["ours", "plain"] * 3


def test_the_ratio_is_taken_in_each_round_and_not_of_the_medians():
    row = compared("speed", "images/s", {"ours": [1.0, 2.0, 9.0], "plain": [1.0, 4.0, 3.0]}, "ours", "plain", "")
    assert row["values"]["ours"] == {"median": 2.0, "low": 1.0, "high": 9.0, "n": 3}
    # 1/1, 2/4 and 9/3; the ratio of the medians would be 2/3
    assert (row["ratio"], row["ratio_low"], row["ratio_high"]) == (1.0, 0.5, 3.0)


def test_a_way_that_misses_the_target_has_no_time_and_the_row_no_ratio():
    row = compared("time", "s", {"plain": [80.0, 90.0], "fast": [10.0, None]}, "plain", "fast", "")
    assert row["values"]["plain"]["median"] == 85
    assert (row["values"]["fast"], row["ratio"], row["ratio_low"]) == (None, None, None)
    assert any(line.split() == ["fast", "-"] for line in bench.table("time_to_accuracy", row))


@pytest.mark.parametrize(
    ("limit", "scores", "over", "seconds"),
    [
        (100, [0.3, 0.6, 0.7], [False, True, True], 8),  # the first epoch at the target
        (10, [0.2, 0.2, 0.2], [False, False, True], None),  # after 4, 8 and 12 seconds
    ],
)
def test_a_race_lasts_until_the_target_or_its_limit_and_its_clock_stops_during_validation(
    limit, scores, over, seconds, clock
):
    race, ends = Race(target=0.6, limit=limit), []
    for score in scores:
        clock.now += 4
        race.pause()
        clock.now += 1000  # validation
        ends.append(race.resume(score))
    assert ends == over
    assert race.seconds == seconds
    assert race.curve == list(zip((4, 8, 12), scores, strict=True))


def test_both_ways_train_until_the_target_or_end_where_it_is_out_of_reach(settings):
    cache = os.environ["PETSEG_CACHE_DIR"]
    for train in (bench.fast_race, bench.plain_race):
        race = train(settings, run=0)
        assert race.seconds == race.curve[-1][0] > 0
        assert train(replace(settings, target=2.0, limit=0.0), run=0).seconds is None
    assert os.environ["PETSEG_CACHE_DIR"] == cache  # the fast way decoded elsewhere while it trained


def test_the_plain_way_is_adam_in_float32_and_contiguous_memory_on_the_same_pixels(settings):
    training = plain.PlainTraining(read_recipe("fast"))
    weights = list(training.network.parameters())
    assert all(weight.dtype is torch.float32 and weight.is_contiguous() for weight in weights)
    assert isinstance(training.optimizer, torch.optim.Adam)
    assert training.optimizer.defaults["lr"] == 1e-3
    data = settings.data(settings.course)
    loader = plain.plain_loader(data)
    assert (loader.num_workers, loader.batch_size) == (3, 8)
    ours = data.datasets["train"].__getitems__([0, 1])
    for index in (0, 1):
        image, mask = loader.dataset[index]
        assert torch.equal((image * 255).round().to(torch.uint8), ours.image[index].cpu())
        assert torch.equal(mask, ours.mask[index].cpu().long())


def test_a_part_does_not_count_the_parts_within_it(clock):
    profiler = StepProfiler()
    profiler.start("[LightningModule]SegmentationTask.optimizer_step")
    clock.now += 1
    profiler.start("[Strategy]SingleDeviceStrategy.training_step")
    clock.now += 2
    profiler.start("augmentation")
    clock.now += 4
    profiler.stop("augmentation")
    clock.now += 8
    profiler.stop("[Strategy]SingleDeviceStrategy.training_step")
    clock.now += 16
    profiler.stop("[LightningModule]SegmentationTask.optimizer_step")
    profiler.start("[LightningModule]SegmentationTask.on_train_batch_end")
    clock.now += 32
    profiler.stop("[LightningModule]SegmentationTask.on_train_batch_end")
    (step,) = profiler.steps
    assert step == {"AdamW": 17, "loss and training scores": 10, "augmentation": 4, "Lightning's loop": 32}


def test_quick_measures_every_row_into_a_file_and_a_figure(tmp_path, capsys):
    out = tmp_path / "bench.json"
    assert cli.main(["bench", "--quick", "--out", str(out)]) == 0
    record = read_json(out)
    assert list(record) == ["machine", *bench.ROWS]
    assert {"name", "pytorch", "threads", "precision", "date"} < set(record["machine"])
    assert record["machine"]["quick"] is True
    for name in bench.ROWS:
        for spread in record[name]["values"].values():
            assert 0 < spread["low"] <= spread["median"] <= spread["high"] < math.inf
    assert list(record["parts"]["values"]) == list(StepProfiler.PARTS.values())
    assert record["time_to_accuracy"]["ratio"] > 0
    assert {value["n"] for value in record["step"]["values"].values()} == {2}
    assert Image.open(out.with_suffix(".png")).width > 600
    text = capsys.readouterr().out
    assert all(f"\n{name}: " in text for name in bench.ROWS)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--rows", "speed"], "--rows speed: no such row. Choose from step, epoch"),
        (["--runs", "0"], "--runs 0: at least 1 training"),
        (["--out", "table.txt"], "--out table.txt: must end in .json"),
        (["--out", "taken/bench.json"], "cannot be written"),
        (["--out", "folder.json"], "cannot be written"),
    ],
)
def test_a_request_that_cannot_be_met_is_one_sentence_before_anything_is_measured(
    arguments, words, capsys, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "taken").write_text("a file")
    (tmp_path / "folder.json").mkdir()
    assert cli.main(["bench", "--quick", *arguments]) == 1
    captured = capsys.readouterr()
    assert words in captured.err
    assert captured.err.count("\n") == 1
    assert captured.out == ""


def test_chosen_rows_come_in_the_tables_order_and_a_stopped_benchmark_leaves_those_that_it_has(
    capsys, tmp_path, monkeypatch
):
    def stop(settings):
        raise KeyboardInterrupt

    row = {"title": "seconds", "unit": "s", "values": {}}
    rows = {"step": lambda _: row, "epoch": lambda _: pytest.fail("not chosen"), "parts": lambda _: row, "photo": stop}
    monkeypatch.setattr(bench, "ROWS", rows)
    assert cli.main(["bench", "--quick", "--rows", "parts", "step"]) == 0
    text = capsys.readouterr().out
    assert text.index("\nstep: ") < text.index("\nparts: ")
    assert not list(tmp_path.rglob("bench*.json"))  # no file is written unasked
    out = tmp_path / "bench.json"
    assert cli.main(["bench", "--quick", "--rows", "step", "photo", "--out", str(out)]) == 130
    assert set(json.loads(out.with_suffix(".partial.json").read_text())) == {"machine", "step"}
    assert not out.exists()


def test_a_missing_data_set_is_refused_before_the_first_row(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PETSEG_DATA_DIR", str(tmp_path))
    with pytest.raises(DataError, match="petseg data oxford"):
        bench.measure(["step", "epoch"])
    assert "step:" not in capsys.readouterr().out
