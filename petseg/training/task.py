"""The training task: one step, the optimiser with its schedule, and the scores that are logged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import lightning as L
import torch
from torch import Tensor
from torch.optim import AdamW
from torch.optim.lr_scheduler import OneCycleLR

from petseg.data.augment import Augment, AugmentSettings
from petseg.data.datamodule import Batch
from petseg.errors import SettingsError
from petseg.files import write_json
from petseg.labels import CLASSES
from petseg.metrics.calibration import reliability_counts
from petseg.metrics.confusion import batch_confusion, class_map, pooled_scores
from petseg.metrics.split import SplitConfusion
from petseg.models.architectures import build_network, has_pretrained_encoder
from petseg.models.segmenter import IMAGENET, Segmenter
from petseg.training.loss import class_weights, distillation_loss, segmentation_loss
from petseg.training.optimizer import one_cycle, parameter_groups, planned_steps


class SegmentationTask(L.LightningModule):
    """A U-Net with its training recipe.

    Args:
        channels: width of each encoder stage.
        separable: depthwise-separable convolutions.
        skips: concatenate each decoder stage's input with the encoder's features of its size.
        encoder: a timm encoder with ImageNet's weights instead of the U-Net's own; `channels`, `separable`
            and `skips` then have no effect.
        input_scale: factor by which such an encoder's network enlarges its image.
        encoder_lr_scale: the learning rate of such an encoder, as a fraction of that of the rest; 0 freezes it.
        learning_rate: the highest value that the one-cycle schedule reaches.
        warmup: fraction of all steps in which the learning rate rises.
        weight_decay: AdamW's.
        dice_weight: weight of the soft Dice loss beside the cross-entropy's 1.
        boundary_weight: weight of the boundary class in the cross-entropy beside the others' 1. Above 1, a pixel is
            called boundary at a lower probability. That of most use to a class's IoU of J is J / (1 + J): below one
            half where J is below 1 (Lipton, Elkan, Narayanaswamy: Optimal Thresholding of Classifiers to Maximize F1
            Measure, ECML 2014, with F1 = 2 J / (1 + J)).
        sizes: the training's stages as fractions of the data's height and width. Small images cost less and teach
            the coarse shapes first (progressive resizing).
        size_starts: for each of `sizes`, the fraction of all epochs after which its stage starts; the first is 0.
        augment: how far random changes go.
        geometry_until: fraction of all epochs after which no image is rotated, scaled or shifted any more, so that the
            last epochs see images as sharp as those that are scored; see `AugmentSettings.geometry`.
        compile: fuse the network's operations with `torch.compile`: a minute at the start, then faster steps.
        architecture: kind of network, a key of `models.architectures.ARCHITECTURES`; by default `pretrained-unet` where
            there is an `encoder`, else `unet`. It takes those of the settings above that its constructor knows.
        network_settings: further arguments of that constructor, by their names.

    Raises:
        SettingsError: `sizes` and `size_starts` do not fit each other, a number is out of its range, or the kind of
            network or one of its settings is unknown.
    """

    def __init__(
        self,
        channels: Sequence[int] = (16, 32, 64, 128, 256),
        separable: bool = False,
        skips: bool = True,
        encoder: str | None = None,
        input_scale: float = 2.0,
        encoder_lr_scale: float = 1.0,
        learning_rate: float = 2e-3,
        warmup: float = 0.2,
        weight_decay: float = 0.01,
        dice_weight: float = 0.5,
        boundary_weight: float = 1.0,
        sizes: Sequence[float] = (1.0,),
        size_starts: Sequence[float] = (0.0,),
        augment: AugmentSettings | None = None,
        geometry_until: float = 1.0,
        compile: bool = False,
        architecture: str | None = None,
        network_settings: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        _check_stages(sizes, size_starts, geometry_until)
        self.save_hyperparameters(ignore=["augment"])
        kind = architecture or ("pretrained-unet" if encoder else "unet")
        shared = {"channels": channels, "separable": separable, "skips": skips}
        network = build_network(kind, shared | {"encoder": encoder, "input_scale": input_scale}, network_settings)
        if encoder_lr_scale == 0 and has_pretrained_encoder(network):
            network.freeze()
        self.segmenter = Segmenter(network, *getattr(network, "statistics", IMAGENET)).to(
            memory_format=torch.channels_last
        )
        if compile:
            self.network.compile()
        self.augment = Augment(augment or AugmentSettings())
        self.scores = SplitConfusion()
        self.register_buffer("class_weights", class_weights(boundary_weight, CLASSES), persistent=False)
        #: Confusion matrices of the images last scored, in the order of their split: int64 (N, 3, 3).
        self.matrices = torch.zeros(0, 3, 3, dtype=torch.int64)
        #: Of the images last tested, as `metrics.reliability_counts` gives it: float64 (4, bins, 3).
        self.reliability = torch.zeros(4, 15, 3, dtype=torch.float64)
        self.register_buffer("_train_pixels", torch.zeros(3, 3, dtype=torch.int64), persistent=False)
        self._soft: Tensor | None = None
        self._soft_weight = 0.0

    class_weights: Tensor
    _train_pixels: Tensor

    @classmethod
    def from_recipe(cls, recipe: Mapping[str, Any]) -> SegmentationTask:
        """The task of a recipe, as `training.recipes.read_recipe` gives it."""
        settings = dict(recipe["model"])
        augment = settings.pop("augment", None)
        return cls(**settings, augment=AugmentSettings(**augment) if augment else None)

    def use_soft_labels(self, soft: Tensor | None, weight: float = 0.5) -> None:
        """Trains with a teacher's probabilities as well as with the masks; see `training.distillation`.

        Args:
            soft: uint8 (N, 3, H, W) in the order of the train split, 255 is certainty; None ends it.
            weight: fraction of the loss that they have, 0 to 1.
        """
        self._soft, self._soft_weight = soft, weight

    def forward(self, image: Tensor) -> Tensor:
        """Logits float (B, 3, H, W) of images uint8 (B, 3, H, W) or float with values 0 to 1."""
        logits: Tensor = self.segmenter(image)
        return logits

    @property
    def network(self) -> Any:
        """The network alone, which reads normalised images."""
        return self.segmenter.network

    def loss(self, logits: Tensor, target: Tensor) -> Tensor:
        """Loss of logits float (B, 3, H, W) against labels (B, H, W): a scalar."""
        return segmentation_loss(logits, target, self.hparams["dice_weight"], self.class_weights)

    @property
    def progress(self) -> float:
        """Fraction of all epochs that are done, 0 to 1."""
        return self.current_epoch / max(self.trainer.max_epochs or 1, 1)

    @property
    def train_size(self) -> float:
        """Fraction of the data's height and width at which the current epoch trains."""
        stages = zip(self.hparams["sizes"], self.hparams["size_starts"], strict=True)
        return float([size for size, start in stages if start <= self.progress][-1])

    def on_train_start(self) -> None:
        """Refuses a checkpoint whose schedule ends before this run does.

        Raises:
            SettingsError: `max_epochs`, the batch size or the data changed since the checkpoint was written.
        """
        schedule = self.lr_schedulers()
        wanted = planned_steps(self.trainer)
        if isinstance(schedule, OneCycleLR) and schedule.total_steps < wanted:
            raise SettingsError(
                f"the checkpoint's learning rate ends its cycle after {schedule.total_steps} steps; this run takes "
                f"{wanted}. Resume with the settings of the first run, or start a new one from --weights."
            )

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Loss of one augmented batch."""
        size = round(self.train_size * batch.image.shape[-1])
        geometry = 0.0 if self.progress >= self.hparams["geometry_until"] else None
        soft = None if self._soft is None else self._soft[batch.index.cpu()].to(self.device).float() / 255
        image, mask, soft = self.augment.with_soft(batch.image.float() / 255, batch.mask, soft, size, geometry)
        logits = self(image)  # (B, 3, size, size)
        loss = self.loss(logits, mask)
        if soft is not None:
            teacher = distillation_loss(logits, soft, self.class_weights)
            loss = (1 - self._soft_weight) * loss + self._soft_weight * teacher
        # no mean over batches: the pixels of the whole epoch are counted in one matrix
        self._train_pixels += batch_confusion(class_map(logits.detach()), mask)
        self.log("train/loss", loss, on_step=False, on_epoch=True, prog_bar=True, batch_size=len(mask), sync_dist=True)
        return loss

    def on_train_epoch_end(self) -> None:
        """Logs the scores of the epoch's augmented images: a gap to `val/...` shows overfitting."""
        pixels = cast(Tensor, self.all_gather(self._train_pixels)).view(-1, 3, 3).cpu()  # one matrix per process
        if pixels.any():  # a run that is resumed between two epochs begins with this call
            self.log_dict({f"train/{name}": value for name, value in pooled_scores(pixels).items()})
        self._train_pixels.zero_()

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Collects the confusion matrices of one batch."""
        self._score(batch, "val")

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Collects the confusion matrices of one batch."""
        logits = self._score(batch, "test")
        self.reliability += reliability_counts(logits.softmax(dim=1), batch.mask)

    def on_test_epoch_start(self) -> None:
        """Starts counting from zero."""
        self.reliability = torch.zeros_like(self.reliability)

    def on_validation_epoch_end(self) -> None:
        """Logs the pooled scores of the validation split."""
        self._log_scores("val")

    def on_test_epoch_end(self) -> None:
        """Logs the pooled scores of the test split."""
        self._log_scores("test")

    def _score(self, batch: Batch, split: str) -> Tensor:
        logits = self(batch.image)
        self.scores.update(class_map(logits), batch.mask, batch.index)
        loss = self.loss(logits, batch.mask)
        self.log(f"{split}/loss", loss, batch_size=len(batch.mask), sync_dist=True)
        return logits

    def _log_scores(self, split: str) -> None:
        self.matrices = self.scores.compute()
        scores = pooled_scores(self.matrices)
        self.log_dict({f"{split}/{name}": value for name, value in scores.items()}, prog_bar=split == "val")
        if split == "val":
            self.log_dict(_pixel_columns(self.matrices.sum(dim=0)))
        self.scores.reset()
        folder = self.trainer.log_dir  # asked by every process: Lightning sends the answer from the first to the others
        if self.trainer.logger and folder and self.trainer.is_global_zero and not self.trainer.sanity_checking:
            pooled = self.matrices.sum(dim=0).tolist()
            write_json(Path(folder) / f"{split}_confusion.json", {"classes": CLASSES, "pixels": pooled})

    def configure_optimizers(self) -> Any:
        """AdamW, its learning rate on one cycle over all steps; see `training.optimizer`."""
        settings = self.hparams
        groups = parameter_groups(self.network, settings["learning_rate"], settings["encoder_lr_scale"])
        optimizer = AdamW(groups, weight_decay=settings["weight_decay"])
        schedule = one_cycle(optimizer, planned_steps(self.trainer), settings["warmup"])
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def _check_stages(sizes: Sequence[float], starts: Sequence[float], geometry_until: float) -> None:
    """Refuses stages of progressive resizing that do not fit each other, and an end of geometry outside of training."""
    if len(sizes) != len(starts) or not sizes or starts[0] != 0 or list(starts) != sorted(starts):
        raise SettingsError(
            f"sizes={list(sizes)}, size_starts={list(starts)}: must be of one length, and size_starts must rise from "
            "0, for instance sizes=[0.5, 1], size_starts=[0, 0.5]."
        )
    if not min(sizes) > 0:
        raise SettingsError(f"sizes={list(sizes)}: every size must be above 0, for instance sizes=[0.5, 1].")
    if not 0 <= geometry_until <= 1:
        raise SettingsError(f"geometry_until={geometry_until}: must lie between 0 and 1, for instance 0.8.")


def _pixel_columns(confusion: Tensor) -> dict[str, float]:
    """A confusion matrix (3, 3) as columns of the log, in pixels: `val_pixels/pet_as_boundary` and so on."""
    return {
        f"val_pixels/{true}_as_{predicted}": float(confusion[i, j])
        for i, true in enumerate(CLASSES)
        for j, predicted in enumerate(CLASSES)
    }
