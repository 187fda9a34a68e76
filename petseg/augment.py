"""Random flips, affine and colour changes of a whole batch at once, on the device where the batch is.

Each example draws its own changes. Image and mask are read through one and the same grid, so they cannot part.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class AugmentSettings:
    """How far the changes go; each is drawn uniformly per example.

    Args:
        flip: probability of a left-right flip.
        degrees: rotation to either side, in degrees.
        scale_min: the smallest size at which the picture is shown, 1 being its own.
        scale_max: the largest size; the factor is drawn uniformly in its logarithm.
        shift: move to any side, as a share of height and width.
        brightness: factor 1 +- this.
        contrast: factor 1 +- this on the distance from the picture's mean.
        saturation: factor 1 +- this on the distance from grey.
    """

    flip: float = 0.5
    degrees: float = 15.0
    scale_min: float = 0.7
    scale_max: float = 1.4
    shift: float = 0.1
    brightness: float = 0.3
    contrast: float = 0.3
    saturation: float = 0.3


class Augment(nn.Module):
    """Applies `AugmentSettings` to a batch; draws from PyTorch's generator of the batch's device."""

    def __init__(self, settings: AugmentSettings | None = None) -> None:
        super().__init__()
        self.settings = settings or AugmentSettings()

    @torch.no_grad()
    def forward(self, image: Tensor, mask: Tensor, size: int | None = None) -> tuple[Tensor, Tensor]:
        """Changes each example in its own way.

        Args:
            image: float (B, 3, H, W), values 0 to 1.
            mask: uint8 (B, H, W), labels.
            size: height and width of what comes out; the batch's own when None.

        Returns:
            image float (B, 3, size, size), values 0 to 1, and mask uint8 (B, size, size). What the picture does not
            cover is filled with its mirror image, labels too, so that no pixel is without a true label.
        """
        B, _, H, W = image.shape
        height, width = (size, size) if size else (H, W)
        grid = F.affine_grid(self._affine(B, image), [B, 3, height, width], align_corners=False)
        if (height, width) != (H, W):
            image = F.interpolate(image, (height, width), mode="bilinear", antialias=True)
        image = F.grid_sample(image, grid, "bilinear", "reflection", align_corners=False)
        labels = F.grid_sample(mask[:, None].to(grid.dtype), grid, "nearest", "reflection", align_corners=False)
        return self._colour(image), labels[:, 0].to(mask.dtype)

    def _affine(self, B: int, like: Tensor) -> Tensor:
        """(B, 2, 3) maps from output to input coordinates, both -1 to 1, as `affine_grid` takes them."""
        s = self.settings
        angle = math.radians(s.degrees) * _uniform(B, like)
        log_scale = _uniform(B, like, math.log(s.scale_min), math.log(s.scale_max))
        zoom = torch.exp(-log_scale)  # output to input: a picture shown larger is read in smaller steps
        mirror = torch.where(torch.rand(B, device=like.device) < s.flip, -1.0, 1.0)
        cos, sin = torch.cos(angle) * zoom, torch.sin(angle) * zoom
        x, y = s.shift * 2 * _uniform(B, like), s.shift * 2 * _uniform(B, like)
        rows = [torch.stack([cos * mirror, -sin, x], 1), torch.stack([sin * mirror, cos, y], 1)]
        return torch.stack(rows, 1)

    def _colour(self, image: Tensor) -> Tensor:
        s, B = self.settings, image.shape[0]
        brightness, contrast, saturation = (
            1 + amount * _uniform(B, image).view(B, 1, 1, 1) for amount in (s.brightness, s.contrast, s.saturation)
        )
        image = image * brightness
        mean = image.mean(dim=(1, 2, 3), keepdim=True)
        image = mean + (image - mean) * contrast
        grey = image.mean(dim=1, keepdim=True)
        return (grey + (image - grey) * saturation).clamp_(0, 1)


def _uniform(B: int, like: Tensor, low: float = -1.0, high: float = 1.0) -> Tensor:
    return torch.empty(B, device=like.device, dtype=like.dtype).uniform_(low, high)
