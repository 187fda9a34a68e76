import json
import math
import os
import subprocess
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from PIL import Image
from torch.utils.flop_counter import FlopCounterMode

from petseg import cli
from petseg.errors import DataError
from petseg.models.device import machine
from petseg.models.unet import UNet
from petseg.training import benchmark as bench
from petseg.training.benchmark.accuracy import Attempt, EndAtTarget, row_of, train_fast, train_plain
from petseg.training.benchmark.clock import Stopwatch, alternate, rates, seconds
from petseg.training.benchmark.epoch import BusyTime, opened
from petseg.training.benchmark.gpu import gpu_row, resident, train_epoch
from petseg.training.benchmark.ours import Epochs, TrainingStep
from petseg.training.benchmark.peak import operations
from petseg.training.benchmark.plain import PlainTraining, Resize
from petseg.training.benchmark.row import Row, Spread, compared
from petseg.training.benchmark.settings import tiny
from petseg.training.benchmark.table import ROWS, lines, measure
from petseg.training.recipes import read_recipe, stages


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    """Caches and default files of tests go to folders of the tests."""
    monkeypatch.setenv("PETSEG_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr("petseg.files.checkout", lambda: tmp_path / "own")


@pytest.fixture
def settings():
    with bench.quick() as made:
        yield made


class FakeClock:
    """A clock that stands still until it is told to go on."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_spread_is_the_median_with_the_smallest_and_the_largest():
    assert Spread.of([3.0, 1.0, 10.0]) == Spread(3.0, 1.0, 10.0, 3)


def test_the_ratio_is_taken_in_each_round_and_not_of_the_medians():
    row = compared("speed", "images/s", {"ours": [1.0, 2.0, 9.0], "plain": [1.0, 4.0, 3.0]}, "ours", "plain")
    assert row.ratio == Spread(1.0, 0.5, 3.0, 3)  # 1/1, 2/4 and 9/3; the ratio of the medians would be 2/3


def test_a_record_holds_the_ratio_as_a_number_and_null_where_there_is_none():
    row = compared("speed", "images/s", {"ours": [46.0, 46.0], "plain": [20.0, 23.0]}, "ours", "plain")
    record = json.loads(json.dumps(row.record()))
    assert (record["ratio"], record["ratio_low"], record["ratio_high"]) == (2.15, 2.0, 2.3)
    assert record["values"]["ours"] == {"median": 46.0, "low": 46.0, "high": 46.0, "n": 2}
    assert Row("", "s", {"a": None}, "a / b").record()["ratio"] is None
    assert "ratio" not in Row("", "s", {"a": None}).record()


def test_ways_alternate_and_the_first_round_does_not_count():
    calls = []
    ways = {name: lambda name=name: calls.append(name) or float(len(calls)) for name in ("ours", "plain")}
    assert alternate(ways, 2) == {"ours": [3.0, 5.0], "plain": [4.0, 6.0]}
    assert calls == ["ours", "plain"] * 3


def test_rates_divide_each_ways_own_images_by_its_seconds():
    assert rates({"a": [0.5], "b": [2.0]}, {"a": 16, "b": 8}) == {"a": [32.0], "b": [4.0]}


def test_a_call_takes_the_seconds_that_pass_during_it():
    clock = FakeClock()

    def work() -> None:
        clock.now += 2.5

    assert seconds(work, torch.device("cpu"), clock) == 2.5


def test_a_stopwatch_does_not_count_while_it_is_paused():
    clock = FakeClock()
    watch = Stopwatch(clock)
    clock.now += 3
    watch.pause()
    clock.now += 50
    assert watch.seconds == 3
    watch.resume()
    clock.now += 4
    assert watch.seconds == 7


def attempt_with(*epochs: tuple[float, float], target: float = 0.6, limit: float = 100.0) -> Attempt:
    """An attempt whose epochs took so many seconds and scored so much; each validation took 1000 seconds."""
    clock = FakeClock()
    attempt = Attempt(target, limit, clock)
    for length, score in epochs:
        clock.now += length
        attempt.watch.pause()
        clock.now += 1000
        attempt.record(score)
    return attempt


def test_time_to_accuracy_is_that_of_the_first_epoch_at_the_target_without_validation():
    assert attempt_with((10, 0.3), (20, 0.6), (20, 0.7)).seconds == 30
    assert attempt_with((10, 0.3), (20, 0.59)).seconds is None


def test_an_attempt_ends_at_the_target_or_at_its_limit():
    clock = FakeClock()
    attempt = Attempt(0.6, 10.0, clock)
    ended = []
    for score in (0.1, 0.2, 0.2):
        clock.now += 4
        attempt.watch.pause()
        ended.append(attempt.record(score))
    assert ended == [False, False, True]  # after 4, 8 and 12 seconds
    assert Attempt(0.6, 10.0, clock).record(0.6)


def test_the_ratio_of_time_to_accuracy_pairs_the_runs(settings):
    row = row_of(
        {
            "fast": [attempt_with((10, 0.7)), attempt_with((20, 0.7))],
            "plain": [attempt_with((80, 0.7)), attempt_with((40, 0.5), (50, 0.7))],
        },
        settings,
    )
    assert row.values["plain"] == Spread(85.0, 80.0, 90.0, 2)
    assert row.ratio == Spread(6.25, 4.5, 8.0, 2)
    assert row.details["curves"]["plain"][1] == [[40, 0.5], [90, 0.7]]


def test_a_way_that_misses_the_target_has_no_time_and_the_note_says_so(settings):
    tries = {"fast": [attempt_with((10, 0.7)), attempt_with((10, 0.55))], "plain": [attempt_with((80, 0.7))] * 2}
    row = row_of(tries, settings)
    assert row.values["fast"] is None
    assert row.ratio is None
    assert row.record()["ratio"] is None
    assert "fast: 1 of 2 trainings reached the target, the best score was 0.700" in row.note


def test_either_way_trains_until_the_target_on_the_same_validation_split(settings):
    cache = os.environ["PETSEG_CACHE_DIR"]
    for train in (train_fast, train_plain):
        attempt = train(settings, run=0)
        assert attempt.seconds == attempt.points[-1][0] > 0
    assert os.environ["PETSEG_CACHE_DIR"] == cache  # the fast way decoded elsewhere, for as long as it trained


def test_the_fast_recipe_ends_with_its_epochs_where_the_target_is_out_of_reach(settings):
    attempt = train_fast(replace(settings, target=2.0), run=0)
    assert attempt.seconds is None
    assert len(attempt.points) == settings.fast["trainer"]["max_epochs"]
    assert train_plain(replace(settings, target=2.0, limit=0.0), run=0).seconds is None


def test_the_fast_recipe_sees_small_images_first_and_resamples_none_by_rotation():
    fast = read_recipe("fast")
    assert stages(fast) == [(1, 64), (3, 96), (4, 128)]
    assert "degrees" not in fast["model"]["augment"]


def test_the_callback_stops_the_watch_for_each_validation_and_the_training_at_the_target():
    clock = FakeClock()
    trainer = SimpleNamespace(should_stop=False, callback_metrics={"val/mean_iou": torch.tensor(0.7)})
    attempt = Attempt(0.6, 100.0, clock)
    callback = EndAtTarget(attempt)
    clock.now += 5
    callback.on_validation_start(trainer, None)
    clock.now += 1000
    callback.on_validation_end(trainer, None)
    assert attempt.points == [(5.0, pytest.approx(0.7))]
    assert trainer.should_stop


def test_the_plain_way_is_the_default_unet_in_fp32_and_contiguous_memory_with_three_loader_processes(settings):
    plain = PlainTraining(read_recipe("fast") | {"data": settings.fast["data"]}, opened(settings))
    assert plain.network.settings == UNet().settings
    weights = list(plain.network.parameters())
    assert all(weight.dtype is torch.float32 and weight.is_contiguous() for weight in weights)
    assert isinstance(plain.optimizer, torch.optim.Adam)
    assert plain.optimizer.defaults["lr"] == 1e-3
    assert (plain.loader.num_workers, plain.loader.batch_size) == (3, 8)


def test_the_plain_way_reads_the_same_examples_and_decodes_them_to_the_same_pixels(settings):
    data = opened(settings)
    plain = PlainTraining(settings.recipe, data)
    ours = data.datasets["train"].__getitems__([0, 1])
    for index in (0, 1):
        image, mask = plain.loader.dataset[index]
        assert torch.equal((image * 255).round().to(torch.uint8), ours.image[index])
        assert torch.equal(mask, ours.mask[index].long())


def test_trimap_values_become_labels_and_sizes_are_those_asked_for():
    trimap = Image.new("L", (4, 4))
    trimap.putdata([1, 2, 3, 1] * 4)
    image, mask = Resize(4)(Image.new("RGB", (8, 8), (255, 0, 0)), trimap)
    assert image.shape == (3, 4, 4)
    assert image[0].min() == 1
    assert image[1:].max() == 0
    assert mask[0].tolist() == [0, 1, 2, 0]


def test_every_part_of_a_step_takes_time_and_forward_precedes_backward():
    parts = bench.step_parts(tiny(read_recipe()), steps=1)
    assert all(taken > 0 for taken in parts.values())
    names = list(parts)
    assert names.index("network forward, loss") < names.index("backward") < names.index("AdamW")


def test_timings_cover_each_memory_format_in_two_precisions():
    rows = list(bench.timings(steps=1, batch=2, size=32))
    assert {(row.memory_format, row.precision == "float32") for row in rows} == {
        (layout, full) for layout in ("contiguous", "channels_last") for full in (True, False)
    }
    assert machine()


def test_a_step_of_ours_changes_the_weights_and_their_average():
    step = TrainingStep(tiny(read_recipe()), torch.device("cpu"))
    before = [weight.clone() for weight in step.task.network.parameters()]
    step(*step.random_batch(4, 32))
    step(*step.random_batch(4, 32))
    assert not any(torch.equal(a, b) for a, b in zip(before, step.task.network.parameters(), strict=True))
    assert step.trainer.global_step == 2


def test_forward_and_backward_have_as_many_operations_as_pytorch_counts():
    network, image = UNet(), torch.rand(2, 3, 64, 64)
    with FlopCounterMode(display=False) as counter:
        network(image).sum().backward()
    # PyTorch leaves out BatchNorm, and the gradient of the image, which nobody needs
    assert operations(network, (2, 3, 64, 64)) == pytest.approx(counter.get_total_flops(), rel=0.03)


def test_an_epoch_ends_after_the_images_that_are_asked_for(settings):
    epochs = Epochs(settings.recipe, settings.data())
    assert epochs.seconds(8) > 0
    assert epochs.passed == 8


def test_the_busy_part_of_an_epoch_is_shorter_than_the_epoch_and_the_task_is_as_before(settings):
    epochs, busy = Epochs(settings.recipe, settings.data()), BusyTime()
    whole = epochs.seconds(8, busy)
    assert 0 < busy.seconds < whole
    assert "loss" not in vars(epochs.task)
    assert not epochs.task.network._forward_hooks


def test_a_resident_epoch_passes_whole_batches_of_the_split(settings):
    dataset = opened(settings).datasets["train"]
    images, masks = resident(dataset, torch.device("cpu"))
    seen = []

    def step(image: torch.Tensor, mask: torch.Tensor) -> None:
        seen.extend(image.flatten(1).long().sum(dim=1).tolist())

    batches = train_epoch(step, images[:7], masks[:7], 3)
    assert batches == 2
    sums = images[:7].flatten(1).long().sum(dim=1).tolist()
    assert len(seen) == 6
    assert set(seen) <= set(sums)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_without_a_gpu_its_row_is_there_and_says_that_it_is_unmeasured(settings):
    row = gpu_row(settings)
    assert row.record()["values"] == {"ours": None}
    assert "unmeasured here" in "\n".join(lines("gpu", row))


def test_quick_measures_every_row_into_a_file_and_a_figure(tmp_path, capsys):
    out = tmp_path / "bench.json"
    assert cli.main(["bench", "--quick", "--out", str(out)]) == 0
    record = json.loads(out.read_text())
    assert list(record) == ["machine", *ROWS]
    assert record["machine"]["quick"] is True
    assert {"name", "pytorch", "threads", "precision"} < set(record["machine"])
    for name in ROWS:
        for spread in record[name]["values"].values():
            assert spread is None or 0 <= spread["low"] <= spread["median"] <= spread["high"] < math.inf
            assert spread is None or spread["n"] >= 1
    assert record["time_to_accuracy"]["ratio"] > 0
    assert {value["n"] for value in record["step"]["values"].values()} == {2}
    assert Image.open(out.with_suffix(".png")).width > 600
    text = capsys.readouterr().out
    assert all(f"\n{name}: " in text for name in ROWS)


def test_chosen_rows_are_measured_in_the_tables_order_and_no_file_is_written_unasked(tmp_path, capsys):
    assert cli.main(["bench", "--quick", "--rows", "peak", "step"]) == 0
    text = capsys.readouterr().out
    assert text.index("\nstep: ") < text.index("\npeak: ")
    assert "epoch:" not in text
    assert not list(tmp_path.rglob("benchmark.json"))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--rows", "speed"], "--rows speed: no such row. Choose from step, epoch"),
        (["--runs", "0"], "--runs 0: at least 1 training"),
        (["--out", "table.txt"], "--out table.txt: must end in .json"),
    ],
)
def test_what_cannot_be_measured_is_refused_in_one_sentence(arguments, words, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["bench", "--quick", *arguments]) == 1
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1


def test_a_benchmark_that_fails_leaves_the_rows_that_it_has(capsys, tmp_path, monkeypatch):
    failed = subprocess.CompletedProcess([], 1, stderr="no space left")
    monkeypatch.setattr("petseg.training.benchmark.processes.subprocess.run", lambda *_, **__: failed)
    out = tmp_path / "bench.json"
    assert cli.main(["bench", "--quick", "--rows", "step", "processes", "--out", str(out)]) == 1
    assert "petseg: the row processes: petseg fit: exit status 1." in capsys.readouterr().err
    assert set(json.loads(out.with_suffix(".partial.json").read_text())) == {"machine", "step"}
    assert not out.exists()


def test_a_file_that_cannot_be_written_is_refused_before_anything_is_measured(capsys, tmp_path):
    (tmp_path / "taken").write_text("a file")
    (tmp_path / "folder.json").mkdir()
    for path in (tmp_path / "taken" / "b.json", tmp_path / "folder.json"):
        assert cli.main(["bench", "--quick", "--out", str(path)]) == 1
        captured = capsys.readouterr()
        assert captured.out == ""
        assert captured.err.count("\n") == 1


def test_a_missing_data_set_is_refused_before_the_rows_that_need_none(tmp_path, settings):
    said: list[str] = []
    with pytest.raises(DataError, match="--quick"):
        measure(replace(settings, data_dir=Path(tmp_path)), ["step", "epoch"], said.append)
    assert said == []
