"""`make reproduce`, on cartoons and tiny networks: it trains the teacher first, goes on, and compares."""

import csv
import os
import shlex
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import yaml

from petseg import cli
from petseg.data.augment import AugmentSettings
from petseg.errors import DataError
from petseg.models import zoo
from petseg.training import fit as training
from petseg.training.task import SegmentationTask
from petseg.upkeep import lineage, reproduce


@pytest.fixture
def tiny(tmp_path, monkeypatch, cartoons):
    """Recipes of four tiny models, and what `petseg fit` is told besides.

    A step is start and teacher of `unet-lite0`, which teaches `unet`; both teach `unet-separable`.
    """
    recipes = tmp_path / "recipes"
    recipes.mkdir()

    def taught(by):
        return [
            {"class_path": "petseg.training.distillation.Distillation", "init_args": {"teacher": by, "weight": 0.5}}
        ]

    first = "unet-lite0-first.safetensors"
    for name, callbacks, weights in (
        ("unet-lite0-first", [], None),
        ("unet-lite0", taught(first), first),
        ("unet", taught("unet-lite0"), None),
        ("unet-separable", taught(["unet-lite0", first]), None),
    ):
        recipe = {
            "seed_everything": 1,
            "trainer": {
                "max_epochs": 2,
                "check_val_every_n_epoch": 1,
                "callbacks": callbacks,
                "limit_train_batches": 2,
            },
            "model": {"channels": [4, 8]},
            "average": {"decay": 0.9},
            "weights": weights,
        }
        (recipes / f"{name}.yaml").write_text(yaml.safe_dump(recipe))
    monkeypatch.setattr(lineage, "RECIPES", recipes)
    monkeypatch.setattr(lineage, "MODELS", ("unet-lite0-first", "unet-lite0", "unet", "unet-separable"))
    monkeypatch.setattr(lineage, "STEPS", ("unet-lite0-first",))
    monkeypatch.setenv("PETSEG_DATA_DIR", str(cartoons))
    monkeypatch.setenv("PETSEG_CACHE_DIR", str(tmp_path / "cache"))
    return ["--data.image_size", "128", "--trainer.accelerator", "cpu"]


@pytest.fixture
def here(monkeypatch):
    """Runs the steps in the process of the test, which has loaded PyTorch already; returns their arguments."""
    done = []

    def run_here(line, folder, **_):
        _, *arguments = shlex.split(line)
        done.append(arguments)
        folder.mkdir(parents=True, exist_ok=True)
        with monkeypatch.context() as context:
            for name in ("PETSEG_DATA_DIR", "PETSEG_CACHE_DIR"):  # absolute, as `run_command` makes them
                context.setenv(name, str(Path(os.environ[name]).resolve()))
            context.chdir(folder)
            if status := cli.main(arguments):
                raise RuntimeError(status)

    monkeypatch.setattr(reproduce, "run_command", run_here)
    return done


def folder_of(name, folder, flags):
    return lineage.weights_of(name, folder, flags).parent


def fit_that_dies(name, folder, flags, monkeypatch, epoch, scores):
    """A training of a model that ends with an exception in an epoch from 0; its validations score as told."""
    step, log, scores = SegmentationTask.training_step, SegmentationTask.log_dict, iter(scores)

    def dies(self, batch, batch_idx):
        if self.current_epoch == epoch:
            raise RuntimeError("killed")
        return step(self, batch, batch_idx)

    def told(self, values, **settings):
        if "val/mean_iou" in values and not self.trainer.sanity_checking:
            values = values | {"val/mean_iou": torch.tensor(next(scores))}
        log(self, values, **settings)

    with monkeypatch.context() as context:
        own = folder_of(name, folder, flags)
        own.mkdir(parents=True, exist_ok=True)
        context.chdir(own)
        context.setattr(SegmentationTask, "training_step", dies)
        context.setattr(SegmentationTask, "log_dict", told)
        with pytest.raises(RuntimeError, match="killed"):
            training.run(lineage.fit_arguments(name, folder, flags))


def test_teacher_and_student_are_trained_released_and_compared_and_nothing_is_done_twice(tiny, here, tmp_path, capsys):
    folder, names = tmp_path / "again", ["unet-lite0", "unet", "unet-separable"]
    cards = reproduce.reproduce(names, folder, tiny)
    assert list(cards) == names
    said = capsys.readouterr().out
    order = [f"unet-lite0{part}" for part in ("-first: petseg release", ": petseg fit", ": petseg release")]
    order.append("unet: petseg fit")
    assert sorted(order, key=said.index) == order
    first = zoo.card(lineage.weights_of("unet-lite0-first", folder, tiny))
    assert list(first.scores) == ["val"]  # a step on the way never sees the test split
    assert cards["unet-lite0"].recipe["starts_from"] == cards["unet-lite0"].recipe["teacher"] == "unet-lite0-first"
    assert cards["unet-separable"].recipe["teacher"] == "unet-lite0, unet-lite0-first"
    means = [step for step in here if "--mean-with" in step]
    assert [Path(step[step.index("--out") + 1]).stem for step in means] == ["unet-lite0"]  # the recipe's start, again
    assert means[0][means[0].index("--mean-with") + 1] == str(lineage.weights_of("unet-lite0-first", folder, tiny))
    taught = next(step for step in here if "--trainer.callbacks.init_args.teacher" in step and "unet.yaml" in step[2])
    assert str(lineage.weights_of("unet-lite0", folder, tiny)) in taught
    log = folder_of("unet", folder, tiny) / "log"
    config = yaml.safe_load((log / "config.yaml").read_text())
    assert [one["init_args"]["teacher"] for one in config["trainer"]["callbacks"]] == ["unet-lite0.safetensors"]
    assert reproduce.training_seconds(log / "metrics.csv") > 0
    line = reproduce.comparison(cards).splitlines()[2]
    assert line.split()[:3] == [
        "unet",
        f"{zoo.card('unet').scores['test']['mean_iou']:.4f}",
        f"{cards['unet'].scores['test']['mean_iou']:.4f}",
    ]
    here.clear()
    reproduce.reproduce(names, folder, tiny)
    assert here == []


def test_a_stopped_run_is_gone_on_with_and_the_best_and_the_log_are_those_of_all_its_attempts(
    tiny, here, tmp_path, cartoons, monkeypatch
):
    name, folder, flags = "unet-lite0-first", tmp_path / "again", [*tiny, "--trainer.max_epochs", "4"]
    fit_that_dies(name, folder, flags, monkeypatch, 3, [0.98, 0.99, 0.97])
    resumed = lineage.fit_arguments(name, folder, flags)
    assert resumed[resumed.index("--ckpt_path") + 1].endswith("version_0/checkpoints/last.ckpt")
    monkeypatch.chdir(tmp_path)
    for variable, at in (("PETSEG_DATA_DIR", cartoons), ("PETSEG_CACHE_DIR", tmp_path / "cache")):
        monkeypatch.setenv(variable, os.path.relpath(at))  # the processes that train have another working folder
    card = reproduce.reproduce([name], Path("again"), flags)[name]
    own = folder_of(name, folder, flags)
    assert lineage.fit_arguments(name, folder, flags) == []
    assert (own / "runs" / "version_1" / "checkpoints" / "best.ckpt").is_file()
    assert card.recipe["epochs"] == 2  # of the first attempt, and no epoch of the second scored 0.99
    with (own / "log" / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["0", "1", "2", "3"]
    assert [float(row["val/mean_iou"]) for row in rows[:3]] == [0.98, 0.99, 0.97]
    assert all(row["train/loss"] for row in rows)
    kept = (own / "log" / "config.yaml").read_text()
    assert str(tmp_path) not in kept
    assert str(cartoons) not in kept
    assert yaml.safe_load(kept)["ckpt_path"] is None


def test_a_training_that_was_stopped_twice_keeps_the_best_of_three_attempts(tiny, tmp_path, monkeypatch, capsys):
    name, folder, flags = "unet-lite0-first", tmp_path / "again", [*tiny, "--trainer.max_epochs", "4"]
    for epoch, score in ((1, 0.1), (2, 0.3), (3, 0.2)):
        fit_that_dies(name, folder, flags, monkeypatch, epoch, [score])
    best = lineage.best_checkpoint(folder_of(name, folder, flags) / "runs")
    assert best is not None
    assert best.parts[-3:] == ("version_1", "checkpoints", "best.ckpt")
    best.write_bytes(best.read_bytes()[:1000])  # cut off, it is none
    assert lineage.best_checkpoint(best.parents[2]).parts[-3] == "version_2"
    assert f"{best}: was cut off" in capsys.readouterr().out
    assert lineage.best_checkpoint(tmp_path / "nothing") is None


def test_other_flags_or_another_recipe_have_another_folder_and_so_has_all_that_is_made_from_it(tiny, tmp_path):
    def folders():
        return {name: folder_of(name, tmp_path, tiny) for name in lineage.MODELS}

    before = folders()
    assert folders() == before
    shorter = [*tiny, "--trainer.max_epochs", "1"]
    assert all(folder_of(name, tmp_path, shorter) != before[name] for name in before)
    recipe = lineage.RECIPES / "unet-lite0-first.yaml"
    recipe.write_text(recipe.read_text().replace("seed_everything: 1", "seed_everything: 2"))
    after = folders()
    changed = [name for name in before if after[name] != before[name]]
    assert changed == ["unet-lite0-first", "unet-lite0", "unet-separable"]  # the teacher of `unet` is released


def test_a_student_is_trained_anew_once_its_teacher_is(tiny, tmp_path):
    before = folder_of("unet", tmp_path, tiny)
    teacher = lineage.weights_of("unet-lite0", tmp_path, tiny)
    assert "unet-lite0" in lineage.fit_arguments("unet", tmp_path, tiny)
    teacher.parent.mkdir(parents=True)
    teacher.touch()
    assert folder_of("unet", tmp_path, tiny) != before
    assert str(teacher) in lineage.fit_arguments("unet", tmp_path, tiny)


def test_a_step_that_fails_is_one_sentence_and_says_how_to_go_on(tiny, tmp_path):
    with pytest.raises(DataError, match=r"lite0-first: petseg fit failed.*Call it again"):
        reproduce.reproduce(["unet-lite0"], tmp_path / "again", ["--no.such.flag", "1"])


def test_a_name_without_a_recipe_is_refused_with_those_that_have_one(capsys):
    assert reproduce.main(["resnet"]) == 2
    assert f"resnet: no recipe of this name; choose of {', '.join(lineage.MODELS)}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "models", "folder", "extra"),
    [
        (["unet", "--trainer.max_epochs", "2"], ["unet"], None, ["--trainer.max_epochs", "2"]),
        (["--trainer.max_epochs", "2"], [], None, ["--trainer.max_epochs", "2"]),
        (["--trainer.max_epochs=2", "unet"], [], None, ["--trainer.max_epochs=2", "unet"]),
        (["--folder", "out", "unet"], ["unet"], "out", []),
        (["unet", "--folder=out", "unet-lite0", "--", "--seed", "1"], ["unet", "unet-lite0"], "out", ["--seed", "1"]),
        ([], [], None, []),
    ],
)
def test_models_and_the_flags_of_fit_are_told_apart(words, models, folder, extra):
    ours, flags = reproduce._arguments(words)
    assert (ours.models, flags) == (models, extra)
    assert ours.folder == Path(folder or reproduce.CHECKOUT / "build" / "reproduce")


@pytest.mark.parametrize("flags", [["--trainer.max_epochs", "2"], ["--trainer.max_epochs=2"]])
def test_flags_say_after_how_many_epochs_a_training_is_done(flags):
    recipe = lineage.recipe_of("unet")
    assert lineage.epochs_of(recipe, [*flags, "--trainer.accelerator", "cpu"]) == 2
    assert lineage.epochs_of(recipe, []) == yaml.safe_load(recipe.read_text())["trainer"]["max_epochs"]


def test_ctrl_c_is_one_sentence(monkeypatch, capsys):
    def stop(extra):
        raise KeyboardInterrupt

    monkeypatch.setattr(reproduce, "fetched", stop)
    assert reproduce.main(["unet"]) == 130
    assert capsys.readouterr().err == "petseg: stopped; the next call goes on from here\n"


def test_missing_data_are_fetched_before_the_hours_begin_and_a_failure_is_one_sentence(tmp_path, monkeypatch, capsys):
    asked = []

    def fetch(root):
        asked.append(root)
        raise DataError("no network.")

    monkeypatch.setattr(reproduce, "fetch_oxford", fetch)
    monkeypatch.setattr(reproduce, "reproduce", lambda *_: pytest.fail("training began without data"))
    assert reproduce.main(["unet", "--data.data_dir", str(tmp_path)]) == 1
    assert asked == [tmp_path]
    assert capsys.readouterr().err == "petseg: no network.\n"


def test_a_data_folder_among_the_flags_is_named_whole_to_the_processes(tmp_path, monkeypatch, cartoons):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PETSEG_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(reproduce, "fetch_oxford", lambda root: None)
    flags = ["--data.data_dir", os.path.relpath(cartoons), "--data.image_size", "32"]
    assert reproduce.fetched(flags) == [*flags, "--data.data_dir", str(cartoons.resolve())]
    assert list((tmp_path / "cache").glob("oxford-trainval-32-*"))


def test_a_log_without_times_says_so(tmp_path):
    assert reproduce.training_seconds(tmp_path / "none.csv") is None
    (tmp_path / "metrics.csv").write_text("epoch,train/loss\n0,1.5\n")
    assert reproduce.training_seconds(tmp_path / "metrics.csv") is None


def test_it_says_how_long_all_takes_and_what_is_not_recorded():
    *lines, together = reproduce.times(list(lineage.MODELS)).splitlines()
    assert [line.partition(":")[0] for line in lines] == list(lineage.MODELS)
    minutes = [int(line.split("took ")[1].split()[0]) for line in lines if "took" in line]
    hours = float(together.removeprefix("together more than ").split()[0])
    assert hours == pytest.approx(sum(minutes) / 60, abs=0.1)
    unknown = [name for name in lineage.MODELS if not reproduce.training_seconds(reproduce.RUNS / name / "metrics.csv")]
    assert [line.partition(":")[0] for line in lines if "time not recorded" in line] == unknown


def test_every_released_model_is_reproduced_and_after_what_it_is_made_from():
    assert set(lineage.MODELS) - set(lineage.STEPS) == set(zoo.available())
    order = list(lineage.MODELS)
    for name in order:
        assert all(order.index(other) < order.index(name) for other in lineage.made_from(lineage.recipe_of(name)))


@pytest.mark.parametrize(
    ("teacher", "names"),
    [
        (None, []),
        ("unet-lite0", ["unet-lite0"]),
        (["unet-lite0", "some/folder/unet-lite2.safetensors"], ["unet-lite0", "unet-lite2"]),
    ],
)
def test_all_teachers_of_a_recipe_are_found_by_name(tmp_path, teacher, names):
    callbacks = [{"class_path": "petseg.training.callbacks.EpochSeeds"}]
    if teacher:
        distillation = "petseg.training.distillation.Distillation"
        callbacks.append({"class_path": distillation, "init_args": {"teacher": teacher, "weight": 0.5}})
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(yaml.safe_dump({"trainer": {"callbacks": callbacks}, "weights": "unet-lite0"}))
    assert lineage.teachers_of(recipe) == names
    assert lineage.made_from(recipe) == ["unet-lite0", *names[1:]]  # start and teacher in one is named once


def test_the_steps_that_a_model_needs_are_trained_and_a_released_teacher_is_taken_as_it_is(tiny):
    assert lineage.with_steps(["unet-lite0"]) == ["unet-lite0-first", "unet-lite0"]
    assert lineage.with_steps(["unet"]) == ["unet"]
    assert lineage.with_steps(["unet-separable"]) == ["unet-lite0-first", "unet-separable"]


def test_whatever_a_model_needs_is_released_or_trained_before_it():
    for name in zoo.available():
        trained = lineage.with_steps([name])
        assert trained[-1] == name
        assert set(trained[:-1]) <= set(lineage.STEPS)
        for step in trained:
            assert set(lineage.made_from(lineage.recipe_of(step))) <= {*trained, *zoo.available()}


def test_steps_that_no_released_model_needs_are_trained_when_they_are_named_alone(tiny, monkeypatch):
    asked = []
    monkeypatch.setattr(reproduce, "MODELS", lineage.MODELS)
    monkeypatch.setattr(reproduce, "fetched", list)
    monkeypatch.setattr(reproduce, "reproduce", lambda names, *_: asked.append(names) or {})
    for words in ([], ["unet-lite0-first"]):
        assert reproduce.main(words) == 0
    assert asked == [["unet-lite0", "unet", "unet-separable"], ["unet-lite0-first"]]


def names_of(model):
    """What a card may call a model: its name, and that under which it was once released."""
    return {model, lineage.ONCE_RELEASED.get(model, model)}


def test_the_recipe_of_a_released_model_is_the_one_that_its_card_tells():
    for name in zoo.available():
        path, told = lineage.recipe_of(name), zoo.card(name).recipe
        recipe = yaml.safe_load(path.read_text())
        expected = {key: value for key, value in recipe["model"].items() if key != "augment"}
        expected |= {
            # what a card does not name came later, and its default changes nothing
            "augment": {
                key: value
                for key, value in {**asdict(AugmentSettings()), **recipe["model"].get("augment", {})}.items()
                if key in told["augment"] or key in recipe["model"].get("augment", {})
            },
            "seed": recipe["seed_everything"],
            "average_decay": recipe["average"]["decay"],
            "batch_size": recipe["data"]["batch_size"],
            "max_epochs": recipe["trainer"]["max_epochs"],
            "gradient_clip_val": recipe["trainer"]["gradient_clip_val"],
        }
        assert {key: told.get(key) for key in expected} == expected, name
        assert told.get("starts_from") in names_of(lineage.start_of(path)), name
        teachers = told["teacher"].split(", ") if "teacher" in told else []
        for teacher, known in zip(teachers, lineage.teachers_of(path), strict=True):
            assert teacher in names_of(known), name
        assert told["epochs"] <= told["max_epochs"]


def test_a_command_gets_the_absolute_path_of_folders_that_were_named_relative(tmp_path, monkeypatch):
    begun = []

    def popen(*_, **settings):
        begun.append(settings)
        return SimpleNamespace(wait=lambda timeout: 0)

    monkeypatch.setattr("petseg.training.command.subprocess.Popen", popen)
    monkeypatch.chdir(tmp_path)
    for name in ("PETSEG_DATA_DIR", "PETSEG_CACHE_DIR"):
        monkeypatch.setenv(name, "pets")
    reproduce.run_command("petseg models", tmp_path / "elsewhere")
    assert begun[0]["cwd"] == tmp_path / "elsewhere"
    assert {begun[0]["env"][name] for name in ("PETSEG_DATA_DIR", "PETSEG_CACHE_DIR")} == {str(tmp_path / "pets")}
