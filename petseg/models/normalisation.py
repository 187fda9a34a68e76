"""Normalisation: how pixels become what a network reads. Every part of petseg that normalises does it here."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

import torch
from torch import Tensor, nn

RGB = tuple[float, float, float]


class Statistics(NamedTuple):
    """Mean and standard deviation of each colour channel, of pixels in 0..1."""

    mean: RGB
    std: RGB


#: Of ImageNet's photos: the usual constants, and near those of any set of photos.
IMAGENET: Final = Statistics((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))

#: Of EfficientNet-Lite's training: pixels 0 to 1 become -1 to 1.
EFFICIENTNET_LITE: Final = Statistics((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


class Normalisation(nn.Module):
    """`(x - mean) / std` in each colour channel, so that the network's input has a mean near 0 and a spread near 1.

    Args:
        mean: RGB, of pixels in 0..1.
        std: RGB, as `mean`.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, mean: RGB, std: RGB) -> None:
        super().__init__()
        # buffers: they move to the network's device with it, but training does not change them
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(3, 1, 1), persistent=False)

    @property
    def statistics(self) -> Statistics:
        """The constants as plain numbers, for a model card."""
        return Statistics(as_rgb(self.mean.flatten().tolist()), as_rgb(self.std.flatten().tolist()))

    def forward(self, image: Tensor) -> Tensor:
        """Normalised images, float (B, 3, H, W) or (3, H, W), of images uint8, or float with values 0 to 1."""
        if image.dtype == torch.uint8:
            image = image.float() / 255
        return (image - self.mean) / self.std  # (3, 1, 1) is repeated over B, H and W


def as_rgb(values: Iterable[float]) -> RGB:
    """Three numbers, one per colour channel; any other count raises ValueError."""
    red, green, blue = values
    return float(red), float(green), float(blue)
