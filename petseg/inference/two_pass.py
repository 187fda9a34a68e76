"""Two passes: the first, over the whole photo, finds the pets; the second, over each pet alone, sees more detail.

At 128x128 pixels for the whole photo, a pet that fills a tenth of it has about 40x40 pixels; those on which the network
was trained fill, with their boundary, about two fifths of theirs. So the pet is cropped with a margin, resized to the
working size as the whole photo was, and segmented again. The result is a weighted mean of both. Pets that stand apart
are cropped one by one: in a box around two of them both would stay as small as before.

A pet that the first pass misses gets no box; of several small ones it misses some. So where it finds little, the whole
photo is segmented at twice the size as well, and the first pass is the mean of both. Where it finds a large pet, twice
the size makes the mask worse; where it finds nothing, twice the size finds pets on photos without one.

Below, `logits` are float (3, h, w), of the whole photo, in the order of `labels.CLASSES`; `size` is the photo's width
and height in pixels.
"""

import math
from itertools import combinations
from typing import Final

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from scipy.ndimage import find_objects, label
from torch import Tensor

from petseg.labels import BACKGROUND, PET

SMALL: Final = (0.002, 0.25)  # the photo is segmented at twice the size if pets fill a fraction of it between these
LEAST: Final = 1e-8  # probability whose logarithm is still a logit like others
BEYOND: Final = 0.01  # fraction of the pet that may lie beyond each side of its box: specks do not widen the box
SMALLEST_PET: Final = 0.15  # a region is a pet if it has at least this fraction of the largest region's pixels
MOST_PETS: Final = 6  # only the largest pets are segmented again: each takes a pass
MARGIN: Final = 0.15  # added on each side, as a fraction of the box: the network needs to see where the fur ends
WEIGHT: Final = 2 / 3  # of the second pass within its box; the first pass has the rest of 1
FADE: Final = 0.1  # the second pass fades out over this fraction of the box, so that no seam is visible

#: Of the squares for a classifier: how many at most, the fraction of the largest region's pixels that a region needs,
#: and the margin on each side as a fraction of the region's longer side.
MOST_SQUARES: Final = 3
SMALLEST_SQUARE: Final = 0.1
SQUARE_MARGIN: Final = 0.1

#: Edges of a rectangle in pixels of a photo: left, top, right, bottom, as `PIL.Image.Image.crop` takes them.
Box = tuple[int, int, int, int]


def pets_are_small(logits: Tensor) -> bool:
    """Whether the photo is worth a pass at twice the size: pets and their boundary fill some of it, but little."""
    filled = float((logits.softmax(dim=0)[BACKGROUND] < 0.5).float().mean())
    return SMALL[0] <= filled < SMALL[1]


def mean_logits(logits: Tensor, larger: Tensor) -> Tensor:
    """Logits (3, h, w) of the mean probabilities of both: of `logits` (3, h, w) and of `larger`, (3, 2 h, 2 w).

    With the mean of the logits, a pet that only one of them sees could be lost: the other is often more certain.
    """
    likely = F.avg_pool2d(larger.softmax(dim=0), 2)  # (3, h, w)
    return torch.lerp(logits.softmax(dim=0), likely, 0.5).clamp(min=LEAST).log()


def part_of(photo: Image.Image, box: Box) -> Image.Image:
    """The pixels of a box within the photo; Pillow's `crop` warns of boxes of 89 megapixels, and refuses 179."""
    left, top, right, bottom = box
    if box == (0, 0, *photo.size):
        return photo
    return photo.transform((right - left, bottom - top), Image.Transform.EXTENT, box)


def pet_boxes(logits: Tensor, size: tuple[int, int]) -> list[Box]:
    """The parts of a photo that the second pass runs on: a box for each pet with its boundary and a margin.

    A pet is a connected region where background is less likely than pet and boundary together. Boxes that overlap
    become one. At most `MOST_PETS`, within the photo, the largest pet first; none if there is no pet.
    """
    pet = (0.5 - logits.softmax(dim=0)[BACKGROUND]).clamp(min=0)  # (h, w): above 0 where background is less likely
    regions, count = label((pet > 0).numpy(), np.ones((3, 3)))  # corners connect
    areas = np.bincount(regions.ravel(), minlength=count + 1)[1:]
    pets = [index for index in np.argsort(-areas) if areas[index] >= SMALLEST_PET * areas.max()][:MOST_PETS]
    if len(pets) == 1:
        return [_box(pet, size)]  # with the specks around it, which may be its ears
    return _merged([_box(pet * torch.from_numpy(regions == index + 1), size) for index in pets])


def pet_squares(logits: Tensor, size: tuple[int, int]) -> list[Box]:
    """The parts of a photo that a classifier is asked about: a square around each of the largest regions of pet pixels.

    At most `MOST_SQUARES`, within the photo, the largest region first; none if no pixel is a pet's.
    """
    h, w = logits.shape[1:]
    W, H = size
    regions, count = label((logits.argmax(dim=0) == PET).numpy())
    places = find_objects(regions)
    areas = np.bincount(regions.ravel(), minlength=count + 1)[1:]
    squares = []
    for index in np.argsort(-areas, kind="stable")[:MOST_SQUARES]:
        rows, columns = places[index]
        if areas[index] >= SMALLEST_SQUARE * areas.max():
            x, y = columns.start * W / w, rows.start * H / h
            across, down = columns.stop * W / w - x, rows.stop * H / h - y
            side = (1 + 2 * SQUARE_MARGIN) * max(across, down)
            left, top = x + (across - side) / 2, y + (down - side) / 2
            left, top, right, bottom = max(0, int(left)), max(0, int(top)), int(left + side), int(top + side)
            # a region of a photo smaller than the logits can be less than a pixel
            squares.append((left, top, max(left + 1, min(W, right)), max(top + 1, min(H, bottom))))
    return squares


def _box(pet: Tensor, size: tuple[int, int]) -> Box:
    """The box of a pet, float (h, w) above 0, with its margin, in a photo of `size`."""
    left, right = _span(pet.sum(dim=0), size[0])  # sums of the columns
    top, bottom = _span(pet.sum(dim=1), size[1])  # sums of the rows
    return left, top, right, bottom


def _merged(boxes: list[Box]) -> list[Box]:
    """Replaces two overlapping boxes by the box around both, until none overlap."""
    for first, second in combinations(boxes, 2):
        if first[0] < second[2] and second[0] < first[2] and first[1] < second[3] and second[1] < first[3]:
            left, top, right, bottom = zip(first, second, strict=True)
            around = min(left), min(top), max(right), max(bottom)
            return _merged([around, *(box for box in boxes if box not in (first, second))])
    return boxes


def merge_logits(logits: Tensor, closer: Tensor, box: Box, size: tuple[int, int]) -> Tensor:
    """Merges both passes: outside the box the logits of the first, inside it the weighted mean of both.

    `closer`, float (3, h', w'), are the logits of the box alone.
    """
    x, across = _positions(logits.shape[2], box[0], box[2], size[0])  # (w,) each
    y, down = _positions(logits.shape[1], box[1], box[3], size[1])  # (h,) each
    grid = torch.stack([x.expand(len(y), -1), y[:, None].expand(-1, len(x))], dim=-1)  # (h, w, 2)
    # `closer` read at the positions of the whole photo's pixels: (3, h, w)
    moved = F.grid_sample(closer[None], grid[None], "bilinear", "border", align_corners=False)[0]
    return torch.lerp(logits, moved, WEIGHT * down[:, None] * across)  # logits + weight * (moved - logits)


def _span(profile: Tensor, length: int) -> tuple[int, int]:
    """First pixel of the box and the one past its last, along a side of `length` pixels.

    `profile` (n,) says how much pet is in each row or column of the logits.
    """
    before = np.append(0, profile.double().cumsum(0))  # (n + 1,): how much pet there is before each edge
    low, high = np.interp((BEYOND, 1 - BEYOND), before / before[-1], np.linspace(0, 1, len(before)))
    margin = MARGIN * (high - low)
    first = max(0, int((low - margin) * length))
    return first, min(length, max(first + 1, math.ceil((high + margin) * length)))


def _positions(n: int, low: int, high: int, length: int) -> tuple[Tensor, Tensor]:
    """Positions of n pixels of the logits in the box `low` to `high`, along a side of `length` pixels, and weights.

    Positions (n,) are -1 to 1 inside the box, as `grid_sample` expects; weights (n,) of the second pass are 0 to 1.
    """
    inside = ((torch.arange(n) + 0.5) * length / n - low) / (high - low)  # 0..1 within the box
    # no fading at the photo's own frame: nothing lies beyond it
    from_low = inside / FADE if low > 0 else torch.ones(n)
    from_high = (1 - inside) / FADE if high < length else torch.ones(n)
    return 2 * inside - 1, torch.minimum(from_low, from_high).clamp(0, 1)
