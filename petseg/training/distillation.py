"""Knowledge distillation: the probabilities of trained models, the teachers, become second, softer labels.

Hinton, Vinyals, Dean: Distilling the Knowledge in a Neural Network (2015), https://arxiv.org/abs/1503.02531.
A hard label says that a pixel is boundary; a teacher's probabilities say how certain that is, which helps most where
annotators drew roughly.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import lightning as L
import torch
from torch import Tensor

from petseg.data.datamodule import PetDataModule, PixelDataset
from petseg.errors import SettingsError
from petseg.evaluation.evaluate import batches, both_ways
from petseg.models import zoo
from petseg.training.task import SegmentationTask


@torch.inference_mode()
def soft_labels(
    teachers: Sequence[str | Path], dataset: PixelDataset, device: torch.device, batch_size: int = 32
) -> Tensor:
    """Mean probabilities of several models for the images of a split, of the models' size, and their mirror images.

    Returns:
        uint8 (N, 3, H, W) on the device, in the order of the split; 255 is certainty.

    Raises:
        ModelError: there is no such teacher.
    """
    segmenters = [zoo.load(teacher)[0].to(device).to(memory_format=torch.channels_last) for teacher in teachers]
    soft = []
    for batch in batches(dataset, batch_size):
        image = batch.image.to(device)
        probability = torch.stack([both_ways(segmenter, image) for segmenter in segmenters]).mean(0)
        soft.append((probability * 255).round().to(torch.uint8))
    return torch.cat(soft)


class Distillation(L.Callback):
    """Trains with the probabilities of teachers as well as with the masks.

    The loss is (1 - weight) times that of the masks plus weight times the cross-entropy with the teachers'
    probabilities. These are computed before the first epoch and then move along with the augmented images. So they fit
    best to images that are not rotated or scaled (Beyer et al.: Knowledge distillation: A good teacher is patient and
    consistent, CVPR 2022, https://arxiv.org/abs/2106.05237).

    Args:
        teacher: a released model or a `.safetensors` file, or several, whose probabilities are averaged.
        weight: fraction of the loss that the teachers have, 0 to 1.
    """

    def __init__(self, teacher: str | list[str] = "unet-lite0", weight: float = 0.5) -> None:
        if not 0 <= weight <= 1:
            raise SettingsError(f"weight={weight}: must lie between 0 and 1, for instance 0.5.")
        self.teachers = [teacher] if isinstance(teacher, str) else list(teacher)
        self.weight = weight

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Computes the teachers' probabilities.

        Raises:
            ModelError: there is no such teacher.
        """
        data = getattr(trainer, "datamodule", None)
        if not isinstance(pl_module, SegmentationTask) or not isinstance(data, PetDataModule):
            raise TypeError("Distillation needs a SegmentationTask and a PetDataModule")
        with trainer.precision_plugin.forward_context():  # as fast as the training itself
            soft = soft_labels(self.teachers, data.datasets["train"], pl_module.device)
        pl_module.use_soft_labels(soft, self.weight)

    def on_fit_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Frees the soft labels, which take as much memory as the images."""
        if isinstance(pl_module, SegmentationTask):
            pl_module.use_soft_labels(None)
