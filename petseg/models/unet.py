"""The U-Net and its building blocks.

Ronneberger, Fischer, Brox: U-Net: Convolutional Networks for Biomedical Image Segmentation (MICCAI 2015),
https://arxiv.org/abs/1505.04597, with BatchNorm after every convolution and padding that keeps the size.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from petseg.models.segmenter import IMAGENET


class DoubleConv(nn.Sequential):
    """Two 3x3 convolutions, each followed by BatchNorm and ReLU; height and width stay.

    Holds 9 * (in * out + out * out) weights and 4 * out BatchNorm parameters.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(
            *self.convolution(in_channels, out_channels),  # (B, in, H, W) to (B, out, H, W)
            nn.BatchNorm2d(out_channels),  # each channel to mean 0 and spread 1 over the batch: steps can be larger
            nn.ReLU(inplace=True),  # without it, two convolutions would be no more than one; in place saves memory
            *self.convolution(out_channels, out_channels),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(inplace=True),
        )

    @staticmethod
    def convolution(in_channels: int, out_channels: int) -> list[nn.Module]:
        """The layers that stand for one 3x3 convolution."""
        return [
            nn.Conv2d(
                in_channels,
                out_channels,
                kernel_size=3,
                padding=1,  # height and width stay, so that skips fit without cropping
                bias=False,  # BatchNorm has the bias
            )
        ]


class SeparableDoubleConv(DoubleConv):
    """`DoubleConv` with each 3x3 convolution split in two: a 3x3 filter per channel, then a 1x1 mix of the channels.

    Holds 9 * (in + out) + in * out + out * out weights and 4 * out BatchNorm parameters: about a ninth.
    Howard et al.: MobileNets (2017), https://arxiv.org/abs/1704.04861, without the normalisation in between.
    """

    @staticmethod
    def convolution(in_channels: int, out_channels: int) -> list[nn.Module]:
        """A depthwise 3x3 and a pointwise 1x1 convolution."""
        return [
            # one group per channel: each filter sees its own channel only
            nn.Conv2d(in_channels, in_channels, kernel_size=3, padding=1, groups=in_channels, bias=False),
            nn.Conv2d(in_channels, out_channels, kernel_size=1, bias=False),  # mixes channels, pixel by pixel
        ]


class UNet(nn.Module):
    """Encoder, bottleneck and decoder with skip connections: an image in, a score per class and pixel out.

    The default network has 7,778,643 parameters, the separable one 1,517,854.

    Args:
        in_channels: channels of the image, 3 for RGB.
        num_classes: channels of the logits.
        channels: width of each encoder stage; every stage but the bottleneck halves height and width, and the
            bottleneck is twice as wide as the last stage.
        separable: build the stages from depthwise-separable convolutions.
        skips: concatenate each decoder stage's input with the output of the encoder stage of its size; without, the
            decoder sees only what came through the bottleneck.

    Attributes:
        settings: the arguments above, by which a model card rebuilds the network.
        statistics: mean and standard deviation by which its images are normalised.

    Raises:
        ValueError: there is no stage, or a width is not positive.
    """

    statistics = IMAGENET

    def __init__(
        self,
        in_channels: int = 3,
        num_classes: int = 3,
        channels: Sequence[int] = (16, 32, 64, 128, 256),
        separable: bool = False,
        skips: bool = True,
    ) -> None:
        super().__init__()
        widths = [in_channels, *channels]
        if len(widths) < 2 or min(*widths, num_classes) < 1:
            raise ValueError(
                f"UNet(in_channels={in_channels}, num_classes={num_classes}, channels={tuple(channels)}): "
                "every number must be at least 1 and channels must name at least one stage."
            )
        block = SeparableDoubleConv if separable else DoubleConv
        self.skips = skips
        self.settings: dict[str, Any] = {
            "in_channels": in_channels,
            "num_classes": num_classes,
            "channels": list(channels),
            "separable": separable,
        }
        if not skips:  # only where it is not the default, so that cards of earlier releases still fit
            self.settings["skips"] = False
        self.encoder = nn.ModuleList(block(i, o) for i, o in pairwise(widths))  # 3-16, 16-32, ..., 128-256
        self.pool = nn.MaxPool2d(2)  # has no weights, so one serves all stages
        self.bottleneck = block(channels[-1], 2 * channels[-1])
        upwards = list(channels)[::-1]  # 256, 128, 64, 32, 16
        below = [2 * channels[-1], *upwards[:-1]]  # 512, 256, 128, 64, 32: channels of the stage below
        self.up = nn.ModuleList(
            # stride 2 with a 2x2 kernel: each pixel becomes four, and no two of them overlap
            nn.ConvTranspose2d(b, c, kernel_size=2, stride=2)
            for b, c in zip(below, upwards, strict=True)
        )
        self.decoder = nn.ModuleList(block(2 * c if skips else c, c) for c in upwards)  # 2 c: skip and upsampled
        self.head = nn.Conv2d(channels[0], num_classes, kernel_size=1)  # per pixel: a score for each class

    def forward(self, image: Tensor) -> Tensor:
        """Logits of an image.

        Args:
            image: float (B, in_channels, H, W), normalised; H and W of any size.

        Returns:
            float (B, num_classes, H, W), unnormalised scores.
        """
        H, W = image.shape[-2:]
        x = self._pad(image)
        skips = []
        for stage in self.encoder:
            x = stage(x)  # (B, c, h, w)
            skips.append(x)  # kept for the decoder: pooling loses where exactly things are
            x = self.pool(x)  # (B, c, h/2, w/2)
        x = self.bottleneck(x)  # (B, 2 c, h, w): the coarsest feature map
        for up, stage in zip(self.up, self.decoder, strict=True):
            skip, x = skips.pop(), up(x)  # (B, c, h, w) each; the last skip stored is the first used
            x = stage(torch.cat([skip, x], dim=1) if self.skips else x)  # (B, c, h, w)
        logits: Tensor = self.head(x)
        return logits[..., :H, :W]  # without what _pad added

    def _pad(self, image: Tensor) -> Tensor:
        """Grows height and width to a multiple of 2 ** stages, so that every halving is exact."""
        H, W = image.shape[-2:]
        multiple = 2 ** len(self.encoder)
        bottom, right = -H % multiple, -W % multiple
        if not (bottom or right):
            return image
        # the edge repeated looks like more of the photo; zeros would be a grey frame after normalisation
        return F.pad(image, (0, right, 0, bottom), mode="replicate")
