"""`make reproduce`, on cartoons and tiny networks: it trains the teacher first, goes on, and compares."""

import pytest
import yaml

from petseg import reproduce, zoo


@pytest.fixture
def tiny(tmp_path, monkeypatch, cartoons):
    """Recipes of three tiny models, each the teacher of the next, and what `petseg fit` is told besides."""
    recipes = tmp_path / "recipes"
    recipes.mkdir()

    def taught(by):
        return [{"class_path": "petseg.distil.Distil", "init_args": {"teacher": by, "weight": 0.5}}]

    first = "unet-lite0-first.safetensors"
    for name, callbacks, weights in (
        ("unet-lite0-first", [], None),
        ("unet-lite0", taught(first), first),
        ("unet", taught("unet-lite0"), None),
    ):
        recipe = {
            "seed_everything": 1,
            "trainer": {"max_epochs": 2, "callbacks": callbacks, "limit_train_batches": 2},
            "model": {"channels": [4, 8]},
            "average": {"decay": 0.9},
            "weights": weights,
        }
        (recipes / f"{name}.yaml").write_text(yaml.safe_dump(recipe))
    monkeypatch.setattr(reproduce, "RECIPES", recipes)
    monkeypatch.setattr(reproduce, "MODELS", {name: name for name in ("unet-lite0-first", "unet-lite0", "unet")})
    monkeypatch.setattr(reproduce, "STEPS", ("unet-lite0-first",))
    monkeypatch.setenv("PETSEG_DATA_DIR", str(cartoons))
    monkeypatch.setenv("PETSEG_CACHE_DIR", str(tmp_path / "cache"))
    return ["--data.data_dir", str(cartoons), "--data.image_size", "128", "--trainer.accelerator", "cpu"]


def test_teacher_and_student_are_trained_released_and_compared_and_nothing_is_done_twice(tiny, tmp_path, capfd):
    folder = tmp_path / "again"
    cards = reproduce.reproduce(["unet-lite0", "unet"], folder, tiny)
    assert list(cards) == ["unet-lite0", "unet"]
    said = capfd.readouterr().out
    order = [f"unet-lite0{part}" for part in ("-first: petseg release", ": petseg fit", ": petseg release")]
    order.append("unet: petseg fit")
    assert sorted(order, key=said.index) == order
    first = zoo.card(folder / "weights" / "unet-lite0-first.safetensors")
    assert list(first.scores) == ["val"]  # a step on the way never sees the test split
    assert cards["unet-lite0"].recipe["starts_from"] == cards["unet-lite0"].recipe["teacher"] == "unet-lite0-first"
    assert (folder / "unet" / "log" / "metrics.csv").is_file()
    config = yaml.safe_load((folder / "unet" / "log" / "config.yaml").read_text())
    teachers = [one["init_args"]["teacher"] for one in config["trainer"]["callbacks"]]
    assert teachers == [str(folder / "weights" / "unet-lite0.safetensors")]
    assert reproduce.training_seconds(folder / "unet" / "log" / "metrics.csv") > 0
    line = reproduce.comparison(cards).splitlines()[-1]
    assert line.split()[:3] == [
        "unet",
        f"{zoo.card('unet').scores['test']['mean_iou']:.4f}",
        f"{cards['unet'].scores['test']['mean_iou']:.4f}",
    ]
    reproduce.reproduce(["unet-lite0", "unet"], folder, tiny)
    assert "petseg fit" not in capfd.readouterr().out


def test_a_run_that_stopped_is_gone_on_with(tiny, tmp_path):
    folder = tmp_path / "again" / "unet-lite0-first"
    folder.mkdir(parents=True)
    recipe = reproduce.RECIPES / "unet-lite0-first.yaml"
    reproduce.subprocess.run(
        [reproduce.sys.executable, "-m", "petseg.cli", "fit", "--config", str(recipe),
         *tiny, "--trainer.max_epochs", "2"],
        cwd=folder, check=True, capture_output=True,
    )  # fmt: skip
    longer = [*tiny, "--trainer.max_epochs", "3"]
    fit, release = reproduce.commands("unet-lite0-first", folder, tmp_path, longer)
    assert fit[fit.index("--ckpt_path") + 1].endswith("last.ckpt")
    (only,) = reproduce.commands("unet-lite0-first", folder, tmp_path, tiny)
    assert only[0] == release[0] == "release"


def test_a_step_that_fails_is_one_sentence_and_says_how_to_go_on(tiny, tmp_path):
    with pytest.raises(reproduce.ReproduceError, match=r"lite0-first: petseg fit ended with status.*Call it again"):
        reproduce.reproduce(["unet-lite0"], tmp_path / "again", ["--no.such.flag", "1"])


def test_a_name_without_a_recipe_is_refused_with_those_that_have_one(capsys):
    assert reproduce.main(["resnet"]) == 2
    assert f"resnet: no recipe of this name; choose of {', '.join(reproduce.MODELS)}" in capsys.readouterr().err


def test_a_log_without_times_says_so(tmp_path):
    assert reproduce.training_seconds(tmp_path / "none.csv") is None
    (tmp_path / "metrics.csv").write_text("epoch,train/loss\n0,1.5\n")
    assert reproduce.training_seconds(tmp_path / "metrics.csv") is None


def test_every_released_model_is_reproduced_and_after_its_teacher():
    assert set(reproduce.MODELS) - set(reproduce.STEPS) == set(zoo.available())
    order = list(reproduce.MODELS)
    for name in order:
        recipe = reproduce.recipe_of(name)
        for other in (reproduce.teacher_of(recipe), reproduce.start_of(recipe)):
            assert other is None or order.index(other) < order.index(name)


@pytest.mark.parametrize("name", ["unet", "unet-separable"])
def test_the_teacher_of_a_recipe_is_found(name):
    assert reproduce.teacher_of(reproduce.RECIPES / f"{name}.yaml") == "unet-lite0"


def test_a_step_on_the_way_is_trained_for_its_model_and_a_released_teacher_is_taken_as_it_is():
    assert reproduce.with_steps(["unet-lite0"]) == ["unet-lite0-first", "unet-lite0-second", "unet-lite0"]
    assert reproduce.with_steps(["unet"]) == ["unet-first", "unet"]


def test_without_its_teacher_trained_anew_a_student_asks_the_released_one(tmp_path):
    fit, _ = reproduce.commands("unet", tmp_path / "unet", tmp_path / "weights")
    assert fit[fit.index("--trainer.callbacks.init_args.teacher") + 1] == "unet-lite0"


def test_the_recipe_of_a_released_model_is_the_one_that_its_card_tells():
    for name in zoo.available():
        model = yaml.safe_load(reproduce.recipe_of(name).read_text())["model"]
        told = zoo.card(name).recipe
        for key in ("learning_rate", "warmup", "weight_decay", "dice_weight", "boundary_weight", "sizes", "size_from"):
            assert told.get(key) == model.get(key), (name, key)
