"""`petseg fit` loses no epoch: it saves, resumes, or refuses in one sentence with a status other than 0."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import lightning as L
import pytest
import torch
from tiny import column, flags, pets, rows, version

from petseg import cli
from petseg.errors import MissingError, SettingsError
from petseg.training import fit
from petseg.training.ema import WarmupEMA
from petseg.training.runs import joined, logs_of, read_checkpoint, read_log
from petseg.training.scoring import evaluate
from petseg.training.task import SegmentationTask

pytestmark = pytest.mark.slow

LAST = version() / "checkpoints" / "last.ckpt"


def power_cut(epoch: int, given: list[str]) -> None:
    """Runs a training that ends with an exception in an epoch, counted from 0."""
    step = SegmentationTask.training_step

    def dies(self, batch, batch_idx):
        if self.current_epoch == epoch:
            raise RuntimeError("power cut")
        return step(self, batch, batch_idx)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SegmentationTask, "training_step", dies)
        with pytest.raises(RuntimeError, match="power cut"):
            fit.run(["fit", *given])


@pytest.mark.parametrize("epochs", [1, 3])
def test_the_last_epoch_is_validated_and_saved_whatever_the_recipe_validates(cartoons, epochs):
    fit.run(["fit", *flags(cartoons, **{"trainer.max_epochs": epochs, "trainer.check_val_every_n_epoch": 2})])
    assert read_checkpoint(LAST)["epoch"] == epochs - 1
    assert len(column(version(), "val/mean_iou")) == (epochs + 1) // 2


def test_without_validation_the_last_epoch_is_saved(cartoons):
    fit.run(["fit", *flags(cartoons, **{"trainer.max_epochs": 2, "trainer.limit_val_batches": 0})])
    assert read_checkpoint(LAST)["epoch"] == 1


@pytest.mark.parametrize("steps", [1, 7])
def test_a_run_of_a_few_steps_ends_with_a_checkpoint(cartoons, steps):
    fit.run(["fit", *flags(cartoons, **{"trainer.max_steps": steps})])
    assert read_checkpoint(LAST)["global_step"] == steps


def test_the_last_checkpoint_is_the_last_although_an_earlier_one_scored_higher(cartoons, monkeypatch):
    scores = iter([0.3, 0.9, 0.2, 0.1, 0.05])  # the first is that of the sanity check
    log = SegmentationTask.log_dict

    def falling(self, values, **settings):
        if "val/mean_iou" in values:
            values = values | {"val/mean_iou": torch.tensor(next(scores))}
        log(self, values, **settings)

    monkeypatch.setattr(SegmentationTask, "log_dict", falling)
    fit.run(["fit", *flags(cartoons)])
    epochs = {path.stem: read_checkpoint(path)["epoch"] for path in LAST.parent.iterdir()}
    assert epochs == {"best": 0, "last": 3}


@pytest.mark.parametrize("stopped", [2, 3], ids=["after a validation", "after an epoch that was not validated"])
@pytest.mark.slow
def test_a_resumed_run_ends_bit_for_bit_like_one_that_was_never_stopped(cartoons, stopped):
    given = flags(cartoons, **{"trainer.check_val_every_n_epoch": 2, "model.augment.degrees": 10})
    whole = fit.run(["fit", *given])
    power_cut(stopped, given)
    assert read_checkpoint(version(1) / "checkpoints" / "last.ckpt")["epoch"] == stopped - 1
    resumed = fit.run(["fit", *given, "--ckpt_path", "last"])
    logged = [row["epoch"] for row in rows(version(2)) if row["train/loss"]]
    assert logged == [str(epoch) for epoch in range(stopped, 4)]
    for name in ("train/loss", "val/loss", "val/mean_iou"):
        assert column(version(2), name)[-1] == column(version(0), name)[-1]
    weights, expected = (run.model.state_dict() for run in (resumed, whole))
    assert all(torch.equal(weights[key], expected[key]) for key in expected)
    average = next(callback for callback in resumed.trainer.callbacks if isinstance(callback, WarmupEMA))
    assert int(average._average_model.n_averaged) == whole.trainer.global_step


def ends_within(epoch: int, how: Callable[[L.Trainer], None], given: list[str]) -> None:
    """Runs a training that is asked to end after the first step of an epoch, counted from 0."""
    step = SegmentationTask.training_step

    def ends(self, batch, batch_idx):
        if (self.current_epoch, batch_idx) == (epoch, 0):
            how(self.trainer)
        return step(self, batch, batch_idx)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SegmentationTask, "training_step", ends)
        fit.run(["fit", *given])


def stop(trainer: L.Trainer) -> None:
    """As `--trainer.max_time` and early stopping do it."""
    trainer.should_stop = True


def killed_between_checkpoint_and_log(trainer: L.Trainer) -> None:
    """Leaves the log as it is where the process is killed right after `last.ckpt` was written."""
    path = Path(trainer.log_dir) / "metrics.csv"
    lines = path.read_text().splitlines()
    last = max(number for number, row in enumerate(rows(path.parent)) if row["train/loss"])
    path.write_text("\n".join(lines[: last + 1]) + "\n")
    raise ZeroDivisionError


@pytest.mark.slow
@pytest.mark.parametrize("how", [stop, killed_between_checkpoint_and_log])
@pytest.mark.parametrize("name", ["last", "best"])
def test_a_run_that_ends_within_an_epoch_is_resumed_without_a_gap_in_its_steps_and_its_log(cartoons, name, how):
    given = flags(cartoons)
    whole = fit.run(["fit", *given])
    with suppress(ZeroDivisionError):
        ends_within(2, how, given)
    best = version(1) / "checkpoints" / "best.ckpt"
    if name == "best" and read_checkpoint(best)["global_step"] % 6:
        with pytest.raises(SettingsError, match=r"best\.ckpt: was saved within an epoch, .* --ckpt_path last"):
            fit.run(["fit", *given, "--ckpt_path", "best"])
        return
    checkpoint = version(1) / "checkpoints" / f"{name}.ckpt"
    assert read_checkpoint(checkpoint)["global_step"] % 6 == 0
    resumed = fit.run(["fit", *given, "--ckpt_path", str(checkpoint)])
    weights, expected = (run.model.state_dict() for run in (resumed, whole))
    assert all(torch.equal(weights[key], expected[key]) for key in expected)
    logs = [joined([read_log(file) for file in logs_of(version(number))]) for number in (0, 2)]
    for log in logs:
        log.pop("train/seconds")
    assert logs[0] == logs[1]


def test_a_run_killed_before_its_last_epoch_was_logged_is_whole_after_it_is_resumed(cartoons):
    given = flags(cartoons, **{"trainer.max_epochs": 2})
    fit.run(["fit", *given])
    log = version() / "metrics.csv"
    whole = read_log(log)
    log.write_text("".join(log.read_text().splitlines(keepends=True)[:-1]))
    assert len(read_log(log)["train/loss"]) == 1
    fit.run(["fit", *given, "--ckpt_path", "last"])
    assert joined([read_log(file) for file in logs_of(version(1))]) == whole
    fit.run(["fit", *given, "--ckpt_path", "last"])  # now complete: nothing is logged again
    assert not (version(2) / "metrics.csv").is_file()


def test_a_checkpoint_holds_the_averaged_weights_that_were_validated(cartoons):
    fit.run(["fit", *flags(cartoons)])
    state = read_checkpoint(LAST)
    key = "segmenter.network.head.weight"
    assert not torch.equal(state["state_dict"][key], state["current_model_state"][key])
    task = SegmentationTask.load_from_checkpoint(LAST, weights_only=True)
    matrices = evaluate(task, pets(cartoons))
    union = matrices.sum(0).sum(0) + matrices.sum(0).sum(1) - matrices.sum(0).diagonal()
    assert float((matrices.sum(0).diagonal() / union).mean()) == pytest.approx(column(version(), "val/mean_iou")[-1])


def test_a_checkpoint_that_cannot_be_written_whole_leaves_the_one_before(cartoons, monkeypatch):
    save, calls = torch.save, []

    def half(state, file):
        calls.append(file)
        save(state, file)
        if len(calls) > 2:  # best.ckpt and last.ckpt of the first epoch are whole
            file.truncate(file.tell() // 2)
            raise OSError(28, "No space left on device")

    monkeypatch.setattr("torch.save", half)
    with pytest.raises(MissingError, match="No space left"):
        fit.run(["fit", *flags(cartoons)])
    assert {path.name for path in LAST.parent.iterdir()} == {"best.ckpt", "last.ckpt"}
    assert read_checkpoint(LAST)["epoch"] == 0


class Payload:
    """What a pickle runs when it is loaded."""

    def __reduce__(self):
        return Path.touch, (Path("ran.txt"),)


def test_a_checkpoint_runs_no_code(cartoons, capsys):
    state = {"epoch": 0, "global_step": 1, "state_dict": {}, "optimizer_states": [], "extra": Payload()}
    torch.save(state, "evil.ckpt")
    for command in (["fit"], ["test"]):
        assert cli.main([*command, *flags(cartoons, ckpt_path="evil.ckpt")]) == 1
    assert cli.main(["release", "evil.ckpt", "--out", "out.safetensors"]) == 1
    assert capsys.readouterr().err.count("evil.ckpt: cannot be read as a checkpoint") == 3
    assert not Path("ran.txt").exists()


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"trainer.max_epochs": -1}, "the one-cycle schedule needs to know where the training ends"),
        ({"trainer.logger": "false"}, "trainer.logger=False: a run keeps its log and its checkpoints"),
        ({"trainer.enable_checkpointing": "false"}, "trainer.enable_checkpointing=False: a run keeps"),
        ({"trainer.logger.init_args.version": "old"}, "old: holds another run. Choose another --trainer.logger"),
        ({"ckpt_path": "last"}, "old, has no last.ckpt: it ended within its first epoch"),
        ({"ckpt_path": "gone.ckpt"}, "gone.ckpt: no such checkpoint"),
        ({"ckpt_path": "broken.ckpt"}, "broken.ckpt: cannot be read as a checkpoint"),
        ({"ckpt_path": "other.ckpt"}, "other.ckpt: cannot be read as a checkpoint"),
        ({"data.batch_size": 1, "data.image_size": 4}, "a batch has one value per channel in the"),
        ({"data.batch_size": 0}, "batch_size=0: must be at least 1"),
        ({"average.decay": 1}, "decay=1.0: must be at least 0 and less than 1"),
        ({"model.sizes": "[0.5,1]"}, "must have the same length"),
        ({"model.augment.scale_min": 0}, "petseg: scale_min=0.0, scale_max=1.0: must be above 0"),
    ],
)
def test_what_cannot_end_well_is_refused_in_one_sentence(cartoons, capsys, more, sentence):
    Path("runs/old").mkdir(parents=True)
    (version("old").parent / "old" / "config.yaml").touch()
    Path("broken.ckpt").write_bytes(b"PK\x03\x04 not a checkpoint")
    torch.save({"weights": torch.zeros(3)}, "other.ckpt")
    assert cli.main(["fit", *flags(cartoons, **{"trainer.max_epochs": 1, **more})]) == 1
    printed = [line for line in capsys.readouterr().err.splitlines() if line.startswith("petseg: ")]
    assert len(printed) == 1
    assert sentence in printed[0]


def test_resuming_for_longer_than_the_schedule_is_refused_in_one_sentence(cartoons, capsys):
    fit.run(["fit", *flags(cartoons, **{"trainer.max_epochs": 1})])
    assert cli.main(["fit", *flags(cartoons, ckpt_path="last", **{"trainer.max_epochs": 2})]) == 1
    assert "ends its cycle after 6 steps; this training takes 12. Resume with" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("command", "where"),
    [
        ("fit", "petseg.training.fit.SaveConfigCallback.setup"),
        ("validate", "petseg.data.datamodule.PetDataModule.setup"),
    ],
)
def test_what_cannot_be_read_or_written_is_one_sentence(cartoons, tmp_path, capsys, monkeypatch, command, where):
    def refuses(*_, **__):
        raise PermissionError(13, "Permission denied", str(tmp_path / "runs"))

    monkeypatch.setattr(where, refuses)  # root may write anywhere
    assert cli.main([command, *flags(cartoons, **{"trainer.max_epochs": 1})]) == 1
    printed = capsys.readouterr().err
    assert f"petseg: {tmp_path / 'runs'}: cannot be read or written (Permission denied). " in printed
    assert f"call petseg {command} in another folder." in printed


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM to catch")
@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "status", "processes"),
    [("SIGTERM", 143, 1), ("SIGINT", 130, 1), ("SIGTERM", 143, 2), ("SIGINT", 130, 2), ("SIGKILL", -9, 2)],
)
def test_a_signal_ends_all_processes_of_a_run_within_seconds(cartoons, name, status, processes):
    given = flags(cartoons, **{"trainer.max_epochs": 500, "trainer.devices": processes})
    given += ["--trainer.strategy", "ddp"] if processes > 1 else []
    command = [sys.executable, "-m", "petseg.cli", "fit", *given]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True) as process:
        end = time.monotonic() + 120
        while not LAST.is_file() and time.monotonic() < end:
            time.sleep(0.1)
        process.send_signal(getattr(signal, name))
        _, printed = process.communicate(timeout=60)  # until the last process has closed its end
    assert process.returncode == status
    assert ("petseg: stopped; --ckpt_path last goes on" in printed) == (name == "SIGINT")
    assert "Traceback" not in printed or name == "SIGKILL"
    assert LAST.is_file()


def test_a_full_disk_ends_a_run_in_a_sentence_and_leaves_the_checkpoint_before(cartoons, disk, capsys):
    assert cli.main(["fit", *flags(cartoons, **{"trainer.max_epochs": 1, "trainer.default_root_dir": disk})]) == 0
    checkpoint = disk / LAST
    before = checkpoint.read_bytes()
    with suppress(OSError), (disk / "filler").open("wb", buffering=0) as file:
        while file.write(bytes(1024)):
            pass
    (disk / "filler").open("r+b").truncate(max((disk / "filler").stat().st_size - 150_000, 0))
    assert cli.main(["fit", *flags(cartoons, **{"trainer.default_root_dir": disk})]) == 1
    printed = [line for line in capsys.readouterr().err.splitlines() if line.startswith("petseg: ")]
    assert len(printed) == 1
    assert "cannot be written (No space left on device). Free some space" in printed[0]
    assert checkpoint.read_bytes() == before
