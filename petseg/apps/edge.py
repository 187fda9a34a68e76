"""The edge of a cut-out moved and softened by hand, where its owner wants more or less of it than the matte gives."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter
from scipy.ndimage import distance_transform_edt

from petseg.inference.foreground import foreground
from petseg.inference.scaling import enlarged, shrunk_alpha

#: Longest side, in pixels, of the copy on which distances to the edge are measured.
SIDE: Final = 1024


def moved(alpha: NDArray[np.uint8], grow: float, feather: float) -> NDArray[np.uint8]:
    """An alpha matte with its edge moved, then blurred.

    Both lengths are per mille of the photo's longest side, so that they mean the same for a small copy of it.

    Args:
        alpha: uint8 (H, W).
        grow: by how much the edge moves outwards; below 0, inwards.
        feather: standard deviation of the blur.

    Returns:
        uint8 (H, W).
    """
    if grow > 0:
        alpha = _grown(alpha, grow)
    elif grow < 0:
        alpha = 255 - _grown(255 - alpha, -grow)
    if feather > 0:
        blur = ImageFilter.GaussianBlur(feather * max(alpha.shape) / 1000)
        alpha = np.asarray(Image.fromarray(alpha).filter(blur))
    return alpha


def colored(photo: Image.Image, alpha: NDArray[np.uint8], shown: NDArray[np.uint8]) -> Image.Image:
    """The photo before a transparent background, with the pet's own colours as far as the matte goes.

    Where more is shown than the matte has, the colour goes over to the photo's own, all the way where the matte has
    0 and 255 is shown: there the owner asks for what the photo shows.

    Args:
        photo: RGB, W x H.
        alpha: uint8 (H, W), the matte.
        shown: uint8 (H, W), the opacity of the result.

    Returns:
        RGBA, W x H.
    """
    # an alpha of 1 just beyond the matte: the pet's colour is estimated there too, rather than black
    colors = foreground(photo, np.where((shown > 0) & (alpha == 0), np.uint8(1), alpha))  # (H, W, 3)
    rows, columns = np.nonzero(shown > alpha)
    before, after = (plane[rows, columns].astype(np.float32) for plane in (alpha, shown))
    weight = ((after - before) / (255 - before))[:, None]
    own = np.asarray(photo)[rows, columns]
    colors[rows, columns] = (colors[rows, columns] * (1 - weight) + own * weight).round().astype(np.uint8)
    colors[shown == 0] = 0
    image = Image.fromarray(colors)
    image.putalpha(Image.fromarray(shown))
    return image


def _grown(alpha: NDArray[np.uint8], length: float) -> NDArray[np.uint8]:
    """The larger of alpha and a silhouette that reaches so many per mille of the longest side beyond alpha > 1/2."""
    small = shrunk_alpha(alpha, SIDE)  # (h, w), 0..1
    if not (small > 0.5).any():
        return alpha
    distance = distance_transform_edt(small <= 0.5)  # 1 at the first pixel outside
    reach = np.clip(length * max(small.shape) / 1000 + 1 - distance, 0, 1).astype(np.float32)
    return np.maximum(alpha, enlarged(reach, (alpha.shape[1], alpha.shape[0])))
