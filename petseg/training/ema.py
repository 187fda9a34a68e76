"""An exponential moving average (EMA) of the weights, warmed up."""

from itertools import chain
from typing import Any, cast

import lightning as L
import torch
from lightning.pytorch.callbacks import WeightAveraging
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from petseg.training.optimizer import plan


def keep(n: int, decay: float) -> float:
    """Fraction of the old average that update number n keeps, counted from 0; the first one only copies.

    The schedule of TensorFlow's `ExponentialMovingAverage(num_updates=n)`. With a constant `decay`, the random weights
    at the start of a training would stay in the average for epochs.
    """
    return min(decay, (1 + n) / (10 + n)) if n else 0.0


class WarmupEMA(WeightAveraging):
    """Lightning's weight averaging with the schedule of `keep`, on the device of the weights.

    The average is what is validated, what a checkpoint holds as `state_dict`, and what the task has after the training.
    A checkpoint holds the raw weights as `current_model_state`.

    Where the learning rate restarts, a new average starts with each cycle, and is replaced at its end by the mean of
    the averages at the ends of all cycles so far (compare Izmailov et al.: Averaging Weights Leads to Wider Optima and
    Better Generalization, UAI 2018, https://arxiv.org/abs/1803.05407). A training that is stopped within a cycle has
    the average of that cycle alone.

    Args:
        decay: fraction of the old average that an update keeps once warmed up, 0 to 1; 0 averages no steps.
    """

    def __init__(self, decay: float = 0.998) -> None:
        if not 0 <= decay < 1:
            raise ValueError(f"decay={decay}: must be at least 0 and less than 1, for instance 0.998.")
        super().__init__()
        self.decay = decay
        self.updates = 0
        self._mean: list[Tensor] = []  # of the averages at the ends of the cycles
        self._cycles = 0  # that have ended
        self._cycle_ends: list[int] = []  # the steps after which they end; none where the learning rate never restarts

    @property
    def average(self) -> nn.Module:
        """The module with the averaged weights, of the task's class; it exists once the training is set up."""
        return cast(AveragedModel, self._average_model).module

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Forgets an earlier training that had the same callback."""
        self._average_model, self._mean, self._cycles, self._latest_update_step = None, [], 0, 0
        super().setup(trainer, pl_module, stage)

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Collects the tensors that every update takes; after a resume, the updates go on counting."""
        self.average.to(pl_module.device)
        self.updates = int(cast(AveragedModel, self._average_model).n_averaged)
        self.collect(self.average, pl_module)
        self._mean = [tensor.to(pl_module.device) for tensor in self._mean]
        self._cycle_ends = plan(trainer).ends if pl_module.hparams.get("restarts") else []

    def collect(self, average: nn.Module, current: nn.Module) -> None:
        """Pairs the tensors of two modules of the same class."""
        tensors = _tensors(average), _tensors(current)
        self._smooth = [[tensor for tensor in side if tensor.is_floating_point()] for side in tensors]
        # BatchNorm's counters of batches
        self._counts = [[tensor for tensor in side if not tensor.is_floating_point()] for side in tensors]

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: Any) -> None:
        """Updates the average after every step of the optimiser."""
        if trainer.global_step > self._latest_update_step:  # not while gradients are accumulated
            self._latest_update_step = trainer.global_step
            self.update()
            if trainer.global_step in self._cycle_ends:
                self.end_cycle()

    @torch.no_grad()
    def update(self) -> None:
        """Moves the average towards the weights, all tensors in one call; PyTorch's own rule asks the device first."""
        average, current = self._smooth
        torch._foreach_lerp_(average, current, 1 - keep(self.updates, self.decay))
        average, current = self._counts
        if average:
            torch._foreach_copy_(average, current)
        self.updates += 1

    @torch.no_grad()
    def end_cycle(self) -> None:
        """Replaces the average by the mean of those at the ends of all cycles; the next update starts a new one."""
        average, self._cycles = self._smooth[0], self._cycles + 1
        if self._mean:
            torch._foreach_lerp_(average, self._mean, 1 - 1 / self._cycles)
        self._mean = [tensor.clone() for tensor in average]
        self.updates = 0

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps of the cycles, beside the average."""
        return super().state_dict() | {"mean": self._mean, "cycles": self._cycles}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restores what a checkpoint holds."""
        super().load_state_dict(state_dict)
        self._mean, self._cycles = state_dict.get("mean", []), state_dict.get("cycles", 0)

    def on_save_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        """Saves the number of updates as PyTorch's `AveragedModel` does."""
        if self._average_model is not None:
            self._average_model.n_averaged.fill_(self.updates)
        super().on_save_checkpoint(trainer, pl_module, checkpoint)

    def on_load_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        """Restores average and raw weights when a training resumes; to score a checkpoint, `state_dict` is enough."""
        if self._average_model is not None:
            super().on_load_checkpoint(trainer, pl_module, checkpoint)


def _tensors(module: nn.Module) -> list[Tensor]:
    """Parameters and buffers, without their history of gradients; a change in place changes the module."""
    return [tensor.detach() for tensor in chain(module.parameters(), module.buffers())]
