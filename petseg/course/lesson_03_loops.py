"""Checks of notebook 03 that train: validation, a loop with three bugs, a LightningModule."""

import math
from itertools import combinations
from typing import Any

import lightning as L
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader

from petseg.course.checks import trial
from petseg.course.hints import NotYetError, ask, call
from petseg.course.references_06 import train_step
from petseg.data.augment import Augment, AugmentSettings
from petseg.data.datamodule import Batch
from petseg.metrics.confusion import class_map, confusion_matrices, mean_iou
from petseg.models.segmenter import IMAGENET, best_device
from petseg.models.unet import UNet
from petseg.training.scoring import quiet


def normalise(image: Tensor) -> Tensor:
    """Images float (B, 3, H, W) from 0 to 1, with ImageNet's mean and standard deviation."""
    mean, std = (torch.tensor(values, device=image.device).view(3, 1, 1) for values in IMAGENET)
    return (image - mean) / std


def batches(*sizes: int) -> list[Batch]:
    """Batches of random examples of 8 x 8 pixels."""
    draw = torch.Generator().manual_seed(1)
    images = [torch.randint(0, 256, (B, 3, 8, 8), generator=draw, dtype=torch.uint8) for B in sizes]
    masks = [torch.randint(0, 3, (B, 8, 8), generator=draw, dtype=torch.uint8) for B in sizes]
    return [Batch(image, mask, torch.arange(len(mask))) for image, mask in zip(images, masks, strict=True)]


def small_network() -> UNet:
    """The same network in each call."""
    torch.manual_seed(0)
    return UNet(channels=[4]).to(best_device())


def numbers(network: nn.Module) -> Tensor:
    """Weights and running statistics of a network, as one vector."""
    return torch.cat([value.flatten().float().cpu() for value in network.state_dict().values()])


def _validate(network: nn.Module, loader: Any, *, bug: str = "") -> dict[str, float]:
    network.train(bug == "train")
    losses, matrices, counts = [], [], []
    with torch.no_grad():
        for image, mask, _ in loader:
            pixels, mask = image.to(best_device()) / 255, mask.to(best_device())
            pixels = 255 * pixels if bug == "bytes" else pixels
            logits = network(pixels if bug == "raw" else normalise(pixels))
            losses.append(F.cross_entropy(logits, mask.long()).item())
            matrices.append(confusion_matrices(class_map(logits), mask).sum(dim=0))
            counts.append(1 if bug == "means" else len(mask))
    weights = [1] * len(counts) if bug == "unweighted" else counts
    loss = sum(x * n for x, n in zip(losses, weights, strict=True)) / sum(counts)
    single = sum(mean_iou(matrix).item() for matrix in matrices) / len(matrices)
    return {
        "val loss": loss,
        "val mean IoU": single if bug == "single" else mean_iou(torch.stack(matrices).sum(0)).item(),
    }


@trial(
    "03.e",
    "validate",
    _validate,
    {
        "your loss is a mean of batch means, in which a small batch weighs as much as a large one.": "means",
        "the loss of a batch is a mean: multiply it by the number of its images before you add it up.": "unweighted",
        "your IoU is a mean over batches. Sum the confusion matrices first.": "single",
        "these pixels run from 0 to 255: divide by 255 before `normalise`.": "bytes",
        "the network must see normalised images, pixels from 0 to 1 before that.": "raw",
    },
    "The same images give the same numbers, whatever the batch size.",
    "expected loss and mean IoU {expected}, but got {result}.",
)
def _validated(validate: Any) -> tuple[float, ...]:
    network, loader, graphs = small_network(), batches(3, 3, 1), list[bool]()
    for image, _, _ in loader:  # running statistics that differ from those of a batch
        network.train()(normalise(image.to(best_device()) / 255))
    before = numbers(network)
    network.register_forward_hook(lambda module, image, logits: graphs.append(logits.requires_grad))
    scores = ask(validate, network, loader)
    if not isinstance(scores, dict) or set(scores) != {"val loss", "val mean IoU"}:
        raise NotYetError(f'expected a dictionary with "val loss" and "val mean IoU", but got {scores!r}.')
    if not torch.equal(numbers(network), before):
        raise NotYetError("BatchNorm used the batch, and not its running statistics. Which call switches that?")
    if any(graphs):
        raise NotYetError("gradients were prepared, which costs memory: see `no_grad`.")
    return tuple(float(scores[name]) for name in ("val loss", "val mean IoU"))


BUGS = {
    "zero_grad": "the gradients of all steps so far add up",
    "eval": "validation uses and changes the statistics of the batch",
    "twice": "the training images are normalised twice, those of validation once",
}


def _repaired(network: nn.Module, optimizer: Any, loader: Any, val_loader: Any, *, bug: tuple[str, ...] = ()) -> float:
    network.train()
    for image, mask, _ in loader:
        image = normalise(image.to(best_device()) / 255)
        image = normalise(image) if "twice" in bug else image
        kept, clip = "kept" if "zero_grad" in bug else "", 1.0 if "clipping" in bug else math.inf
        train_step(network, optimizer, image, mask.to(best_device()).long(), bug=kept, clip=clip)
    return _validate(network, val_loader, bug="train" if "eval" in bug else "")["val mean IoU"]


@trial(
    "03.i",
    "a loop with three bugs",
    _repaired,
    {
        f"{count} of 3 left: {'; '.join(BUGS[bug] for bug in left)}.": left
        for count in (1, 2, 3)
        for left in combinations(BUGS, count)
    }
    | {
        "all three are repaired, but you also clip the gradient. `broken` does not, and that is not one of its bugs.": (
            "clipping",
        )
    },
    "All three bugs are repaired.",
    "your loop trains in another way. Change only what is wrong.",
)
def _epoch(loop: Any) -> Tensor:
    network = small_network()
    optimizer = torch.optim.SGD(network.parameters(), 0.1)
    score = float(ask(loop, network, optimizer, batches(2, 2, 2, 2), batches(3, 3, 1)))
    return torch.cat([torch.tensor([score]), numbers(network)])


class _PetTask(L.LightningModule):
    """The module of the notebook; `bug` names what is wrong with it."""

    def __init__(self, network: nn.Module, rate: float, augment: nn.Module, *, bug: str = "") -> None:
        super().__init__()
        self.network, self.rate, self.augment, self.bug = network, rate, augment, bug

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        image, mask = batch.image.float() / (1 if self.bug in ("bytes", "late") else 255), batch.mask
        image = normalise(image) if self.bug == "early" else image
        if self.bug != "augment":
            image, mask = self.augment(image, mask)
        image = image / 255 if self.bug == "late" else image
        image = image if self.bug in ("raw", "early") else normalise(image)
        loss = F.cross_entropy(self.network(image), mask.long())
        self.log("train loss", loss, on_step=False, on_epoch=True, batch_size=len(mask))
        return loss

    def on_validation_epoch_start(self) -> None:
        self.matrix = torch.zeros(3, 3, dtype=torch.int64)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        logits = self.network(normalise(batch.image / 255))
        self.log("val loss", F.cross_entropy(logits, batch.mask.long()), batch_size=len(batch.mask))
        self.matrix += confusion_matrices(class_map(logits), batch.mask).sum(dim=0)

    def on_validation_epoch_end(self) -> None:
        self.log("val mean IoU", mean_iou(self.matrix))

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.AdamW(self.parameters(), self.rate, weight_decay=0.01, fused=True)
        if self.bug == "constant":
            return optimizer
        steps = int(self.trainer.estimated_stepping_batches)
        rising = 0.3 if self.bug == "rising" else 0.2
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, self.rate, steps, pct_start=rising)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "epoch" if self.bug == "epoch" else "step"},
        }


@trial(
    "03.j",
    "a LightningModule",
    _PetTask,
    {
        "the images are not augmented.": "augment",
        "the network must see normalised images.": "raw",
        "the pixels run from 0 to 255: divide by 255 before the augmentation.": "bytes",
        "the augmentation keeps pixels between 0 and 1: divide by 255 before it, not after.": "late",
        "the augmentation keeps pixels between 0 and 1: normalise after it.": "early",
        "the learning rate stays constant. Return the schedule as `lr_scheduler`, with its `scheduler`.": "constant",
        "the rate rises for another part of the run than in the loop by hand: `pct_start=0.2`.": "rising",
        'the schedule changes once per epoch. Its "interval" is "step".': "epoch",
    },
    "The Trainer calls these methods; the loop is its own.",
    "after six steps the weights are not those of the loop by hand.",
)
def _fitted(task: Any) -> Tensor:
    network = small_network()
    module = ask(task, network, 1e-2, Augment(AugmentSettings(flip=1.0, brightness=0.5)))
    torch.manual_seed(0)  # of the brightness
    off = ("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary")
    settings: dict[str, Any] = {"accelerator": best_device(), "devices": 1, **dict.fromkeys(off, False)}
    with quiet():
        trainer = L.Trainer(max_epochs=2, gradient_clip_val=1.0, limit_val_batches=0, **settings)
        loader: Any = DataLoader(batches(2, 2, 2), batch_size=None)  # type: ignore[arg-type]  # a list will do
        call(trainer.fit, module, loader, loader)
    return numbers(network)
