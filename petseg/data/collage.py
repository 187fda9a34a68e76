"""Training images that a data set of single, large pets lacks, made from its images: small pets, several, and none.

Each function takes and returns the layers of a batch: image (B, 3, H, W), labels as float (B, 1, H, W), and whatever
else is to stay aligned with them, such as a teacher's probabilities (B, K, H, W). The labels are always those of the
pixels that are shown. The number of examples does not depend on chance, so that every step has the same shapes.

Ghiasi et al.: Simple Copy-Paste is a Strong Data Augmentation Method for Instance Segmentation (CVPR 2021),
https://arxiv.org/abs/2012.07177.
"""

import math
from collections.abc import Sequence
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor

from petseg.labels import BACKGROUND

#: Smallest and largest size of a pasted image, as a fraction of its own, and how far its centre may lie from the
#: middle beyond the place where it would touch the edge (1 is half of a side).
SCALES: Final = (0.25, 0.9)
BEYOND: Final = 0.2
MOST_PETS: Final = 3

#: Sides of the windows in which background is looked for, as a fraction of the image's, and how many are tried.
WINDOWS: Final = (0.25, 0.7)
TRIES: Final = 32


def mosaic(layers: list[Tensor], count: int) -> list[Tensor]:
    """`count` examples, each of four images at half their size."""
    return [_four(layer)[:count] for layer in layers]


def _four(layer: Tensor) -> Tensor:
    H, W = layer.shape[-2:]
    settings = {"mode": "nearest-exact"} if layer.shape[1] == 1 else {"mode": "bilinear", "antialias": True}
    half = F.interpolate(layer, ((H + 1) // 2, (W + 1) // 2), **settings)
    rows = [torch.cat([half.roll(n, 0), half.roll(n + 1, 0)], 3) for n in (0, 2)]
    return torch.cat(rows, 2)[:, :, :H, :W]


def background(layers: list[Tensor], count: int) -> list[Tensor]:
    """`count` examples that show a part of an image without a pet, or with as little of one as the batch has.

    Its pixels stay as they are, and it is continued by its mirror images. Enlarged, it would be blurred, and a network
    would learn that what is blurred is background.
    """
    pet, *edges = _emptiest_window(layers[1] != BACKGROUND)
    emptiest = pet.argsort()[:count]
    left, right, top, bottom = (edge[emptiest] for edge in edges)
    H, W = layers[0].shape[-2:]
    rows, columns = _mirrored(top, bottom, H)[:, :, None], _mirrored(left, right, W)[:, None]
    return [layer[emptiest[:, None, None], :, rows, columns].permute(0, 3, 1, 2) for layer in layers]


def collage(layers: list[Tensor], count: int) -> list[Tensor]:
    """`count` examples of background with one to three pets of the next images of the batch, cut out by their masks."""
    canvas = background(layers, count)  # of any examples of the batch
    pets = torch.randint(1, MOST_PETS + 1, (count, 1, 1, 1), device=canvas[0].device)
    for number in range(MOST_PETS):
        pet, inside = _pasted([layer.roll(-1 - number, 0)[:count] for layer in layers])
        inside &= pets > number
        canvas = [torch.where(inside, new, old) for new, old in zip(pet, canvas, strict=True)]
    return canvas


def _pasted(layers: list[Tensor]) -> tuple[list[Tensor], Tensor]:
    """Images made smaller and moved to a random place, and where their pets are, bool (B, 1, H, W)."""
    image = layers[0]
    low, high = map(math.log, SCALES)
    scale = torch.exp(low + (high - low) * torch.rand(len(image), device=image.device))  # (B,)
    x, y = ((1 - scale + BEYOND) * (2 * torch.rand_like(scale) - 1) for _ in range(2))  # of the centre, -1 to 1
    zero = torch.zeros_like(scale)
    theta = torch.stack([1 / scale, zero, -x / scale, zero, 1 / scale, -y / scale], 1).view(-1, 2, 3)
    grid = F.affine_grid(theta, [len(image), 1, *image.shape[-2:]], align_corners=False)
    pet = (layers[1] != BACKGROUND).to(image.dtype)
    inside = F.grid_sample(pet, grid, padding_mode="zeros", align_corners=False) > 0.5
    # below half the size, pixels are averaged first: reading every third or fourth would alias
    averaged = [layer if layer.shape[1] == 1 else F.avg_pool2d(layer, 2) for layer in layers]
    small = (scale < 0.5).view(-1, 1, 1, 1)
    read = zip(_read(averaged, grid), _read(layers, grid), strict=True)
    return [torch.where(small, coarse, fine) for coarse, fine in read], inside


def _emptiest_window(pet: Tensor) -> tuple[Tensor, ...]:
    """Of random windows in masks (B, 1, H, W), that with the smallest fraction of pet.

    Returns:
        that fraction, and where the window begins and ends, in pixels: left, right, top, bottom; (B,) each.
    """
    B, _, H, W = pet.shape
    side = WINDOWS[0] + (WINDOWS[1] - WINDOWS[0]) * torch.rand(B, TRIES, device=pet.device)
    x, y = ((1 - side) * torch.rand_like(side) for _ in range(2))  # of its corner, as a fraction of the image's sides
    left, right = ((place * W).round().long() for place in (x, x + side))
    top, bottom = ((place * H).round().long() for place in (y, y + side))
    # the sum over a rectangle from four corners of the cumulative sum (Viola, Jones: CVPR 2001)
    total = F.pad(pet[:, 0].float().cumsum(1).cumsum(2), (1, 0, 1, 0)).flatten(1)  # (B, (H + 1) * (W + 1))

    def above_left(row: Tensor, column: Tensor) -> Tensor:
        return total.gather(1, row * (W + 1) + column)

    inside = above_left(bottom, right) - above_left(bottom, left) - above_left(top, right) + above_left(top, left)
    fraction = inside / ((right - left) * (bottom - top))
    best = fraction.argmin(dim=1, keepdim=True)
    return tuple(value.gather(1, best)[:, 0] for value in (fraction, left, right, top, bottom))


def _mirrored(start: Tensor, end: Tensor, size: int) -> Tensor:
    """The pixels from start to end and back, again and again, from a random one on: indices (B, size)."""
    length = (end - start)[:, None]
    first = (2 * length * torch.rand(len(start), 1, device=start.device)).long()
    place = (first + torch.arange(size, device=start.device)) % (2 * length)
    return start[:, None] + torch.minimum(place, 2 * length - 1 - place)


def _read(layers: list[Tensor], grid: Tensor) -> list[Tensor]:
    """Layers read at a grid (B, H, W, 2): labels, the layer of one channel, from the nearest pixel."""
    modes = ["nearest" if layer.shape[1] == 1 else "bilinear" for layer in layers]
    return [sampled(layer, grid, mode) for layer, mode in zip(layers, modes, strict=True)]


def sampled(layer: Tensor, grid: Tensor, mode: str) -> Tensor:
    """A layer (B, c, H, W) read at a grid (B, h, w, 2), mirrored where the grid leaves it."""
    if layer.device.type != "mps":
        return F.grid_sample(layer, grid, mode, "reflection", align_corners=False)
    return F.grid_sample(layer, reflected(grid, layer.shape[-2:]), mode, "zeros", align_corners=False)


def reflected(grid: Tensor, sides: Sequence[int]) -> Tensor:
    """Positions (B, h, w, 2) moved into an image of these sides (H, W), for GPUs of Apple, which mirror none."""
    furthest = 1 - 1 / grid.new_tensor([sides[1], sides[0]])  # the centres of the outermost pixels
    inside = 1 - ((grid + 1) % 4 - 2).abs()  # -1 to 1
    return inside.clamp(-furthest, furthest)
