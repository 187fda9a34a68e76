import csv
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import lightning as L
import pytest
import torch
import yaml
from torch.optim.swa_utils import AveragedModel

from petseg import cli
from petseg.data import datamodule as data
from petseg.data.cartoons import write_dataset
from petseg.data.datamodule import PetDataModule
from petseg.errors import DataError, MissingError, SettingsError
from petseg.metrics.confusion import pooled_scores
from petseg.models import zoo
from petseg.models.device import best_precision
from petseg.models.segmenter import IMAGENET, Segmenter
from petseg.training import fit as training
from petseg.training import release
from petseg.training.callbacks import EpochSeeds
from petseg.training.checkpoints import read_checkpoint
from petseg.training.ema import WarmupEMA
from petseg.training.recipes import RECIPES
from petseg.training.scoring import evaluate
from petseg.training.task import SegmentationTask
from petseg.training.weights import model_card, use_weights


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, tmp_path_factory, monkeypatch):
    """Runs and caches of tests go to folders of the tests."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path_factory.getbasetemp() / "own-data"
    monkeypatch.setattr("petseg.files.checkout", lambda: folder)


def small(cartoons: Path, **more: str) -> list[str]:
    flags = {
        "data.data_dir": cartoons,
        "data.image_size": 32,
        "data.batch_size": 4,
        "model.learning_rate": 6e-2,
        "data.progress": "false",
        "model.channels": "[4,8]",
        "trainer.max_epochs": 4,
        "trainer.accelerator": "cpu",
        "trainer.precision": "32-true",  # the same on processors with bf16 and without
        "trainer.enable_progress_bar": "false",
        "trainer.enable_model_summary": "false",
        **more,
    }
    return [part for name, value in flags.items() for part in (f"--{name}", str(value))]


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def column(folder: Path, name: str) -> list[float]:
    return [float(row[name]) for row in rows(folder) if row.get(name)]


@pytest.fixture
def fitted(cartoons, tmp_path) -> Path:
    training.run(["fit", *small(cartoons)])
    return tmp_path / "runs" / "version_0"


def test_fit_logs_averaged_and_raw_scores_and_keeps_best_and_last(fitted):
    assert len(column(fitted, "train/loss")) == 4
    for name in ("val/mean_iou", "val/iou_pet", "val/iou_background", "val/iou_boundary", "val_raw/mean_iou"):
        assert len(column(fitted, name)) == 4  # every epoch
    assert column(fitted, "val/mean_iou") != column(fitted, "val_raw/mean_iou")
    assert {path.name for path in (fitted / "checkpoints").iterdir()} == {"best.ckpt", "last.ckpt"}
    assert yaml.safe_load((fitted / "config.yaml").read_text())["seed_everything"] == 20261130


def test_the_same_seed_gives_the_same_numbers_and_each_run_its_own_folder(fitted, cartoons):
    training.run(["fit", *small(cartoons)])
    again = fitted.with_name("version_1")
    for name in ("train/loss", "val/loss", "val/mean_iou", "val_raw/mean_iou"):
        assert column(again, name) == column(fitted, name)


EPOCH_SEEDS = "petseg.training.callbacks.EpochSeeds"


@pytest.mark.parametrize("own", [{}, {"trainer.callbacks": EPOCH_SEEDS}], ids=["default", "named by the recipe"])
def test_order_and_augmentation_follow_the_seed_of_the_run(own, cartoons, monkeypatch):
    def seen(seed: int) -> list[list[float]]:
        monkeypatch.delenv("PL_GLOBAL_SEED", raising=False)  # as in a process that has trained nothing yet
        found: list[list[float]] = []
        step = SegmentationTask.training_step

        def spy(self, batch, batch_idx):
            found.append([*batch.index.tolist(), torch.rand(()).item()])
            return step(self, batch, batch_idx)

        with monkeypatch.context() as context:
            context.setattr(SegmentationTask, "training_step", spy)
            training.run(["fit", *small(cartoons, seed_everything=seed, **own, **{"trainer.max_epochs": 1})])
        return found

    first = seen(7)
    assert seen(7) == first
    other = seen(8)
    assert [row[:-1] for row in other] != [row[:-1] for row in first]
    assert [row[-1] for row in other] != [row[-1] for row in first]


def test_the_seed_that_a_recipe_gives_to_epoch_seeds_counts(cartoons):
    settings = {"trainer.callbacks": EPOCH_SEEDS, "trainer.callbacks.seed": "5", "trainer.max_epochs": "1"}
    run = training.run(["fit", *small(cartoons, **settings)])
    assert [callback.seed for callback in run.trainer.callbacks if isinstance(callback, EpochSeeds)] == [5]


def test_a_checkpoint_that_cannot_be_written_whole_leaves_the_one_before(cartoons, tmp_path, monkeypatch):
    save, calls = torch.save, []

    def half(state, file):
        calls.append(file)
        save(state, file)
        if len(calls) > 2:  # best.ckpt and last.ckpt of the first epoch are whole
            file.truncate(file.tell() // 2)
            raise OSError(28, "No space left on device")

    monkeypatch.setattr("torch.save", half)
    with pytest.raises(MissingError, match="No space left"):
        training.run(["fit", *small(cartoons)])
    folder = tmp_path / "runs" / "version_0" / "checkpoints"
    assert {path.name for path in folder.iterdir()} == {"best.ckpt", "last.ckpt"}
    assert read_checkpoint(folder / "last.ckpt")["epoch"] == 0


def test_a_killed_run_goes_on_where_its_last_checkpoint_was_written(cartoons, tmp_path, monkeypatch):
    step = SegmentationTask.training_step

    def dies(self, batch, batch_idx):
        if self.current_epoch == 2:
            raise RuntimeError("killed")
        return step(self, batch, batch_idx)

    with monkeypatch.context() as context:
        context.setattr(SegmentationTask, "training_step", dies)
        with pytest.raises(RuntimeError, match="killed"):
            training.run(["fit", *small(cartoons)])
    killed, resumed = tmp_path / "runs" / "version_0", tmp_path / "runs" / "version_1"
    run = training.run(["fit", *small(cartoons), "--ckpt_path", str(killed / "checkpoints/last.ckpt")])
    assert {row["epoch"] for row in rows(resumed) if row["epoch"]} == {"2", "3"}
    average = next(c for c in run.trainer.callbacks if isinstance(c, WarmupEMA))
    assert int(average._average_model.n_averaged) == run.trainer.global_step


def test_the_last_checkpoint_is_the_last_although_an_earlier_one_scored_higher(cartoons, tmp_path, monkeypatch):
    scores = iter([0.3, 0.9, 0.2, 0.1])
    log = SegmentationTask.log_dict

    def falling(self, values, **settings):
        if "val/mean_iou" in values:
            values = values | {"val/mean_iou": torch.tensor(next(scores))}
        log(self, values, **settings)

    monkeypatch.setattr(SegmentationTask, "log_dict", falling)
    training.run(["fit", *small(cartoons)])
    folder = tmp_path / "runs" / "version_0" / "checkpoints"
    assert sorted(path.name for path in folder.iterdir()) == ["best.ckpt", "last.ckpt"]
    epochs = {path.stem: torch.load(path, weights_only=True)["epoch"] for path in folder.iterdir()}
    assert epochs == {"best": 0, "last": 3}  # the first of the scores is that of the sanity check


def test_resuming_for_longer_than_the_schedule_is_refused_in_one_sentence(fitted, cartoons):
    longer = small(cartoons, **{"trainer.max_epochs": "6"})
    with pytest.raises(SettingsError, match=r"ends its cycle after .* Resume with the settings of the first run"):
        training.run(["fit", *longer, "--ckpt_path", str(fitted / "checkpoints/last.ckpt")])


def test_a_checkpoint_holds_the_averaged_weights_that_were_validated(fitted, cartoons):
    module = PetDataModule("oxford", cartoons, image_size=32, progress=False)
    task = SegmentationTask.load_from_checkpoint(fitted / "checkpoints/last.ckpt", weights_only=True)
    scores = pooled_scores(evaluate(task, module, "val"))
    assert scores["mean_iou"] == pytest.approx(column(fitted, "val/mean_iou")[-1], abs=1e-6)
    assert [path.name for path in Path.cwd().iterdir()] == ["runs"]  # scoring alone writes nothing


def test_the_confusion_matrix_of_the_last_validation_is_written_beside_the_log(fitted, cartoons):
    found = json.loads((fitted / "val_confusion.json").read_text())
    assert found["classes"] == ["pet", "background", "boundary"]
    module = PetDataModule("oxford", cartoons, image_size=32, progress=False)
    module.prepare_data()
    module.setup()
    assert sum(map(sum, found["pixels"])) == len(module.examples["val"]) * 32 * 32


def test_release_writes_weights_with_recipe_and_scores_and_test_reproduces_them(fitted, cartoons, tmp_path, capsys):
    module = PetDataModule("oxford", cartoons, image_size=32, progress=False)
    out = tmp_path / "tiny.safetensors"
    card = release.release(fitted / "checkpoints/best.ckpt", out, module, log=tmp_path / "log")
    assert zoo.card(out) == card
    assert card.recipe["learning_rate"] == 6e-2
    assert (card.recipe["seed"], card.recipe["batch_size"], card.recipe["max_epochs"]) == (20261130, 4, 4)
    assert card.recipe["augment"]["degrees"] == 15
    rated = {kind: column(fitted, f"{log}/mean_iou") for kind, log in (("averaged", "val"), ("raw", "val_raw"))}
    best = max(range(4), key=lambda i: rated["averaged"][i])  # the validation after which best.ckpt was written
    assert card.recipe["weights"] == max(rated, key=lambda kind: rated[kind][best])
    assert card.data["examples"]["test"] == len(module.examples["test"])
    assert 0 < card.scores["test"]["mean_iou"] < 1
    capsys.readouterr()
    assert cli.main(["test", "--model", str(out), *small(cartoons)]) == 0
    printed = re.search(r"test/mean_iou\W+([\d.]+)", capsys.readouterr().out)
    assert printed
    assert float(printed[1]) == pytest.approx(card.scores["test"]["mean_iou"], abs=1e-6)


def test_release_says_how_breeds_and_calibration_came_out_and_when_the_test_split_was_used(
    fitted, cartoons, tmp_path, monkeypatch
):
    module = PetDataModule("oxford", cartoons, image_size=32, progress=False)
    card = release.release(fitted / "checkpoints/best.ckpt", tmp_path / "tiny.safetensors", module, tmp_path / "log")
    breeds = card.scores["breeds"]
    assert len(breeds) == 6
    assert list(breeds.values()) == sorted(breeds.values(), reverse=True)
    matrices = evaluate(_task(card, tmp_path / "tiny.safetensors"), module, "test")
    worst = list(breeds)[-1]
    rows_of_worst = [row for row, example in enumerate(module.examples["test"]) if example.breed == worst]
    assert breeds[worst] == pytest.approx(pooled_scores(matrices[rows_of_worst])["mean_iou"], abs=1e-4)
    assert set(card.scores["calibration"]) == {"pet", "background", "boundary", "top label"}
    assert all(0 <= error <= 1 for error in card.scores["calibration"].values())
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC", card.recipe["test_split_scored"])
    assert json.loads((tmp_path / "log" / "release.json").read_text())["scores"]["test"] == card.scores["test"]


def test_release_without_the_test_split_leaves_it_alone_and_does_not_say_that_it_was_used(
    fitted, cartoons, tmp_path, monkeypatch
):
    module = PetDataModule("oxford", cartoons, image_size=32, progress=False)
    monkeypatch.setattr(module, "test_dataloader", lambda: pytest.fail("the test split was opened"))
    card = release.release(fitted / "checkpoints/best.ckpt", tmp_path / "first.safetensors", module, test=False)
    assert list(card.scores) == ["val"]
    assert "test_split_scored" not in card.recipe


@pytest.fixture
def start(small_model) -> Path:
    """The file of a tiny network that a training with `small` can start from: normalised as `SegmentationTask` does."""
    segmenter, card = zoo.load(small_model)
    mean, std = IMAGENET
    return zoo.save(small_model, Segmenter(segmenter.network, mean, std), replace(card, mean=mean, std=std))


def test_a_card_names_the_model_that_a_run_started_from_and_its_teacher(cartoons, tmp_path, start):
    taught = {"trainer.callbacks": "petseg.training.distillation.Distillation", "trainer.callbacks.teacher": str(start)}
    flags = small(cartoons, weights=str(start), **taught, **{"trainer.callbacks.weight": "0.25"})
    training.run(["fit", *flags])
    run = tmp_path / "runs" / "version_0"
    module = PetDataModule("oxford", cartoons, image_size=32, progress=False)
    card = release.release(run / "checkpoints/best.ckpt", tmp_path / "second.safetensors", module, test=False)
    assert {key: card.recipe[key] for key in ("starts_from", "teacher", "teacher_weight")} == {
        "starts_from": "small",
        "teacher": "small",
        "teacher_weight": 0.25,
    }


def test_the_mean_of_a_run_and_its_start_is_released_where_it_scores_higher(fitted, cartoons, tmp_path, monkeypatch):
    module = PetDataModule("oxford", cartoons, image_size=32, progress=False)
    checkpoint = fitted / "checkpoints/best.ckpt"
    release.release(checkpoint, tmp_path / "start.safetensors", module, test=False)
    start, card = zoo.load(tmp_path / "start.safetensors")
    with torch.no_grad():
        for weights in start.parameters():
            weights += 1
    zoo.save(tmp_path / "start.safetensors", start, card)
    state = torch.load(checkpoint, weights_only=True)["state_dict"]
    trained = {key.removeprefix("segmenter.network."): value for key, value in state.items() if ".network." in key}

    def released(best):
        scored = iter(range(4))  # averaged, raw, and the mean of each
        right, wrong = torch.eye(3).long(), torch.eye(3).long().flip(0)
        monkeypatch.setattr(release, "evaluate", lambda *_, **__: (right if next(scored) == best else wrong)[None])
        out = tmp_path / f"best{best}.safetensors"
        card = release.release(checkpoint, out, module, test=False, mean_with=str(tmp_path / "start.safetensors"))
        return card.recipe["weights"], zoo.load(out)[0].network.state_dict()

    name, weights = released(best=2)
    assert name == "mean of averaged and start"
    for key, value in weights.items():
        expected = (trained[key] + start.network.state_dict()[key]) / 2 if value.is_floating_point() else trained[key]
        torch.testing.assert_close(value, expected.to(value.dtype), atol=2e-3, rtol=2e-3)
    name, weights = released(best=0)
    assert name == "averaged"
    torch.testing.assert_close(weights["head.weight"], trained["head.weight"], atol=1e-3, rtol=1e-3)


def test_a_mean_with_another_network_is_refused_before_anything_is_scored(fitted, cartoons, tmp_path, monkeypatch):
    monkeypatch.setattr(release, "evaluate", lambda *_, **__: pytest.fail("scored"))
    module = PetDataModule("oxford", cartoons, image_size=32, progress=False)
    with pytest.raises(SettingsError, match=r"^unet: its weights are of a network with "):
        release.release(fitted / "checkpoints/best.ckpt", tmp_path / "a.safetensors", module, mean_with="unet")
    assert not (tmp_path / "a.safetensors").exists()


def test_a_run_that_starts_from_other_weights_keeps_what_its_own_settings_say_of_the_image(cartoons, tmp_path):
    pytest.importorskip("segmentation_models_pytorch")
    flags = {"model.encoder": "tf_efficientnet_lite0", "trainer.fast_dev_run": "1", "weights": "random"}
    first = training.run(["fit", *small(cartoons, **flags | {"model.input_scale": "1"})]).model
    card = model_card("first", first, PetDataModule("oxford", cartoons, image_size=32), {}, {}, {})
    path = zoo.save(tmp_path / "first.safetensors", first.segmenter, card)
    task = SegmentationTask(encoder="tf_efficientnet_lite0", input_scale=1.5)
    use_weights(task, path, own_network=True)
    assert task.network.settings["input_scale"] == task.network.input_scale == 1.5
    head = zoo.load(path)[0].network.get_parameter("head.weight")
    assert torch.equal(task.network.get_parameter("head.weight"), head)
    use_weights(task, path)  # to be scored, a model is what it was released as
    assert task.network.settings["input_scale"] == 1.0


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"channels": [4, 4]}, r"small: its weights are of a network with .*channels \[4, 8\].*Set --model\.encoder"),
        ({"channels": [4, 8], "separable": True}, r"small: its weights are of a network with .*--model\.separable"),
    ],
)
def test_a_training_is_not_started_from_weights_of_another_network(settings, sentence, start):
    task = SegmentationTask(**settings)
    before = {key: value.clone() for key, value in task.network.state_dict().items()}
    with pytest.raises(SettingsError, match=sentence):
        use_weights(task, start, own_network=True)
    assert all(torch.equal(value, before[key]) for key, value in task.network.state_dict().items())


def test_fit_refuses_weights_of_another_normalisation_in_one_sentence(cartoons, small_model, capsys, tmp_path):
    assert cli.main(["fit", *small(cartoons, weights=str(small_model))]) == 1
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("petseg: small: normalises its images with mean 0.5/0.5/0.5; this training does with 0.485/")
    assert not (tmp_path / "runs").exists()


def test_what_was_trained_from_weights_is_read_from_its_checkpoint_as_it_was(cartoons, tmp_path, start):
    run = training.run(["fit", *small(cartoons, weights=str(start), **{"trainer.max_epochs": "2"})])
    checkpoint = tmp_path / "runs" / "version_0" / "checkpoints" / "last.ckpt"
    again = SegmentationTask.load_from_checkpoint(checkpoint, weights_only=True)
    assert again.segmenter.statistics == run.model.segmenter.statistics
    image = torch.rand(1, 3, 16, 16)
    torch.testing.assert_close(again.eval()(image), run.model.eval()(image))


@pytest.mark.parametrize(
    ("recipe", "model"),
    [
        ("unet", "unet"),
        ("unet-separable", "unet-separable"),
        ("unet-lite0-second", "unet-lite0"),
        ("unet-lite0", "unet-lite0"),
    ],
)
def test_the_network_of_a_recipe_fits_the_weights_of_its_kind(recipe, model):
    if "lite0" in model:
        pytest.importorskip("segmentation_models_pytorch")
    settings = yaml.safe_load((RECIPES / f"{recipe}.yaml").read_text())["model"]
    task = SegmentationTask(**{key: value for key, value in settings.items() if key != "augment"})
    use_weights(task, model, own_network=True)
    name, value = next(iter(zoo.load(model)[0].network.state_dict().items()))
    assert torch.equal(task.network.state_dict()[name], value)


def _task(card, path):
    task = SegmentationTask(channels=(4,))
    assert use_weights(task, path) == card
    return task


def test_the_log_that_is_kept_has_one_row_an_epoch_with_all_that_was_logged(fitted, tmp_path):
    release.keep_log(fitted, tmp_path / "log")
    kept = rows(tmp_path / "log")
    assert [row["epoch"] for row in kept] == ["0", "1", "2", "3"]
    for name in ("train/loss", "train/seconds", "val/mean_iou"):
        assert column(tmp_path / "log", name) == pytest.approx(column(fitted, name), rel=1e-5)
    written, copied = (yaml.safe_load((one / "config.yaml").read_text()) for one in (fitted, tmp_path / "log"))
    assert copied.pop("data") == written.pop("data") | {"data_dir": None}  # that of another machine
    assert copied == written
    with pytest.raises(DataError, match=r"holds no metrics\.csv"):
        release.keep_log(tmp_path, tmp_path / "log")


def test_an_encoder_begins_with_imagenets_weights_unless_random_ones_are_asked_for(cartoons, monkeypatch):
    pytest.importorskip("segmentation_models_pytorch")
    loaded = []
    monkeypatch.setattr(training, "load_pretrained_encoder", loaded.append)
    flags = {"model.encoder": "tf_efficientnet_lite0", "model.input_scale": "1", "trainer.fast_dev_run": "1"}
    training.run(["fit", *small(cartoons, **flags)])
    assert len(loaded) == 1
    training.run(["fit", *small(cartoons, **flags), "--weights", "random"])
    assert len(loaded) == 1


def test_a_slower_rate_for_the_encoder_reaches_its_parameters_alone(cartoons, monkeypatch):
    pytest.importorskip("segmentation_models_pytorch")
    monkeypatch.setattr(training, "load_pretrained_encoder", lambda network: None)
    flags = {"model.encoder": "tf_efficientnet_lite0", "model.encoder_lr_scale": "0.1", "trainer.fast_dev_run": "1"}
    run = training.run(["fit", *small(cartoons, **flags, **{"model.input_scale": "1"})])
    rest, encoder = run.trainer.optimizers[0].param_groups
    assert encoder["max_lr"] == pytest.approx(0.1 * rest["max_lr"])
    assert len(encoder["params"]) == len(list(run.model.network.encoder.parameters()))
    assert len(rest["params"]) + len(encoder["params"]) == len(list(run.model.network.parameters()))


def cut_off(checkpoint: Path) -> None:
    """Leaves the first half of a file."""
    checkpoint.write_bytes(checkpoint.read_bytes()[: checkpoint.stat().st_size // 2])


def no_checkpoint(checkpoint: Path) -> None:
    """Puts weights where the checkpoint was."""
    checkpoint.write_bytes(next(zoo.WEIGHTS.glob("*.safetensors")).read_bytes())


def no_log(checkpoint: Path) -> None:
    """Removes the run's log."""
    (checkpoint.parents[1] / "metrics.csv").unlink()


def no_configuration(checkpoint: Path) -> None:
    """Cuts the run's configuration off."""
    (checkpoint.parents[1] / "config.yaml").write_text("seed_everything: 1\n")


@pytest.mark.parametrize(
    ("harm", "name", "sentence"),
    [
        (cut_off, "out.safetensors", "best.ckpt: cannot be read as a checkpoint of `petseg fit`"),
        (no_checkpoint, "out.safetensors", "best.ckpt: cannot be read as a checkpoint of `petseg fit`"),
        (no_log, "out.safetensors", "holds no metrics.csv"),
        (no_configuration, "out.safetensors", "config.yaml: lacks average, ckpt_path, data, model, trainer."),
        (lambda checkpoint: None, "out.pt", "out.pt: a model's file ends in .safetensors"),
        (lambda checkpoint: Path("a").touch(), "a/out.safetensors", "a/out.safetensors: cannot be written"),
    ],
)
def test_release_refuses_bad_input_in_one_sentence_before_it_scores(
    harm, name, sentence, fitted, tmp_path, monkeypatch, capsys
):
    checkpoint = fitted / "checkpoints" / "best.ckpt"
    harm(checkpoint)
    monkeypatch.setattr(release, "evaluate", lambda *_: pytest.fail("a split was scored"))
    capsys.readouterr()
    assert cli.main(["release", str(checkpoint), "--out", name, "--log", "log"]) == 1
    error = capsys.readouterr().err
    assert sentence in error.splitlines()[-1]
    assert not (tmp_path / name).exists()
    assert not (tmp_path / "log").exists()


@pytest.mark.parametrize("taken", ["out.safetensors", "log"])
def test_release_refuses_a_place_that_is_taken_before_it_scores(taken, fitted, monkeypatch, capsys):
    Path("out.safetensors").mkdir() if taken == "out.safetensors" else Path("log").touch()
    monkeypatch.setattr(release, "evaluate", lambda *_: pytest.fail("a split was scored"))
    checkpoint = fitted / "checkpoints" / "best.ckpt"
    assert cli.main(["release", str(checkpoint), "--out", "out.safetensors", "--log", "log"]) == 1
    assert re.search(rf"^petseg: {taken}.*: cannot be written", capsys.readouterr().err, re.MULTILINE)


def test_a_card_names_the_teacher_where_a_configuration_has_one_callback_and_no_list():
    callback = {"class_path": "petseg.training.distillation.Distillation"}
    callback["init_args"] = {"teacher": ["a/first.safetensors", "second"], "weight": 0.5}
    found = release._others({"weights": None, "trainer": {"callbacks": callback}})
    assert found == {"teacher": "first, second", "teacher_weight": 0.5}


def test_a_model_is_scored_on_the_data_of_its_run_and_its_card_says_which(cartoons, tmp_path, monkeypatch):
    write_dataset(tmp_path / "cartoon", images_per_breed=10)
    # the data set is there, so it is not drawn again at its full size
    monkeypatch.setattr(data, "write_dataset", lambda root: root)
    more = {
        "data.source": "cartoon",
        "data.val_fraction": "0.3",
        "data.train_fraction": "0.5",
        "trainer.max_epochs": "2",
    }
    training.run(["fit", *small(tmp_path, **more)])
    checkpoint = tmp_path / "runs" / "version_0" / "checkpoints" / "best.ckpt"
    card = release.release(checkpoint, tmp_path / "toon.safetensors")
    module = PetDataModule("cartoon", tmp_path, 32, val_fraction=0.3, train_fraction=0.5, progress=False)
    module.setup()
    assert card.size == (32, 32)
    assert card.data["examples"] == {split: len(examples) for split, examples in module.examples.items()}
    assert card.data["name"] == "cartoons"
    assert card.data["training"] == (
        "official trainval split less 30 % of each breed for validation, 50 % of the rest, at 32x32"
    )
    assert (card.recipe["val_fraction"], card.recipe["train_fraction"]) == (0.3, 0.5)
    assert "never seen a photo" in card.limits


def test_without_a_configuration_a_model_is_scored_on_oxford_iiit_pet_as_cards_of_released_models_say(monkeypatch):
    module = release._data({})
    assert (module.source, module.image_size, module.val_fraction, module.train_fraction) == ("oxford", 128, 0.1, 1.0)
    card = zoo.card("unet")
    assert {key: card.data[key] for key in release._source(module)} == release._source(module)
    assert card.limits == release.LIMITS["oxford"].format(size=128)


def test_attempts_are_those_that_resumed_one_another_in_the_order_in_which_they_began(tmp_path):
    keys = ("seed_everything", "trainer", "model", "data", "average")
    resumed = {"version_0": None, "version_1": None, "version_9": "version_0", "version_10": "version_9"}
    for second, (name, earlier) in enumerate(resumed.items()):
        config = tmp_path / "runs" / name / "config.yaml"
        config.parent.mkdir(parents=True)
        path = f"runs/{earlier}/checkpoints/last.ckpt" if earlier else None  # counts from where fit was called
        config.write_text(yaml.safe_dump({**dict.fromkeys(keys), "ckpt_path": path}))
        os.utime(config, (second, second))
    broken = tmp_path / "runs" / "version_11" / "config.yaml"
    broken.parent.mkdir()
    broken.write_text("{")
    for name in ("version_0", "version_9", "version_10"):
        found = release.attempts(tmp_path / "runs" / name)
        assert [path.name for path in found] == ["version_0", "version_9", "version_10"]
    assert [path.name for path in release.attempts(tmp_path / "runs" / "version_1")] == ["version_1"]
    assert release.attempts(tmp_path / "elsewhere") == [tmp_path / "elsewhere"]


@pytest.mark.parametrize(
    ("flag", "value", "sentence"),
    [
        ("data.batch_size", "0", "batch_size=0: must be at least 1"),
        ("average.decay", "1", "decay=1.0: must be at least 0 and less than 1"),
        ("model.sizes", "[0.5,1]", "must be of one length"),
        ("model.sizes", "[0,0.5,1]", "every size must be above 0"),
        ("model.augment.scale_min", "0", "petseg: scale_min=0.0, scale_max=1.4: must be above 0"),
    ],
)
def test_an_impossible_setting_is_one_sentence(flag, value, sentence, cartoons, capsys):
    assert cli.main(["fit", *small(cartoons, **{flag: value})]) == 1
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("petseg: ")
    assert sentence in last


def test_releasing_a_checkpoint_that_is_not_there_is_one_sentence(tmp_path):
    with pytest.raises(DataError, match=r"none\.ckpt: no such checkpoint"):
        release.release(tmp_path / "none.ckpt", tmp_path / "out.safetensors")


def test_two_processes_end_with_the_confusion_matrix_of_one(cartoons, tmp_path):
    root = tmp_path / "odd"
    shutil.copytree(cartoons, root)
    split = root / "oxford-iiit-pet" / "annotations" / "trainval.txt"
    lines = split.read_text().splitlines(keepends=True)
    split.write_text("".join(line for line in lines if not line.startswith("Marmalade")))
    more = {"devices": "2", "strategy": "ddp", "precision": "32-true", "max_epochs": "8"}
    flags = small(root, **{f"trainer.{name}": value for name, value in more.items()})
    command = [sys.executable, "-m", "petseg.cli", "fit", *flags]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=400, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    run = tmp_path / "runs" / "version_0"
    together = json.loads((run / "val_confusion.json").read_text())["pixels"]
    module = PetDataModule("oxford", root, image_size=32, progress=False)
    task = SegmentationTask.load_from_checkpoint(run / "checkpoints/last.ckpt", weights_only=True)
    alone = evaluate(task, module, "val")
    assert len(alone) % 2 == 1  # so that the sampler repeats an example to make both processes' shares equal
    assert alone.sum(dim=0).tolist() == together
    assert int((alone.sum(dim=(0, 1)) > 0).sum()) > 1  # more than one class was predicted


def test_training_goes_through_its_sizes(cartoons, monkeypatch):
    seen = []
    step = SegmentationTask.loss
    monkeypatch.setattr(
        SegmentationTask, "loss", lambda self, logits, mask: seen.append(logits.shape[-1]) or step(self, logits, mask)
    )
    flags = {"model.sizes": "[0.25,0.5,1]", "model.size_starts": "[0,0.25,0.5]", "trainer.limit_val_batches": "0"}
    training.run(["fit", *small(cartoons, **flags)])
    steps = len(seen) // 4
    assert seen == [8] * steps + [16] * steps + [32] * 2 * steps


def test_an_average_is_warmed_up():
    task = torch.nn.Linear(1, 1, bias=False)
    callback = WarmupEMA(decay=0.9)
    averaged = AveragedModel(task, multi_avg_fn=callback._average, use_buffers=True)
    values = []
    for step in range(4):
        task.weight.data.fill_(float(step))
        averaged.update_parameters(task)
        values.append(float(averaged.module.weight))
    # the first update copies; the n-th keeps (1 + n) / (10 + n) of the old value, less than 0.9 at first
    expected = [0.0]
    for n in (1, 2, 3):
        keep = (1 + n) / (10 + n)
        expected.append(keep * expected[-1] + (1 - keep) * n)
    assert values == pytest.approx(expected)


@pytest.mark.parametrize("decay", [-0.1, 1.0])
def test_an_impossible_decay_is_refused(decay):
    with pytest.raises(ValueError, match=r"decay=.*must be at least 0 and less than 1"):
        WarmupEMA(decay)


def test_precision_is_one_that_the_trainer_knows():
    L.Trainer(precision=best_precision(), logger=False, accelerator="cpu", barebones=True)


def test_precision_follows_the_hardware(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: False)
    assert best_precision() == "16-mixed"
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: True)
    assert best_precision() == "bf16-mixed"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.setattr(torch.cpu, name, lambda: False, raising=False)
    assert best_precision() == "32-true"
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: True, raising=False)
    assert best_precision() == "bf16-mixed"


def test_scores_are_taken_in_full_precision_whatever_training_computes_in(monkeypatch):
    monkeypatch.setattr(training, "best_precision", lambda: "bf16-mixed")
    assert training.trainer_defaults("fit")["precision"] == "bf16-mixed"
    assert training.trainer_defaults("test")["precision"] == "32-true"
    assert training.trainer_defaults("validate")["precision"] == "32-true"
