"""The U-Net as notebook 02 builds it; here it also takes images of any height and width.

Ronneberger, Fischer, Brox: U-Net: Convolutional Networks for Biomedical Image Segmentation (MICCAI 2015),
https://arxiv.org/abs/1505.04597, with BatchNorm after every convolution and padding that keeps the size. Separable
convolutions: Howard et al.: MobileNets (2017), https://arxiv.org/abs/1704.04861, without a BatchNorm in between.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def conv(i: int, o: int, separable: bool = False) -> list[nn.Module]:
    """The layers of a 3x3 convolution from i to o channels: one, or two that have about a ninth of the weights."""
    if separable:
        return [
            nn.Conv2d(i, i, 3, padding=1, groups=i, bias=False),  # a group per channel: each is filtered alone
            nn.Conv2d(i, o, 1, bias=False),  # mixes the channels, pixel by pixel
        ]
    return [nn.Conv2d(i, o, 3, padding=1, bias=False)]  # BatchNorm has the bias


class DoubleConv(nn.Sequential):
    """Two 3x3 convolutions, each followed by BatchNorm and ReLU: (B, in, H, W) to (B, out, H, W)."""

    def __init__(self, in_channels: int, out_channels: int, separable: bool = False) -> None:
        super().__init__(
            *conv(in_channels, out_channels, separable),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(inplace=True),  # in place: overwrites its input, which saves memory
            *conv(out_channels, out_channels, separable),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(inplace=True),
        )


class UNet(nn.Module):
    """Logits (B, num_classes, H, W) of normalised images (B, in_channels, H, W), H and W of any size.

    The default network has 7,778,643 parameters, the separable one 1,517,854.
    """

    def __init__(
        self,
        in_channels: int = 3,
        num_classes: int = 3,
        channels: Sequence[int] = (16, 32, 64, 128, 256),
        separable: bool = False,
    ) -> None:
        super().__init__()
        if not channels or min(in_channels, num_classes, *channels) < 1:
            raise ValueError(f"channels={list(channels)}: a U-Net needs a stage, and every width at least 1.")
        settings = {"in_channels": in_channels, "num_classes": num_classes, "channels": list(channels)}
        self.settings = {**settings, "separable": separable}  # a model card rebuilds the network from them
        upwards = channels[::-1]  # 256, 128, 64, 32, 16
        bottom = 2 * channels[-1]  # 512
        down_pairs = pairwise((in_channels, *channels))  # 3-16, 16-32, ..., 128-256
        up_pairs = list(pairwise((bottom, *upwards)))  # 512-256, 256-128, ..., 32-16
        self.encoder = nn.ModuleList(DoubleConv(i, o, separable) for i, o in down_pairs)
        self.pool = nn.MaxPool2d(2)
        self.bottleneck = DoubleConv(channels[-1], bottom, separable)
        self.up = nn.ModuleList(nn.ConvTranspose2d(i, o, 2, 2) for i, o in up_pairs)
        self.decoder = nn.ModuleList(DoubleConv(2 * c, c, separable) for c in upwards)  # 2 c: with the skip
        self.head = nn.Conv2d(channels[0], num_classes, 1)  # one logit per class

    def forward(self, x: Tensor) -> Tensor:
        """Each stage of the encoder halves height and width; the decoder doubles them again."""
        H, W = x.shape[-2:]
        multiple = 2 ** len(self.encoder)
        if H % multiple or W % multiple:
            # repeated edges look like more of the photo; zeros would be a grey frame after normalisation
            x = F.pad(x, (0, -W % multiple, 0, -H % multiple), mode="replicate")
        skips = []
        for stage in self.encoder:
            x = stage(x)  # (B, c, h, w)
            skips.append(x)
            x = self.pool(x)  # (B, c, h/2, w/2)
        x = self.bottleneck(x)
        for up, stage in zip(self.up, self.decoder, strict=True):
            x = up(x)  # (B, c, h, w)
            x = torch.cat([skips.pop(), x], dim=1)  # (B, 2 c, h, w), the last skip first
            x = stage(x)  # (B, c, h, w)
        x = self.head(x)
        return x[..., :H, :W]  # without the padding
