"""From pixels to logits in one module: a network together with the normalisation of the images that it reads."""

from functools import cache
from typing import Final, NamedTuple

import torch
from torch import Tensor, nn

RGB = tuple[float, float, float]


class Statistics(NamedTuple):
    """Mean and standard deviation of each colour channel, of pixels from 0 to 1."""

    mean: RGB
    std: RGB


#: Of ImageNet's photos: the usual constants, close to those of any large set of photos.
IMAGENET: Final = Statistics((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))

#: Of EfficientNet-Lite's training: pixels from 0 to 1 become -1 to 1.
EFFICIENTNET_LITE: Final = Statistics((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


def best_device() -> str:
    """`cuda` or `mps` where PyTorch can use it, else `cpu`."""
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if _mps_computes() else "cpu"


@cache
def _mps_computes() -> bool:
    """Whether there is a GPU of Apple that takes a tensor: in a virtual machine PyTorch finds one that takes none."""
    try:
        return torch.backends.mps.is_available() and bool(torch.ones(1, device="mps").isfinite())
    except RuntimeError:
        return False


class Segmenter(nn.Module):
    """A network that takes images as they are; training, prediction and export all use it.

    `network` maps normalised images (B, 3, H, W) to logits (B, K, H, W). The statistics belong to its training: with
    other ones its features are wrong, without any error message.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module, mean: RGB = IMAGENET.mean, std: RGB = IMAGENET.std) -> None:
        super().__init__()
        self.network = network
        self.statistics = Statistics(mean, std)  # as plain numbers, for a model card
        # buffers move to the network's device with it; not persistent, so that weights are all that is saved
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(3, 1, 1), persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        """Logits float32 (B, K, H, W) of images (B, 3, H, W), uint8 or float from 0 to 1."""
        if image.dtype == torch.uint8:
            image = image.float() / 255
        if image.device.type == "mps":  # before PyTorch 2.14, BatchNorm's gradients of channels-last images are wrong
            image = image.contiguous()
        normalised = (image - self.mean) / self.std  # (3, 1, 1) is repeated over B, H and W
        logits: Tensor = self.network(normalised)
        return logits.float()  # loss and class map need full precision, also where the network computes in half
