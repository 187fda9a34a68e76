"""Photos made worse in six ways, each at three strengths: what a network meets outside of its data set.

After Hendrycks, Dietterich: Benchmarking Neural Network Robustness to Common Corruptions and Perturbations
(ICLR 2019), https://arxiv.org/abs/1903.12261, with levels of our own for pictures of about 128x128 pixels. All but the
rotation leave the mask as it is.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from typing import Final

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

STRENGTHS: Final = ("mild", "medium", "strong")

#: Stands in a rotated mask where the photo does not reach; no label, so not to be scored.
OUTSIDE: Final = 255


@dataclass(frozen=True)
class Corruption:
    """One way to make photos worse.

    `name`; `unit`: what `levels` count, for an axis; `levels`: one of each of `STRENGTHS`; `change`: takes images
    uint8 (B, 3, H, W), a level and a seed, and returns images of the same kind.
    """

    name: str
    unit: str
    levels: tuple[float, float, float]
    change: Callable[[Tensor, float, int], Tensor]

    def __call__(self, image: Tensor, mask: Tensor, strength: str, seed: int = 0) -> tuple[Tensor, Tensor]:
        """Corrupts a batch; what came in stays as it is.

        Args:
            image: uint8 (B, 3, H, W).
            mask: uint8 (B, H, W), labels.
            strength: one of `STRENGTHS`.
            seed: of the noise; the others are not random.

        Returns:
            Images and masks of the same shapes and types; a rotated mask holds `OUTSIDE` where the photo ends.

        Raises:
            ValueError: there is no such strength, or the images are not uint8.
        """
        if strength not in STRENGTHS:
            raise ValueError(f"strength {strength!r}: must be one of {', '.join(STRENGTHS)}.")
        if image.dtype != torch.uint8:
            raise ValueError(f"images of {image.dtype}: photos are corrupted as uint8, 0 to 255.")
        level = self.levels[STRENGTHS.index(strength)]
        changed = self.change(image, level, seed)
        return changed, rotated_mask(mask, level) if self.change is rotated else mask.clone()


def blurred(image: Tensor, sigma: float, seed: int = 0) -> Tensor:
    """Convolves with a Gaussian of `sigma` pixels, the edge repeated outwards: out of focus."""
    reach = math.ceil(3 * sigma)
    x = torch.arange(-reach, reach + 1, dtype=torch.float32)
    kernel = torch.exp(-(x**2) / (2 * sigma**2))
    kernel = (kernel / kernel.sum()).expand(3, 1, 1, -1)
    smooth = F.conv2d(_grown(image.float(), (reach, reach, 0, 0)), kernel, groups=3)
    smooth = F.conv2d(_grown(smooth, (0, 0, reach, reach)), kernel.mT.contiguous().view(3, 1, -1, 1), groups=3)
    return _as_uint8(smooth)


def noisy(image: Tensor, deviation: float, seed: int = 0) -> Tensor:
    """Adds Gaussian noise, independent for each pixel and channel, its standard deviation in grey levels of 255."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(image.shape, generator=generator)
    return _as_uint8(image.float() + deviation * noise)


def compressed(image: Tensor, quality: float, seed: int = 0) -> Tensor:
    """Encodes each image as a JPEG of Pillow's `quality`, 1 to 95, and decodes it."""
    pictures = []
    for pixels in image.permute(0, 2, 3, 1).contiguous().numpy():  # (H, W, 3)
        file = BytesIO()
        Image.fromarray(pixels).save(file, "JPEG", quality=int(quality))
        pictures.append(np.array(Image.open(file)))
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2)


def darkened(image: Tensor, light: float, seed: int = 0) -> Tensor:
    """Multiplies by `light`, 0 to 1, and rounds: levels that fall together stay together, as in a dark photo."""
    return _as_uint8(light * image.float())


def flattened(image: Tensor, contrast: float, seed: int = 0) -> Tensor:
    """Moves each value towards the mean of its image, leaving the share `contrast` of the distance: fog."""
    pixels = image.float()
    mean = pixels.mean(dim=(1, 2, 3), keepdim=True)
    return _as_uint8(mean + contrast * (pixels - mean))


def rotated(image: Tensor, degrees: float, seed: int = 0) -> Tensor:
    """Turns anticlockwise about the centre; what the photo does not cover is filled with its mirror image."""
    turned = F.grid_sample(image.float(), _grid(image, degrees), "bilinear", "reflection", align_corners=False)
    return _as_uint8(turned)


def rotated_mask(mask: Tensor, degrees: float) -> Tensor:
    """Turns labels uint8 (B, H, W) as `rotated` does the photos; `OUTSIDE` where the photo ends."""
    shifted = mask[:, None].float() + 1  # grid_sample fills with 0, which thereby is no label
    turned = F.grid_sample(shifted, _grid(mask[:, None], degrees), "nearest", "zeros", align_corners=False)
    labels = turned[:, 0].round() - 1
    return labels.masked_fill(labels < 0, OUTSIDE).to(torch.uint8)


#: All of them, by name.
CORRUPTIONS: Final = {
    found.name: found
    for found in (
        Corruption("blur", "standard deviation, pixels", (1, 2, 4), blurred),
        Corruption("noise", "standard deviation, grey levels", (10, 25, 50), noisy),
        Corruption("JPEG", "quality", (30, 15, 5), compressed),
        Corruption("darkness", "light left, share", (0.5, 0.25, 0.1), darkened),
        Corruption("low contrast", "contrast left, share", (0.5, 0.25, 0.1), flattened),
        Corruption("rotation", "degrees", (15, 45, 90), rotated),
    )
}


def _grid(image: Tensor, degrees: float) -> Tensor:
    """Where in the photo each pixel of a turned photo lies: (B, H, W, 2), -1 to 1."""
    B, _, H, W = image.shape
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    # coordinates are shares of half a side: of a photo that is not square, x and y have different units
    turn = torch.tensor([[cos, -sin * H / W, 0.0], [sin * W / H, cos, 0.0]])
    return F.affine_grid(turn.expand(B, 2, 3), [B, 1, H, W], align_corners=False)


def _grown(image: Tensor, padding: tuple[int, int, int, int]) -> Tensor:
    return F.pad(image, padding, mode="replicate")


def _as_uint8(pixels: Tensor) -> Tensor:
    return pixels.round().clamp(0, 255).to(torch.uint8)
