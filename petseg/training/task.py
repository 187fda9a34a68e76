"""The training task: one step, the optimiser with its schedule, and the scores that are logged."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any, Self, cast

import lightning as L
import torch
import torch.nn.functional as F
from lightning.pytorch.cli import instantiate_class
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer

from petseg.data.augment import Augment, AugmentSettings, augment_settings
from petseg.data.datamodule import Batch
from petseg.errors import SettingsError
from petseg.files import write_json
from petseg.labels import CLASSES
from petseg.metrics.confusion import batch_confusion, class_map, pooled_scores
from petseg.models.pretrained import PretrainedUNet
from petseg.models.segmenter import IMAGENET, Segmenter
from petseg.training.depthwise import FastDepthwise
from petseg.training.loss import segmentation_loss
from petseg.training.optimizer import check_cycles, check_stages, one_cycle, parameter_groups, plan, size_at
from petseg.training.scoring import SplitConfusion


class SegmentationTask(L.LightningModule):
    """A network with its training recipe.

    A checkpoint of `petseg fit` names the network's class; `load_from_checkpoint` of any other needs `network=`.

    Args:
        network: maps normalised images (B, 3, H, W) to logits (B, 3, H, W): UNet, PretrainedUNet, or the class path of
            any other module. Its attribute `statistics`, if it has one, says how its images are normalised; default:
            ImageNet's mean and standard deviation.
        learning_rate: the highest value that the one-cycle schedule reaches.
        warmup: fraction of a cycle's steps in which the learning rate rises.
        weight_decay: AdamW's.
        dice_weight: weight of the soft Dice loss; the cross-entropy has weight 1.
        boundary_weight: weight of the boundary class in the cross-entropy; the others have weight 1. Above 1, a pixel
            is called boundary at a lower probability. The best threshold for a class with an IoU of J is J / (1 + J),
            less than one half (Lipton, Elkan, Narayanaswamy: Optimal Thresholding of Classifiers to Maximize F1
            Measure, ECML 2014, with F1 = 2 J / (1 + J)).
        sizes: height and width of the images in each stage of the training, as fractions of the data's. Small images
            cost less and teach the coarse shapes first (progressive resizing).
        size_starts: for each of `sizes`, the fraction of all epochs after which its stage starts; the first is 0.
        geometry_until: fraction of all epochs after which images are no longer rotated, scaled or shifted, so that the
            last epochs see images as sharp as those that are scored; see `AugmentSettings.geometry`.
        restarts: fractions of all epochs after which the learning rate rises once more and falls again, with a new
            optimiser (Loshchilov, Hutter: SGDR, ICLR 2017, https://arxiv.org/abs/1608.03983). Each cycle ends at other
            weights, whose mean is often better than each; see `WarmupEMA`.
        restart_scale: the highest learning rate of those cycles, as a fraction of `learning_rate`.
        encoder_lr_scale: learning rate of a pretrained encoder, as a fraction of that of the rest; 0 freezes it.
        augment: random changes of the training images, one for each cycle where it is a list; none by default.
        compile: fuse the network's operations with `torch.compile`: a minute at the start, then faster steps.

    Raises:
        SettingsError: settings do not fit each other, or a number is out of range.
    """

    def __init__(
        self,
        network: nn.Module,
        learning_rate: float = 2e-3,
        warmup: float = 0.2,
        weight_decay: float = 0.01,
        dice_weight: float = 0.5,
        boundary_weight: float = 1.0,
        sizes: Sequence[float] = (1.0,),
        size_starts: Sequence[float] = (0.0,),
        geometry_until: float = 1.0,
        restarts: Sequence[float] = (),
        restart_scale: float = 0.6,
        encoder_lr_scale: float = 1.0,
        augment: AugmentSettings | list[AugmentSettings] | None = None,
        compile: bool = False,
    ) -> None:
        super().__init__()
        self.save_hyperparameters(ignore=["network", "augment"])
        check_stages(sizes, size_starts)
        _check_numbers(self.hparams)
        if encoder_lr_scale == 0 and isinstance(network, PretrainedUNet):
            network.freeze()
        if compile:
            network.compile()
        # channels-last: all channels of a pixel side by side in memory, which most convolutions are faster with
        network = network.to(memory_format=torch.channels_last)
        self.segmenter = Segmenter(network, *getattr(network, "statistics", IMAGENET))
        self.augments = augment if isinstance(augment, list) else [augment or AugmentSettings()] * (len(restarts) + 1)
        check_cycles(restarts, len(self.augments))
        self.augment = Augment(self.augments[0])
        self.scores = SplitConfusion()
        self.epochs = 1  # of the whole training, which knows them when it starts
        self.register_buffer("class_weights", torch.tensor([1.0, 1.0, boundary_weight]), persistent=False)
        self._train_matrix = torch.zeros(3, 3, dtype=torch.int64)
        self._soft: Tensor | None = None
        self._soft_weight = 0.0

    class_weights: Tensor

    @classmethod
    def from_recipe(cls, recipe: Mapping[str, Any]) -> Self:
        """The task of a recipe, as `training.recipes.read_recipe` returns it."""
        settings = dict(recipe["model"])
        network = instantiate_class((), settings.pop("network"))
        return cls(network, augment=augment_settings(settings.pop("augment", None)), **settings)

    @property
    def network(self) -> nn.Module:
        """The network without the normalisation."""
        return self.segmenter.network

    def use_soft_labels(self, soft: Tensor | None, weight: float = 0.5) -> None:
        """Trains with a teacher's probabilities as well as with the masks; see `training.distillation`.

        Args:
            soft: uint8 (N, 3, H, W) in the order of the train split, 255 is certainty, on the device of the training;
                None ends it.
            weight: fraction of the loss that they have, 0 to 1.
        """
        self._soft, self._soft_weight = soft, weight

    def forward(self, image: Tensor) -> Tensor:
        """Logits float (B, 3, H, W) of images (B, 3, H, W), uint8 or float with values 0 to 1."""
        return cast(Tensor, self.segmenter(image))

    def loss(self, logits: Tensor, target: Tensor) -> Tensor:
        """Loss of logits float (B, 3, H, W) against labels (B, H, W): a scalar."""
        return segmentation_loss(logits, target, self.hparams["dice_weight"], self.class_weights)

    @property
    def train_size(self) -> float:
        """Height and width at which the current epoch trains, as a fraction of the data's."""
        return size_at(self.current_epoch, self.epochs, self.hparams["sizes"], self.hparams["size_starts"])

    def augmentation(self) -> AugmentSettings:
        """The random changes in the current epoch: those of its cycle, in the last epochs without geometry."""
        progress = self.current_epoch / self.epochs
        settings = self.augments[sum(start <= progress for start in self.hparams["restarts"])]
        return replace(settings, geometry=0.0) if progress >= self.hparams["geometry_until"] else settings

    def on_train_start(self) -> None:
        """Counts the epochs."""
        self.epochs = plan(self.trainer).epochs

    def on_train_epoch_start(self) -> None:
        """Starts counting the training pixels from zero, and a further cycle of the learning rate where one is due."""
        if self.trainer.global_step in plan(self.trainer).ends[:-1]:
            self.trainer.strategy.setup_optimizers(self.trainer)
        rate = self.trainer.optimizers[0].param_groups[0]["lr"]  # before the encoder's scale
        self.log("lr-AdamW", rate, sync_dist=True)
        self.augment.settings = self.augmentation()
        self._train_matrix = torch.zeros(3, 3, dtype=torch.int64, device=self.device)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Loss of one augmented batch. Asks for no number, so that the CPU never waits for a GPU."""
        soft = None if self._soft is None else self._soft[batch.index].float() / 255
        image, mask, *teacher = self.augment(batch.image.float() / 255, batch.mask, soft, self.train_size)
        with FastDepthwise():
            logits = self(image)  # (B, 3, H, W)
        loss = self.loss(logits, mask)
        if teacher:  # its probabilities (B, 3, H, W)
            teacher_loss = F.cross_entropy(logits, teacher[0], self.class_weights)
            loss = (1 - self._soft_weight) * loss + self._soft_weight * teacher_loss
        # scores are not means over batches: one matrix counts the pixels of the whole epoch
        self._train_matrix += batch_confusion(class_map(logits.detach()), mask)
        self.log("train/loss", loss, on_step=False, on_epoch=True, prog_bar=True, batch_size=len(mask), sync_dist=True)
        return loss

    def on_train_epoch_end(self) -> None:
        """Logs the scores of the epoch's augmented images: a gap to `val/...` shows overfitting."""
        gathered = cast(Tensor, self.all_gather(self._train_matrix.to(self.device)))  # one matrix per process
        matrices = gathered.view(-1, 3, 3).cpu()
        if matrices.any():  # a run that is resumed between two epochs begins with this call
            self.log_dict({f"train/{name}": value for name, value in pooled_scores(matrices).items()})

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Collects the confusion matrices of one batch of the validation or test split."""
        if batch_idx == 0:
            self.scores.reset()  # of an evaluation that was interrupted
        logits = self(batch.image)
        loss = self.loss(logits, batch.mask)
        self.scores.update(class_map(logits), batch.mask, batch.index)
        self.log(f"{self._split}/loss", loss, batch_size=len(batch.mask), sync_dist=True)

    def on_validation_epoch_end(self) -> None:
        """Logs the pooled scores of the split."""
        split, matrices = self._split, self.scores.compute()  # (N, 3, 3)
        scores, pooled = pooled_scores(matrices), matrices.sum(dim=0)
        self.log_dict({f"{split}/{name}": value for name, value in scores.items()}, prog_bar=split == "val")
        if split == "val":
            cells = product(enumerate(CLASSES), repeat=2)
            self.log_dict({f"val_pixels/{true}_as_{guess}": float(pooled[i, j]) for (i, true), (j, guess) in cells})
        folder = self.trainer.log_dir  # asked by every process: Lightning sends the answer of the first to the others
        if self.trainer.logger and folder and self.trainer.is_global_zero and not self.trainer.sanity_checking:
            write_json(Path(folder) / f"{split}_confusion.json", {"classes": CLASSES, "pixels": pooled.tolist()})

    test_step, on_test_epoch_end = validation_step, on_validation_epoch_end

    @property
    def _split(self) -> str:
        return "test" if self.trainer.testing else "val"

    def on_after_backward(self) -> None:
        """Says that the optimiser does not unscale gradients that were scaled for fp16: they are clipped before."""
        self.trainer.optimizers[0]._step_supports_amp_scaling = False  # type: ignore[attr-defined]

    def configure_gradient_clipping(
        self, optimizer: Optimizer, gradient_clip_val: float | None = None, gradient_clip_algorithm: str | None = None
    ) -> None:
        """Clips; then, in fp16, the optimiser's kernel skips infinite gradients, and the CPU need not ask for them."""
        self.clip_gradients(optimizer, gradient_clip_val, gradient_clip_algorithm)
        self.trainer.optimizers[0]._step_supports_amp_scaling = True  # type: ignore[attr-defined]

    def configure_optimizers(self) -> Any:
        """AdamW, its learning rate on one cycle over all steps up to the next restart; see `training.optimizer`."""
        settings = self.hparams
        cycle, steps = plan(self.trainer).cycle(self.trainer.global_step)
        rate = settings["learning_rate"] * (settings["restart_scale"] if cycle else 1)
        groups = parameter_groups(self.network, rate, settings["encoder_lr_scale"])
        optimizer = AdamW(groups, weight_decay=settings["weight_decay"], fused=True)  # one kernel for all tensors
        schedule = one_cycle(optimizer, steps, settings["warmup"])
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def _check_numbers(settings: Mapping[str, Any]) -> None:
    """Refuses numbers with which a training would fail or make no sense."""
    fractions = {"warmup": 0.2, "geometry_until": 0.8}  # with an example of each
    rates = {"learning_rate": 0.002, "restart_scale": 0.6, "weight_decay": 0.01, "encoder_lr_scale": 0.1}
    weights = {"dice_weight": 0.5, "boundary_weight": 1.0}
    for name, example in (fractions | rates | weights).items():
        span = "lie between 0 and 1" if name in fractions else "be finite and at least 0"
        if not 0 <= settings[name] <= (1 if name in fractions else sys.float_info.max):
            raise SettingsError(f"{name}={settings[name]}: must {span}, for instance {example}.")
