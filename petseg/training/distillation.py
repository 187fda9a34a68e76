"""A released model as a teacher: what it sees in the training images becomes a second, softer label.

Hinton, Vinyals, Dean: Distilling the Knowledge in a Neural Network (2015), https://arxiv.org/abs/1503.02531.
A hard label says that a pixel is boundary; a teacher says how sure one can be of it, which helps most where people
drew roughly.
"""

from __future__ import annotations

from pathlib import Path

import lightning as L
import torch
from torch import Tensor

from petseg.data.datamodule import PetDataModule, PixelDataset
from petseg.models import zoo
from petseg.training.task import SegmentationTask


@torch.inference_mode()
def soft_labels(teacher: str | Path, dataset: PixelDataset, device: torch.device, batch_size: int = 32) -> Tensor:
    """What a model sees in the images of a split: the mean of its word on each image and on its mirror image.

    Args:
        teacher: a released model or a `.safetensors` file.
        dataset: the split; its images are of the teacher's size.
        device: where to compute.
        batch_size: images at a time.

    Returns:
        uint8 (N, 3, H, W) on the CPU: probabilities, 255 is certainty; in the order of the split.

    Raises:
        ModelError: there is no such teacher.
    """
    network, card = zoo.load(teacher)
    network = network.to(device).to(memory_format=torch.channels_last)
    mean, std = (torch.tensor(three, device=device).view(1, 3, 1, 1) for three in (card.mean, card.std))
    soft = []
    for start in range(0, len(dataset), batch_size):
        batch = dataset.__getitems__(list(range(start, min(start + batch_size, len(dataset)))))
        image = (batch.image.to(device).float() / 255 - mean) / std
        seen = network(image).float().softmax(dim=1) + network(image.flip(-1)).float().softmax(dim=1).flip(-1)
        soft.append((seen / 2 * 255).round().to(torch.uint8).cpu())
    return torch.cat(soft)


class Distillation(L.Callback):
    """Has a teacher look at all training images before the first epoch; its word moves along with the random changes.

    The loss is then (1 - weight) times that of the hard labels and weight times the cross-entropy with the soft ones.

    Args:
        teacher: a released model or a `.safetensors` file.
        weight: share of the teacher's word, 0 to 1.
    """

    def __init__(self, teacher: str = "unet-lite0", weight: float = 0.5) -> None:
        if not 0 <= weight <= 1:
            raise ValueError(f"weight={weight}: must lie between 0 and 1, for instance 0.5.")
        self.teacher = teacher
        self.weight = weight

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Asks the teacher.

        Raises:
            ModelError: there is no such teacher.
        """
        data = getattr(trainer, "datamodule", None)
        assert isinstance(pl_module, SegmentationTask)
        assert isinstance(data, PetDataModule)
        with trainer.precision_plugin.forward_context():  # as fast as the training itself
            pl_module.soft = soft_labels(self.teacher, data.datasets["train"], pl_module.device)
        pl_module.soft_weight = self.weight

    def on_fit_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Forgets the soft labels, which take as much memory as the images."""
        assert isinstance(pl_module, SegmentationTask)
        pl_module.soft = None
