"""Our way to train: one step with its parts, and epochs as `petseg fit` runs them."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any, cast

import lightning as L
import torch
from lightning.pytorch.cli import instantiate_class
from torch import Tensor
from torch.optim import AdamW

from petseg.data.datamodule import PetDataModule
from petseg.metrics.confusion import batch_confusion, class_map
from petseg.models.device import best_precision
from petseg.models.segmenter import best_device
from petseg.training.benchmark.clock import finish
from petseg.training.callbacks import EpochSeeds
from petseg.training.ema import WarmupEMA
from petseg.training.optimizer import one_cycle, parameter_groups
from petseg.training.scoring import quiet
from petseg.training.task import SegmentationTask

#: Steps of a schedule that no measurement comes to the end of.
MANY_STEPS = 1_000_000


class TrainingStep:
    """A training step of a recipe outside of Lightning's loop: `step(image, mask)` takes it, `parts` are its parts.

    Args:
        recipe: as `recipes.read_recipe` gives it.
        device: where; the best one by default.
    """

    def __init__(self, recipe: Mapping[str, Any], device: torch.device | None = None) -> None:
        self.device = device or torch.device(best_device())
        self.task = SegmentationTask.from_recipe(recipe).to(self.device)
        settings = self.task.hparams
        groups = parameter_groups(self.task.network, settings["learning_rate"], settings["encoder_lr_scale"])
        self.optimizer = AdamW(groups, weight_decay=settings["weight_decay"])
        self.schedule = one_cycle(self.optimizer, MANY_STEPS, settings["warmup"])
        self.clip = recipe["trainer"].get("gradient_clip_val") or math.inf
        self.trainer = cast(L.Trainer, SimpleNamespace(global_step=0))
        self.average = WarmupEMA(**recipe["average"])
        self.average.setup(self.trainer, self.task, "fit")
        self.image = self.mask = self.logits = self.loss = torch.zeros(0)
        #: What a step does, in its order.
        self.parts: dict[str, Callable[[], object]] = {
            "augmentation": self._augment,
            "network forward, loss": self._forward,
            "training scores": self._score,
            "backward": lambda: self.loss.backward(),
            "gradient clipping": self._clip,
            "AdamW": self.optimizer.step,
            "gradients to zero": self.optimizer.zero_grad,
            "one-cycle schedule": self.schedule.step,
            "weight averaging": self._average,
        }

    def __call__(self, image: Tensor, mask: Tensor) -> None:
        """Takes one step with images uint8 (B, 3, S, S) and masks uint8 (B, S, S)."""
        self.load(image, mask)
        for part in self.parts.values():
            part()

    def load(self, image: Tensor, mask: Tensor) -> None:
        """Sets the batch that the parts work on."""
        self.image, self.mask = image.to(self.device), mask.to(self.device)

    def random_batch(self, batch: int, size: int) -> tuple[Tensor, Tensor]:
        """Noise: images uint8 (batch, 3, size, size), channels last in memory, and masks uint8 (batch, size, size)."""
        image = torch.randint(0, 256, (batch, size, size, 3), dtype=torch.uint8, device=self.device)
        mask = torch.randint(0, 3, (batch, size, size), dtype=torch.uint8, device=self.device)
        return image.permute(0, 3, 1, 2), mask

    def _augment(self) -> None:
        self.image, self.mask = self.task.augment(self.image.float() / 255, self.mask)

    def _forward(self) -> None:
        with autocast(self.device):
            self.logits = self.task(self.image)
        self.loss = self.task.loss(self.logits, self.mask)

    def _score(self) -> None:
        batch_confusion(class_map(self.logits.detach()), self.mask)

    def _clip(self) -> None:
        torch.nn.utils.clip_grad_norm_(self.task.network.parameters(), self.clip)

    def _average(self) -> None:
        self.trainer.global_step += 1  # type: ignore[misc]
        self.average.on_train_batch_end(self.trainer, self.task, None, None, 0)


class Epochs:
    """Epochs of one task with Lightning's Trainer, as `petseg fit` trains, without validation and checkpoints."""

    def __init__(self, recipe: Mapping[str, Any], data: PetDataModule) -> None:
        self.recipe, self.data = recipe, data
        self.task = SegmentationTask.from_recipe(recipe)
        #: Images that the last epoch passed: fewer than asked for where the split has fewer.
        self.passed = 0

    def rate(self, images: int) -> float:
        """Images per second of an epoch that ends after so many images."""
        seconds = self.seconds(images)
        return self.passed / seconds

    def seconds(self, images: int, *callbacks: L.Callback) -> float:
        """Seconds of an epoch that ends after so many images, from its start to the end of its last step."""
        clock = _EpochClock()
        steps = images // self.data.batch_size
        with quiet():
            trainer = lightning_trainer(
                self.recipe, clock, *callbacks, max_epochs=1, limit_train_batches=steps, limit_val_batches=0
            )
            trainer.fit(self.task, datamodule=self.data)
        self.passed = clock.images
        return clock.end - clock.start


class _EpochClock(L.Callback):
    start = end = 0.0
    images = 0

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.start = time.perf_counter()

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *results: Any) -> None:
        self.images += len(results[1].mask)  # outputs, batch, index of the batch

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        finish(pl_module.device)
        self.end = time.perf_counter()


def lightning_trainer(recipe: Mapping[str, Any], *callbacks: L.Callback, **settings: Any) -> L.Trainer:
    """A Trainer with a recipe's settings that writes nothing; `settings` replace the recipe's."""
    own = dict(recipe["trainer"])
    added = [instantiate_class((), entry) for entry in own.pop("callbacks", None) or []]
    average = WarmupEMA(**recipe["average"])
    silent = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
    fixed = {"devices": 1, "precision": best_precision(), "num_sanity_val_steps": 0, **silent}
    seeds = EpochSeeds(int(recipe["seed_everything"]))
    return L.Trainer(**{**own, **fixed, **settings}, callbacks=[average, seeds, *added, *callbacks])


def autocast(device: torch.device) -> torch.autocast:
    """The mixed precision that `petseg fit` chooses on this machine."""
    dtype = native_dtype()
    return torch.autocast(device.type, dtype, enabled=dtype is not torch.float32)


def native_dtype() -> torch.dtype:
    """What convolutions are computed in: bf16, fp16 or fp32, as `device.best_precision` says."""
    return {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16, "32-true": torch.float32}[best_precision()]
