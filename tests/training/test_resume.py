"""`petseg fit` loses no epoch: it saves, resumes, or refuses in one sentence with a status other than 0."""

from collections.abc import Callable
from contextlib import chdir, suppress
from pathlib import Path

import lightning as L
import pytest
import torch
import yaml
from tiny import column, flags, pets, rows, version

from petseg import cli
from petseg.errors import SettingsError
from petseg.metrics.confusion import pooled_scores
from petseg.models.unet import UNet
from petseg.training import fit
from petseg.training.ema import WarmupEMA
from petseg.training.recipes import RECIPES
from petseg.training.runs import attempts, find_checkpoint, joined, logs_of, read_checkpoint, read_log
from petseg.training.scoring import evaluate
from petseg.training.task import SegmentationTask

pytestmark = pytest.mark.slow

LAST = version() / "checkpoints" / "last.ckpt"
EVERY_SECOND = {"trainer.check_val_every_n_epoch": 2}


def ends_within(epoch: int, how: Callable[[L.Trainer], None], given: list[str]) -> None:
    """Runs a training that ends in the first step of an epoch, counted from 0."""
    step = SegmentationTask.training_step

    def ends(self, batch, batch_idx):
        if (self.current_epoch, batch_idx) == (epoch, 0):
            how(self.trainer)
        return step(self, batch, batch_idx)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SegmentationTask, "training_step", ends)
        fit.run(["fit", *given])


@pytest.mark.parametrize(
    ("more", "steps", "validations"),
    [
        ({"trainer.max_epochs": 1, "trainer.check_val_every_n_epoch": 2}, 6, 1),
        ({"trainer.max_epochs": 3, "trainer.check_val_every_n_epoch": 2}, 18, 2),  # after epochs 2 and 3
        ({"trainer.max_epochs": 2, "trainer.limit_val_batches": 0}, 12, 0),
        ({"trainer.max_epochs": 2, "trainer.check_val_every_n_epoch": "null", "trainer.val_check_interval": 4}, 12, 3),
        ({"trainer.max_steps": 1}, 1, 0),
        ({"trainer.max_steps": 7}, 7, 1),
        ({"trainer.max_epochs": -1, "trainer.max_steps": 18, "trainer.check_val_every_n_epoch": 2}, 18, 2),
    ],
)
def test_a_run_ends_with_a_validation_of_its_last_epoch_and_with_a_checkpoint_of_its_last_step(
    more, steps, validations, cartoons
):
    fit.run(["fit", *flags(cartoons, **more)])
    assert read_checkpoint(LAST)["global_step"] == steps
    assert len(column(version(), "val/mean_iou")) == validations


@pytest.fixture
def scored(monkeypatch):
    """A function that sets the mean IoU of the next validations, the sanity check first."""
    log = SegmentationTask.log_dict

    def fix(scores):
        remaining = iter(scores)

        def fixed(self, values, **settings):
            if "val/mean_iou" in values:
                values = values | {"val/mean_iou": torch.tensor(next(remaining))}
            log(self, values, **settings)

        monkeypatch.setattr(SegmentationTask, "log_dict", fixed)

    return fix


def test_the_last_checkpoint_is_the_last_although_an_earlier_one_scored_higher(cartoons, scored):
    scored([0.3, 0.9, 0.2, 0.1, 0.05])
    fit.run(["fit", *flags(cartoons)])
    epochs = {path.stem: read_checkpoint(path)["epoch"] for path in LAST.parent.iterdir()}
    assert epochs == {"best": 0, "last": 3}


def end(run: Path) -> tuple[dict[str, list], dict]:
    """The last weights and their average as numbers, and the log over all attempts without times."""
    log = joined([read_log(file) for file in logs_of(run)])
    log.pop("train/seconds")
    state = read_checkpoint(run / "checkpoints" / "last.ckpt")
    weights = state["state_dict"] | {f"raw {key}": value for key, value in state["current_model_state"].items()}
    return {key: value.tolist() for key, value in weights.items()}, log


@pytest.fixture(scope="module")
def whole(cartoons, tmp_path_factory):
    """The end of a run that is validated at every second epoch."""
    folder = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        fit.run(["fit", *flags(cartoons, **EVERY_SECOND)])
        return end(version())


@pytest.mark.parametrize("stopped", [2, 3], ids=["after a validation", "after an epoch that was not validated"])
def test_a_resumed_run_ends_bit_for_bit_like_one_that_was_never_stopped(whole, cartoons, stopped):
    with pytest.raises(ZeroDivisionError):
        ends_within(stopped, power_cut, flags(cartoons, **EVERY_SECOND))
    assert read_checkpoint(LAST)["epoch"] == stopped - 1
    resumed = fit.run(["fit", "--ckpt_path", "last"])  # all its settings are kept
    assert [int(row["epoch"]) for row in rows(version(1)) if row["train/loss"]] == list(range(stopped, 4))
    assert end(version(1)) == whole
    average = next(callback for callback in resumed.trainer.callbacks if isinstance(callback, WarmupEMA))
    assert int(average._average_model.n_averaged) == resumed.trainer.global_step


@pytest.mark.parametrize("epochs", [-1, 4], ids=["that ends with its steps", "that also has a number of epochs"])
def test_a_resumed_run_of_so_many_steps_ends_bit_for_bit_like_one_that_was_never_stopped(cartoons, epochs):
    given = flags(cartoons, **EVERY_SECOND, **{"trainer.max_epochs": epochs, "trainer.max_steps": 20})
    Path("whole").mkdir()
    with chdir("whole"):
        fit.run(["fit", *given])
        whole = end(version())
    for attempt, stopped in enumerate((1, 3)):  # epochs before which the first and the second were validated or not
        with pytest.raises(ZeroDivisionError):
            ends_within(stopped, power_cut, [*given, *(["--ckpt_path", "last"] if attempt else [])])
    fit.run(["fit", *given, "--ckpt_path", "last"])
    assert end(version(2)) == whole


def power_cut(trainer: L.Trainer) -> None:
    raise ZeroDivisionError


def stop(trainer: L.Trainer) -> None:
    """As `--trainer.max_time` and early stopping do it."""
    trainer.should_stop = True


def killed_between_checkpoint_and_log(trainer: L.Trainer) -> None:
    """Leaves the log as it is where the process is killed right after `last.ckpt` was written."""
    path = Path(trainer.log_dir) / "metrics.csv"
    lines = path.read_text().splitlines()
    last = max(number for number, row in enumerate(rows(path.parent)) if row["train/loss"])
    path.write_text("\n".join(lines[: last + 1]) + "\n")
    power_cut(trainer)


@pytest.mark.parametrize("how", [stop, killed_between_checkpoint_and_log])
def test_a_run_that_ends_within_an_epoch_is_resumed_without_a_gap_in_its_steps_and_its_log(once, cartoons, how):
    given = flags(cartoons)
    with suppress(ZeroDivisionError):
        ends_within(2, how, given)
    fit.run(["fit", *given, "--ckpt_path", str(LAST)])
    assert end(version(1)) == end(once)


def test_a_best_checkpoint_from_within_an_epoch_is_not_resumed(cartoons, scored):
    scored([0.0, 0.1, 0.2, 0.9, 0.0])  # two of sanity checks, and 0.9 of the epoch that is cut short
    ends_within(2, stop, flags(cartoons))
    assert read_checkpoint(LAST.with_stem("best"))["global_step"] % 6
    with pytest.raises(SettingsError, match=r"best\.ckpt: was saved within an epoch, .* --ckpt_path last"):
        fit.run(["fit", *flags(cartoons), "--ckpt_path", "best"])


def test_a_run_killed_before_its_last_epoch_was_logged_is_whole_after_it_is_resumed(fitted, cartoons):
    log = fitted / "metrics.csv"
    whole = read_log(log)
    log.write_text("".join(log.read_text().splitlines(keepends=True)[:-1]))
    assert len(read_log(log)["train/loss"]) == 3
    fit.run(["fit", *flags(cartoons), "--ckpt_path", "last"])
    assert joined([read_log(file) for file in logs_of(version(1))]) == whole
    fit.run(["fit", *flags(cartoons), "--ckpt_path", "last"])  # now complete: nothing is logged again
    assert not (version(2) / "metrics.csv").is_file()


def test_a_checkpoint_holds_the_averaged_weights_that_were_validated(fitted, cartoons):
    state = read_checkpoint(LAST)
    key = "segmenter.network.head.weight"
    assert not torch.equal(state["state_dict"][key], state["current_model_state"][key])
    task = SegmentationTask.load_from_checkpoint(LAST, weights_only=True)
    scores = pooled_scores(evaluate(task, pets(cartoons)))
    assert scores["mean_iou"] == pytest.approx(column(fitted, "val/mean_iou")[-1])


def test_what_an_interrupted_evaluation_has_counted_is_forgotten(cartoons):
    task, data = SegmentationTask(UNet(channels=(4, 8))), pets(cartoons)
    trainer = L.Trainer(accelerator="cpu", logger=False, enable_progress_bar=False, enable_checkpointing=False)
    (scores,) = trainer.validate(task, data, verbose=False)
    pixels = torch.zeros(1, 32, 32, dtype=torch.int64)
    task.scores.update(pixels, pixels + 1, torch.tensor([10_000]))
    assert trainer.validate(task, data, verbose=False) == [scores]


def test_a_full_disk_ends_a_run_in_a_sentence_and_leaves_the_checkpoint_before(cartoons, monkeypatch, capsys):
    save, calls = torch.save, []

    def half(state, file):
        calls.append(file)
        save(state, file)
        if len(calls) > 2:  # best.ckpt and last.ckpt of the first epoch are whole
            file.truncate(file.tell() // 2)
            raise OSError(28, "No space left on device")

    monkeypatch.setattr("torch.save", half)
    assert cli.main(["fit", *flags(cartoons)]) == 1
    printed = [line for line in capsys.readouterr().err.splitlines() if line.startswith("petseg: ")]
    assert len(printed) == 1
    assert "cannot be written (No space left on device). Free some space" in printed[0]
    assert {path.name for path in LAST.parent.iterdir()} == {"best.ckpt", "last.ckpt"}
    assert read_checkpoint(LAST)["epoch"] == 0


class Payload:
    """What a pickle runs when it is loaded."""

    def __reduce__(self):
        return Path.touch, (Path("ran.txt"),)


def test_a_resumed_run_whose_configuration_could_not_be_written_can_be_resumed(fitted, cartoons, monkeypatch):
    def full(path: Path, text: str, **_) -> None:
        path.write_bytes(text.encode()[:99])
        raise OSError(28, "No space left on device", str(path))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", full)
        assert cli.main(["fit", *flags(cartoons, ckpt_path="last")]) == 1
    assert not (version(1) / "config.yaml").exists()
    assert cli.main(["fit", *flags(cartoons, ckpt_path="last")]) == 0


def test_a_run_that_is_a_link_to_another_place_is_resumed(fitted, cartoons):
    version().rename("elsewhere")
    version().symlink_to(Path("elsewhere").resolve())
    assert find_checkpoint("last").resolve() == Path("elsewhere/checkpoints/last.ckpt").resolve()


def test_after_a_training_lightning_scores_the_averaged_weights(cartoons):
    done = fit.run(["fit", *flags(cartoons, **{"trainer.max_epochs": 1})])
    done.trainer.test(done.model, done.datamodule, ckpt_path=str(LAST), weights_only=True, verbose=False)
    state, scored = read_checkpoint(LAST), done.model.state_dict()
    assert all(torch.equal(scored[name], value) for name, value in state["state_dict"].items())
    assert not all(torch.equal(scored[name], value) for name, value in state["current_model_state"].items())


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
        ({"optimizer": "SGD"}, "--optimizer: a training has AdamW and one cycle of the learning rate"),
        ({"lr_scheduler": "StepLR", "lr_scheduler.step_size": 3}, "--lr_scheduler: a training has AdamW"),
        ({"trainer.precision": "bf16-true"}, "trainer.precision=bf16-true: weights are kept in 32 bits"),
        ({"model.network.num_classes": 2}, "logits of the shape (4, 2, 32, 32); expected (4, 3, 32, 32): 3 classes"),
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


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("trainer.max_epochs", 5, "trainer.max_epochs=5: a resumed run keeps its settings, and this one began with 4."),
        ("trainer.max_steps", 9, "trainer.max_steps=9: a resumed run keeps its settings"),
        ("trainer.callbacks", "EpochSeeds", "trainer.callbacks.class_path=petseg.training.callbacks.EpochSeeds: a"),
        ("data.batch_size", 8, "data.batch_size=8: a resumed run keeps its settings, and this one began with 4. Leave"),
        ("model.learning_rate", 1e-3, "model.learning_rate=0.001: a resumed run keeps its settings"),
        ("model.augment", "null", "model.augment.flip=None: a resumed run keeps its settings"),
        ("average.decay", 0.5, "average.decay=0.5: a resumed run keeps its settings"),
        ("seed_everything", 7, "seed_everything=7: a resumed run keeps its settings"),
        ("trainer.gradient_clip_val", 5, "trainer.gradient_clip_val=5: a resumed run keeps its settings"),
        ("trainer.check_val_every_n_epoch", 2, "trainer.check_val_every_n_epoch=2: a resumed run keeps its settings"),
        ("config", RECIPES / "fast.yaml", ": a resumed run keeps its settings"),
    ],
)
def test_a_run_is_not_resumed_with_other_settings(fitted, cartoons, capsys, name, value, sentence):
    assert cli.main(["fit", *flags(cartoons, ckpt_path="last", **{name: value})]) == 1
    assert sentence in capsys.readouterr().err
    assert not version(1).exists()


def test_a_run_resumed_with_any_seed_keeps_its_own(fitted, cartoons):
    seed = yaml.safe_load((version(0) / "config.yaml").read_text())["seed_everything"]
    resumed = fit.run(["fit", *flags(cartoons, ckpt_path="last", seed_everything="true")])
    assert resumed.config["fit"]["seed_everything"] == seed != 0
    assert yaml.safe_load((version(1) / "config.yaml").read_text())["seed_everything"] == seed


def test_the_attempts_at_a_run_are_found_after_the_project_was_moved(fitted, cartoons):
    fit.run(["fit", *flags(cartoons, ckpt_path="last")])
    Path("moved").mkdir()
    moved = version(1).parent.rename("moved/runs")
    assert attempts(moved / "version_1") == [(moved / name).resolve() for name in ("version_0", "version_1")]


@pytest.mark.parametrize(("epochs", "steps"), [(3, 18), (5, 30)])
def test_a_checkpoint_of_a_longer_or_shorter_schedule_is_refused_in_one_sentence(cartoons, capsys, epochs, steps):
    with pytest.raises(ZeroDivisionError):
        ends_within(1, power_cut, flags(cartoons))
    (version() / "config.yaml").unlink()
    assert cli.main(["fit", *flags(cartoons, ckpt_path="last", **{"trainer.max_epochs": epochs})]) == 1
    assert f"ends its cycles after 24 steps; in this training after {steps}. Resume with" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("command", "where", "number", "reason"),
    [
        ("fit", "petseg.training.fit.NewRun.setup", 13, "Permission denied"),
        ("fit", "petseg.training.fit.NewRun.setup", 20, "Not a directory"),
        ("validate", "petseg.data.datamodule.PetDataModule.setup", 30, "Read-only file system"),
    ],
)
def test_what_cannot_be_read_or_written_is_one_sentence(
    cartoons, tmp_path, capsys, monkeypatch, command, where, number, reason
):
    def refuses(*_, **__):
        raise OSError(number, reason, str(tmp_path / "runs"))

    monkeypatch.setattr(where, refuses)  # root may write anywhere
    assert cli.main([command, *flags(cartoons, **{"trainer.max_epochs": 1})]) == 1
    printed = capsys.readouterr().err
    assert f"petseg: {tmp_path / 'runs'}: cannot be read or written ({reason}). " in printed
    assert f"call petseg {command} in another folder." in printed
