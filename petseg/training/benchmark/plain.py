"""The plain way to train, as a first script does it: what our way is compared with.

The same network as `UNet()`, Adam with a constant 1e-3, batches of 8, fp32, contiguous memory, cross-entropy, no
augmentation. A DataLoader of three processes decodes and resizes each JPEG again in each epoch.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Subset
from torchvision.datasets import OxfordIIITPet

from petseg.data.datamodule import PetDataModule
from petseg.metrics.confusion import class_map, confusion_matrices, pooled_scores
from petseg.models.segmenter import best_device
from petseg.models.unet import UNet

BATCH: Final = 8
WORKERS: Final = 3
LEARNING_RATE: Final = 1e-3


class Resize:
    """Image and trimap from torchvision as tensors of one size; a class, so that loader processes can be given it.

    Args:
        size: height and width in pixels.
    """

    def __init__(self, size: int) -> None:
        self.size = size

    def __call__(self, image: Image.Image, trimap: Image.Image) -> tuple[Tensor, Tensor]:
        """Image float (3, S, S), values 0 to 1, and labels int64 (S, S)."""
        shape = (self.size, self.size)
        pixels = np.asarray(image.convert("RGB").resize(shape, Image.Resampling.BILINEAR))
        values = np.asarray(trimap.resize(shape, Image.Resampling.NEAREST))
        tensor = torch.from_numpy(pixels.transpose(2, 0, 1).copy()).float() / 255
        return tensor, torch.from_numpy(values.astype(np.int64) - 1)  # trimap values 1 to 3 are labels 0 to 2


class PlainTraining:
    """A network, its optimiser and its loader.

    Args:
        recipe: gives the network's channels and the images' size; nothing else of it is used.
        data: set up; gives the same train and validation split.
        images: how many of the train split; all when None.
    """

    def __init__(self, recipe: Mapping[str, Any], data: PetDataModule, images: int | None = None) -> None:
        self.device = torch.device(best_device())
        self.network = UNet(channels=recipe["model"]["network"]["init_args"]["channels"]).to(self.device)
        self.optimizer = torch.optim.Adam(self.network.parameters(), LEARNING_RATE)
        self.data = data
        size = recipe["data"]["image_size"]
        files = OxfordIIITPet(str(data.data_dir), "trainval", "segmentation", transforms=Resize(size))
        rows = data.datasets["train"].rows.tolist()  # both read the same list, in its order
        chosen = Subset(files, rows[:images])
        with _any_number_of_workers():
            self.loader = DataLoader(chosen, BATCH, shuffle=True, num_workers=WORKERS)
        self.images = len(chosen)

    def epoch(self) -> None:
        """Trains on each image once."""
        self.network.train()
        with _any_number_of_workers():
            batches = iter(self.loader)
        for image, mask in batches:
            plain_step(self.network, self.optimizer, image.to(self.device), mask.to(self.device))

    @torch.inference_mode()
    def score(self) -> float:
        """Mean IoU on validation, the pixels of all images pooled; its images come from the cache."""
        self.network.eval()
        confusion = torch.zeros(3, 3, dtype=torch.int64)
        for batch in self.data.val_dataloader():
            logits = self.network((batch.image.float() / 255).contiguous().to(self.device))
            confusion += confusion_matrices(class_map(logits).cpu(), batch.mask).sum(dim=0)
        return pooled_scores(confusion[None])["mean_iou"]


@contextmanager
def _any_number_of_workers() -> Iterator[None]:
    """Keeps quiet that there are more loader processes than cores, since they are what is compared."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "This DataLoader will create")
        yield


def plain_step(network: UNet, optimizer: torch.optim.Optimizer, image: Tensor, mask: Tensor) -> None:
    """One step on images float (B, 3, H, W) and labels int64 (B, H, W)."""
    optimizer.zero_grad()
    F.cross_entropy(network(image), mask).backward()
    optimizer.step()
