"""The plain way, as a first script would take it: what `petseg bench` compares ours with.

The same network, Adam at a constant 1e-3, batches of 8, float32, cross-entropy and no augmentation. A DataLoader of
three processes decodes and resizes each JPEG again in each epoch. A cut-out is the class map of one pass, enlarged.
"""

from collections.abc import Iterable, Mapping, Sequence
from io import BytesIO
from typing import Any, Final

import numpy as np
import torch
import torch.nn.functional as F
from lightning.pytorch.cli import instantiate_class
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Subset
from torchvision.datasets import OxfordIIITPet
from torchvision.transforms import v2

from petseg.data.datamodule import PetDataModule
from petseg.inference.predictor import Predictor
from petseg.labels import PET
from petseg.metrics.confusion import pooled_scores, split_matrices
from petseg.models.device import best_device

BATCH: Final = 8
WORKERS: Final = 3


class PlainTraining:
    """The network of a recipe, its optimiser and the training loop."""

    def __init__(self, recipe: Mapping[str, Any]) -> None:
        self.device = torch.device(best_device())
        self.network: nn.Module = instantiate_class((), recipe["model"]["network"]).to(self.device)
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=1e-3)

    def epoch(self, loader: Iterable[Sequence[Tensor]]) -> None:
        """Trains on images float (B, 3, H, W) and labels int64 (B, H, W)."""
        self.network.train()
        for image, mask in loader:
            self.optimizer.zero_grad()
            F.cross_entropy(self.network(image.to(self.device)), mask.to(self.device)).backward()
            self.optimizer.step()

    @torch.inference_mode()
    def score(self, data: PetDataModule) -> float:
        """Mean IoU on validation, pooled; its images come from the cache."""
        self.network.eval()
        matrices = split_matrices(lambda image: self.network(image.to(self.device) / 255).cpu(), data.val_dataloader())
        return pooled_scores(matrices)["mean_iou"]


def plain_loader(data: PetDataModule, images: int | None = None) -> DataLoader[Any]:
    """The first `images` of the train split, default: all, as torchvision reads them."""
    size = (data.image_size, data.image_size)
    image = v2.Compose([v2.Resize(size), v2.PILToTensor(), v2.ToDtype(torch.float32, scale=True)])
    mask = v2.Compose([v2.Resize(size, v2.InterpolationMode.NEAREST), v2.PILToTensor(), _labels])
    files = OxfordIIITPet(data.root, "trainval", "segmentation", transform=image, target_transform=mask)
    rows = data.datasets["train"].rows.tolist()[:images]  # both read the same list, in its order
    return DataLoader(Subset(files, rows), BATCH, shuffle=True, num_workers=WORKERS)


def _labels(trimap: Tensor) -> Tensor:
    return trimap[0].long() - 1  # 1, 2, 3 become 0, 1, 2


@torch.inference_mode()
def plain_cutout(predictor: Predictor, file: BytesIO) -> Image.Image:
    """The photo with the enlarged class map of one pass as its transparency: RGBA."""
    photo = Image.open(file).convert("RGB")
    small = torch.from_numpy(np.array(photo.resize(predictor.card.size[::-1]))).permute(2, 0, 1)[None]
    pet = predictor.segmenter(small.to(predictor.device))[0].argmax(dim=0) == PET
    photo.putalpha(Image.fromarray((255 * pet).byte().cpu().numpy()).resize(photo.size))
    return photo
