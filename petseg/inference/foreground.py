"""The colours on both sides of a matte: the pet's own without the old background, and the background without the pet.

At the edge a photo shows I = alpha F + (1 - alpha) B. Pasted elsewhere with its colour I, the pet takes a halo of the
old background with it. So F is estimated: Forte: Approximate Fast Foreground Colour Estimation (ICIP 2021), known as
blur fusion.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter, uniform_filter

from petseg.inference.scaling import ROWS, Floats, at_pixels, shrunk, shrunk_alpha

#: Longest side, in pixels, of the copy on which colours are averaged: they change slowly.
SIDE: Final = 512

#: Half the width of the two windows of blur fusion, as fractions of the longest side: first wide, then narrow.
WINDOWS: Final = (0.12, 0.012)

#: Standard deviation of the blur of a background, as a fraction of the longest side.
BLUR: Final = 1 / 40

TINY: Final = 1e-5  # keeps a quotient defined where no pixel of a window belongs to one side


def foreground(photo: Image.Image, alpha: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The photo with the pet's own colour wherever alpha lies between 0 and 255.

    Args:
        photo: RGB, W x H.
        alpha: uint8 (H, W), 0 background to 255 pet.

    Returns:
        uint8 (H, W, 3): the photo's colours where alpha is 255, an estimate where it is less, black where it is 0:
        nothing of the background can be brought back.
    """
    visible = Image.new("RGB", photo.size)  # black
    visible.paste(photo, mask=Image.fromarray(alpha).point([0] + [255] * 255))
    colors = np.array(visible)  # (H, W, 3)
    front, back = _fused(shrunk(photo, SIDE), shrunk_alpha(alpha, SIDE))
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


def blurred_background(photo: Image.Image, alpha: NDArray[np.uint8], fraction: float = BLUR) -> Image.Image:
    """The photo's background, out of focus, without the pet: it does not glow into what is around it.

    A *normalised convolution* (Knutsson, Westin, CVPR 1993): the blurred sum of the background's pixels, divided by
    the blurred count of them. Behind the pet, further away than the blur reaches, the background's mean colour stands.

    Args:
        photo: RGB, W x H.
        alpha: uint8 (H, W), 0 background to 255 pet.
        fraction: standard deviation of the blur, as a fraction of the longest side.

    Returns:
        RGB, W x H. A photo without any background is blurred as it is.
    """
    colors = shrunk(photo, SIDE)
    weight = (shrunk_alpha(alpha, SIDE) <= 0).astype(np.float32)  # (h, w): 1 where a pixel is background alone
    if not weight.any():
        weight[:] = 1
    sigma = fraction * max(weight.shape)
    mean = (weight * colors).sum(axis=(1, 2)) / weight.sum()  # (3,)
    count = gaussian_filter(weight, sigma)
    planes = [
        (gaussian_filter(weight * channel, sigma) + TINY * usual) / (count + TINY)
        for channel, usual in zip(colors, mean, strict=True)
    ]
    small = Image.fromarray((255 * np.stack(planes, axis=-1)).clip(0, 255).round().astype(np.uint8))
    return small.resize(photo.size, Image.Resampling.BILINEAR)


def _fused(colors: Floats, alpha: Floats) -> tuple[Floats, Floats]:
    """Colours of both sides near each pixel: float32 (3, h, w) each, of colours (3, h, w) and alpha (h, w)."""
    front = back = estimate = colors
    for window in WINDOWS:
        size = 2 * max(1, round(window * max(alpha.shape))) + 1
        front = _mean(estimate, alpha, size)
        back = _mean(back, 1 - alpha, size)
        estimate = _corrected(colors, alpha, front, back)
    return front, back


def _mean(colors: Floats, weights: Floats, size: int) -> Floats:
    """The weighted mean of colours (3, h, w) over a square around each pixel."""
    total = uniform_filter(weights, size, mode="nearest") + TINY
    return np.stack([uniform_filter(weights * channel, size, mode="nearest") / total for channel in colors])


def _corrected(colors: Floats, alpha: Floats, front: Floats, back: Floats) -> Floats:
    """`front`, moved by what is missing to the photo's colour in the mixture, the more the larger alpha is."""
    return np.clip(front + alpha * (colors - alpha * front - (1 - alpha) * back), 0, 1)
