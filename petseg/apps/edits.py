"""Corrections of a cut-out by hand: strokes of a brush, and pets that are left out; the last one counts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
from PIL import Image, ImageDraw
from scipy.ndimage import center_of_mass, label

from petseg.errors import SettingsError
from petseg.inference.matting import Mask, MatteSettings, silhouette
from petseg.inference.segmentation import Segmentation
from petseg.inference.two_pass import SMALLEST_PET

#: The largest radius of a stroke from a browser, as a fraction of the longest side, and its most points.
WIDEST: Final = 0.1
MOST_POINTS: Final = 5000


@dataclass(frozen=True)
class Stroke:
    """A line of the brush: what it covers belongs to the pet (`keep`) or does not."""

    keep: bool
    radius: float  # of the brush, as a fraction of the photo's longest side
    points: Sequence[tuple[float, float]]  # from the left and from the top, as fractions of width and height

    @classmethod
    def from_message(cls, message: Mapping[str, Any]) -> Self:
        """A stroke as a browser describes it; raises SettingsError if no brush of ours draws it."""
        try:
            radius, points = float(message["radius"]), [(_near(x), _near(y)) for x, y in message["points"]]
        except (KeyError, TypeError, ValueError) as error:
            raise SettingsError("The stroke is not one of this page's brush. Load the page again.") from error
        if not (0 < radius <= WIDEST and 0 < len(points) <= MOST_POINTS):
            raise SettingsError("The stroke is too long for the photo. Paint it in parts.")
        return cls(bool(message.get("keep")), radius, points)

    def covered(self, size: tuple[int, int]) -> Mask:
        """The covered pixels of a photo of `size` (width, height)."""
        W, H = size
        reach = max(0.5, self.radius * max(size))
        centers = [(x * W, y * H) for x, y in self.points]
        image = Image.new("1", size)
        draw = ImageDraw.Draw(image)
        draw.line(centers, 1, round(2 * reach))
        for x, y in centers:
            draw.ellipse((x - reach, y - reach, x + reach, y + reach), 1)
        return np.array(image)


def _near(value: Any) -> float:
    """A coordinate, at most the photo's width or height beyond its frame: so far the pointer may be dragged."""
    return min(2.0, max(-1.0, float(value)))


@dataclass(frozen=True)
class Pet:
    """The choice whether one of several pets is `shown`; they are counted from the left."""

    index: int
    shown: bool


Edit = Stroke | Pet


def pet_regions(result: Segmentation) -> list[Mask]:
    """The pixels of each pet, from left to right, if there are several; without specks."""
    W, H = result.photo.size
    scale = min(1.0, MatteSettings().side / max(W, H))
    n, m = (max(1, round(length * scale)) for length in (H, W))
    regions, count = label(silhouette(result.logits, (n, m), SMALLEST_PET))
    if count < 2:
        return []
    middles = center_of_mass(regions > 0, regions, range(1, count + 1))
    large = regions[np.arange(H)[:, None] * n // H, np.arange(W) * m // W]
    return [large == 1 + i for i in sorted(range(count), key=lambda i: middles[i][1])]


def shown_pets(result: Segmentation, edits: Sequence[Edit]) -> list[bool]:
    """Which of several pets are shown; empty for a single one."""
    shown = [True] * len(pet_regions(result))
    for edit in edits:
        if isinstance(edit, Pet):
            shown[edit.index] = edit.shown
    return shown


def edited(result: Segmentation, edits: Sequence[Edit]) -> Segmentation:
    """The result after all edits, as `Segmentation.corrected` follows them."""
    if not edits:
        return result
    W, H = result.photo.size
    keep, remove = np.zeros((2, H, W), bool)
    regions = pet_regions(result) if any(isinstance(edit, Pet) for edit in edits) else []
    for edit in edits:
        covered = regions[edit.index] if isinstance(edit, Pet) else edit.covered((W, H))
        keep[covered] = isinstance(edit, Stroke) and edit.keep
        remove[covered] = not (edit.shown if isinstance(edit, Pet) else edit.keep)
    return result.corrected(keep, remove)
