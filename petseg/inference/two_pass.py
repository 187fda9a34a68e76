"""Two passes: the first, over the whole photo, finds the pets; the second, over each pet alone, sees more detail.

At 128x128 pixels for the whole photo, a pet that fills a quarter of it has 64x64 pixels, and the network was trained on
pets that fill most of theirs. So the pet is cropped with a margin, resized to the working size as the whole photo was,
and segmented again. The result is a weighted mean of both. Pets that stand apart are looked at one by one: a box round
two of them would show both as small as before. `python -m petseg.upkeep.fullsize` measures what that gains.
"""

from __future__ import annotations

import math
from itertools import combinations
from typing import Final

import numpy as np
import torch
import torch.nn.functional as F
from scipy.ndimage import label
from torch import Tensor

from petseg.labels import BACKGROUND

#: Fraction of the pet that may lie beyond each side of its box, so that specks far away do not widen the box.
BEYOND: Final = 0.01

#: A region of the first pass is a pet if it has at least this fraction of the largest one's pixels.
SMALLEST_PET: Final = 0.15

#: As many pets are looked at one by one, the largest ones: each takes a pass.
MOST_PETS: Final = 6

#: Added to the box on each side, as a fraction of its width or height: the network needs to see where the fur ends.
MARGIN: Final = 0.15

#: Weight of the second pass within its box; the first has the rest of 1.
WEIGHT: Final = 2 / 3

#: At an edge of the box within the photo, the second pass fades out over this fraction of the box: no seam is seen.
FADE: Final = 0.1

#: Edges of a rectangle in pixels of a photo: left, top, right, bottom, as `PIL.Image.Image.crop` takes them.
Box = tuple[int, int, int, int]


def pet_boxes(logits: Tensor, size: tuple[int, int]) -> list[Box]:
    """The parts of a photo that the second pass runs on, one for each pet.

    A pet is a connected region of the class map; the boundary belongs to it. Boxes that overlap become one.

    Args:
        logits: float (3, h, w), of the whole photo, in the order of `labels.CLASSES`.
        size: width and height of the photo in pixels.

    Returns:
        Boxes of each pet with its boundary and a margin, clipped to the photo, at most `MOST_PETS`, the largest pet
        first; none where no pixel is more likely pet or boundary than background.
    """
    pet = (0.5 - logits.softmax(dim=0)[BACKGROUND]).clamp(min=0)  # (h, w): above 0 where background is less likely
    regions, count = label((pet > 0).numpy(), np.ones((3, 3)))  # corners connect
    areas = np.bincount(regions.ravel(), minlength=count + 1)[1:]
    pets = [index for index in np.argsort(-areas) if areas[index] >= SMALLEST_PET * areas.max()][:MOST_PETS]
    whole = len(pets) == 1  # the specks round a single pet may be its ears
    return _merged([_box(pet if whole else pet * torch.from_numpy(regions == index + 1), size) for index in pets])


def _box(pet: Tensor, size: tuple[int, int]) -> Box:
    """The box with its margin, in a photo of `size`, of what is above 0 in float (h, w)."""
    left, right = _span(pet.sum(dim=0), size[0])  # sums of the columns
    top, bottom = _span(pet.sum(dim=1), size[1])  # sums of the rows
    return left, top, right, bottom


def _merged(boxes: list[Box]) -> list[Box]:
    """The boxes, with those that overlap replaced by the box round both, until none overlap."""
    for first, second in combinations(boxes, 2):
        if first[0] < second[2] and second[0] < first[2] and first[1] < second[3] and second[1] < first[3]:
            left, top, right, bottom = zip(first, second, strict=True)
            around = min(left), min(top), max(right), max(bottom)
            return _merged([around, *(box for box in boxes if box not in (first, second))])
    return boxes


def merge_logits(logits: Tensor, closer: Tensor, box: Box, size: tuple[int, int]) -> Tensor:
    """Both passes in one: outside the box the logits of the first, inside it the weighted mean of both.

    Args:
        logits: float (3, h, w), of the whole photo.
        closer: float (3, h', w'), of the box alone.
        box: the part of the photo that `closer` shows.
        size: width and height of the photo in pixels.

    Returns:
        float (3, h, w), of the whole photo.
    """
    x, across = _positions(logits.shape[2], box[0], box[2], size[0])  # (w,) each
    y, down = _positions(logits.shape[1], box[1], box[3], size[1])  # (h,) each
    grid = torch.stack([x.expand(len(y), -1), y[:, None].expand(-1, len(x))], dim=-1)  # (h, w, 2)
    # `closer` read at the positions of the whole photo's pixels: (3, h, w)
    moved = F.grid_sample(closer[None], grid[None], "bilinear", "border", align_corners=False)[0]
    return torch.lerp(logits, moved, WEIGHT * down[:, None] * across)  # logits + weight * (moved - logits)


def _span(profile: Tensor, length: int) -> tuple[int, int]:
    """First pixel of the box along one side of the photo, and the one past the last.

    Args:
        profile: float (n,), how much pet is in each row or column of the grid.
        length: of the photo's side in pixels.
    """
    ends = profile.double().cumsum(0)
    ends = torch.cat([ends.new_zeros(1), ends / ends[-1]])  # (n + 1,): fraction of the pet before each edge of the grid
    low, high = (_crossing(ends, fraction) for fraction in (BEYOND, 1 - BEYOND))
    margin = MARGIN * (high - low)
    first = max(0, int((low - margin) * length))
    return first, min(length, max(first + 1, math.ceil((high + margin) * length)))


def _crossing(ends: Tensor, fraction: float) -> float:
    """Where a rising curve on 0..1, given at equal steps, reaches a fraction; linear in between."""
    index = max(1, int(torch.searchsorted(ends, fraction)))
    before, after = float(ends[index - 1]), float(ends[index])
    return (index - 1 + (fraction - before) / (after - before)) / (len(ends) - 1)


def _positions(n: int, low: int, high: int, length: int) -> tuple[Tensor, Tensor]:
    """Where the pixels of the grid lie in the box, along one side, and the weight of the second pass at each.

    Args:
        n: pixels of the grid along this side.
        low: first pixel of the box along this side of the photo.
        high: the one past its last.
        length: of the photo's side in pixels.

    Returns:
        Positions (n,), -1 to 1 inside the box as `grid_sample` counts; weights (n,), 0 outside the box to 1.
    """
    inside = ((torch.arange(n) + 0.5) * length / n - low) / (high - low)  # 0..1 within the box
    # at the photo's own frame the box does not fade out: there is nothing beyond it to fade to
    from_low = inside / FADE if low > 0 else torch.ones(n)
    from_high = (1 - inside) / FADE if high < length else torch.ones(n)
    return 2 * inside - 1, torch.minimum(from_low, from_high).clamp(0, 1)
