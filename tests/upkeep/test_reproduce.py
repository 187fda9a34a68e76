"""`make reproduce`, on cartoons and tiny networks: it trains what a model needs first, continues, and compares."""

import os
import subprocess
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
import yaml

from petseg import cli
from petseg.data.augment import AugmentSettings, augment_settings
from petseg.errors import DataError
from petseg.models import zoo
from petseg.training.runs import find_checkpoint, read_log
from petseg.upkeep import reproduce
from petseg.upkeep.reproduce import CHAIN, in_order, needs, recipe_of

pytestmark = pytest.mark.slow

#: What a recorded `config.yaml` means by `augment: null`.
FORMER_DEFAULTS = AugmentSettings(
    flip=0.5, degrees=15, scale_min=0.7, scale_max=1.4, shift=0.1, brightness=0.3, contrast=0.3, saturation=0.3
)


@pytest.mark.parametrize("name", [*zoo.available(), *CHAIN, "teacher"])
def test_a_recipe_has_the_settings_that_the_record_of_its_run_has(name):
    recipe = recipe_of(name)
    record = yaml.safe_load((reproduce.RUNS / name / "config.yaml").read_text())
    assert recipe["seed_everything"] == record["seed_everything"]
    for key in ("max_epochs", "check_val_every_n_epoch", "gradient_clip_val"):
        assert recipe["trainer"][key] == record["trainer"][key]
    settings, recorded = dict(recipe["model"]), dict(record["model"])
    recorded |= (recorded.get("network") or {}).get("init_args", {})  # older records have no `network`
    network, augment = settings.pop("network"), augment_settings(settings.pop("augment"))
    for section, values in (("data", recipe["data"]), ("average", recipe["average"])):
        assert record[section] | values == record[section]
    assert recorded | settings | network["init_args"] == recorded
    assert ("PretrainedUNet" in network["class_path"]) == bool(recorded.get("encoder"))
    if isinstance(augment, list):
        assert [asdict(entry) for entry in augment] == recorded["augment"]
    else:
        assert asdict(augment) == asdict(FORMER_DEFAULTS) | (recorded["augment"] or {})


def test_what_a_model_needs_is_trained_before_it_and_once():
    order = in_order(zoo.available())
    assert set(order) == {*zoo.available(), *CHAIN}
    assert len(order) == len(set(order))
    for name in order:
        assert all(order.index(other) < order.index(name) for other in needs(recipe_of(name)))
    assert in_order(["unet-lite0"])[-2:] == ["unet-lite0-fourth", "unet-lite0"]


def test_a_name_without_a_recipe_is_refused_with_those_that_have_one(capsys):
    with pytest.raises(SystemExit) as end:
        reproduce.main(["resnet"])
    assert end.value.code == 2
    assert f"resnet: no released model; choose of {', '.join(zoo.available())}" in capsys.readouterr().err


def test_missing_data_are_fetched_before_the_hours_begin_and_ctrl_c_or_a_failure_is_one_sentence(monkeypatch, capsys):
    def stops(name, *arguments):
        assert arguments == ("data", "oxford")
        raise KeyboardInterrupt

    monkeypatch.setattr(reproduce, "petseg", stops)
    monkeypatch.setattr(reproduce, "make", lambda *_: pytest.fail("training began without data"))
    assert reproduce.main(["unet"]) == 130
    output = capsys.readouterr()
    assert output.err == "petseg: stopped; repeat the command to continue\n"
    minutes = sum(seconds for _, seconds in read_log(reproduce.RUNS / "unet" / "metrics.csv")["train/seconds"]) / 60
    assert f"unet: training took {minutes:.0f} minutes" in output.out
    assert "unet-first: time not recorded" in output.out
    monkeypatch.undo()
    monkeypatch.setattr(reproduce.subprocess, "run", lambda command, **_: subprocess.CompletedProcess(command, 2))
    assert reproduce.main(["unet"]) == 1
    assert "data: petseg data failed, see above. Repeat the command to continue." in capsys.readouterr().err


@pytest.fixture
def tiny(tmp_path, monkeypatch, cartoons):
    """Recipes of three tiny models: `first` is start and teacher of `unet-lite0`; both teach `unet`."""

    def recipe(teachers=(), **more):
        callback = {"class_path": "petseg.training.distillation.Distillation"}
        callback["init_args"] = {"teacher": list(teachers), "weight": 0.5}
        return {
            "seed_everything": 1,
            "trainer": {"max_epochs": 2, "limit_train_batches": 2, "callbacks": [callback] if teachers else []},
            "model": {"network": {"class_path": "petseg.models.unet.UNet", "init_args": {"channels": [4, 8]}}},
            "average": {"decay": 0.9},
            **more,
        }

    released = {
        "unet-lite0": recipe(["first"], weights="first"),
        "unet": recipe(["unet-lite0", "first.safetensors"]),
    }
    monkeypatch.setattr(reproduce, "CHAIN", {"first": recipe()})
    monkeypatch.setattr(reproduce, "read_recipe", released.__getitem__)
    return ["--data.data_dir", str(cartoons), "--data.image_size", "32", "--trainer.accelerator", "cpu"]


@pytest.mark.slow
def test_teacher_and_student_are_trained_released_and_compared_and_nothing_is_done_twice(tiny, tmp_path, monkeypatch):
    commands = []

    def run(command, **_):  # in the process of the test, which has loaded PyTorch already
        commands.append(command[3:])
        return subprocess.CompletedProcess(command, cli.main(command[3:]))

    monkeypatch.setattr(reproduce.subprocess, "run", run)
    cards = {name: reproduce.make(name, tmp_path, tiny) for name in in_order(["unet"])}
    assert [command[0] for command in commands] == ["fit", "release"] * 3
    assert list(cards) == ["first", "unet-lite0", "unet"]
    assert list(cards["first"].scores) == ["val"]  # it never sees the test split
    assert cards["unet-lite0"].recipe["starts_from"] == cards["unet-lite0"].recipe["teacher"] == "first"
    assert cards["unet"].recipe["teacher"] == "unet-lite0, first"
    with_mean = [command for command in commands if "--mean-with" in command]
    assert [Path(command[command.index("--out") + 1]).stem for command in with_mean] == ["unet-lite0"]
    assert str(tmp_path / "first" / "first.safetensors") in with_mean[0]
    line = reproduce.comparison({"unet": cards["unet"]}).splitlines()[1]
    scores = [card.scores["test"]["mean_iou"] for card in (zoo.card("unet"), cards["unet"])]
    assert line.split()[:3] == ["unet", *(f"{score:.4f}" for score in scores)]
    commands.clear()
    assert reproduce.make("unet", tmp_path, tiny) == cards["unet"]
    assert commands == []
    with pytest.raises(DataError, match=r"holds a run with another recipe or other flags"):
        reproduce.make("unet", tmp_path, [*tiny, "--model.warmup", "0.5"])


def test_a_stopped_run_continues_and_its_best_epoch_is_that_of_all_attempts(tmp_path, monkeypatch):
    runs, keys = tmp_path / "runs", ("seed_everything", "trainer", "model", "data", "average")
    state = dict.fromkeys(("global_step", "state_dict", "optimizer_states"))
    last = None
    for number, score in enumerate((0.1, 0.99, 0.98)):
        folder = runs / f"version_{number}" / "checkpoints"
        folder.mkdir(parents=True)
        (folder.parent / "config.yaml").write_text(yaml.safe_dump({**dict.fromkeys(keys), "ckpt_path": last}))
        state |= {"epoch": number, "callbacks": {"BestCheckpoint": {"best_model_score": torch.tensor(score)}}}
        last = str(folder / "last.ckpt")
        for file in (folder / "last.ckpt", folder / "best.ckpt"):
            torch.save(state, file)
            os.utime(file, (number, number))
    given = []
    monkeypatch.setattr(reproduce, "petseg", lambda name, *arguments: given.extend(arguments))
    reproduce.train(tmp_path, {"trainer": {"max_epochs": 4}})
    assert given[-2:] == ["--ckpt_path", last]
    written = (tmp_path / "recipe.yaml").stat().st_mtime_ns
    reproduce.train(tmp_path, {"trainer": {"max_epochs": 4}})
    assert (tmp_path / "recipe.yaml").stat().st_mtime_ns == written  # an interruption could cut off a new one
    best = find_checkpoint("best", runs)
    assert best.parts[-3] == "version_1"
    best.write_bytes(best.read_bytes()[:1000])  # cut off, it does not count
    assert find_checkpoint("best", runs).parts[-3] == "version_2"
