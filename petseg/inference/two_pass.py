"""A closer look: where the pet is comes from a first look at the whole photo, what it is from a second at the pet.

A network that sees a whole photo at 128x128 knows a pet that fills a quarter of it from 64x64 pixels, and was trained
on pets that fill most of theirs. So the pet is cut out with a margin and segmented again, resized to the
working size as the whole photo was; the result is a weighted mean of both. `python -m petseg.upkeep.fullsize` measures
what that gains, beside a second look in the pet's own proportions and other ways.
"""

from __future__ import annotations

import math
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor

from petseg.labels import BACKGROUND

#: Share of the pet that may lie beyond each side of its box: specks far from it do not widen the box.
BEYOND: Final = 0.01

#: What is added to the box on each side, as a share of its width or height: where fur ends, and what is behind it.
MARGIN: Final = 0.15

#: What the closer look counts within its box, against 1 in all.
WEIGHT: Final = 2 / 3

#: Where the box ends within the photo, the closer look fades out over this share of it, lest a seam is seen.
FADE: Final = 0.1

#: Edges of a rectangle in pixels of a photo: left, top, right, bottom, as `PIL.Image.Image.crop` takes them.
Box = tuple[int, int, int, int]


def pet_box(logits: Tensor, size: tuple[int, int]) -> Box | None:
    """Where to look closer.

    Args:
        logits: float (3, h, w), scores of the whole photo in the order of `labels.CLASSES`.
        size: width and height of the photo in pixels.

    Returns:
        The box of the pet and its boundary, with a margin, clipped to the photo; None where no pixel is likelier pet
        or boundary than background.
    """
    there = (0.5 - logits.softmax(dim=0)[BACKGROUND]).clamp(min=0)  # (h, w); by how much it is likelier than not
    if not there.any():
        return None
    W, H = size
    left, right = _span(there.sum(dim=0), W)
    top, bottom = _span(there.sum(dim=1), H)
    return left, top, right, bottom


def merge_logits(logits: Tensor, closer: Tensor, box: Box, size: tuple[int, int]) -> Tensor:
    """Both looks in one: outside the box the first, inside it the weighted mean of their logits.

    Args:
        logits: float (3, h, w), scores of the whole photo.
        closer: float (3, h', w'), scores of the box.
        box: of what `closer` sees.
        size: width and height of the photo in pixels.

    Returns:
        float (3, h, w), scores of the whole photo.
    """
    x, across = _places(logits.shape[2], box[0], box[2], size[0])
    y, down = _places(logits.shape[1], box[1], box[3], size[1])
    grid = torch.stack([x.expand(len(y), -1), y[:, None].expand(-1, len(x))], dim=-1)  # (h, w, 2)
    seen = F.grid_sample(closer[None], grid[None], "bilinear", "border", align_corners=False)[0]
    return torch.lerp(logits, seen, WEIGHT * down[:, None] * across)


def _span(profile: Tensor, length: int) -> tuple[int, int]:
    """First pixel of the box along one side of the photo, and the one past the last, of how much pet is where."""
    ends = profile.double().cumsum(0)
    ends = torch.cat([ends.new_zeros(1), ends / ends[-1]])  # share of the pet before each edge of the grid
    low, high = (_crossing(ends, share) for share in (BEYOND, 1 - BEYOND))
    margin = MARGIN * (high - low)
    first = max(0, int((low - margin) * length))
    return first, min(length, max(first + 1, math.ceil((high + margin) * length)))


def _crossing(ends: Tensor, share: float) -> float:
    """Where a rising curve on 0..1, given at equal steps, reaches a share; linear in between."""
    place = max(1, int(torch.searchsorted(ends, share)))
    before, after = float(ends[place - 1]), float(ends[place])
    return (place - 1 + (share - before) / (after - before)) / (len(ends) - 1)


def _places(cells: int, low: int, high: int, length: int) -> tuple[Tensor, Tensor]:
    """Along one side of the grid: where its cells lie in the box, -1 to 1 inside, and the weight 0..1 of a closer look.

    The photo's own frame is no end of the box: nothing is there to fade to.
    """
    inside = ((torch.arange(cells) + 0.5) * length / cells - low) / (high - low)  # 0..1 within the box
    from_low = inside / FADE if low > 0 else torch.ones(cells)
    from_high = (1 - inside) / FADE if high < length else torch.ones(cells)
    return 2 * inside - 1, torch.minimum(from_low, from_high).clamp(0, 1)
