"""Keep and remove: a person paints over what is missing or too much, and the logits follow.

The rule, on a copy of the photo whose longest side is at most 512 pixels: a pixel is *unsure* if neither P(pet) nor
P(background) exceeds 0.75; a *segment* is a connected region where P(background) is below 1/2. Painted pixels become
certain: pet for keep, background for remove; remove counts where both were painted. From them each stroke spreads over
connected unsure pixels, at most 4 % of the longest side far, and takes them to its side; what both strokes reach stays
as it was. A stroke of remove also takes the whole of a segment that it touches, unless the segment is the largest, or
was touched by keep. Pixels are connected by their sides, not by their corners.
"""

from typing import Final

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, label

from petseg.errors import SettingsError
from petseg.inference.matting import CERTAIN, Floats, Mask, MatteSettings
from petseg.labels import BACKGROUND, CLASSES, PET

UNSURE: Final = 0.75  # the largest probability of pet and of background at an unsure pixel
REACH: Final = 0.04  # how far a stroke spreads, as a fraction of the longest side
SPREAD: Final = 8.0  # logit of a pixel that a stroke reached: P is 0.9999998, and the matte may still soften it


def corrected_logits(logits: Floats, keep: Mask, remove: Mask) -> Floats:
    """Logits (3, n, m) that follow the strokes, bool (H, W) at the photo's size, of logits (3, h, w)."""
    H, W = keep.shape
    scale = min(1.0, MatteSettings().side / max(H, W))
    n, m = (max(1, round(length * scale)) for length in (H, W))
    scores = F.interpolate(torch.from_numpy(logits)[None], size=(n, m), mode="bilinear", align_corners=False)[0]
    probabilities = scores.softmax(dim=0).numpy()  # (3, n, m)
    removed = _shrunk(remove, n, m)
    kept = _shrunk(keep, n, m) & ~removed
    unsure = (probabilities[[PET, BACKGROUND]] <= UNSURE).all(axis=0) & ~kept & ~removed
    steps = max(1, round(REACH * max(n, m)))
    added, taken = (binary_dilation(stroke, iterations=steps, mask=unsure) for stroke in (kept, removed))
    segments = touched_segments(probabilities[BACKGROUND] < 0.5, kept, removed)
    corrected = scores.numpy()
    for stroke, name, logit in (
        (segments | (taken & ~added), BACKGROUND, SPREAD),
        (added & ~taken, PET, SPREAD),
        (removed, BACKGROUND, CERTAIN),
        (kept, PET, CERTAIN),
    ):
        corrected[:, stroke] = np.where(np.arange(len(CLASSES)) == name, logit, -logit)[:, None]
    return corrected


def touched_segments(inside: Mask, kept: Mask, removed: Mask) -> Mask:
    """The segments of a mask that go as a whole: removed pixels are in them, none is kept, another is the largest."""
    regions, count = label(inside)
    areas = np.bincount(regions.ravel(), minlength=count + 1)
    goes = np.zeros(count + 1, bool)
    goes[regions[removed]] = True
    goes[regions[kept]] = False
    goes[[0, 1 + int(np.argmax(areas[1:])) if count else 0]] = False  # region 0 is what lies outside
    segments: Mask = goes[regions]
    return segments


def checked(strokes: NDArray[np.bool_], name: str, size: tuple[int, int]) -> Mask:
    """A mask of strokes as bool; raises SettingsError unless it has the photo's height and width."""
    mask = np.asarray(strokes)
    if mask.shape != (size[1], size[0]) or mask.dtype != bool:
        shape = " x ".join(map(str, mask.shape))
        raise SettingsError(
            f"{name}: {mask.dtype} of {shape}; expected bool of {size[1]} x {size[0]}, the photo's height and width. "
            "Paint the strokes into np.zeros(result.mask.shape, bool)."
        )
    return mask


def _shrunk(strokes: Mask, n: int, m: int) -> Mask:
    """Where any pixel of the strokes (H, W) lies, on a grid of (n, m): bool."""
    H, W = strokes.shape
    rows, columns = np.nonzero(strokes)
    shrunk = np.zeros((n, m), bool)
    shrunk[rows * n // H, columns * m // W] = True
    return shrunk
