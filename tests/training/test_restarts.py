"""The learning rate restarts: each cycle has a new optimiser, and the mean of the weights at their ends remains."""

from types import SimpleNamespace

import lightning as L
import pytest
import torch
from tiny import column, flags, version

from petseg.data.augment import AugmentSettings
from petseg.data.datamodule import Batch
from petseg.errors import SettingsError
from petseg.models.unet import UNet
from petseg.training import fit
from petseg.training.ema import WarmupEMA
from petseg.training.optimizer import cycle_at
from petseg.training.runs import read_checkpoint
from petseg.training.task import SegmentationTask

CYCLES = {"model.restarts": "[0.25,0.5]", "model.restart_scale": 0.5}  # of four epochs: one, one, two
BATCHES = 6  # of an epoch


@pytest.mark.parametrize(
    ("epochs", "restarts", "cycles"),
    [
        (4, (), [range(4)]),
        (4, (0.25, 0.5), [range(1), range(1, 2), range(2, 4)]),
        (78, (54 / 78, 60 / 78), [range(54), range(54, 60), range(60, 78)]),
        (3, (0.5,), [range(2), range(2, 3)]),  # after its fraction, rounded up to whole epochs
        (2, (0.9, 0.95), [range(2)]),  # no epoch is left for them
    ],
)
def test_a_cycle_ends_where_the_next_one_starts(epochs, restarts, cycles):
    assert [cycle_at(epoch, epochs, restarts) for epoch in range(epochs)] == [c for c in cycles for _ in c]


@pytest.mark.parametrize("restarts", [(0.0,), (1.0,), (0.5, 0.5), (0.8, 0.6), (float("nan"),)])
def test_impossible_restarts_are_refused_in_one_sentence(restarts):
    with pytest.raises(SettingsError, match=r"restarts=\[.*\]: must rise, each above 0 and below 1, for instance"):
        SegmentationTask(UNet(channels=(4,)), restarts=restarts)


@pytest.fixture(scope="module")
def whole(cartoons, tmp_path_factory):
    """Learning rates and first moments by step, averages before and after each end, and the last checkpoint."""
    seen: dict[str, list] = {"rates": [], "steps": [], "ends": [], "means": []}
    batch_start, end_cycle = L.Callback.on_train_batch_start, WarmupEMA.end_cycle

    def watch(self, trainer, *arguments):
        if isinstance(self, WarmupEMA):
            optimizer = trainer.optimizers[0]
            seen["rates"].append(optimizer.param_groups[0]["lr"])
            seen["steps"].append(int(next(iter(optimizer.state.values()), {"step": 0})["step"]))
        return batch_start(self, trainer, *arguments)

    def ends(self):
        seen["ends"].append(self._smooth[0][0].clone())
        end_cycle(self)
        seen["means"].append(self._smooth[0][0].clone())

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("whole"))
        patch.setattr(WarmupEMA, "on_train_batch_start", watch)
        patch.setattr(WarmupEMA, "end_cycle", ends)
        fit.run(["fit", *flags(cartoons, **CYCLES)])
        seen["validated"] = column(version(), "val/mean_iou")
        return seen | {"state": read_checkpoint(version() / "checkpoints" / "last.ckpt")}


def test_each_cycle_raises_and_lowers_the_rate_of_a_new_optimizer_and_the_later_ones_less_high(whole):
    cycles = [whole["rates"][BATCHES * e.start : BATCHES * e.stop] for e in (range(1), range(1, 2), range(2, 4))]
    for rates, highest in zip(cycles, (6e-2, 3e-2, 3e-2), strict=True):
        assert max(rates) == pytest.approx(highest, rel=0.02)  # the highest point may lie between two steps
        assert max(rates[0], rates[-1]) < highest / 2
    assert whole["steps"] == [*range(6), *range(6), *range(12)]


def test_what_is_validated_and_kept_at_the_end_is_the_mean_of_the_averages_at_the_ends_of_all_cycles(whole):
    ends, means = whole["ends"], whole["means"]
    assert len(ends) == 3
    assert not ends[0].equal(ends[1])
    for count, mean in enumerate(means, start=1):
        torch.testing.assert_close(mean, torch.stack(ends[:count]).mean(0))
    kept = next(iter(whole["state"]["state_dict"].values()))
    assert kept.equal(means[-1])
    assert not next(iter(whole["state"]["current_model_state"].values())).equal(kept)


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


@pytest.mark.parametrize(("epoch", "composed"), [(6, True), (7, False)])
def test_the_last_epochs_see_no_pasted_and_no_composed_image(epoch, composed):
    settings = AugmentSettings(paste=1.0, mosaic=0.5)
    task = SegmentationTask(UNet(channels=(4,)), augment=settings, composed_until=0.7)
    task.log = lambda *args, **settings: None  # type: ignore[method-assign]
    task.trainer, task.epochs = SimpleNamespace(current_epoch=epoch), 10  # type: ignore[assignment]
    batch = Batch(torch.rand(4, 3, 16, 16), torch.randint(0, 3, (4, 16, 16), dtype=torch.uint8), torch.arange(4))
    seen = []
    task.segmenter.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    task.training_step(batch, 0)
    assert torch.allclose(seen[0], batch.image / 255, atol=1e-6) != composed
