"""An exponential moving average (EMA) of the weights, warmed up."""

from __future__ import annotations

from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import WeightAveraging
from torch import Tensor


def keep(n: int, decay: float) -> float:
    """Fraction of the old average that update number n keeps, counted from 0; the first one only copies.

    The schedule of TensorFlow's `ExponentialMovingAverage(num_updates=n)`. With a constant `decay`, the random weights
    at the start of a training would stay in the average for epochs.
    """
    return min(decay, (1 + n) / (10 + n)) if n else 0.0


class WarmupEMA(WeightAveraging):
    """Lightning's weight averaging with the schedule of `keep`.

    The average is what is validated, what a checkpoint holds as `state_dict`, and what the task has after the training.
    A checkpoint holds the raw weights as `current_model_state`.

    Args:
        decay: fraction of the old average that an update keeps once warmed up, 0 to 1; 0 averages nothing.
    """

    def __init__(self, decay: float = 0.998) -> None:
        if not 0 <= decay < 1:
            raise ValueError(f"decay={decay}: must be at least 0 and less than 1, for instance 0.998.")
        super().__init__(multi_avg_fn=self._average)
        self.decay = decay

    @torch.no_grad()
    def _average(self, averaged: list[Tensor], current: list[Tensor], updates: Tensor | int) -> None:
        """Called for all tensors of one type, from the second update on; the first is a copy."""
        if averaged[0].is_floating_point():
            torch._foreach_lerp_(averaged, current, 1 - keep(int(updates), self.decay))
        else:
            torch._foreach_copy_(averaged, current)  # BatchNorm's counter of batches

    def on_load_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        """Restores average and raw weights when a training resumes; to score a checkpoint, `state_dict` is enough."""
        if self._average_model is not None:
            super().on_load_checkpoint(trainer, pl_module, checkpoint)
