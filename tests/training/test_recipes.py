"""What the recipes of the package choose, and how they are read."""

import json
from types import SimpleNamespace

import pytest
from tiny import flags

from petseg import cli
from petseg.data.augment import AugmentSettings
from petseg.models import pretrained, zoo
from petseg.training import fit, recipes
from petseg.training.recipes import RECIPES, distillation, read_recipe
from petseg.training.task import SegmentationTask
from petseg.training.weights import start_from


@pytest.mark.parametrize("augment", [{}, None])
def test_an_empty_augment_section_is_no_augmentation(augment):
    recipe = read_recipe()
    recipe["model"]["augment"] = augment
    assert SegmentationTask.from_recipe(recipe).augment.settings == AugmentSettings()


@pytest.mark.parametrize("name", zoo.available())
def test_the_network_of_a_recipe_is_that_of_the_released_model(name):
    recipe = read_recipe(name)
    if "pretrained" in recipe["model"]["network"]["class_path"] and not pretrained.installed():
        pytest.skip("the extra `pretrained` is not installed")
    task = SegmentationTask.from_recipe(recipe)
    card = start_from(task, name)
    assert task.network.settings == card.settings


def test_every_released_model_has_a_recipe():
    assert {path.stem for path in RECIPES.glob("*.yaml")} == {*zoo.available(), "course", "fast", "teacher"}


def test_all_teachers_of_a_recipe_are_found_by_name():
    seeds = {"class_path": "petseg.training.callbacks.EpochSeeds"}
    files = ["unet-lite0", "some/folder/unet-lite2.safetensors"]
    for teachers, names in (("unet-lite0", ["unet-lite0"]), (files, ["unet-lite0", "unet-lite2"])):
        taught = {"class_path": "petseg.training.distillation.Distillation", "init_args": {"teacher": teachers}}
        for callbacks in (taught, [seeds, taught]):
            assert distillation({"trainer": {"callbacks": callbacks}})["teacher"] == names
    for callbacks in (None, [seeds]):
        assert distillation({"trainer": {"callbacks": callbacks}}).get("teacher", []) == []


def test_on_a_gpu_a_recipe_takes_its_own_batches_and_flags_still_win(cartoons, monkeypatch, tmp_path):
    monkeypatch.setattr(recipes, "torch", SimpleNamespace(cuda=SimpleNamespace(is_available=lambda: True)))
    assert read_recipe("course")["data"]["batch_size"] == 64
    mine = tmp_path / "mine.yaml"
    mine.write_text("gpu: {data: {batch_size: 8}, average: {decay: 0.5}}\nmodel: {learning_rate: 0.5}\n")
    tiny = flags(cartoons, **{"trainer.fast_dev_run": 1})
    place = tiny.index("--data.batch_size")
    del tiny[place : place + 2]
    chosen = fit.run(["fit", "--config", str(mine), *tiny]).config["fit"]
    assert (chosen["data"]["batch_size"], chosen["average"]["decay"], chosen["gpu"]) == (8, 0.5, {})
    chosen = fit.run(["fit", "--data.batch_size", "6", f"--config={mine}", *tiny]).config["fit"]
    assert (chosen["data"]["batch_size"], chosen["average"]["decay"]) == (6, 0.5)
    later = json.dumps({"data": {"batch_size": 5, "data_dir": "long/" * 100}})
    chosen = fit.run(["fit", "--config", str(mine), "--config", later, *tiny]).config["fit"]
    assert (chosen["data"]["batch_size"], chosen["average"]["decay"]) == (5, 0.5)
    monkeypatch.undo()
    assert fit.run(["fit", "--config", str(mine), *tiny]).config["fit"]["average"]["decay"] == 0.998


@pytest.mark.parametrize("gpu", [False, True])
def test_a_config_file_that_is_no_yaml_or_no_text_is_refused_in_a_sentence(monkeypatch, tmp_path, capsys, gpu):
    monkeypatch.setattr(recipes, "torch", SimpleNamespace(cuda=SimpleNamespace(is_available=lambda: gpu)))
    mine = tmp_path / "mine.yaml"
    mine.write_text("model: [")
    with pytest.raises(SystemExit, match="2"):
        cli.main(["fit", "--config", str(mine)])
    assert "error: " in capsys.readouterr().err
    mine.write_bytes(b"\xff\xfe")
    assert cli.main(["fit", "--config", str(mine)]) == 1
    assert f"petseg: {mine}: no text in UTF-8." in capsys.readouterr().err
