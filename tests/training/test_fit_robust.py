"""`petseg fit` loses no epoch: it saves, resumes, or refuses in one sentence with a status other than 0."""

import csv
import os
import shlex
import signal
import subprocess
import sys
import time

import pytest
import torch

from petseg import cli
from petseg.training import fit


def flags(cartoons, **more: str) -> list[str]:
    settings = {
        "data.data_dir": cartoons,
        "data.image_size": 16,
        "data.batch_size": 16,
        "data.progress": "false",
        "model.channels": "[4]",
        "trainer.accelerator": "cpu",
        "trainer.precision": "32-true",
        "trainer.enable_progress_bar": "false",
        "trainer.enable_model_summary": "false",
        **more,
    }
    return [part for name, value in settings.items() for part in (f"--{name}", str(value))]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PETSEG_CACHE_DIR", str(tmp_path / "cache"))


def column(tmp_path, name: str, version: int = 0) -> list[float]:
    with (tmp_path / "runs" / f"version_{version}" / "metrics.csv").open(newline="") as file:
        return [float(row[name]) for row in csv.DictReader(file) if row.get(name)]


def saved_epochs(tmp_path, version: int = 0) -> int:
    path = tmp_path / "runs" / f"version_{version}" / "checkpoints" / "last.ckpt"
    return torch.load(path, weights_only=True)["epoch"] + 1


@pytest.mark.parametrize("epochs", [1, 3])
def test_the_last_epoch_is_validated_and_saved_whatever_the_recipe_validates(cartoons, tmp_path, epochs):
    fit.run(["fit", *flags(cartoons, **{"trainer.max_epochs": epochs, "trainer.check_val_every_n_epoch": 2})])
    assert saved_epochs(tmp_path) == epochs
    assert len(column(tmp_path, "val/mean_iou")) == (epochs + 1) // 2


def test_without_validation_the_last_epoch_is_saved(cartoons, tmp_path):
    fit.run(["fit", *flags(cartoons, **{"trainer.max_epochs": 2, "trainer.limit_val_batches": 0})])
    assert saved_epochs(tmp_path) == 2


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_a_run_of_a_few_steps_ends_with_a_checkpoint(cartoons, tmp_path, steps):
    fit.run(["fit", *flags(cartoons, **{"trainer.max_steps": steps})])
    assert (tmp_path / "runs" / "version_0" / "checkpoints" / "last.ckpt").is_file()


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"trainer.max_epochs": -1}, "the one-cycle schedule needs to know where the run ends"),
        ({"trainer.logger": "false"}, "trainer.logger=False: a run keeps its log and its checkpoints"),
        ({"trainer.enable_checkpointing": "false"}, "trainer.enable_checkpointing=False: a run keeps"),
        ({"trainer.val_check_interval": 5000}, "`val_check_interval` (5000) must be less than or equal"),
        ({"trainer.logger.init_args.version": "old"}, "version: there is a run of this name already"),
        ({"ckpt_path": "last"}, "--ckpt_path last: no run in"),
        ({"ckpt_path": "best"}, "--ckpt_path best: no run in"),
        ({"ckpt_path": "gone.ckpt"}, "gone.ckpt: no such checkpoint"),
        ({"ckpt_path": "broken.ckpt"}, "broken.ckpt: cannot be read as a checkpoint"),
        ({"ckpt_path": "other.ckpt"}, "other.ckpt: cannot be read as a checkpoint"),
    ],
)
def test_what_would_lose_epochs_is_refused_in_one_sentence(cartoons, tmp_path, capsys, more, sentence):
    (tmp_path / "runs" / "old").mkdir(parents=True)
    (tmp_path / "runs" / "old" / "config.yaml").touch()
    (tmp_path / "broken.ckpt").write_bytes(b"PK\x03\x04 not a checkpoint")
    torch.save({"weights": torch.zeros(3)}, tmp_path / "other.ckpt")
    assert cli.main(["fit", *flags(cartoons, **{"trainer.max_epochs": 1, **more})]) == 1
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("petseg: ")]
    assert len(said) == 1
    assert sentence in said[0]


@pytest.mark.parametrize(
    ("command", "where"),
    [
        ("fit", "petseg.training.fit.SaveConfigCallback.setup"),
        ("validate", "petseg.data.datamodule.PetDataModule.setup"),
    ],
)
def test_what_may_not_be_read_or_written_is_one_sentence(cartoons, tmp_path, capsys, monkeypatch, command, where):
    def refuses(*_, **__):
        raise PermissionError(13, "Permission denied", str(tmp_path / "runs"))

    monkeypatch.setattr(where, refuses)  # root may write anywhere
    assert cli.main([command, *flags(cartoons, **{"trainer.max_epochs": 1})]) == 1
    said = capsys.readouterr().err
    assert f"petseg: {tmp_path / 'runs'}: may not be read or written (Permission denied). " in said
    assert f"call petseg {command} in a folder of yours." in said


def test_last_resumes_the_newest_run(cartoons, tmp_path):
    more = {"trainer.max_epochs": 3, "trainer.check_val_every_n_epoch": 1}
    fit.run(["fit", *flags(cartoons, **more)])
    whole = column(tmp_path, "train/loss")
    path = tmp_path / "runs" / "version_0" / "checkpoints" / "last.ckpt"
    fit.run(["fit", *flags(cartoons, **more, ckpt_path="last")])  # nothing is left to do
    assert path.is_file()
    assert column(tmp_path, "train/loss") == whole


def test_a_resumed_run_ends_with_the_losses_of_one_that_was_never_stopped(cartoons, tmp_path, monkeypatch):
    more = {"trainer.max_epochs": 4, "trainer.check_val_every_n_epoch": 2}
    fit.run(["fit", *flags(cartoons, **more)])
    step = fit.SegmentationTask.training_step

    def dies(self, batch, batch_idx):
        if self.current_epoch == 3:
            raise RuntimeError("power cut")
        return step(self, batch, batch_idx)

    with monkeypatch.context() as context:
        context.setattr(fit.SegmentationTask, "training_step", dies)
        with pytest.raises(RuntimeError, match="power cut"):
            fit.run(["fit", *flags(cartoons, **more)])
    assert saved_epochs(tmp_path, 1) == 3  # the epoch that no validation followed, too
    fit.run(["fit", *flags(cartoons, **more, ckpt_path="last")])
    assert column(tmp_path, "train/loss", 2)[-1] == column(tmp_path, "train/loss")[3]
    assert column(tmp_path, "val/mean_iou", 2)[-1] == column(tmp_path, "val/mean_iou")[-1]


def test_train_scores_and_the_validation_confusion_matrix_of_every_epoch_are_logged(cartoons, tmp_path):
    fit.run(["fit", *flags(cartoons, **{"trainer.max_epochs": 2, "trainer.check_val_every_n_epoch": 1})])
    assert len(column(tmp_path, "train/mean_iou")) == 2
    names = ("pet", "background", "boundary")
    pixels = [column(tmp_path, f"val_pixels/{true}_as_{predicted}") for true in names for predicted in names]
    totals = [sum(epoch) for epoch in zip(*pixels, strict=True)]
    assert len(totals) == 2
    assert totals[0] == totals[1]
    assert totals[0] % (16 * 16) == 0  # whole images


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM to catch")
@pytest.mark.parametrize("seconds", ["0", "1"], ids=["while it runs", "while it begins"])
def test_a_command_ends_with_the_program_that_waits_for_it(cartoons, tmp_path, seconds):
    line = "petseg " + shlex.join(["fit", *flags(cartoons, **{"trainer.max_epochs": 500})])
    (tmp_path / "waits.py").write_text(
        """
import subprocess, sys, time
from pathlib import Path
from petseg.training.command import run_command

class Told(subprocess.Popen):
    def __init__(self, *arguments, **settings):
        super().__init__(*arguments, **settings)
        print(self.pid, flush=True)
        time.sleep(float(sys.argv[2]))  # the caller does not have the process yet

subprocess.Popen = Told
run_command(sys.argv[1], Path("child"), timeout=None)
"""
    )
    with subprocess.Popen(
        [sys.executable, "waits.py", line, seconds], cwd=tmp_path, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        time.sleep(0.2)
        parent.send_signal(signal.SIGTERM)
        assert parent.wait(60) == 143
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM to catch")
def test_a_terminated_run_exits_with_143(cartoons, tmp_path):
    more = flags(cartoons, **{"trainer.max_epochs": 500})
    process = subprocess.Popen([sys.executable, "-m", "petseg.cli", "fit", *more], cwd=tmp_path)
    path = tmp_path / "runs" / "version_0" / "checkpoints" / "last.ckpt"
    end = time.monotonic() + 120
    while not path.is_file() and time.monotonic() < end:
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 143
    assert path.is_file()
