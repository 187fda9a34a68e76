"""`petseg fit`, `validate` and `test`: what they log, what they start from, and which networks they take."""

import json
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import lightning as L
import pytest
import torch
import yaml
from lightning.pytorch.accelerators import CPUAccelerator
from tiny import column, flags, pets, version

from petseg import cli
from petseg.errors import SettingsError
from petseg.metrics.confusion import pooled_scores
from petseg.models import pretrained, zoo
from petseg.models.device import best_precision
from petseg.models.segmenter import IMAGENET, Segmenter
from petseg.models.unet import UNet
from petseg.training import fit
from petseg.training.callbacks import EpochSeeds
from petseg.training.runs import attempts
from petseg.training.scoring import evaluate
from petseg.training.task import SegmentationTask
from petseg.training.weights import start_from

pytestmark = pytest.mark.slow

ENCODER = {"model.network": "PretrainedUNet", "model.network.input_scale": 1, "trainer.fast_dev_run": 1}


def encoder_flags(cartoons: Path, **more: object) -> list[str]:
    return flags(cartoons, **ENCODER, **more, **{"model.network.channels": None})


def test_fit_logs_scores_of_every_epoch_and_keeps_best_and_last(fitted):
    for name in ("train/loss", "train/mean_iou", "train/seconds", "val/mean_iou", "val/iou_boundary", "lr-AdamW"):
        assert len(column(fitted, name)) == 4, name
    assert {path.name for path in (fitted / "checkpoints").iterdir()} == {"best.ckpt", "last.ckpt"}
    assert yaml.safe_load((fitted / "config.yaml").read_text())["seed_everything"] == 20261130


def test_the_confusion_matrix_of_every_validation_is_logged_and_the_last_is_written(fitted, cartoons, ready):
    names = ("pet", "background", "boundary")
    pixels = [column(fitted, f"val_pixels/{true}_as_{predicted}") for true in names for predicted in names]
    written = json.loads((fitted / "val_confusion.json").read_text())
    assert written["classes"] == list(names)
    assert [value for row in written["pixels"] for value in row] == [values[-1] for values in pixels]
    examples = ready(cartoons, image_size=32).examples["val"]
    assert {sum(epoch) for epoch in zip(*pixels, strict=True)} == {len(examples) * 32 * 32}


def test_each_process_of_a_training_augments_in_its_own_way():
    drawn = []
    for rank in (0, 0, 1):
        trainer = SimpleNamespace(current_epoch=3, global_rank=rank)
        EpochSeeds(7).on_train_batch_start(trainer, None, None, 0)  # type: ignore[arg-type]
        drawn.append(float(torch.rand(1)))
    assert drawn[0] == drawn[1] != drawn[2]


EPOCH_SEEDS = "petseg.training.callbacks.EpochSeeds"


def test_the_same_seed_gives_the_same_numbers_and_each_run_its_own_folder(fitted, cartoons):
    fit.run(["fit", *flags(cartoons)])
    for name in ("train/loss", "val/loss", "val/mean_iou"):
        assert column(version(1), name) == column(fitted, name)


def test_order_and_augmentation_follow_the_seed_of_the_run_also_where_the_recipe_names_epoch_seeds(
    cartoons, monkeypatch
):
    draws: dict[str, list[tuple[list[int], float]]] = {}
    step = SegmentationTask.training_step

    def spy(self, batch, batch_idx):
        seen.append((batch.index.tolist(), torch.rand(()).item()))
        return step(self, batch, batch_idx)

    monkeypatch.setattr(SegmentationTask, "training_step", spy)
    for name, seed, more in (("7", 7, {}), ("8", 8, {}), ("named", 7, {"trainer.callbacks": EPOCH_SEEDS})):
        monkeypatch.delenv("PL_GLOBAL_SEED", raising=False)  # as in a process that has trained nothing yet
        seen = draws[name] = []
        fit.run(["fit", *flags(cartoons, seed_everything=seed, **more, **{"trainer.max_epochs": 1})])
    assert draws["named"] == draws["7"]
    for part in (0, 1):
        assert [draw[part] for draw in draws["7"]] != [draw[part] for draw in draws["8"]]


def test_the_seed_that_a_recipe_gives_to_epoch_seeds_counts(cartoons):
    settings = {"trainer.callbacks": EPOCH_SEEDS, "trainer.callbacks.seed": 5, "trainer.fast_dev_run": 1}
    run = fit.run(["fit", *flags(cartoons, **settings)])
    assert [callback.seed for callback in run.trainer.callbacks if isinstance(callback, EpochSeeds)] == [5]


@pytest.mark.parametrize("name", ["UNet", "petseg.models.unet.UNet"])
def test_a_network_is_chosen_by_its_class(name, cartoons):
    given = ["--model.network", name, "--model.network.separable", "true", "--trainer.fast_dev_run", "1"]
    network = fit.run(["fit", *given, *flags(cartoons)]).model.network
    assert isinstance(network, UNet)
    assert (network.settings["separable"], network.settings["channels"]) == (True, [4, 8])


@pytest.mark.parametrize("augment", ["{}", "null"])
def test_a_recipe_with_an_empty_augment_section_augments_nothing(augment, cartoons):
    Path("recipe.yaml").write_text(f"model: {{augment: {augment}}}\n")
    given = flags(cartoons, **{"trainer.fast_dev_run": 1, "model.augment.degrees": None})
    run = fit.run(["fit", "--config", "recipe.yaml", *given])
    settings = run.model.augment.settings
    assert (settings.flip, settings.degrees, settings.shift, settings.brightness, settings.paste) == (0, 0, 0, 0, 0)


NETWORK = """
from torch import nn

class PixelNet(nn.Sequential):
    def __init__(self, width: int = 4):
        super().__init__(nn.Conv2d(3, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, 3, 1))
"""


def test_a_network_of_ones_own_trains_resumes_and_is_tested_from_its_checkpoint(cartoons, monkeypatch):
    monkeypatch.setattr(sys, "path", [folder for folder in sys.path if folder])  # as for an installed command
    Path("own_pixel_net.py").write_text(NETWORK)
    own = {"model.network": "own_pixel_net.PixelNet", "model.network.width": 5, "model.network.channels": None}
    Path("recipe.yaml").write_text("model: {warmup: 0.2}\n")
    given = flags(cartoons, **own, config="recipe.yaml", **{"trainer.max_epochs": 2})
    fit.run(["fit", *given])
    state = torch.load(version() / "checkpoints" / "last.ckpt", weights_only=True)
    assert state["hyper_parameters"]["network"] == {"class_path": "own_pixel_net.PixelNet", "init_args": {"width": 5}}
    resumed = fit.run(["fit", *given, "--ckpt_path", "last"])
    assert resumed.trainer.global_step == state["global_step"]  # nothing was left to do
    tested = fit.run(["test", "--trainer.accelerator", "cpu", "--ckpt_path", "last"])  # on the data of the run
    assert (tested.datamodule.data_dir, tested.datamodule.image_size) == (cartoons, 32)
    assert type(tested.model.network).__name__ == "PixelNet"
    assert all(torch.equal(value, state["state_dict"][key]) for key, value in tested.model.state_dict().items())
    assert 0 <= tested.trainer.callback_metrics["test/mean_iou"] <= 1


def test_test_and_validate_score_a_checkpoint_and_released_weights_as_evaluate_does(fitted, cartoons, small_model):
    module = pets(cartoons)
    checkpoint = fitted / "checkpoints" / "last.ckpt"
    task = SegmentationTask.load_from_checkpoint(checkpoint, weights_only=True)
    segmenter, _ = zoo.load(small_model)
    given = flags(cartoons, **{"trainer.logger": "false"})
    for command, split in (("validate", "val"), ("test", "test")):
        for model, chosen in ((task, ["--ckpt_path", str(checkpoint)]), (segmenter, ["--weights", str(small_model)])):
            scores = fit.run([command, *given, *chosen]).trainer.callback_metrics
            expected = pooled_scores(evaluate(model, module, split))
            assert {name: float(scores[f"{split}/{name}"]) for name in expected} == pytest.approx(expected, abs=1e-6)
    assert column(fitted, "val/mean_iou")[-1] == pytest.approx(pooled_scores(evaluate(task, module))["mean_iou"])


@pytest.mark.parametrize(
    "end",
    [
        {"trainer.max_epochs": 4},
        {"trainer.max_epochs": -1, "trainer.max_steps": 24},
        {"trainer.max_epochs": 9, "trainer.max_steps": 8, "trainer.accumulate_grad_batches": 4},  # 4 + 2 batches
    ],
)
def test_training_goes_through_its_sizes_whatever_ends_it(end, cartoons, monkeypatch):
    seen = []
    loss = SegmentationTask.loss
    monkeypatch.setattr(
        SegmentationTask, "loss", lambda self, logits, mask: seen.append(logits.shape[-1]) or loss(self, logits, mask)
    )
    stages = {"model.sizes": "[0.25,0.5,1]", "model.size_starts": "[0,0.25,0.5]", "trainer.limit_val_batches": 0}
    fit.run(["fit", *flags(cartoons, **stages, **end)])
    steps = len(seen) // 4
    assert seen == [8] * steps + [16] * steps + [32] * 2 * steps


@pytest.fixture
def start(small_model) -> Path:
    """A tiny model that a training with `flags` can start from: its images are normalised as those of a `UNet`."""
    segmenter, card = zoo.load(small_model)
    mean, std = IMAGENET
    return zoo.save(small_model, Segmenter(segmenter.network, mean, std), replace(card, mean=mean, std=std))


def test_what_was_trained_from_weights_is_read_from_its_checkpoint_as_it_was(cartoons, start):
    run = fit.run(["fit", *flags(cartoons, weights=start, **{"trainer.max_epochs": 2})])
    again = SegmentationTask.load_from_checkpoint(version() / "checkpoints" / "last.ckpt", weights_only=True)
    image = torch.rand(1, 3, 16, 16)
    torch.testing.assert_close(again.eval()(image), run.model.eval()(image))


@pytest.mark.parametrize("settings", [{"channels": [4, 4]}, {"channels": [4, 8], "separable": True}])
def test_a_training_is_not_started_from_weights_of_another_network(settings, start):
    task = SegmentationTask(UNet(**settings))
    before = {key: value.clone() for key, value in task.state_dict().items()}
    with pytest.raises(
        SettingsError, match=r"small: its weights are of unet with .*channels': \[4, 8\].*--model\.network"
    ):
        start_from(task, start)
    assert all(torch.equal(value, before[key]) for key, value in task.state_dict().items())


def test_fit_refuses_weights_of_another_normalisation_in_one_sentence(cartoons, small_model, capsys):
    assert cli.main(["fit", *flags(cartoons, weights=small_model)]) == 1
    message = capsys.readouterr().err.splitlines()[-1]
    assert message.startswith("petseg: small: normalises its images with Statistics(mean=(0.5, 0.5, 0.5), std=")
    assert not Path("runs").exists()


needs_encoders = pytest.mark.skipif(not pretrained.installed(), reason="the extra `pretrained` is not installed")


@needs_encoders
def test_an_encoder_begins_with_imagenets_weights_unless_random_ones_are_asked_for(cartoons, monkeypatch):
    loaded = []
    monkeypatch.setattr(fit, "load_imagenet", loaded.append)
    fit.run(["fit", *encoder_flags(cartoons)])
    assert len(loaded) == 1
    fit.run(["fit", *encoder_flags(cartoons, weights="random")])
    assert len(loaded) == 1


@needs_encoders
@pytest.mark.parametrize(("scale", "groups"), [(0.1, 2), (0, 1)])
def test_the_learning_rate_of_an_encoder_reaches_its_parameters_alone_and_0_freezes_it(scale, groups, cartoons):
    run = fit.run(["fit", *encoder_flags(cartoons, weights="random", **{"model.encoder_lr_scale": scale})])
    network, (rest, *encoder) = run.model.network, run.trainer.optimizers[0].param_groups
    assert 1 + len(encoder) == groups
    assert len(rest["params"]) == sum(not name.startswith("encoder.") for name, _ in network.named_parameters())
    if encoder:
        assert encoder[0]["max_lr"] == pytest.approx(scale * rest["max_lr"])
        assert len(encoder[0]["params"]) == len(list(network.encoder.parameters()))
    else:
        assert network.frozen


@needs_encoders
def test_a_run_that_starts_from_other_weights_keeps_the_scale_of_its_own_images(tmp_path):
    first = pretrained.PretrainedUNet(input_scale=1.0)
    segmenter = Segmenter(first, *first.statistics)
    card = zoo.ModelCard.of(segmenter, name="first", size=(32, 32))
    task = SegmentationTask(pretrained.PretrainedUNet(input_scale=1.5))
    start_from(task, zoo.save(tmp_path / "first.safetensors", segmenter, card))
    assert task.network.input_scale == 1.5
    torch.testing.assert_close(task.network.head.weight, first.head.weight, atol=1e-3, rtol=1e-3)  # float16


def test_precision_follows_the_hardware_and_scores_are_computed_in_full_precision(monkeypatch):
    L.Trainer(precision=best_precision(), logger=False, accelerator="cpu", barebones=True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    for bf16, precision in ((False, "16-mixed"), (True, "bf16-mixed")):
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation, bf16=bf16: bf16)
        chosen = {command: fit.trainer_defaults(command)["precision"] for command in ("fit", "validate", "test")}
        assert chosen == {"fit": precision, "validate": "32-true", "test": "32-true"}
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False, raising=False)
    for amx, precision in ((False, "32-true"), (True, "bf16-mixed")):
        monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda amx=amx: amx, raising=False)
        assert best_precision() == precision


def test_a_run_takes_one_device_unless_more_are_asked_for(cartoons, monkeypatch):
    monkeypatch.setattr(CPUAccelerator, "auto_device_count", staticmethod(lambda: 2))
    trainer = fit.run(["fit", *flags(cartoons, **{"trainer.fast_dev_run": 1})]).trainer
    assert (trainer.num_devices, trainer.world_size) == (1, 1)


def test_the_root_folder_that_is_asked_for_holds_the_runs_and_is_where_they_are_resumed_from(cartoons):
    for given in (flags(cartoons, **{"trainer.max_epochs": 1}), ["--ckpt_path", "last"]):
        fit.run(["fit", *given, "--trainer.default_root_dir", "elsewhere"])
    assert not Path("runs").exists()
    assert [path.name for path in attempts("elsewhere" / version(1))] == ["version_0", "version_1"]


def test_help_says_how_a_network_is_chosen_and_does_not_list_those_of_pytorch(capsys):
    with pytest.raises(SystemExit):
        cli.main(["fit", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert "UNet, PretrainedUNet, or the class path of any other module" in text
    assert "torch.nn.Identity" not in text
    assert "--weights" in text
