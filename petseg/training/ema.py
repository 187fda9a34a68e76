"""An exponential average of the weights, warmed up, and validated beside the raw weights."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast

import lightning as L
import torch
from lightning.pytorch.callbacks import WeightAveraging
from torch import Tensor, nn

from petseg.metrics.confusion import class_map, pooled_scores
from petseg.metrics.split import SplitConfusion
from petseg.training.task import SegmentationTask


class WarmupEMA(WeightAveraging):
    """Lightning's weight averaging with a decay that grows from 0.1 to `decay`, and with the raw weights' scores.

    With a constant decay the average of a network trained from scratch drags the first, random weights along for
    epochs. Here the n-th update keeps min(decay, (1 + n) / (10 + n)) of the old average, the schedule of TensorFlow's
    `ExponentialMovingAverage(num_updates=n)`. The averaged weights are validated as `val/...`, saved in checkpoints as
    `state_dict`, and stay in the model at the end; the raw weights are validated as `val_raw/...`.

    Args:
        decay: fraction of the old average that an update keeps, 0 to 1, once warmed up.
    """

    def __init__(self, decay: float = 0.998) -> None:
        if not 0 <= decay < 1:
            raise ValueError(f"decay={decay}: must be at least 0 and less than 1, for instance 0.998.")
        super().__init__(multi_avg_fn=self._average)
        self.decay = decay
        self.raw = SplitConfusion()

    @torch.no_grad()
    def _average(self, averaged: list[Tensor], current: list[Tensor], updates: Tensor | int) -> None:
        n = int(updates)
        keep = min(self.decay, (1 + n) / (10 + n))
        for old, new in zip(averaged, current, strict=True):
            if old.is_floating_point():
                old.lerp_(new.to(old.dtype), 1 - keep)
            else:
                old.copy_(new)  # BatchNorm's counter of batches

    def on_validation_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Puts the average in the model's place and makes ready for the raw weights' scores."""
        super().on_validation_epoch_start(trainer, pl_module)
        self.raw = self.raw.to(pl_module.device)
        self.raw.reset()

    def on_validation_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Scores the raw weights, which stand in the average's place while the model validates."""
        if self._average_model is None:
            return
        raw = self._average_model.module.eval()
        assert isinstance(raw, SegmentationTask)
        with trainer.precision_plugin.val_step_context():
            self.raw.update(class_map(raw(batch.image)), batch.mask, batch.index)

    def on_validation_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Logs the raw weights' scores and puts them back in the model."""
        if self._average_model is not None:
            scores = pooled_scores(self.raw.compute())
            pl_module.log_dict({f"val_raw/{name}": value for name, value in scores.items()})
        super().on_validation_epoch_end(trainer, pl_module)

    def on_load_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        """Restores the average when a fit goes on; when a checkpoint is only scored, its `state_dict` is all."""
        if self._average_model is not None:
            super().on_load_checkpoint(trainer, pl_module, checkpoint)


def warm_averages(values: Sequence[float], decay: float) -> list[float]:
    """What `WarmupEMA` makes of one weight that takes these values, step by step."""
    module = L.LightningModule()
    module.weight = nn.Parameter(torch.zeros(()))
    callback, averages = WarmupEMA(decay), []
    callback.setup(cast(L.Trainer, None), module, "fit")
    for step, value in enumerate(values, start=1):
        module.weight.data.fill_(value)
        trainer = cast(L.Trainer, SimpleNamespace(global_step=step))
        callback.on_train_batch_end(trainer, module, None, None, step - 1)
        callback.on_train_end(trainer, module)  # puts the average in the weight's place
        averages.append(module.weight.item())
    return averages
