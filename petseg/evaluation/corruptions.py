"""Six corruptions of photos, each at three strengths: changes that a network meets outside its data set.

After Hendrycks, Dietterich: Benchmarking Neural Network Robustness to Common Corruptions and Perturbations
(ICLR 2019), https://arxiv.org/abs/1903.12261. The levels are chosen for images of about 128x128 pixels. Only the
rotation changes the mask.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from typing import Final

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from scipy.ndimage import gaussian_filter
from torch import Tensor

STRENGTHS: Final = ("mild", "medium", "strong")

#: Value of a rotated mask where the photo does not reach. It is no label and must not be scored.
OUTSIDE: Final = 255


@dataclass(frozen=True)
class Corruption:
    """One kind of corruption."""

    name: str
    levels: tuple[float, float, float]  # one for each of STRENGTHS
    change: Callable[[Tensor, float, int], Tensor]  # from images uint8 (B, 3, H, W), level and seed to such images

    def __call__(self, image: Tensor, mask: Tensor, strength: str, seed: int = 0) -> tuple[Tensor, Tensor]:
        """Corrupts copies of images uint8 (B, 3, H, W) and masks uint8 (B, H, W); only the noise depends on the seed.

        A rotated mask holds `OUTSIDE` where the photo ends.
        """
        if image.dtype != torch.uint8:
            raise ValueError("photos are corrupted as uint8, 0 to 255")
        return self.change(image, self.levels[STRENGTHS.index(strength)], seed), self.labels(mask, strength)

    def labels(self, mask: Tensor, strength: str) -> Tensor:
        """What becomes of masks or class maps uint8 (B, H, W): only the rotation turns them."""
        level = self.levels[STRENGTHS.index(strength)]
        return rotated_mask(mask, level) if self.change is rotated else mask.clone()


def blurred(image: Tensor, sigma: float, seed: int = 0) -> Tensor:
    """Convolves with a Gaussian of `sigma` pixels, as if out of focus; edge pixels are repeated outwards."""
    # beyond three standard deviations a Gaussian is almost 0
    pixels = gaussian_filter(image.float().numpy(), (0, 0, sigma, sigma), mode="nearest", truncate=3)
    return _as_uint8(torch.from_numpy(pixels))


def noisy(image: Tensor, deviation: float, seed: int = 0) -> Tensor:
    """Adds Gaussian noise, independent for each pixel and channel, its standard deviation in grey levels of 255."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(image.shape, generator=generator)
    return _as_uint8(image.float() + deviation * noise)


def compressed(image: Tensor, quality: float, seed: int = 0) -> Tensor:
    """Encodes each image as a JPEG of Pillow's `quality`, 1 to 95, and decodes it."""
    decoded = []
    for pixels in image.permute(0, 2, 3, 1).contiguous().numpy():  # (H, W, 3)
        file = BytesIO()
        Image.fromarray(pixels).save(file, "JPEG", quality=int(quality))
        decoded.append(np.array(Image.open(file)))
    return torch.from_numpy(np.stack(decoded)).permute(0, 3, 1, 2)


def darkened(image: Tensor, brightness: float, seed: int = 0) -> Tensor:
    """Multiplies by `brightness`, 0 to 1, and rounds: as in a dark photo, different grey levels become equal."""
    return _as_uint8(brightness * image.float())


def flattened(image: Tensor, contrast: float, seed: int = 0) -> Tensor:
    """Moves each value towards the mean of its image, leaving the fraction `contrast` of the distance, as in fog."""
    pixels = image.float()
    mean = pixels.mean(dim=(1, 2, 3), keepdim=True)
    return _as_uint8(mean + contrast * (pixels - mean))


def rotated(image: Tensor, degrees: float, seed: int = 0) -> Tensor:
    """Rotates anticlockwise about the centre; where the photo ends, its mirror image continues it."""
    turned = F.grid_sample(image.float(), _grid(image, degrees), "bilinear", "reflection", align_corners=False)
    return _as_uint8(turned)


def rotated_mask(mask: Tensor, degrees: float) -> Tensor:
    """Rotates labels uint8 (B, H, W) as `rotated` does the photos; `OUTSIDE` where the photo ends."""
    shifted = mask[:, None].float() + 1  # grid_sample fills with 0, which then is no label
    turned = F.grid_sample(shifted, _grid(mask[:, None], degrees), "nearest", "zeros", align_corners=False)
    labels = turned[:, 0].round() - 1
    return labels.masked_fill(labels < 0, OUTSIDE).to(torch.uint8)


#: All corruptions by name.
CORRUPTIONS: Final = {
    corruption.name: corruption
    for corruption in (
        Corruption("blur", (1, 2, 4), blurred),
        Corruption("noise", (10, 25, 50), noisy),
        Corruption("JPEG", (30, 15, 5), compressed),
        Corruption("darkness", (0.5, 0.25, 0.1), darkened),
        Corruption("low contrast", (0.5, 0.25, 0.1), flattened),
        Corruption("rotation", (15, 45, 90), rotated),
    )
}


def _grid(image: Tensor, degrees: float) -> Tensor:
    """For each pixel of a rotated photo its position in the photo: (B, H, W, 2), -1 to 1."""
    B, _, H, W = image.shape
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    # coordinates are in units of half a side, so in a photo that is not square x and y have different units
    matrix = torch.tensor([[cos, -sin * H / W, 0.0], [sin * W / H, cos, 0.0]])
    return F.affine_grid(matrix.expand(B, 2, 3), [B, 1, H, W], align_corners=False)


def _as_uint8(pixels: Tensor) -> Tensor:
    return pixels.round().clamp(0, 255).to(torch.uint8)
