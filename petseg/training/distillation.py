"""Knowledge distillation: the probabilities of trained models, the teachers, become second, softer labels.

Hinton, Vinyals, Dean: Distilling the Knowledge in a Neural Network (2015), https://arxiv.org/abs/1503.02531.
A hard label says that a pixel is boundary; a teacher's probabilities say how certain that is.
"""

from collections.abc import Sequence
from copy import deepcopy
from typing import Any, cast

import lightning as L
import torch
from torch import Tensor

from petseg.data.datamodule import PetDataModule, PixelDataset
from petseg.errors import SettingsError
from petseg.evaluation.evaluate import batches, both_ways
from petseg.models import zoo
from petseg.models.segmenter import Segmenter
from petseg.training.ema import WarmupEMA
from petseg.training.optimizer import plan
from petseg.training.task import SegmentationTask


@torch.inference_mode()
def soft_labels(segmenters: Sequence[Segmenter], dataset: PixelDataset, batch_size: int = 32) -> Tensor:
    """Mean probabilities of several models for the images of a split, of the models' size, and their mirror images.

    Args:
        segmenters: the models in evaluation mode, all on one device.

    Returns:
        uint8 (N, 3, H, W) on that device, in the order of the split; 255 is certainty.
    """
    device = next(segmenters[0].parameters()).device
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
        join: fraction of all epochs after which the student itself becomes one more teacher, with its averaged weights
            of that time, which are renewed wherever the learning rate restarts; 1: never. The mean of models that are
            about equally good, and err in different places, is often better than each (compare Furlanello et al.:
            Born-Again Neural Networks, ICML 2018, https://arxiv.org/abs/1805.04770).
    """

    def __init__(self, teacher: str | list[str] = "unet-lite0", weight: float = 0.5, join: float = 1.0) -> None:
        for name, value in (("weight", weight), ("join", join)):
            if not 0 <= value <= 1:
                raise SettingsError(f"{name}={value}: must lie between 0 and 1, for instance 0.5.")
        self.teachers = [teacher] if isinstance(teacher, str) else list(teacher)
        if not self.teachers:
            raise SettingsError("teacher=[]: must name at least one model, for instance unet-lite0.")
        self.weight, self.join = weight, join
        self._student: dict[str, Tensor] = {}  # the weights that joined
        self._taught: Tensor | None = None  # the soft labels of the teachers without the student

    def state_dict(self) -> dict[str, Any]:
        """The weights that joined, so that a training that is resumed goes on with the same teachers."""
        return {"student": self._student}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes the weights that joined from a checkpoint."""
        self._student = state_dict["student"]

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Computes the teachers' probabilities. Raises ModelError if there is no such teacher."""
        data = getattr(trainer, "datamodule", None)
        if not isinstance(pl_module, SegmentationTask) or not isinstance(data, PetDataModule):
            raise TypeError("Distillation needs a SegmentationTask and a PetDataModule")
        self._taught = None  # of a training that failed
        if not trainer.ckpt_path:
            self._student = {}
        self._teach(trainer, pl_module)

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Lets the student join when its time has come, and with better weights after each cycle."""
        if self.join == 1 or not isinstance(pl_module, SegmentationTask):
            return
        epochs, ends = plan(trainer)
        restarts = trainer.global_step in ends[:-1]
        if (restarts or not self._student) and trainer.current_epoch / epochs >= self.join:
            averages = [item.average for item in cast(Any, trainer).callbacks if isinstance(item, WarmupEMA)]
            student = cast(SegmentationTask, averages[0] if averages else pl_module).segmenter
            self._student = deepcopy(student.state_dict())
            self._teach(trainer, pl_module)

    def _teach(self, trainer: L.Trainer, task: SegmentationTask) -> None:
        """Gives the task the mean probabilities of its teachers, and of the student where it has joined them."""
        if self._taught is None:
            self._taught = self._labels(trainer, task, [zoo.load(teacher)[0] for teacher in self.teachers])
        soft = self._taught
        if self._student:
            student = deepcopy(task.segmenter).eval()
            student.load_state_dict(self._student)
            count = len(self.teachers) + 1
            total = soft.to(torch.int16) * (count - 1) + self._labels(trainer, task, [student])
            soft = ((total + count // 2) // count).to(torch.uint8)  # rounded
        task.use_soft_labels(soft, self.weight)

    def _labels(self, trainer: L.Trainer, task: SegmentationTask, segmenters: list[Segmenter]) -> Tensor:
        """Soft labels of the train split, on the device of the task."""
        for segmenter in segmenters:
            segmenter.to(task.device).to(memory_format=torch.channels_last)
        with trainer.precision_plugin.forward_context():  # as fast as the training itself
            return soft_labels(segmenters, cast(Any, trainer).datamodule.datasets["train"])

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        """Leaves no teacher to the next training of the task."""
        if isinstance(pl_module, SegmentationTask):
            pl_module.use_soft_labels(None)

    def on_fit_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Frees the soft labels, which take as much memory as the images."""
        self._student, self._taught = {}, None
        if isinstance(pl_module, SegmentationTask):
            pl_module.use_soft_labels(None)
