"""Epochs: ours against the plain one, and how much of ours is neither forward, backward nor optimiser."""

from __future__ import annotations

import time
from typing import Any

import lightning as L
import torch
from torch import Tensor

from petseg.data.datamodule import PetDataModule
from petseg.training.benchmark.clock import alternate, finish, seconds
from petseg.training.benchmark.ours import Epochs
from petseg.training.benchmark.plain import PlainTraining
from petseg.training.benchmark.row import Row, Spread, compared
from petseg.training.benchmark.settings import Settings


def epoch_row(settings: Settings) -> Row:
    """Images per second of a whole epoch, loading and the training loop included."""
    data = opened(settings)
    images = settings.images
    ours, plain = Epochs(settings.recipe, data), PlainTraining(settings.recipe, data, images)
    ours.seconds(2 * settings.batch)  # chooses kernels and takes memory
    measured = alternate(
        {
            "ours": lambda: ours.rate(images),
            "plain": lambda: plain.images / seconds(plain.epoch, plain.device),
        },
        settings.rounds,
        skip=0,
    )
    title = f"an epoch of {plain.images:,} images of {settings.size} px, loading included"
    note = "ours: batches from the decoded cache; plain: three processes decode each JPEG"
    return compared(title, "images/s", measured, "ours", "plain", note)


def overhead_row(settings: Settings) -> Row:
    """Percent of an epoch of ours that is neither forward, backward nor optimiser."""
    epochs = Epochs(settings.recipe, opened(settings))
    percent = []
    for round_ in range(settings.rounds + 1):
        busy = BusyTime()
        images = settings.images if round_ else 2 * settings.batch  # the first chooses kernels
        whole = epochs.seconds(images, busy)
        percent.append(100 * (1 - busy.seconds / whole))
    title = "part of an epoch that is not forward with loss, backward or optimiser with clipping"
    note = "loading, augmentation, training scores, schedule, weight averaging, Lightning's loop"
    return Row(title, "%", {"ours": Spread.of(percent[1:])}, note=note)


def opened(settings: Settings) -> PetDataModule:
    """The data of our way, decoded and open."""
    data = settings.data()
    data.prepare_data()
    data.setup()
    return data


class BusyTime(L.Callback):
    """Seconds that an epoch spends in the network and its loss, in the backward pass and in the optimiser."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._since = 0.0
        self._hooks: list[Any] = []

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Has the network, the loss and the optimiser tell when they begin and end."""
        network: torch.nn.Module = pl_module.network  # type: ignore[assignment]
        loss = pl_module.loss

        def timed_loss(logits: Tensor, target: Tensor) -> Tensor:
            self._begin(pl_module.device)
            value: Tensor = loss(logits, target)  # type: ignore[operator]
            self._end(pl_module.device)
            return value

        pl_module.loss = timed_loss  # type: ignore[assignment]
        self._hooks = [
            network.register_forward_pre_hook(lambda *_: self._begin(pl_module.device)),
            network.register_forward_hook(lambda *_: self._end(pl_module.device)),
            trainer.optimizers[0].register_step_post_hook(lambda *_: self._end(pl_module.device)),
        ]

    def on_before_backward(self, trainer: L.Trainer, pl_module: L.LightningModule, loss: Tensor) -> None:
        """The backward pass begins."""
        self._begin(pl_module.device)

    def on_after_backward(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """The backward pass has ended."""
        self._end(pl_module.device)

    def on_before_optimizer_step(self, trainer: L.Trainer, pl_module: L.LightningModule, optimizer: Any) -> None:
        """Clipping and the optimiser begin; the hook on the optimiser tells their end."""
        self._begin(pl_module.device)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Leaves the task as it was."""
        for hook in self._hooks:
            hook.remove()
        del pl_module.loss

    def _begin(self, device: torch.device) -> None:
        finish(device)
        self._since = time.perf_counter()

    def _end(self, device: torch.device) -> None:
        finish(device)
        self.seconds += time.perf_counter() - self._since
