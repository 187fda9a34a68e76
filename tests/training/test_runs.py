"""What is read and kept of runs: logs, attempts, checkpoints; scores of a split; and the callbacks of a notebook."""

import logging
import os
import warnings
from pathlib import Path
from types import SimpleNamespace

import lightning as L
import pytest
import torch
import yaml
from lightning.pytorch.loggers import CSVLogger
from tiny import pets

from petseg.course.live import Progress
from petseg.errors import DataError
from petseg.models.unet import UNet
from petseg.training.callbacks import EpochSeeds, checkpoints
from petseg.training.ema import WarmupEMA
from petseg.training.runs import attempts, find_checkpoint, joined, last_epoch, logs_of, read_log, read_logs, write_logs
from petseg.training.scoring import quiet
from petseg.training.stopping import FIRST_PROCESS, StopTogether
from petseg.training.task import SegmentationTask


class PowerCut(L.Callback):
    """Stops a run at the start of an epoch, counted from 0."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def on_train_epoch_start(self, trainer, pl_module):
        if trainer.current_epoch == self.epoch:
            raise RuntimeError("power cut")


def train(cartoons: Path, *more: L.Callback, checkpoint: Path | None = None) -> L.Trainer:
    """Four epochs of a tiny network, validated at every second, as a notebook would train it."""
    L.seed_everything(0, verbose=False)
    with quiet():
        trainer = L.Trainer(
            max_epochs=4,
            check_val_every_n_epoch=2,
            accelerator="cpu",
            callbacks=[WarmupEMA(0.9), *checkpoints(), *more],
            logger=CSVLogger(".", "run"),
            log_every_n_steps=1,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        task = SegmentationTask(UNet(channels=[4, 8]))
        trainer.fit(task, datamodule=pets(cartoons), ckpt_path=checkpoint, weights_only=True)
    return trainer


def test_a_training_that_has_ended_leaves_nothing_in_the_environment_of_processes_that_are_started_later(monkeypatch):
    monkeypatch.delenv(FIRST_PROCESS, raising=False)
    before = dict(os.environ)
    with StopTogether().handling_signals():
        assert os.environ[FIRST_PROCESS] == str(os.getpid())
    assert dict(os.environ) == before


def test_epoch_seeds_give_each_epoch_another_order_and_each_run_the_same(cartoons):
    seen: list[list[int]] = []

    class Spy(L.Callback):
        def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
            if batch_idx == 0:
                seen.append(batch.index.tolist())

    for _ in range(2):
        train(cartoons, EpochSeeds(seed=7), Spy())
    assert seen[:4] == seen[4:]
    assert len({tuple(order) for order in seen}) == 4


def test_progress_shows_what_the_log_holds_over_an_interruption_and_redraws_its_figure(cartoons, monkeypatch):
    shown: list[str] = []
    handle = SimpleNamespace(update=lambda data, **_: shown.append(data.get("text/plain", "figure")))
    monkeypatch.setattr("petseg.course.live.display", lambda data, **_: shown.append(next(iter(data))) or handle)
    figure = SimpleNamespace(bundle=lambda: ({"figure": "figure"}, {}))
    with pytest.raises(RuntimeError, match="power cut"):
        train(cartoons, Progress(), PowerCut(3))
    shown.clear()
    progress = Progress(draw=lambda log: figure, every=0)
    train(cartoons, progress, checkpoint=last_epoch(Path("run"))[0])
    assert "figure" in shown
    log = joined([read_log(path) for path in sorted(Path("run").glob("*/metrics.csv"))])
    assert [epoch for epoch, _ in log["train/loss"]] == [1, 2, 3, 4]
    assert [epoch for epoch, _ in progress.history["val/mean_iou"]] == [2, 4]
    for name in ("val/mean_iou", "val/loss"):
        assert [v for _, v in progress.history[name]] == pytest.approx([v for _, v in log[name]])
    assert dict(progress.history["train/loss"])[4] == pytest.approx(dict(log["train/loss"])[4])
    assert any("step 2 of" in text for text in shown)
    rows = [text for text in shown if "\n" in text][-1].splitlines()
    assert [row.split()[0] for row in rows[1:3]] == ["2", "4"]
    assert "peak memory" in rows[-1]


def test_where_two_logs_have_an_epoch_the_later_one_counts():
    first = {"a": [(1, 0.1), (2, 0.2), (3, 0.3)], "b": [(1, 1.0)]}
    second = {"a": [(3, 0.5), (4, 0.6)], "c": [(4, 2.0)]}
    expected = {"a": [(1, 0.1), (2, 0.2), (3, 0.5), (4, 0.6)], "b": [(1, 1.0)], "c": [(4, 2.0)]}
    assert joined([first, second]) == expected


def test_a_log_that_was_written_is_read_again_with_six_digits(tmp_path):
    path = tmp_path / "metrics.csv"
    write_logs(path, {"": {"val/loss": [(2, 1 / 3)], "train/loss": [(1, 2.0), (2, 1.5)]}})
    assert path.read_text() == "epoch,train/loss,val/loss\n0,2,\n1,1.5,0.333333\n"
    assert read_log(path) == {"train/loss": [(1, 2.0), (2, 1.5)], "val/loss": [(2, 0.333333)]}


def test_logs_of_several_runs_share_a_file_and_stay_apart(tmp_path):
    logs = {"base": {"val/loss": [(1, 0.5)]}, "wider": {"val/loss": [(1, 0.4)], "train/loss": [(2, 0.3)]}}
    write_logs(tmp_path / "all.csv", logs)
    assert read_logs(tmp_path / "all.csv") == logs


def started(runs: Path, name: str, resumed: str | None, second: int = 0) -> Path:
    """The folder of a run that was started at a second, from the last checkpoint of another one."""
    config = runs / name / "config.yaml"
    config.parent.mkdir(parents=True)
    path = f"runs/{resumed}/checkpoints/last.ckpt" if resumed else None  # starts where fit was called
    keys = ("seed_everything", "trainer", "model", "data", "average")
    config.write_text(yaml.safe_dump({**dict.fromkeys(keys), "ckpt_path": path}))
    os.utime(config, (second, second))
    return config.parent


def checkpoint(run: Path, epoch: int = 3) -> Path:
    path = run / "checkpoints" / "last.ckpt"
    path.parent.mkdir(parents=True)
    torch.save({"epoch": epoch, "global_step": 9, "state_dict": {}, "optimizer_states": []}, path)
    return path


def test_attempts_are_those_that_resumed_one_another_in_the_order_in_which_they_began(tmp_path):
    runs = tmp_path / "runs"
    resumed = {"version_0": None, "version_1": None, "version_9": "version_0", "version_10": "version_9"}
    for second, (name, earlier) in enumerate(resumed.items()):
        started(runs, name, earlier, second)
    started(runs, "version_11", None).joinpath("config.yaml").write_text("{")
    for seconds in (range(4), range(4, 0, -1)):  # reversed, as in a copied folder
        for name, second in zip(resumed, seconds, strict=True):
            os.utime(runs / name / "config.yaml", (second, second))
        for name in ("version_0", "version_9", "version_10"):
            assert [path.name for path in attempts(runs / name)] == ["version_0", "version_9", "version_10"]
    assert [path.name for path in attempts(runs / "version_1")] == ["version_1"]
    assert attempts(tmp_path / "elsewhere") == [tmp_path / "elsewhere"]
    renamed = started(tmp_path / "other" / "runs", "version_0", "version_0")  # to the run that it resumed
    assert attempts(renamed) == [renamed]
    with pytest.raises(DataError, match=r"holds no metrics\.csv"):
        logs_of(runs / "version_0")


def test_a_run_without_a_validation_is_said_to_have_no_best_checkpoint(tmp_path):
    file = tmp_path / "version_0" / "checkpoints" / "last.ckpt"
    file.parent.mkdir(parents=True)
    file.touch()
    with pytest.raises(
        DataError, match=r"--ckpt_path best: no epoch of the newest run, \S+, was validated. Name `last`"
    ):
        find_checkpoint("best", tmp_path)


def test_the_last_checkpoint_is_that_of_the_newest_run_or_of_the_run_that_it_resumed(tmp_path):
    runs = tmp_path / "runs"
    checkpoint(started(runs, "version_0", None, 0))
    started(runs, "version_1", "version_0", 1)
    assert find_checkpoint("last", runs) == runs / "version_0" / "checkpoints" / "last.ckpt"
    started(runs, "version_2", None, 2)
    with pytest.raises(DataError, match=r"version_2, has no last\.ckpt: it ended within its first epoch"):
        find_checkpoint("last", runs)


@pytest.mark.parametrize(
    ("text", "log"),
    [
        ("lr-AdamW,step\n8e-05,0\n", {}),  # killed within its first epoch
        ("epoch,step,train/loss\n0,5,0.75\n1,11,0.1", {"train/loss": [(1, 0.75)]}),  # of 0.125: the disk was full
    ],
)
def test_what_is_left_of_a_log_that_was_cut_off_is_its_whole_epochs(text, log, tmp_path):
    (tmp_path / "metrics.csv").write_text(text)
    assert read_log(tmp_path / "metrics.csv") == log


def test_of_the_last_checkpoints_that_were_not_cut_off_the_one_of_most_epochs_counts(tmp_path):
    assert last_epoch(tmp_path) == (None, 0)
    whole, half = (checkpoint(tmp_path / name) for name in ("version_0", "version_1"))
    half.write_bytes(half.read_bytes()[:100])
    checkpoint(tmp_path / "version_2", epoch=1)  # copied later
    assert last_epoch(tmp_path) == (whole, 4)


def test_quiet_hides_harmless_warnings_and_no_others():
    before = logging.getLogger("lightning.pytorch").level
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with quiet():
            warnings.warn("The 'train_dataloader' does not have many workers which", stacklevel=1)
            warnings.warn("your GPU is on fire", stacklevel=1)
            assert not logging.getLogger("lightning.pytorch.utilities.rank_zero").isEnabledFor(logging.INFO)
    assert [str(warning.message) for warning in caught] == ["your GPU is on fire"]
    assert logging.getLogger("lightning.pytorch").level == before
