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
        geometry: probability that an example is rotated, scaled and shifted at all. The others keep their exact pixels:
            every rotation reads between pixels, which blurs, and a network that sees only blurred images in training
            does worse on sharp ones (compare Touvron et al.: Fixing the train-test resolution discrepancy, NeurIPS
            2019, https://arxiv.org/abs/1906.06423).
        degrees: rotation to either side, in degrees.
        scale_min: the smallest size at which the image is shown, 1 being its own.
        scale_max: the largest size; the factor is drawn uniformly in its logarithm.
        shift: move to any side, as a fraction of height and width.
        brightness: factor 1 +- this.
        contrast: factor 1 +- this on the distance from the image's mean.
        saturation: factor 1 +- this on the distance from grey.
        stretch: largest change of the aspect ratio: width over height is multiplied by up to this or its inverse.
        blur: probability that an image loses detail, as if it came from a smaller photo.
        paste: probability that a rectangle of another image of the batch covers part of this one, labels too
            (CutMix: Yun et al., ICCV 2019, https://arxiv.org/abs/1905.04899; here for segmentation, as French et
            al., BMVC 2020).

    Raises:
        ValueError: a setting is out of its range.
    """

    flip: float = 0.5
    geometry: float = 1.0
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
        for name in ("flip", "geometry", "shift", "brightness", "contrast", "saturation", "blur", "paste"):
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
            image float (B, 3, size, size), values 0 to 1, and mask uint8 (B, size, size). What the image does not
            cover is filled with its mirror image, labels too, so that no pixel is without a true label.
        """
        image, mask, _ = self.with_soft(image, mask, None, size)
        return image, mask

    @torch.no_grad()
    def with_soft(
        self, image: Tensor, mask: Tensor, soft: Tensor | None, size: int | None = None, geometry: float | None = None
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """As `forward`, with soft labels that move along.

        Args:
            image: float (B, 3, H, W), values 0 to 1.
            mask: uint8 (B, H, W), labels.
            soft: float (B, K, H, W), probabilities; None where no teacher is asked.
            size: height and width of what comes out; the batch's own when None.
            geometry: replaces that of the settings, for instance 0 in the last epochs.

        Returns:
            image and mask as `forward`; soft labels float (B, K, size, size), or None.
        """
        B = len(image)
        height, width = (size, size) if size else image.shape[-2:]
        layers = [image, mask[:, None].to(image.dtype), *([] if soft is None else [soft])]
        layers = self._moved(
            self._flipped(layers), (height, width), self.settings.geometry if geometry is None else geometry
        )
        image = self._blur(self._color(layers[0]))
        mask = layers[1][:, 0].to(mask.dtype)
        soft = None if soft is None else layers[2]
        if self.settings.paste and B > 1:
            here = self._rectangles(B, height, width, image)  # (B, height, width)
            image = torch.where(here[:, None], image.roll(1, 0), image)
            mask = torch.where(here, mask.roll(1, 0), mask)
            soft = None if soft is None else torch.where(here[:, None], soft.roll(1, 0), soft)
        return image, mask, soft

    def _flipped(self, layers: list[Tensor]) -> list[Tensor]:
        """Image, mask and soft labels (B, c, H, W), left and right exchanged in some examples: no pixel is mixed."""
        chosen = torch.rand(len(layers[0]), device=layers[0].device) < self.settings.flip
        return [torch.where(chosen.view(-1, 1, 1, 1), layer.flip(-1), layer) for layer in layers]

    def _moved(self, layers: list[Tensor], size: tuple[int, int], geometry: float) -> list[Tensor]:
        """Image, mask and soft labels (B, c, H, W) at another size, some examples rotated, scaled, shifted, stretched.

        Returns:
            as many layers, (B, c, *size).
        """
        image, mask, *soft = layers
        small = [
            _resized(image, size),
            F.interpolate(mask, size, mode="nearest-exact"),
            *(_resized(x, size) for x in soft),
        ]
        chosen = torch.rand(len(image), device=image.device) < geometry
        count = int(chosen.sum())
        if not count:
            return small
        grid = F.affine_grid(self._affine(count, image), [count, 1, *size], align_corners=False)
        # the image is made smaller first, with antialiasing; masks are read once, from their own pixels
        sources = [(small[0], "bilinear"), (mask, "nearest"), *((x, "bilinear") for x in soft)]
        for layer, (source, mode) in zip(small, sources, strict=True):
            layer[chosen] = F.grid_sample(source[chosen], grid, mode, "reflection", align_corners=False)
        return small

    def _affine(self, B: int, like: Tensor) -> Tensor:
        """(B, 2, 3) maps from output to input coordinates, both -1 to 1, as `affine_grid` takes them."""
        s = self.settings
        angle = math.radians(s.degrees) * _uniform(B, like)
        log_scale = _uniform(B, like, math.log(s.scale_min), math.log(s.scale_max))
        zoom = torch.exp(-log_scale)  # output to input: an image shown larger is read in smaller steps
        cos, sin = torch.cos(angle) * zoom, torch.sin(angle) * zoom
        x, y = s.shift * 2 * _uniform(B, like), s.shift * 2 * _uniform(B, like)
        # the aspect ratio changes by stretch ** u, half of it in each direction
        wide = torch.exp(0.5 * math.log(s.stretch) * _uniform(B, like))
        rows = [torch.stack([cos / wide, -sin * wide, x], 1), torch.stack([sin / wide, cos * wide, y], 1)]
        return torch.stack(rows, 1)

    def _color(self, image: Tensor) -> Tensor:
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
        """Some images of the batch shrunk by one factor of 1 to 3 and enlarged again."""
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
        """Bool (B, height, width): a rectangle of up to half the image's area in some examples, none in others."""
        device = like.device
        chosen = torch.rand(B, device=device) < self.settings.paste
        area = 0.5 * torch.rand(B, device=device)
        aspect = torch.exp(_uniform(B, like, -0.7, 0.7))  # up to twice as wide as high, or as high as wide
        boxes = []
        for size, fraction in ((height, (area / aspect).sqrt()), (width, (area * aspect).sqrt())):
            fraction = fraction.clamp(max=1)
            start = (1 - fraction) * torch.rand(B, device=device)
            position = (torch.arange(size, device=device) + 0.5) / size
            boxes.append((position >= start[:, None]) & (position < (start + fraction)[:, None]))  # (B, size)
        return boxes[0][:, :, None] & boxes[1][:, None, :] & chosen[:, None, None]


def _resized(image: Tensor, size: tuple[int, int]) -> Tensor:
    """Image (B, c, H, W) at another size, with antialiasing; a copy where the size stays."""
    if image.shape[-2:] == size:
        return image.clone(memory_format=torch.preserve_format)
    return F.interpolate(image, size, mode="bilinear", antialias=True)


def _uniform(B: int, like: Tensor, low: float = -1.0, high: float = 1.0) -> Tensor:
    return torch.empty(B, device=like.device, dtype=like.dtype).uniform_(low, high)
