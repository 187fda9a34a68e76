"""`petseg release`: the card that it writes, the log that it keeps, and what it refuses before it scores."""

import json
import re
import shutil
from pathlib import Path

import pytest
import torch
import yaml
from tiny import column, flags, pets, rows, version

from petseg import cli
from petseg.data import datamodule
from petseg.data.cartoons import write_dataset
from petseg.data.datamodule import PetDataModule
from petseg.errors import PetsegError, SettingsError
from petseg.metrics.calibration import expected_calibration_error, reliability_counts
from petseg.metrics.confusion import pooled_scores
from petseg.models import zoo
from petseg.training import fit, release
from petseg.training.scoring import evaluate

pytestmark = pytest.mark.slow


@pytest.fixture
def best(fitted) -> Path:
    return fitted / "checkpoints" / "best.ckpt"


def test_release_writes_weights_with_recipe_and_scores_and_test_reproduces_them(best, cartoons, capsys, monkeypatch):
    out = Path("tiny.safetensors")
    card = release.release(best, out, pets(cartoons), log=Path("log"))
    assert zoo.card(out) == card
    assert (card.recipe["learning_rate"], card.recipe["seed"], card.recipe["batch_size"]) == (6e-2, 20261130, 4)
    assert (card.recipe["max_epochs"], card.recipe["augment"]["degrees"]) == (4, 15)
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC", card.recipe["test_split_scored"])
    printed = dict(re.findall(r"validation, (\w+) weights: mean IoU ([\d.]+)", capsys.readouterr().out))
    assert set(printed) == {"averaged", "raw"}
    assert card.recipe["weights"] == max(printed, key=lambda name: float(printed[name]))
    module = pets(cartoons)
    segmenter, _ = zoo.load(out)
    matrices = evaluate(segmenter, module, "test")
    assert card.scores["test"] == pytest.approx(pooled_scores(matrices))
    assert card.data["examples"]["test"] == len(matrices)
    assert (card.data["name"], card.data["licence"]) == ("data in the layout of Oxford-IIIT Pet", "not stated")
    assert "cat or dog" not in card.limits
    monkeypatch.setattr(release, "OXFORD_TEST", len(matrices))
    assert release._source(module)["name"] == "Oxford-IIIT Pet"
    assert json.loads(Path("log/release.json").read_text())["scores"]["test"] == card.scores["test"]
    worst = list(card.scores["breeds"])[-1]
    chosen = [row for row, example in enumerate(module.examples["test"]) if example.breed == worst]
    assert card.scores["breeds"][worst] == pytest.approx(pooled_scores(matrices[chosen])["mean_iou"], abs=1e-4)
    assert list(card.scores["breeds"].values()) == sorted(card.scores["breeds"].values(), reverse=True)
    counts = [reliability_counts(segmenter(b.image).softmax(dim=1), b.mask) for b in module.test_dataloader()]
    errors = expected_calibration_error(torch.stack(counts).sum(dim=0)).tolist()
    names = ("pet", "background", "boundary", "top label")
    assert card.scores["calibration"] == pytest.approx(dict(zip(names, errors, strict=True)), abs=1e-4)
    size_of_the_card = flags(cartoons, weights=out, **{"data.image_size": None})
    assert cli.main(["test", *size_of_the_card]) == 0
    shown = re.search(r"test/mean_iou\W+([\d.]+)", capsys.readouterr().out)
    assert float(shown[1]) == pytest.approx(card.scores["test"]["mean_iou"], abs=1e-6)


def test_without_the_test_split_it_is_not_opened_and_the_card_does_not_say_that_it_was(best, cartoons, monkeypatch):
    module = pets(cartoons)
    monkeypatch.setattr(module, "test_dataloader", lambda: pytest.fail("the test split was opened"))
    card = release.release(best, Path("first.safetensors"), module, test=False)
    assert list(card.scores) == ["val"]
    assert "test_split_scored" not in card.recipe


def test_the_config_of_another_program_above_a_copied_checkpoint_is_not_read(best, cartoons, tmp_path):
    copy = tmp_path / "weights" / "best.ckpt"
    copy.parent.mkdir()
    shutil.copy(best, copy)
    (tmp_path / "config.yaml").write_text("port: 8080\n")
    assert release.release(copy, Path("tiny.safetensors"), pets(cartoons), test=False).scores
    (tmp_path / "metrics.csv").touch()
    with pytest.raises(SettingsError, match="lies in no folder `checkpoints` of a run"):
        release.release(copy, Path("tiny.safetensors"), pets(cartoons), log=Path("log"))


def test_a_card_names_the_model_that_a_run_started_from_and_its_teacher(best, cartoons):
    start = Path("start.safetensors")
    release.release(best, start, pets(cartoons), test=False)
    teacher = {"trainer.callbacks": "petseg.training.distillation.Distillation", "trainer.callbacks.teacher": start}
    settings = {"trainer.callbacks.weight": 0.25, "trainer.callbacks.join": 0.5}
    fit.run(["fit", *flags(cartoons, weights=start, **teacher, **settings)])
    card = release.release(version(1) / "checkpoints/last.ckpt", Path("b.safetensors"), pets(cartoons), test=False)
    named = ("starts_from", "teacher", "teacher_weight", "student_joins")
    assert [card.recipe[key] for key in named] == ["start", "start", 0.25, 0.5]
    fit.run(["fit", *flags(cartoons, weights=start, **teacher, **settings, **{"trainer.max_epochs": 1})])
    card = release.release(version(2) / "checkpoints/last.ckpt", Path("c.safetensors"), pets(cartoons), test=False)
    assert "student_joins" not in card.recipe  # it ended before


def test_the_mean_of_a_run_and_its_start_is_released_where_it_scores_higher(best, cartoons, monkeypatch):
    release.release(best, Path("start.safetensors"), pets(cartoons), test=False)
    start, card = zoo.load("start.safetensors")
    with torch.no_grad():
        for weights in start.parameters():
            weights += 1
    zoo.save("start.safetensors", start, card)
    state = torch.load(best, weights_only=True)["state_dict"]
    trained = {key.removeprefix("segmenter.network."): value for key, value in state.items()}

    def released(highest):
        scored = iter(range(4))  # averaged, raw, and the mean of each
        right, wrong = torch.eye(3).long(), torch.eye(3).long().flip(0)
        monkeypatch.setattr(release, "evaluate", lambda *_, **__: (right if next(scored) == highest else wrong)[None])
        module = pets(cartoons)
        module.setup()
        card = release.release(best, Path("a.safetensors"), module, test=False, mean_with="start.safetensors")
        return card.recipe["weights"], zoo.load("a.safetensors")[0].network.state_dict()

    name, weights = released(highest=2)
    assert name == "mean of averaged and start"
    for key, value in weights.items():
        before = start.network.state_dict()[key]
        expected = (trained[key] + before) / 2 if value.is_floating_point() else trained[key]
        torch.testing.assert_close(value, expected.to(value.dtype), atol=2e-3, rtol=2e-3)
    name, weights = released(highest=0)
    assert name == "averaged"
    torch.testing.assert_close(weights["head.weight"], trained["head.weight"], atol=1e-3, rtol=1e-3)


def test_the_log_that_is_kept_has_one_row_per_epoch_and_no_folder_of_this_machine(fitted):
    release.keep_log(fitted, Path("log"))
    assert [row["epoch"] for row in rows(Path("log"))] == ["0", "1", "2", "3"]
    for name in ("train/loss", "train/seconds", "val/mean_iou"):
        assert column(Path("log"), name) == pytest.approx(column(fitted, name), rel=1e-5)
    written, copied = (yaml.safe_load((run / "config.yaml").read_text()) for run in (fitted, Path("log")))
    assert copied.pop("data") == written.pop("data") | {"data_dir": None}
    assert copied == written


def test_a_model_is_scored_on_the_data_of_its_run_and_its_card_says_which(tmp_path, monkeypatch):
    write_dataset(tmp_path / "cartoon", images_per_breed=10)
    # the data set is there, so it is not drawn again at its full size
    monkeypatch.setattr(datamodule, "write_dataset", lambda root: root)
    more = {"data.source": "cartoon", "data.val_fraction": 0.3, "data.train_fraction": 0.5, "trainer.max_epochs": 2}
    fit.run(["fit", *flags(tmp_path, **more)])
    card = release.release(version() / "checkpoints/best.ckpt", Path("toon.safetensors"))
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


def cut_off(checkpoint: Path) -> None:
    checkpoint.write_bytes(checkpoint.read_bytes()[: checkpoint.stat().st_size // 2])


def changed(checkpoint: Path, **settings: object) -> None:
    """Gives the checkpoint these settings of its task in the place of its own."""
    state = torch.load(checkpoint, weights_only=True)
    state["hyper_parameters"] = settings or state["hyper_parameters"]
    state["hyper_parameters"].get("network", {})["class_path"] = "not_here.PixelNet"
    torch.save(state, checkpoint)


def reconfigured(path: Path, **sections: object) -> None:
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | sections))


@pytest.mark.parametrize(
    ("harm", "sentence"),
    [
        (Path.unlink, "best.ckpt: no such checkpoint"),
        (cut_off, "best.ckpt: cannot be read as a checkpoint of `petseg fit`"),
        (lambda file: shutil.copy(zoo.WEIGHTS / "unet.safetensors", file), "best.ckpt: cannot be read as a checkpoint"),
        (lambda file: changed(file), "its network is not_here.PixelNet; a released model's is petseg.models.unet.UNet"),
        (lambda file: changed(file, channels=[4, 8]), "best.ckpt: its weights do not fit its settings (TypeError)"),
        (lambda file: (file.parents[1] / "metrics.csv").unlink(), "holds no metrics.csv"),
        (lambda file: (file.parents[1] / "metrics.csv").write_text("epoch,x\n0,0,1\n"), "is no log of `petseg fit`"),
        (
            lambda file: (file.parents[1] / "config.yaml").write_text("seed_everything: 1\n"),
            "config.yaml: lacks average, ckpt_path, data, model, trainer.",
        ),
        (
            lambda file: reconfigured(file.parents[1] / "config.yaml", data={"colour": "blue"}),
            "config.yaml: its data cannot be set up",
        ),
        (lambda file: Path("a").touch(), "a/out.safetensors: cannot be written"),
        (lambda file: Path("log").touch(), "log/release.json: cannot be written"),
        (lambda file: Path("a/out.safetensors").mkdir(parents=True), "out.safetensors: cannot be written"),
    ],
)
def test_bad_input_is_refused_in_one_sentence_before_anything_is_scored(harm, sentence, best, monkeypatch, capsys):
    harm(best)
    monkeypatch.setattr(release, "evaluate", lambda *_, **__: pytest.fail("a split was scored"))
    assert cli.main(["release", str(best), "--out", "a/out.safetensors", "--log", "log"]) == 1
    assert sentence in capsys.readouterr().err.splitlines()[-1]
    assert not Path("a/out.safetensors").is_file()
    assert not Path("log").is_dir()


def test_the_folder_of_a_run_is_not_replaced_by_its_log(best, monkeypatch):
    monkeypatch.setattr(release, "evaluate", lambda *_, **__: pytest.fail("a split was scored"))
    run = best.parents[1]
    before = (run / "config.yaml").read_text()
    with pytest.raises(PetsegError, match="is the folder of the run itself"):
        release.release(best, Path("out.safetensors"), log=run)
    assert (run / "config.yaml").read_text() == before


def test_a_mean_with_another_network_is_refused_before_anything_is_scored(best, cartoons, monkeypatch):
    monkeypatch.setattr(release, "evaluate", lambda *_, **__: pytest.fail("a split was scored"))
    with pytest.raises(PetsegError, match=r"^unet: its weights are of unet with "):
        release.release(best, Path("out.safetensors"), pets(cartoons), mean_with="unet")
    assert not Path("out.safetensors").exists()
