"""What is learnt and how: the loss, the optimiser and its schedule, and the scores that are logged."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning as L
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.optim import AdamW
from torch.optim.lr_scheduler import OneCycleLR

from petseg.data.augment import Augment, AugmentSettings
from petseg.errors import SettingsError
from petseg.files import write_json
from petseg.labels import CLASSES
from petseg.metrics.calibration import reliability_counts
from petseg.metrics.confusion import SplitConfusion, class_map, pooled_scores
from petseg.models import pretrained
from petseg.models.pretrained import PretrainedUNet
from petseg.models.unet import UNet

#: Mean and standard deviation of ImageNet's RGB channels, values 0 to 1: the usual constants, near those of any photo.
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)


def soft_dice_loss(logits: Tensor, target: Tensor) -> Tensor:
    """One minus the soft Dice score, averaged over classes; every pixel of the batch counts in one sum.

    Milletari, Navab, Ahmadi: V-Net (3DV 2016), https://arxiv.org/abs/1606.04797, without squares in the denominator.

    Args:
        logits: float (B, K, H, W).
        target: int64 (B, H, W), labels 0 to K - 1.

    Returns:
        float scalar, 0 (perfect) to 1.
    """
    probability = logits.softmax(dim=1)
    truth = F.one_hot(target, logits.shape[1]).movedim(-1, 1).to(probability.dtype)  # (B, K, H, W)
    overlap = (probability * truth).sum(dim=(0, 2, 3))
    total = (probability + truth).sum(dim=(0, 2, 3))
    return 1 - (2 * overlap / total.clamp_min(1e-6)).mean()


class SegmentationTask(L.LightningModule):
    """A U-Net with its training recipe.

    Args:
        channels: width of each encoder stage.
        separable: depthwise-separable convolutions.
        skips: join the decoder's stages to those of the encoder.
        encoder: a timm encoder with ImageNet's weights instead of the U-Net's own; `channels`, `separable`
            and `skips` then say nothing.
        input_scale: factor by which such an encoder's network enlarges its image.
        encoder_lr_scale: the learning rate of such an encoder, as a share of that of the rest; 0 freezes it.
        learning_rate: the highest value that the one-cycle schedule reaches.
        warmup: share of all steps in which the learning rate rises.
        weight_decay: AdamW's.
        dice_weight: weight of the soft Dice loss beside the cross-entropy's 1.
        boundary_weight: weight of the boundary class in the cross-entropy beside the others' 1. Above 1, a pixel is
            called boundary at a lower probability. That of most use to a class's IoU of J is J / (1 + J): below one
            half where J is below 1 (Lipton, Elkan, Narayanaswamy: Optimal Thresholding of Classifiers to Maximize F1
            Measure, ECML 2014, with F1 = 2 J / (1 + J)).
        sizes: the training's stages as shares of the data's height and width. Small pictures cost less and teach
            the coarse shapes first (progressive resizing).
        size_starts: for each of `sizes`, the share of all epochs after which its stage starts; the first is 0.
        augment: how far random changes go.
        compile: fuse the network's operations with `torch.compile`: a minute at the start, then faster steps.

    Raises:
        ValueError: `sizes` and `size_starts` do not fit each other, or a size is not above 0.
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
        compile: bool = False,
    ) -> None:
        super().__init__()
        if (
            len(sizes) != len(size_starts)
            or not sizes
            or size_starts[0] != 0
            or list(size_starts) != sorted(size_starts)
        ):
            raise ValueError(
                f"sizes={list(sizes)}, size_starts={list(size_starts)}: must be of one length, and size_starts must "
                "rise from 0, for instance sizes=[0.5, 1], size_starts=[0, 0.5]."
            )
        if not min(sizes) > 0:
            raise ValueError(f"sizes={list(sizes)}: every size must be above 0, for instance sizes=[0.5, 1].")
        augment = augment or AugmentSettings()
        self.save_hyperparameters(ignore=["augment"])
        network: UNet | PretrainedUNet
        if encoder is None:
            network = UNet(channels=channels, separable=separable, skips=skips)
        else:
            network = PretrainedUNet(encoder, input_scale=input_scale)
            if encoder_lr_scale == 0:
                network.freeze()
        self.network = network.to(memory_format=torch.channels_last)
        if compile:
            self.network.compile()
        self.augment = Augment(augment)
        self.scores = SplitConfusion()
        mean, std = (MEAN, STD) if encoder is None else (pretrained.MEAN, pretrained.STD)
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1), persistent=False)
        weights = torch.tensor([boundary_weight if name == "boundary" else 1.0 for name in CLASSES])
        self.register_buffer("class_weights", weights, persistent=False)

    mean: Tensor
    std: Tensor
    #: Of the cross-entropy: float (3,).
    class_weights: Tensor
    #: Where it is a tensor, `test_step` adds `metrics.reliability_counts` to it.
    reliability: Tensor | None = None
    #: What a teacher says of the training images, in the order of their split: uint8 (N, 3, H, W), 255 is certainty.
    soft: Tensor | None = None
    #: The share of the loss that the teacher's word has, 0 to 1.
    soft_weight: float = 0.5
    #: Confusion matrices of the images last scored, in the order of their split: int64 (N, 3, 3).
    matrices: Tensor

    def forward(self, image: Tensor) -> Tensor:
        """Logits float (B, 3, H, W) of images uint8 (B, 3, H, W) or float with values 0 to 1."""
        if image.dtype == torch.uint8:
            image = image.float() / 255
        logits: Tensor = self.network((image - self.mean) / self.std)
        return logits.float()  # the loss and the class map are taken in full precision

    def loss(self, logits: Tensor, target: Tensor) -> Tensor:
        """Cross-entropy plus weighted soft Dice: logits float (B, 3, H, W), target integer (B, H, W) to a scalar."""
        target = target.long()
        entropy = F.cross_entropy(logits, target, self.class_weights)
        return entropy + self.hparams["dice_weight"] * soft_dice_loss(logits, target)

    @property
    def train_size(self) -> float:
        """Share of the data's height and width at which the current epoch trains."""
        done = self.current_epoch / max(self.trainer.max_epochs or 1, 1)
        stages = zip(self.hparams["sizes"], self.hparams["size_starts"], strict=True)
        return float([size for size, start in stages if start <= done][-1])

    def on_train_start(self) -> None:
        """Refuses a checkpoint whose schedule ends before this run does.

        Raises:
            SettingsError: `max_epochs`, the batch size or the data changed since the checkpoint was written.
        """
        schedule = self.lr_schedulers()
        wanted = int(self.trainer.estimated_stepping_batches)
        if isinstance(schedule, OneCycleLR) and schedule.total_steps < wanted:
            raise SettingsError(
                f"the checkpoint's learning rate ends its cycle after {schedule.total_steps} steps; this run takes "
                f"{wanted}. Resume with the settings of the first run, or start a new one from --weights."
            )

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        """Loss of one augmented batch."""
        size = round(self.train_size * batch.image.shape[-1])
        soft = None if self.soft is None else self.soft[batch.index.cpu()].to(self.device).float() / 255
        image, mask, soft = self.augment.with_soft(batch.image.float() / 255, batch.mask, soft, size)
        logits = self(image)
        loss = self.loss(logits, mask)
        if soft is not None:
            share = self.soft_weight
            loss = (1 - share) * loss + share * F.cross_entropy(logits, soft, self.class_weights)
        self.log(
            "train/loss",
            loss,
            on_step=False,
            on_epoch=True,
            prog_bar=True,
            batch_size=len(mask),
            sync_dist=True,
        )
        return loss

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        """Collects the confusion matrices of one batch."""
        self._score(batch, "val")

    def test_step(self, batch: Any, batch_idx: int) -> None:
        """Collects the confusion matrices of one batch."""
        logits = self._score(batch, "test")
        if self.reliability is not None:
            self.reliability = self.reliability + reliability_counts(logits.softmax(dim=1), batch.mask)

    def on_validation_epoch_end(self) -> None:
        """Logs the pooled scores of the validation split."""
        self._log_scores("val")

    def on_test_epoch_end(self) -> None:
        """Logs the pooled scores of the test split."""
        self._log_scores("test")

    def _score(self, batch: Any, split: str) -> Tensor:
        logits = self(batch.image)
        self.scores.update(class_map(logits), batch.mask, batch.index)
        loss = self.loss(logits, batch.mask)
        self.log(f"{split}/loss", loss, batch_size=len(batch.mask), sync_dist=True)
        return logits

    def _log_scores(self, split: str) -> None:
        self.matrices = self.scores.compute()
        scores = pooled_scores(self.matrices)
        self.log_dict({f"{split}/{name}": value for name, value in scores.items()}, prog_bar=split == "val")
        self.scores.reset()
        folder = self.trainer.log_dir  # asked by every process: Lightning sends the answer from the first to the others
        if self.trainer.logger and folder and self.trainer.is_global_zero and not self.trainer.sanity_checking:
            pooled = self.matrices.sum(dim=0).tolist()
            write_json(Path(folder) / f"{split}_confusion.json", {"classes": CLASSES, "pixels": pooled})

    def configure_optimizers(self) -> Any:
        """AdamW, its learning rate on one cycle over all steps.

        Loshchilov, Hutter: Decoupled Weight Decay Regularization (ICLR 2019); Smith, Topin: Super-Convergence (2018).
        """
        settings = self.hparams
        highest = settings["learning_rate"]
        learning = [(name, one) for name, one in self.network.named_parameters() if one.requires_grad]
        # the U-Net's own encoder learns like the rest
        ready = [one for name, one in learning if settings["encoder"] and name.startswith("encoder.")]
        rest = [one for name, one in learning if not (settings["encoder"] and name.startswith("encoder."))]
        parts = [(rest, highest), (ready, highest * settings["encoder_lr_scale"])][: 2 if ready else 1]
        optimizer = AdamW([{"params": some} for some, _ in parts], weight_decay=settings["weight_decay"])
        steps = int(self.trainer.estimated_stepping_batches)
        schedule = OneCycleLR(optimizer, [rate for _, rate in parts], steps, pct_start=settings["warmup"])
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
