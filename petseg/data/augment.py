"""Random flips, affine changes, colour changes and pasted rectangles for a whole batch, on the batch's device.

Each example draws its own changes. Image, mask and soft labels are read through one grid, so they stay aligned.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from petseg.data.collage import background, collage, mosaic, sampled


@dataclass(frozen=True)
class AugmentSettings:
    """How far the changes go; the defaults change nothing.

    Attributes:
        flip: probability of a left-right flip.
        geometry: probability that an example is rotated, scaled, shifted and stretched. The others keep their exact
            pixels: a rotation reads between pixels, which blurs, and a network that is trained on blurred images alone
            does worse on sharp ones (compare Touvron et al.: Fixing the train-test resolution discrepancy, NeurIPS
            2019, https://arxiv.org/abs/1906.06423).
        degrees: largest rotation to either side.
        scale_min: smallest scale, 1 being the image's own; the scale is drawn uniformly in its logarithm.
        scale_max: largest scale.
        shift: largest shift to any side, as a fraction of height and width, before the image is scaled.
        stretch: largest factor on the aspect ratio, or its inverse.
        brightness: factor 1 +- this.
        contrast: factor 1 +- this on the distance from the image's mean.
        saturation: factor 1 +- this on the distance from grey.
        collage: fraction of the examples, to the nearest whole one of a batch, that become one to three small pets, cut
            out of other images of the batch, on a piece of background; see `petseg.data.collage`.
        background: fraction of the examples that become a piece of background, with little or nothing of a pet.
        mosaic: fraction of the examples that become four images at half their size.
        blur: probability that an image loses detail, as if it came from a photo of half the size.
        paste: probability that a rectangle of another image of the batch covers part of this one, labels included
            (CutMix: Yun et al., ICCV 2019, https://arxiv.org/abs/1905.04899; for segmentation: French et al., BMVC
            2020).

    Raises:
        ValueError: a setting is out of range.
    """

    flip: float = 0.0
    geometry: float = 1.0
    degrees: float = 0.0
    scale_min: float = 1.0
    scale_max: float = 1.0
    shift: float = 0.0
    stretch: float = 1.0
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    collage: float = 0.0
    background: float = 0.0
    mosaic: float = 0.0
    blur: float = 0.0
    paste: float = 0.0

    def __post_init__(self) -> None:
        """Refuses settings that would fail, or make no sense, at the first step."""
        for name, value in vars(self).items():  # all others are probabilities or fractions
            if name not in ("degrees", "scale_min", "scale_max", "stretch") and not 0 <= value <= 1:
                raise ValueError(f"{name}={value}: must lie between 0 and 1, for instance 0.1.")
        if not (made := self.collage + self.background + self.mosaic) <= 1:
            raise ValueError(f"collage, background and mosaic: together {made:g}, must be at most 1, for instance 0.3.")
        if not 0 <= self.degrees <= 180:
            raise ValueError(f"degrees={self.degrees}: must lie between 0 and 180, for instance 15.")
        if not 0 < self.scale_min <= self.scale_max < math.inf:
            raise ValueError(
                f"scale_min={self.scale_min}, scale_max={self.scale_max}: must be above 0, and scale_min not above "
                "scale_max, for instance 0.7 and 1.4."
            )
        if not 1 <= self.stretch < math.inf:
            raise ValueError(f"stretch={self.stretch}: must be at least 1, which changes nothing, for instance 1.25.")


def augment_settings(
    section: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None,
) -> list[AugmentSettings] | AugmentSettings:
    """The settings that a recipe's section `augment` holds, or the list of those of each cycle."""
    if isinstance(section, Sequence):
        return [AugmentSettings(**entry) for entry in section]
    return AugmentSettings(**section or {})


class Augment(nn.Module):
    """Applies `AugmentSettings` to a batch, with PyTorch's random generator of the batch's device."""

    def __init__(self, settings: AugmentSettings | None = None) -> None:
        super().__init__()
        self.settings = settings or AugmentSettings()

    @torch.no_grad()
    def forward(self, image: Tensor, mask: Tensor, soft: Tensor | None = None, size: float = 1.0) -> tuple[Tensor, ...]:
        """Changes each example in its own way.

        Args:
            image: float (B, 3, H, W), values 0 to 1.
            mask: uint8 (B, H, W), labels.
            soft: float (B, K, H, W), a teacher's probabilities.
            size: height and width of the output as a fraction of H and W.

        Returns:
            image and mask, and `soft` where it was given, in the new size. Where a moved image does not cover the
            output, its mirror image does, labels included, so that every pixel has a true label.
        """
        H, W = (max(1, round(size * side)) for side in image.shape[-2:])
        layers = [image, mask[:, None].to(image.dtype), *([] if soft is None else [soft])]
        with torch.autocast(image.device.type, enabled=False):  # in 16 bits the places to read would be rounded
            layers = self._composed(self._moved(self._flipped(layers), H, W))
            layers[0] = self._blurred(self._recolored(layers[0]))
            image, labels, *rest = self._pasted(layers)
        return image, labels[:, 0].to(mask.dtype), *rest

    def _flipped(self, layers: list[Tensor]) -> list[Tensor]:
        """Layers (B, c, H, W), some examples mirrored left to right."""
        chosen = _chosen(layers[0], self.settings.flip)
        return [torch.where(chosen, layer.flip(-1), layer) for layer in layers]

    def _moved(self, layers: list[Tensor], H: int, W: int) -> list[Tensor]:
        """Layers at height H and width W, some examples rotated, scaled, shifted and stretched."""
        s = self.settings
        image, mask, *soft = layers
        resized = [_resized(image, H, W), F.interpolate(mask, (H, W), mode="nearest-exact")]
        resized += [_resized(layer, H, W) for layer in soft]
        chosen = _chosen(image, s.geometry)
        if not s.geometry or (s.degrees, s.scale_min, s.scale_max, s.shift, s.stretch) == (0, 1, 1, 0, 1):
            return resized  # a grid that moves nothing would still round every pixel
        # every example is moved, chosen or not: a GPU need not tell the CPU how many were chosen
        grid = F.affine_grid(self._affine(len(image), H, W, image), [len(image), 1, H, W], align_corners=False)
        # images are shrunk with antialiasing before they are moved; a mask is read once, from its own pixels
        sources = [(resized[0], "bilinear"), (mask, "nearest"), *((layer, "bilinear") for layer in resized[2:])]
        moved = [sampled(layer, grid, mode) for layer, mode in sources]
        return [old.where(~chosen, new) for old, new in zip(resized, moved, strict=True)]

    def _affine(self, B: int, H: int, W: int, like: Tensor) -> Tensor:
        """(B, 2, 3): maps from output to input coordinates, both from -1 to 1, as `affine_grid` takes them."""
        s = self.settings
        angle = math.radians(s.degrees) * _uniform(B, like)
        log_scale = _uniform(B, like, math.log(s.scale_min), math.log(s.scale_max))
        zoom = torch.exp(-log_scale)  # output to input: an enlarged image is read in smaller steps
        cos, sin = torch.cos(angle) * zoom, torch.sin(angle) * zoom
        x, y = s.shift * 2 * _uniform(B, like), s.shift * 2 * _uniform(B, like)
        wide = torch.exp(0.5 * math.log(s.stretch) * _uniform(B, like))  # half of the stretch in each direction
        # a rotation mixes columns and rows: H / W converts a step of one into a step of the other
        x_row = torch.stack([cos / wide, -sin * wide * (H / W), x], 1)
        y_row = torch.stack([sin / wide * (W / H), cos * wide, y], 1)
        return torch.stack([x_row, y_row], 1)

    def _composed(self, layers: list[Tensor]) -> list[Tensor]:
        """Layers, the first examples of the batch replaced by collages, pieces of background and mosaics."""
        s, B, parts, done = self.settings, len(layers[0]), [], 0
        for compose, fraction in ((collage, s.collage), (background, s.background), (mosaic, s.mosaic)):
            if count := min(round(fraction * B), B - done):
                parts.append(compose([layer.roll(-done, 0) for layer in layers], count))
                done += count
        return [torch.cat(column) for column in zip(*parts, [layer[done:] for layer in layers], strict=True)]

    def _recolored(self, image: Tensor) -> Tensor:
        """Images (B, 3, H, W) with another brightness, contrast and saturation."""
        s = self.settings
        if not (s.brightness or s.contrast or s.saturation):
            return image
        factors = [1 + amount * _uniform(len(image), image) for amount in (s.brightness, s.contrast, s.saturation)]
        brightness, contrast, saturation = (factor.view(-1, 1, 1, 1) for factor in factors)
        image = image * brightness
        mean = image.mean(dim=(1, 2, 3), keepdim=True)
        image = mean + (image - mean) * contrast
        grey = image.mean(dim=1, keepdim=True)
        return (grey + (image - grey) * saturation).clamp_(0, 1)

    def _blurred(self, image: Tensor) -> Tensor:
        """Images (B, 3, H, W), some shrunk to half their size and enlarged again."""
        if not self.settings.blur:
            return image
        H, W = image.shape[-2:]
        coarse = F.interpolate(_resized(image, max(1, H // 2), max(1, W // 2)), (H, W), mode="bilinear")
        return torch.where(_chosen(image, self.settings.blur), coarse, image)

    def _pasted(self, layers: list[Tensor]) -> list[Tensor]:
        """Layers, some examples covered in part by the one before in the batch."""
        if not self.settings.paste or len(layers[0]) < 2:
            return layers
        inside = self._rectangles(layers[0])
        return [torch.where(inside, layer.roll(1, 0), layer) for layer in layers]

    def _rectangles(self, like: Tensor) -> Tensor:
        """Bool (B, 1, H, W): in some examples a rectangle of up to half the image's area."""
        B, _, H, W = like.shape
        chosen = _chosen(like, self.settings.paste)
        area = 0.5 * torch.rand(B, device=like.device)
        aspect = torch.exp(_uniform(B, like, -0.7, 0.7))  # up to twice as wide as high, or as high as wide
        rows, columns = (
            _interval(side, fraction.clamp(max=1))
            for side, fraction in ((H, (area / aspect).sqrt()), (W, (area * aspect).sqrt()))
        )  # bool (B, H) and (B, W)
        return rows[:, None, :, None] & columns[:, None, None, :] & chosen


def _chosen(like: Tensor, probability: float) -> Tensor:
    """Bool (B, 1, 1, 1): which examples are changed."""
    return (torch.rand(len(like), device=like.device) < probability).view(-1, 1, 1, 1)


def _uniform(B: int, like: Tensor, low: float = -1.0, high: float = 1.0) -> Tensor:
    return torch.empty(B, device=like.device, dtype=like.dtype).uniform_(low, high)


def _interval(side: int, fraction: Tensor) -> Tensor:
    """Bool (B, side): which of the positions along a side lie in an interval at a random place; `fraction` (B,)."""
    start = (1 - fraction) * torch.rand(len(fraction), device=fraction.device)
    position = (torch.arange(side, device=fraction.device) + 0.5) / side
    return (position >= start[:, None]) & (position < (start + fraction)[:, None])


def _resized(image: Tensor, H: int, W: int) -> Tensor:
    """Image (B, c, H, W) at another size, with antialiasing."""
    return image if image.shape[-2:] == (H, W) else F.interpolate(image, (H, W), mode="bilinear", antialias=True)
