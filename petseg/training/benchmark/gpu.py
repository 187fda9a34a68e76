"""Training with the whole data set in the GPU's memory and a compiled network."""

from __future__ import annotations

import torch
from torch import Tensor

from petseg.data.datamodule import PixelDataset
from petseg.training.benchmark.clock import alternate, seconds
from petseg.training.benchmark.epoch import opened
from petseg.training.benchmark.ours import TrainingStep
from petseg.training.benchmark.row import Row, Spread
from petseg.training.benchmark.settings import Settings


def gpu_row(settings: Settings) -> Row:
    """Seconds of an epoch of the whole train split; unmeasured where PyTorch finds no NVIDIA GPU."""
    title = f"an epoch at {settings.size} px from the GPU's memory, network compiled"
    if not torch.cuda.is_available():
        return Row(title, "s", {"ours": None}, note="unmeasured here: it needs an NVIDIA GPU")
    recipe = {**settings.recipe, "model": {**settings.recipe["model"], "compile": True}}
    step = TrainingStep(recipe, torch.device("cuda"))
    images, masks = resident(opened(settings).datasets["train"], step.device)
    measured = alternate(
        {"ours": lambda: seconds(lambda: train_epoch(step, images, masks, settings.batch), step.device)},
        settings.rounds,
    )
    note = f"{torch.cuda.get_device_name()}; {len(images):,} images; compiling does not count"
    return Row(title, "s", {"ours": Spread.of(measured["ours"])}, note=note)


def resident(dataset: PixelDataset, device: torch.device) -> tuple[Tensor, Tensor]:
    """All images uint8 (N, 3, S, S) in channels-last memory and masks uint8 (N, S, S) of a split, on a device."""
    batch = dataset.__getitems__(list(range(len(dataset))))
    return batch.image.to(device), batch.mask.to(device)


def train_epoch(step: TrainingStep, images: Tensor, masks: Tensor, batch: int) -> int:
    """Trains on whole batches in random order, drawn and gathered on the device; returns their number.

    A last, shorter batch is left out: the network would be compiled once more for it.
    """
    order = torch.randperm(len(images), device=images.device)
    batches = order[: len(order) - len(order) % batch].split(batch)
    for rows in batches:
        step(images[rows], masks[rows])
    return len(batches)
