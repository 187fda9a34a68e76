"""The pet's own colours without the old background, and the background without the pet.

The colours are those of *blur fusion*: Forte: Approximate Fast Foreground Colour Estimation (ICIP 2021). They are
computed at a small size and applied at the photo's own.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter, uniform_filter

from petseg.inference.matting import ROWS, Alpha, Floats, at_pixels, shrunk, shrunk_alpha


@dataclass(frozen=True)
class ColorSettings:
    """Settings of the colours on both sides of the edge. Lengths are fractions of the photo's longest side."""

    side: int = 512  # longest side, in pixels, of the copy on which colours are averaged: they change slowly
    windows: tuple[float, float] = (0.12, 0.012)  # half the widths of blur fusion's windows: first wide, then narrow
    blur: float = 1 / 40  # standard deviation of the blur of a background
    tiny: float = 1e-5  # keeps a quotient defined where no pixel of a window belongs to one side


def foreground(photo: Image.Image, alpha: Alpha, settings: ColorSettings = ColorSettings()) -> NDArray[np.uint8]:
    """The photo with the pet's own colour wherever alpha lies between 0 and 255: uint8 (H, W, 3).

    Where alpha is 255 the colours are the photo's; where it is 0 they are black, so that nothing of the background can
    be brought back.
    """
    visible = Image.new("RGB", photo.size)  # black
    visible.paste(photo, mask=Image.fromarray(alpha).point([0] + [255] * 255))
    colors = np.array(visible)  # (H, W, 3)
    front, back = _fused(shrunk(photo, settings.side), shrunk_alpha(alpha, settings.side), settings)
    planes = np.concatenate([front, back])  # (6, h, w)
    for top in range(0, len(alpha), ROWS):
        strip = alpha[top : top + ROWS]
        rows, columns = np.nonzero((strip > 0) & (strip < 255))
        near = at_pixels(planes, rows + top, columns, photo.size)  # (6, N)
        opacity = np.divide(strip[rows, columns], 255, dtype=np.float32)
        pixels = np.divide(colors[rows + top, columns].T, 255, dtype=np.float32)  # (3, N)
        estimate = _corrected(pixels, opacity, near[:3], near[3:])
        colors[rows + top, columns] = (255 * estimate).round().astype(np.uint8).T
    return colors


def _fused(colors: Floats, alpha: Floats, settings: ColorSettings) -> tuple[Floats, Floats]:
    """Colours of both sides near each pixel: float32 (3, h, w) each, of colours (3, h, w) and alpha (h, w)."""

    def mean(colors: Floats, weights: Floats, radius: int) -> Floats:  # weighted, over a square around each pixel
        total, *sums = (
            uniform_filter(plane, 2 * radius + 1, mode="nearest") for plane in (weights, *(weights * colors))
        )
        return np.stack(sums) / (total + settings.tiny)

    front = back = estimate = colors
    for window in settings.windows:
        radius = max(1, round(window * max(alpha.shape)))
        front, back = mean(estimate, alpha, radius), mean(back, 1 - alpha, radius)
        estimate = _corrected(colors, alpha, front, back)
    return front, back


def _corrected(colors: Floats, alpha: Floats, front: Floats, back: Floats) -> Floats:
    """`front` moved towards the photo's colour by the error of the mixture, the more the larger alpha is."""
    return np.clip(front + alpha * (colors - alpha * front - (1 - alpha) * back), 0, 1)


def blurred_background(photo: Image.Image, alpha: Alpha, settings: ColorSettings = ColorSettings()) -> Image.Image:
    """The photo's background, out of focus and without the pet, whose colours do not bleed into it.

    A *normalised convolution* (Knutsson, Westin, CVPR 1993): the blurred sum of the background's pixels, divided by
    the blurred count of them. Behind the pet, beyond the reach of the blur, the background's mean colour stands. A
    photo without any background is blurred as it is.
    """
    colors = shrunk(photo, settings.side)
    weight = (shrunk_alpha(alpha, settings.side) <= 0).astype(np.float32)  # (h, w): 1 where a pixel is background alone
    if not weight.any():
        weight[:] = 1
    sigma = settings.blur * max(weight.shape)
    mean = (weight * colors).sum(axis=(1, 2)) / weight.sum()  # (3,)
    count, *sums = (gaussian_filter(plane, sigma) for plane in (weight, *(weight * colors)))
    blurred = (np.stack(sums, axis=-1) + settings.tiny * mean) / (count[..., None] + settings.tiny)  # (h, w, 3)
    small = Image.fromarray((255 * blurred).clip(0, 255).round().astype(np.uint8))
    return small.resize(photo.size, Image.Resampling.BILINEAR)
