"""`make reproduce`, on cartoons and tiny networks: it trains the teacher first, goes on, and compares."""

import pytest
import yaml

from petseg import reproduce, zoo


@pytest.fixture
def tiny(tmp_path, monkeypatch, cartoons):
    """Recipes of two tiny models of which the first teaches the second, and what `petseg fit` is told besides."""
    recipes = tmp_path / "recipes"
    recipes.mkdir()
    teach = [{"class_path": "petseg.distil.Distil", "init_args": {"teacher": "unet-lite0", "weight": 0.5}}]
    for name, callbacks in (("unet-lite0", []), ("unet", teach)):
        recipe = {
            "seed_everything": 1,
            "trainer": {"max_epochs": 2, "callbacks": callbacks, "limit_train_batches": 2},
            "model": {"channels": [4, 8]},
            "average": {"decay": 0.9},
        }
        (recipes / f"{name}.yaml").write_text(yaml.safe_dump(recipe))
    monkeypatch.setattr(reproduce, "RECIPES", recipes)
    monkeypatch.setattr(reproduce, "MODELS", {"unet-lite0": "unet-lite0", "unet": "unet"})
    monkeypatch.setenv("PETSEG_DATA_DIR", str(cartoons))
    monkeypatch.setenv("PETSEG_CACHE_DIR", str(tmp_path / "cache"))
    return ["--data.data_dir", str(cartoons), "--data.image_size", "128", "--trainer.accelerator", "cpu"]


def test_teacher_and_student_are_trained_released_and_compared_and_nothing_is_done_twice(tiny, tmp_path, capfd):
    folder = tmp_path / "again"
    cards = reproduce.reproduce(["unet-lite0", "unet"], folder, tiny)
    assert list(cards) == ["unet-lite0", "unet"]
    said = capfd.readouterr().out
    assert said.index("unet-lite0: petseg release") < said.index("unet: petseg fit")
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
    folder = tmp_path / "again" / "unet-lite0"
    folder.mkdir(parents=True)
    reproduce.subprocess.run(
        [reproduce.sys.executable, "-m", "petseg.cli", "fit", "--config", str(reproduce.RECIPES / "unet-lite0.yaml"),
         *tiny, "--trainer.max_epochs", "2"],
        cwd=folder, check=True, capture_output=True,
    )  # fmt: skip
    longer = [*tiny, "--trainer.max_epochs", "3"]
    fit, release = reproduce.commands("unet-lite0", folder, tmp_path, longer)
    assert fit[fit.index("--ckpt_path") + 1].endswith("last.ckpt")
    (only,) = reproduce.commands("unet-lite0", folder, tmp_path, tiny)
    assert only[0] == release[0] == "release"


def test_a_step_that_fails_is_one_sentence_and_says_how_to_go_on(tiny, tmp_path):
    with pytest.raises(reproduce.ReproduceError, match=r"unet-lite0: petseg fit ended with status.*Call it again"):
        reproduce.reproduce(["unet-lite0"], tmp_path / "again", ["--no.such.flag", "1"])


def test_a_name_without_a_recipe_is_refused_with_those_that_have_one(capsys):
    assert reproduce.main(["resnet"]) == 2
    assert "resnet: no recipe of this name; choose of unet-lite0, unet" in capsys.readouterr().err


def test_a_log_without_times_says_so(tmp_path):
    assert reproduce.training_seconds(tmp_path / "none.csv") is None
    (tmp_path / "metrics.csv").write_text("epoch,train/loss\n0,1.5\n")
    assert reproduce.training_seconds(tmp_path / "metrics.csv") is None


def test_every_released_model_is_reproduced_and_after_its_teacher():
    assert set(reproduce.MODELS) == set(zoo.available())
    order = list(reproduce.MODELS)
    for name in order:
        teacher = reproduce.teacher_of(reproduce.recipe_of(name))
        assert teacher is None or order.index(teacher) < order.index(name)


@pytest.mark.parametrize("name", ["unet", "unet-separable"])
def test_the_teacher_of_a_recipe_is_found(name):
    assert reproduce.teacher_of(reproduce.RECIPES / f"{name}.yaml") == "unet-lite0"


def test_the_recipe_of_a_released_model_is_the_one_that_its_card_tells():
    for name in reproduce.MODELS:
        model = yaml.safe_load(reproduce.recipe_of(name).read_text())["model"]
        told = zoo.card(name).recipe
        for key in ("learning_rate", "warmup", "weight_decay", "dice_weight", "sizes", "size_from"):
            assert told[key] == model[key], (name, key)
