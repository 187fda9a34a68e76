"""The learning rate restarts: each cycle has a new optimiser, and the mean of the weights at their ends remains."""

import math
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from tiny import column, flags, pets, version

from petseg.errors import SettingsError
from petseg.metrics.confusion import pooled_scores
from petseg.models.unet import UNet
from petseg.training import fit
from petseg.training.ema import WarmupEMA
from petseg.training.optimizer import plan
from petseg.training.release import release
from petseg.training.runs import read_checkpoint, read_log
from petseg.training.scoring import evaluate
from petseg.training.task import SegmentationTask

CYCLES = {"model.restarts": "[0.25,0.5]", "model.restart_scale": 0.5}  # of four epochs, six steps each: one, one, two


@pytest.mark.parametrize(
    ("steps", "restarts", "ends"),
    [
        (24, (), [24]),
        (24, (0.25, 0.5), [6, 12, 24]),
        (78 * 6, (54 / 78, 60 / 78), [54 * 6, 60 * 6, 78 * 6]),
        (18, (0.5,), [12, 18]),  # after its fraction, rounded up to whole epochs
        (18, (0.4, 0.5), [12, 18]),  # both with the same epoch
        (12, (0.9, 0.95), [12]),  # no epoch is left for them
        (20, (0.25, 0.5), [6, 12, 20]),  # max_steps, within the fourth epoch
    ],
)
def test_a_cycle_ends_with_an_epoch_or_with_the_training_and_the_next_step_is_the_next_cycle_s(steps, restarts, ends):
    task = SimpleNamespace(hparams={"restarts": restarts})
    trainer = SimpleNamespace(
        estimated_stepping_batches=steps, num_training_batches=12, accumulate_grad_batches=2, lightning_module=task
    )
    planned = plan(trainer)
    assert planned == (math.ceil(steps / 6), ends)
    for number, (start, end) in enumerate(pairwise([0, *ends])):
        # the last step also stands for a training that is over
        for step in (start, end - 1, *([steps] if end == steps else [])):
            assert planned.cycle(step) == (number, end - start)


@pytest.mark.parametrize("restarts", [(0.0,), (1.0,), (0.5, 0.5), (0.8, 0.6), (float("nan"),)])
def test_impossible_restarts_are_refused_in_one_sentence(restarts):
    with pytest.raises(SettingsError, match=r"restarts=\[.*\]: must rise, each above 0 and below 1, for instance"):
        SegmentationTask(UNet(channels=(4,)), restarts=restarts)


@pytest.fixture(scope="module")
def whole(cartoons, tmp_path_factory):
    """Learning rate and number of each step, the average before and after each end, validation, last checkpoint."""
    seen: dict[str, list] = {"rates": [], "steps": [], "ends": [], "means": []}
    end_cycle = WarmupEMA.end_cycle

    def watch(self, trainer, *arguments):
        optimizer = trainer.optimizers[0]
        seen["rates"].append(optimizer.param_groups[0]["lr"])
        seen["steps"].append(int(next(iter(optimizer.state.values()), {"step": 0})["step"]))

    def ends(self):
        seen["ends"].append(self._smooth[0][0].clone())
        end_cycle(self)
        seen["means"].append(self._smooth[0][0].clone())

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("whole"))
        patch.setattr(WarmupEMA, "on_train_batch_start", watch)
        patch.setattr(WarmupEMA, "end_cycle", ends)
        fit.run(["fit", *flags(cartoons, **CYCLES)])
        last, validated = version() / "checkpoints" / "last.ckpt", column(version(), "val/mean_iou")
        seen |= {"logged": [rate for _, rate in read_log(version() / "metrics.csv")["lr-AdamW"]]}
        return seen | {"last": last.absolute(), "state": read_checkpoint(last), "validated": validated}


def test_each_cycle_raises_and_lowers_the_rate_of_a_new_optimizer_and_the_later_ones_less_high(whole):
    for start, end, highest in ((0, 6, 6e-2), (6, 12, 3e-2), (12, 24, 3e-2)):
        rates = whole["rates"][start:end]
        assert max(rates) == pytest.approx(highest, rel=0.02)  # the highest point may lie between two steps
        assert max(rates[0], rates[-1]) < highest / 2
    assert whole["steps"] == [*range(6), *range(6), *range(12)]


def test_the_log_has_the_rate_of_each_epoch_s_first_step(whole):
    assert whole["logged"] == pytest.approx(whole["rates"][::6], rel=1e-4)


def test_what_is_validated_and_kept_at_the_end_is_the_mean_of_the_averages_at_the_ends_of_all_cycles(whole, cartoons):
    ends, means = whole["ends"], whole["means"]
    assert len(ends) == 3
    assert not ends[0].equal(ends[1])
    for count, mean in enumerate(means, start=1):
        torch.testing.assert_close(mean, torch.stack(ends[:count]).mean(0))
    kept = next(iter(whole["state"]["state_dict"].values()))
    assert kept.equal(means[-1])
    assert not next(iter(whole["state"]["current_model_state"].values())).equal(kept)
    task = SegmentationTask.load_from_checkpoint(whole["last"], weights_only=True)
    score = pooled_scores(evaluate(task, pets(cartoons)))["mean_iou"]
    assert score == pytest.approx(whole["validated"][-1], abs=1e-6)


def test_a_checkpoint_of_other_cycles_is_refused_in_one_sentence(whole, cartoons):
    last = Path("last.ckpt")  # without the run's settings
    last.write_bytes(whole["last"].read_bytes())
    given = flags(cartoons, ckpt_path=last, **CYCLES | {"trainer.max_epochs": 5})
    with pytest.raises(SettingsError, match=r"after 6, 12, 24 steps; in this training after 12, 18, 30\."):
        fit.run(["fit", *given])


def test_a_training_without_a_batch_is_refused_in_one_sentence(cartoons):
    with pytest.raises(SettingsError, match=r"trainer\.limit_train_batches=0: leaves nothing to train on\."):
        fit.run(["fit", *flags(cartoons, **CYCLES, **{"trainer.limit_train_batches": 0})])


def test_steps_that_end_within_an_epoch_end_the_last_cycle(cartoons):
    fit.run(["fit", *flags(cartoons, **CYCLES, **{"trainer.max_epochs": -1, "trainer.max_steps": 20})])
    state = read_checkpoint(version() / "checkpoints" / "last.ckpt")
    assert state["callbacks"]["WarmupEMA"]["cycles"] == 3


@pytest.mark.slow
@pytest.mark.parametrize("stopped", [1, 2, 3], ids=["before a restart", "before the last restart", "within a cycle"])
def test_a_resumed_run_goes_on_with_its_cycle_and_with_the_mean_of_those_before(whole, cartoons, stopped):
    step = SegmentationTask.training_step

    def cut(self, batch, batch_idx):
        if (self.current_epoch, batch_idx) == (stopped, 0):
            raise ZeroDivisionError
        return step(self, batch, batch_idx)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SegmentationTask, "training_step", cut)
        with pytest.raises(ZeroDivisionError):
            fit.run(["fit", *flags(cartoons, **CYCLES)])
    fit.run(["fit", "--ckpt_path", "last"])
    state = read_checkpoint(version(1) / "checkpoints" / "last.ckpt")
    for name in ("state_dict", "current_model_state"):
        assert all(tensor.equal(whole["state"][name][key]) for key, tensor in state[name].items()), name


@pytest.mark.parametrize(
    ("restarts", "flips", "epochs"),
    [
        ([0.25, 0.5], [0.1, 0.0, 0.3], [0.1, 0.0, 0.3, 0.3]),
        ([0.3, 0.4, 0.6], [0.0, 0.1, 0.2, 0.3], [0.0, 0.0, 0.2, 0.3]),  # the second ends with the epoch of the first
    ],
)
def test_each_cycle_has_its_own_augmentation_where_the_recipe_lists_them(cartoons, restarts, flips, epochs):
    seen, step = {}, SegmentationTask.training_step

    def watch(self, batch, batch_idx):
        seen.setdefault(self.current_epoch, set()).add(self.augment.settings.flip)
        return step(self, batch, batch_idx)

    Path("recipe.yaml").write_text(f"model: {{restarts: {restarts}, augment: {[{'flip': flip} for flip in flips]}}}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SegmentationTask, "training_step", watch)
        fit.run(["fit", "--config", "recipe.yaml", *flags(cartoons, **{"model.augment.degrees": None})])
    assert seen == {epoch: {flip} for epoch, flip in enumerate(epochs)}
    card = release(version() / "checkpoints/best.ckpt", Path("out.safetensors"), pets(cartoons), test=False)
    assert [entry["flip"] for entry in card.recipe["augment"]] == flips
