"""Alpha matting: from three classes to an opacity for each pixel, which follows hair as far as the photo shows it.

A photo's pixel at the pet's edge is a mixture: I = alpha F + (1 - alpha) B, of a foreground colour F and a background
colour B. *Matting* asks for alpha. It needs a *trimap*: certain foreground, certain background, unknown between. The
network's classes are nearly one:

1. `silhouette`: where pet is more likely than background, without holes of boundary and without specks;
2. `limits`: the trimap. Beyond a narrow band along the silhouette's edge alpha is certain, 1 or 0;
3. `color_fit`: near each pixel of the band, alpha as a linear function of colour, fitted to the certain pixels;
4. `matte`: that function applied to the photo's own pixels, between the limits;
5. `foreground`: F, since a pet pasted elsewhere with the colour I takes a halo of the old background with it.

Step 3 is the guided filter of He, Sun, Tang: Guided Image Filtering (TPAMI 2013), with weights: pixels whose alpha is
unknown count little in the fit. Step 5 is *blur fusion*: Forte: Approximate Fast Foreground Colour Estimation (ICIP
2021). Both are computed at a small size and applied at the photo's own, as in He, Sun: Fast Guided Filter (2015,
https://arxiv.org/abs/1505.00996).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import distance_transform_edt, gaussian_filter, label, maximum, uniform_filter

from petseg.labels import BACKGROUND, PET

Mask = NDArray[np.bool_]
Floats = NDArray[np.float32]
Alpha = NDArray[np.uint8]

ROWS: Final = 256  # rows of a photo that are computed at a time, so that temporary arrays stay small beside the photo


@dataclass(frozen=True)
class MatteSettings:
    """Settings of the matte. Lengths are fractions of the photo's longest side."""

    side: int = 512  # longest side, in pixels, of the copy of the photo on which the colours are fitted
    inner: float = 0.016  # width of the unknown band inside the silhouette
    outer: float = 0.022  # width of the unknown band outside it, where single hairs are
    speck: float = 0.05  # a region smaller than this fraction of the largest one is no pet
    window: float = 0.04  # half the width of the windows in which alpha is a linear function of colour
    epsilon: float = 1e-3  # keeps the slopes small where all colours are alike; for colours in 0..1
    doubt: float = 0.1  # weight of a pixel of the band in the fit; certain pixels have 1
    contrast: float = 1.5  # alpha is stretched about 1/2 by this factor: a linear fit stops short of 0 and 1


@dataclass(frozen=True)
class ColorSettings:
    """Settings of the colours on both sides of the edge. Lengths are fractions of the photo's longest side."""

    side: int = 512  # longest side, in pixels, of the copy on which colours are averaged: they change slowly
    windows: tuple[float, float] = (0.12, 0.012)  # half the widths of blur fusion's windows: first wide, then narrow
    blur: float = 1 / 40  # standard deviation of the blur of a background
    tiny: float = 1e-5  # keeps a quotient defined where no pixel of a window belongs to one side


def matte(photo: Image.Image, logits: Floats, settings: MatteSettings = MatteSettings()) -> Alpha:
    """The alpha matte, uint8 (H, W), 0 background to 255 pet, of an RGB photo and its logits, float32 (3, h, w)."""
    small = shrunk(photo, settings.side)  # (3, n, m)
    inside = silhouette(logits, small.shape[1:], settings.speck)
    lower, upper = limits(inside, settings)
    certain = np.where(lower < upper, np.float32(settings.doubt), np.float32(1))  # weights (n, m)
    radius = max(1, round(settings.window * max(inside.shape)))
    fit = color_fit(small, inside.astype(np.float32), certain, radius, settings.epsilon)
    return _applied(photo, fit, lower, upper, settings.contrast)


def silhouette(logits: Floats, size: tuple[int, ...], speck: float = 0.0) -> Mask:
    """Where the pet is: pet is more likely than background, holes are closed and specks removed.

    P(pet) > P(background) is the same as P(pet) + P(boundary) / 2 > 1/2. So a body that the network takes for one large
    boundary is pet, as long as the rest of its probability says so.

    Args:
        logits: float32 (3, h', w').
        size: height and width of the result.
        speck: regions smaller than this fraction of the largest are removed.

    Returns:
        bool (h, w).
    """
    scores = F.interpolate(torch.from_numpy(logits)[None], size=tuple(size), mode="bilinear", align_corners=False)[0]
    background = scores.softmax(dim=0)[BACKGROUND].numpy()
    inside: Mask = (scores[PET] > scores[BACKGROUND]).numpy()
    holes, count = label(~inside)
    if count and inside.any():
        # boundary enclosed by pet is pet; a hole with certain background, as between legs, stays open
        highest = np.append(1.0, maximum(background, holes, np.arange(1, count + 1)))  # index 0: the pet itself
        inside |= (highest < 0.5)[holes]
    regions, count = label(inside)
    areas = np.bincount(regions.ravel(), minlength=count + 1)
    areas[0] = 0  # the background
    large: Mask = areas >= max(1.0, speck * areas.max())
    return large[regions]


def limits(inside: Mask, settings: MatteSettings) -> tuple[Floats, Floats]:
    """The trimap, as the smallest and the largest alpha that a pixel may have: float32 (h, w) each.

    Certain pet: both are 1; certain background: both are 0. From the silhouette's edge to half the band's width alpha
    is free, 0 to 1; in the other half the limits close gradually, so that no step is visible where the band ends.
    """
    if inside.all() or not inside.any():  # no edge, no band
        return inside.astype(np.float32), inside.astype(np.float32)
    side = max(inside.shape)
    depth = (distance_transform_edt(inside) / (settings.inner * side)).astype(np.float32)  # 1 at the band's inner end
    distance = (distance_transform_edt(~inside) / (settings.outer * side)).astype(np.float32)
    return np.clip(2 * depth - 1, 0, 1), 1 - np.clip(2 * distance - 1, 0, 1)


def color_fit(colors: Floats, alpha: Floats, weights: Floats, radius: int, epsilon: float) -> Floats:
    """Alpha as a linear function of colour around each pixel: alpha = slope . color + offset.

    In each window of (2 radius + 1)^2 pixels, weighted least squares with the penalty `epsilon |slope|^2`: slope =
    (covariance of colours + epsilon)^-1 (covariance of colours and alpha). A pixel lies in many windows, so their
    coefficients are averaged. Equations 14 to 16 of the guided filter, with weighted means.

    Args:
        colors: float32 (3, h, w), 0..1.
        alpha: float32 (h, w), what is known of it.
        weights: float32 (h, w), above 0.
        radius: of the windows, in pixels.
        epsilon: see `MatteSettings`.

    Returns:
        float32 (4, h, w): the slope's three channels, and the offset.
    """

    def mean(values: Floats) -> Floats:
        window: Floats = uniform_filter(values, 2 * radius + 1, mode="nearest")
        return window

    total = mean(weights)
    planes = [*colors, alpha]
    average = [mean(weights * plane) / total for plane in planes]  # of red, green, blue, alpha
    covariance = np.empty((*alpha.shape, 3, 4), np.float32)
    for i in range(3):
        for j in range(i, 4):
            covariance[..., i, j] = mean(weights * colors[i] * planes[j]) / total - average[i] * average[j]
            if j < 3:
                covariance[..., j, i] = covariance[..., i, j]
    slope = np.linalg.solve(covariance[..., :3] + epsilon * np.eye(3, dtype=np.float32), covariance[..., 3:])[..., 0]
    offset = average[3] - sum(slope[..., i] * average[i] for i in range(3))
    return np.stack([mean(plane) for plane in (*np.moveaxis(slope, -1, 0), offset)])


def _applied(photo: Image.Image, fit: Floats, lower: Floats, upper: Floats, contrast: float) -> Alpha:
    """The fit at each pixel of the photo that lies in the band, the limits elsewhere: uint8 (H, W)."""
    alpha, highest = enlarged(lower, photo.size), enlarged(upper, photo.size)
    colors = np.asarray(photo)  # (H, W, 3)
    for top in range(0, len(alpha), ROWS):
        strip, limit = alpha[top : top + ROWS], highest[top : top + ROWS]
        rows, columns = np.nonzero(strip < limit)
        *slope, offset = at_pixels(fit, rows + top, columns, photo.size)
        pixels = colors[rows + top, columns].astype(np.float32) / 255  # (N, 3)
        value = offset + sum(slope[i] * pixels[:, i] for i in range(3))
        value = 255 * (0.5 + contrast * (value - 0.5))
        strip[rows, columns] = np.clip(value, strip[rows, columns], limit[rows, columns]).round()
    return alpha


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


def shrunk(photo: Image.Image, side: int) -> Floats:
    """A copy of an image, RGB or L, whose longest side is at most `side` pixels: float32 (C, h, w), 0..1."""
    scale = min(1.0, side / max(photo.size))
    w, h = (max(1, round(length * scale)) for length in photo.size)
    pixels = np.asarray(photo.resize((w, h), Image.Resampling.BOX, reducing_gap=2.0), np.float32).reshape(h, w, -1)
    return np.ascontiguousarray(pixels.transpose(2, 0, 1) / 255)


def shrunk_alpha(alpha: Alpha, side: int) -> Floats:
    """Alpha (H, W) at the size of `shrunk` with the same side: float32 (h, w), 0..1."""
    return shrunk(Image.fromarray(alpha), side)[0]


def at_pixels(planes: Floats, rows: NDArray[np.intp], columns: NDArray[np.intp], size: tuple[int, int]) -> Floats:
    """Planes (C, h, w) read at pixels of a photo of `size` (width, height), bilinearly: float32 (C, N)."""
    W, H = size
    grid = np.stack([(2 * columns + 1) / W - 1, (2 * rows + 1) / H - 1], axis=-1).astype(np.float32)  # (N, 2), -1..1
    source, points = torch.from_numpy(planes)[None], torch.from_numpy(grid)[None, None]
    return F.grid_sample(source, points, "bilinear", "border", align_corners=False)[0, :, 0].numpy()


def enlarged(plane: Floats, size: tuple[int, int]) -> NDArray[np.uint8]:
    """A plane (h, w) of values 0..1 at a photo's size (width, height): uint8 (H, W), 0..255."""
    image = Image.fromarray((255 * plane).round().astype(np.uint8))
    return np.array(image.resize(size, Image.Resampling.BILINEAR))
