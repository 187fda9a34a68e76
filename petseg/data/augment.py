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
        stretch: largest change of the aspect ratio: width over height is multiplied by up to this or its inverse.
        blur: probability that a picture loses detail, as if it came from a smaller photo.
        paste: probability that a rectangle of another picture of the batch covers part of this one, labels too
            (CutMix: Yun et al., ICCV 2019, https://arxiv.org/abs/1905.04899; here for segmentation, as French et
            al., BMVC 2020).

    Raises:
        ValueError: a setting is out of its range.
    """

    flip: float = 0.5
    degrees: float = 15.0
    scale_min: float = 0.7
    scale_max: float = 1.4
    shift: float = 0.1
    brightness: float = 0.3
    contrast: float = 0.3
    saturation: float = 0.3
    stretch: float = 1.0
    blur: float = 0.0
    paste: float = 0.0

    def __post_init__(self) -> None:
        """Refuses what would fail, or make no sense, at the first step."""
        for name in ("flip", "shift", "brightness", "contrast", "saturation", "blur", "paste"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name}={getattr(self, name)}: must lie between 0 and 1, for instance 0.1.")
        if not 0 <= self.degrees <= 180:
            raise ValueError(f"degrees={self.degrees}: must lie between 0 and 180, for instance 15.")
        if not 0 < self.scale_min <= self.scale_max < math.inf:
            raise ValueError(
                f"scale_min={self.scale_min}, scale_max={self.scale_max}: must be above 0, and scale_min not above "
                "scale_max, for instance 0.7 and 1.4."
            )
        if not 1 <= self.stretch < math.inf:
            raise ValueError(f"stretch={self.stretch}: must be at least 1, which changes nothing, for instance 1.25.")


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
        image, mask, _ = self.with_soft(image, mask, None, size)
        return image, mask

    @torch.no_grad()
    def with_soft(
        self, image: Tensor, mask: Tensor, soft: Tensor | None, size: int | None = None
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """As `forward`, with soft labels that move along: float (B, K, H, W), and (B, K, size, size) in the result."""
        B, _, H, W = image.shape
        height, width = (size, size) if size else (H, W)
        grid = F.affine_grid(self._affine(B, image), [B, 3, height, width], align_corners=False)
        if (height, width) != (H, W):
            image = F.interpolate(image, (height, width), mode="bilinear", antialias=True)
        image = F.grid_sample(image, grid, "bilinear", "reflection", align_corners=False)
        labels = F.grid_sample(mask[:, None].to(grid.dtype), grid, "nearest", "reflection", align_corners=False)
        if soft is not None:
            soft = F.grid_sample(soft, grid, "bilinear", "reflection", align_corners=False)
        image = self._blur(self._colour(image))
        mask = labels[:, 0].to(mask.dtype)
        if self.settings.paste and B > 1:
            here = self._rectangles(B, height, width, image)  # (B, height, width)
            image = torch.where(here[:, None], image.roll(1, 0), image)
            mask = torch.where(here, mask.roll(1, 0), mask)
            soft = None if soft is None else torch.where(here[:, None], soft.roll(1, 0), soft)
        return image, mask, soft

    def _affine(self, B: int, like: Tensor) -> Tensor:
        """(B, 2, 3) maps from output to input coordinates, both -1 to 1, as `affine_grid` takes them."""
        s = self.settings
        angle = math.radians(s.degrees) * _uniform(B, like)
        log_scale = _uniform(B, like, math.log(s.scale_min), math.log(s.scale_max))
        zoom = torch.exp(-log_scale)  # output to input: a picture shown larger is read in smaller steps
        mirror = torch.where(torch.rand(B, device=like.device) < s.flip, -1.0, 1.0)
        cos, sin = torch.cos(angle) * zoom, torch.sin(angle) * zoom
        x, y = s.shift * 2 * _uniform(B, like), s.shift * 2 * _uniform(B, like)
        # the aspect ratio changes by stretch ** u, half of it in each direction; no draw is made where it cannot change
        wide = torch.exp(0.5 * math.log(s.stretch) * _uniform(B, like)) if s.stretch != 1 else torch.ones_like(x)
        rows = [
            torch.stack([cos * mirror / wide, -sin * wide, x], 1),
            torch.stack([sin * mirror / wide, cos * wide, y], 1),
        ]
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

    def _blur(self, image: Tensor) -> Tensor:
        """Some pictures of the batch shrunk by one factor of 1 to 3 and enlarged again."""
        if not self.settings.blur:
            return image
        height, width = image.shape[-2:]
        factor = 1 + 2 * float(torch.rand((), device=image.device))
        small = (max(1, round(height / factor)), max(1, round(width / factor)))
        coarse = F.interpolate(image, small, mode="bilinear", antialias=True)
        coarse = F.interpolate(coarse, (height, width), mode="bilinear")
        chosen = torch.rand(len(image), device=image.device) < self.settings.blur
        return torch.where(chosen.view(-1, 1, 1, 1), coarse, image)

    def _rectangles(self, B: int, height: int, width: int, like: Tensor) -> Tensor:
        """Bool (B, height, width): a rectangle of up to half the picture's area in some examples, none in others."""
        device = like.device
        chosen = torch.rand(B, device=device) < self.settings.paste
        area = 0.5 * torch.rand(B, device=device)
        aspect = torch.exp(_uniform(B, like, -0.7, 0.7))  # up to twice as wide as high, or as high as wide
        boxes = []
        for size, share in ((height, (area / aspect).sqrt()), (width, (area * aspect).sqrt())):
            share = share.clamp(max=1)
            start = (1 - share) * torch.rand(B, device=device)
            place = (torch.arange(size, device=device) + 0.5) / size
            boxes.append((place >= start[:, None]) & (place < (start + share)[:, None]))  # (B, size)
        return boxes[0][:, :, None] & boxes[1][:, None, :] & chosen[:, None, None]


def _uniform(B: int, like: Tensor, low: float = -1.0, high: float = 1.0) -> Tensor:
    return torch.empty(B, device=like.device, dtype=like.dtype).uniform_(low, high)
