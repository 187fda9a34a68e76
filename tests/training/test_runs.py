import csv
import logging
import warnings
from pathlib import Path
from types import SimpleNamespace

import lightning as L
import pytest
import torch
from lightning.pytorch.loggers import CSVLogger

from petseg.course import live as progress_module
from petseg.course.live import Progress
from petseg.data.datamodule import PetDataModule
from petseg.metrics.confusion import pooled_scores
from petseg.models import zoo
from petseg.training.callbacks import EpochSeeds, checkpoints
from petseg.training.command import run_command
from petseg.training.ema import WarmupEMA, warm_averages
from petseg.training.recipes import fingerprint, read_recipe, stages
from petseg.training.runs import (
    joined,
    read_log,
    read_logs,
    write_log,
    write_logs,
)
from petseg.training.scoring import evaluate, quiet
from petseg.training.task import SegmentationTask
from petseg.training.weights import model_card


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, tmp_path_factory, monkeypatch):
    """Runs and caches of tests go to folders of the tests."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path_factory.getbasetemp() / "own-data"
    monkeypatch.setattr("petseg.files.checkout", lambda: folder)


class Dies(L.Callback):
    """Stops a run at the start of an epoch, counted from 0, as a power cut would."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def on_train_epoch_start(self, trainer, pl_module):
        if trainer.current_epoch == self.epoch:
            raise RuntimeError("power cut")


def module(cartoons: Path) -> PetDataModule:
    return PetDataModule("oxford", cartoons, image_size=32, batch_size=8, progress=False)


def fit(cartoons: Path, folder: str, *more: L.Callback, checkpoint: Path | None = None) -> L.Trainer:
    """Four epochs of a tiny network, validated at every second."""
    L.seed_everything(0, verbose=False)
    with quiet():
        trainer = L.Trainer(
            max_epochs=4,
            check_val_every_n_epoch=2,
            accelerator="cpu",
            callbacks=[WarmupEMA(0.9), *checkpoints(), *more],
            logger=CSVLogger(".", folder),
            log_every_n_steps=1,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        trainer.fit(SegmentationTask(channels=[4, 8]), datamodule=module(cartoons), ckpt_path=checkpoint)
    return trainer


def last(folder: str) -> Path:
    return sorted(Path(folder).glob("*/checkpoints/last.ckpt"), key=lambda path: path.stat().st_mtime)[-1]


def weights(trainer: L.Trainer) -> dict[str, torch.Tensor]:
    return trainer.lightning_module.network.state_dict()


@pytest.fixture(scope="module")
def whole(cartoons, tmp_path_factory):
    """The weights of runs that were not stopped, with and without `EpochSeeds`."""
    folder = str(tmp_path_factory.mktemp("whole"))
    with pytest.MonkeyPatch.context() as context:
        context.setattr("petseg.files.checkout", lambda: tmp_path_factory.getbasetemp() / "own-data")
        return {seeded: weights(fit(cartoons, folder, *[EpochSeeds(seed=7)][:seeded])) for seeded in (True, False)}


@pytest.mark.parametrize(("seeded", "stopped"), [(True, 2), (True, 3), (False, 2)])
def test_a_resumed_run_ends_like_one_never_stopped_only_with_epoch_seeds(cartoons, whole, seeded, stopped):
    extra = [EpochSeeds(seed=7)][:seeded]
    with pytest.raises(RuntimeError, match="power cut"):
        fit(cartoons, "cut", *extra, Dies(stopped))
    resumed = weights(fit(cartoons, "cut", *extra, checkpoint=last("cut")))
    assert all(torch.equal(whole[seeded][key], resumed[key]) for key in resumed) == seeded


def test_epoch_seeds_give_each_epoch_another_order_and_each_run_the_same(cartoons):
    seen: list[list[int]] = []

    class Spy(L.Callback):
        def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
            if batch_idx == 0:
                seen.append(batch.index.tolist())

    for _ in range(2):
        fit(cartoons, "run", EpochSeeds(seed=7), Spy())
    assert seen[:4] == seen[4:]
    assert len({tuple(places) for places in seen}) == 4


def test_progress_shows_what_the_log_holds_and_carries_it_over_an_interruption(cartoons, monkeypatch):
    shown: list[str] = []
    handle = SimpleNamespace(update=lambda data, raw: shown.append(data["text/plain"]))
    monkeypatch.setattr("petseg.course.live.display", lambda *_, **__: handle)
    with pytest.raises(RuntimeError, match="power cut"):
        fit(cartoons, "cut", Progress(), Dies(3))
    progress = Progress(every=0)
    fit(cartoons, "cut", progress, checkpoint=last("cut"))
    log = joined([read_log(path) for path in sorted(Path("cut").glob("*/metrics.csv"))])
    assert [epoch for epoch, _ in progress.history["val/mean_iou"]] == [2, 4]
    for name in ("val/mean_iou", "val_raw/mean_iou", "val/loss"):
        assert [v for _, v in progress.history[name]] == pytest.approx([v for _, v in log[name]])
    assert dict(progress.history["train/loss"])[4] == pytest.approx(dict(log["train/loss"])[4])
    assert any("step 2 of" in text for text in shown)
    rows = shown[-1].splitlines()
    assert [row.split()[0] for row in rows[1:3]] == ["2", "4"]
    assert "peak memory" in rows[-1]


def test_progress_redraws_its_figure_after_each_validation(cartoons, monkeypatch):
    updates: list[str] = []
    handle = SimpleNamespace(update=lambda data, **_: updates.append(data.get("figure", "table")))
    monkeypatch.setattr(
        progress_module, "display", lambda data, **_: updates.append(data.get("figure", "table")) or handle
    )
    figure = SimpleNamespace(bundle=lambda: ({"figure": "figure"}, {}))
    fit(cartoons, "run", Progress(draw=lambda log: figure, every=1e9))
    assert updates.count("figure") == 2


def test_stages_are_where_the_task_changes_its_size():
    recipe = read_recipe()
    task = SegmentationTask(channels=[4], **{key: recipe["model"][key] for key in ("sizes", "size_starts")})
    for epochs in (recipe["trainer"]["max_epochs"], 7, 3):
        recipe["trainer"]["max_epochs"] = epochs
        for epoch in range(1, epochs + 1):
            task.trainer = SimpleNamespace(max_epochs=epochs, current_epoch=epoch - 1)
            expected = [size for first, size in stages(recipe) if first <= epoch][-1]
            assert round(task.train_size * recipe["data"]["image_size"]) == expected


def test_recipes_that_differ_have_other_fingerprints_and_equal_ones_the_same():
    recipe = read_recipe()
    before = fingerprint(recipe)
    assert fingerprint(read_recipe()) == before
    recipe["model"]["learning_rate"] *= 2
    assert fingerprint(recipe) != before


def test_where_two_logs_know_an_epoch_the_later_one_counts():
    first = {"a": [(1, 0.1), (2, 0.2), (3, 0.3)], "b": [(1, 1.0)]}
    second = {"a": [(3, 0.5), (4, 0.6)], "c": [(4, 2.0)]}
    whole = joined([first, second])
    assert whole == {"a": [(1, 0.1), (2, 0.2), (3, 0.5), (4, 0.6)], "b": [(1, 1.0)], "c": [(4, 2.0)]}


def test_warm_averages_follow_the_formula():
    values = [3.0, 0.0, 1.0, -2.0]
    expected = [3.0]
    for n, value in enumerate(values[1:], start=1):
        keep = min(0.2, (1 + n) / (10 + n))
        expected.append(keep * expected[-1] + (1 - keep) * value)
    assert warm_averages(values, decay=0.2) == pytest.approx(expected)


def test_a_task_is_scored_on_validation_as_evaluate_scores_it(cartoons):
    task = SegmentationTask(channels=[4])
    assert torch.equal(evaluate(task, module(cartoons), accelerator="cpu"), evaluate(task, module(cartoons), "val"))


def test_a_card_rebuilds_the_network_and_tells_its_recipe(cartoons, tmp_path):
    task, pets = SegmentationTask(channels=[4, 8]), module(cartoons)
    scores = pooled_scores(evaluate(task, pets, accelerator="cpu"))
    card = model_card("mine", task, pets, {"seed_everything": 7}, {"name": "cartoon"}, {"val": scores})
    segmenter, found = zoo.load(zoo.save(tmp_path / "mine.safetensors", task.segmenter, card))
    assert segmenter.network.settings == task.network.settings
    assert (found.recipe["seed_everything"], found.scores) == (7, {"val": scores})
    assert found.size == (32, 32)


def test_quiet_hides_harmless_warnings_and_no_others():
    before = logging.getLogger("lightning.pytorch").level
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with quiet():
            warnings.warn("The 'train_dataloader' does not have many workers which", stacklevel=1)
            warnings.warn("your GPU is on fire", stacklevel=1)
            assert not logging.getLogger("lightning.pytorch.utilities.rank_zero").isEnabledFor(logging.INFO)
    assert [str(warning.message) for warning in caught] == ["your GPU is on fire"]
    assert logging.getLogger("lightning.pytorch").level == before


def test_a_command_that_fails_says_what_it_said_last(tmp_path):
    with pytest.raises(RuntimeError, match=r"(?s)petseg nonsense: exit status 2.*usage"):
        run_command("petseg nonsense", tmp_path / "new")


def test_only_petseg_commands_are_run(tmp_path):
    with pytest.raises(ValueError, match="must begin with petseg"):
        run_command("rm -rf /", tmp_path)


def test_the_log_of_a_run_has_a_row_for_each_epoch(cartoons):
    fit(cartoons, "run")
    with next(Path("run").glob("*/metrics.csv")).open(newline="") as file:
        assert len([row for row in csv.DictReader(file) if row["train/loss"]]) == 4


def test_a_log_that_was_cut_off_within_its_first_epoch_holds_nothing(tmp_path: Path) -> None:
    (tmp_path / "metrics.csv").write_text("lr-AdamW,step\n8e-05,0\n")
    assert read_log(tmp_path / "metrics.csv") == {}


def test_a_log_that_was_written_is_read_again_with_six_digits(tmp_path):
    write_log(tmp_path / "metrics.csv", {"val/loss": [(2, 1 / 3)], "train/loss": [(1, 2.0), (2, 1.5)]})
    assert (tmp_path / "metrics.csv").read_text() == "epoch,train/loss,val/loss\n0,2,\n1,1.5,0.333333\n"
    assert read_log(tmp_path / "metrics.csv") == {"train/loss": [(1, 2.0), (2, 1.5)], "val/loss": [(2, 0.333333)]}


def test_logs_of_several_runs_share_a_file_and_stay_apart(tmp_path):
    logs = {"base": {"val/loss": [(1, 0.5)]}, "wider": {"val/loss": [(1, 0.4)], "train/loss": [(2, 0.3)]}}
    write_logs(tmp_path / "all.csv", logs)
    assert read_logs(tmp_path / "all.csv") == logs
