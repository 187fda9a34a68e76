"""Alpha matting: from three classes to an opacity for each pixel, which follows hair as far as the photo shows it.

A photo's pixel at the pet's edge is a mixture: I = alpha F + (1 - alpha) B, of a foreground colour F and a background
colour B. *Matting* asks for alpha. It needs a *trimap*: certain foreground, certain background, unknown between. The
network's classes are nearly one:

1. `silhouette`: where pet is more likely than background, without holes of boundary and without specks;
2. `limits`: the trimap. Beyond a narrow band along the silhouette's edge alpha is certain, 1 or 0;
3. `color_fit`: near each pixel of the band, alpha as a linear function of colour, fitted to the certain pixels;
4. `matte`: that function applied to the photo's own pixels, between the limits.

Step 3 is the guided filter of He, Sun, Tang: Guided Image Filtering (TPAMI 2013), with weights: pixels whose alpha is
unknown count little in the fit. Coefficients are found at a small size and applied at the photo's own, as in He, Sun:
Fast Guided Filter (2015, https://arxiv.org/abs/1505.00996). `python -m petseg.upkeep.mattes` chooses the settings.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import distance_transform_edt, label, maximum, uniform_filter
from torch import Tensor

from petseg.inference.scaling import ROWS, Floats, at_pixels, enlarged, shrunk
from petseg.labels import BACKGROUND, BOUNDARY, PET

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class MatteSettings:
    """Settings of the matte. Lengths are fractions of the photo's longest side.

    Attributes:
        side: longest side, in pixels, of the copy of the photo on which the colours are fitted.
        inner: width of the unknown band inside the silhouette.
        outer: width of the unknown band outside it, where single hairs are.
        speck: a region smaller than this fraction of the largest one is no pet.
        window: half the width of the windows in which alpha is a linear function of colour.
        epsilon: keeps the slopes small where all colours are alike; for colours in 0..1.
        doubt: weight of a pixel of the band in the fit; certain pixels have 1.
        contrast: by how much alpha is stretched about 1/2, since a linear fit stops short of 0 and 1.
    """

    side: int = 512
    inner: float = 0.016
    outer: float = 0.022
    speck: float = 0.05
    window: float = 0.04
    epsilon: float = 1e-3
    doubt: float = 0.1
    contrast: float = 1.5


def matte(photo: Image.Image, logits: Floats, settings: MatteSettings = MatteSettings()) -> NDArray[np.uint8]:
    """The alpha matte of a photo.

    Args:
        photo: RGB, W x H.
        logits: float32 (3, h, w) of the whole photo, in the order of `labels.CLASSES`.
        settings: see there.

    Returns:
        uint8 (H, W), 0 background to 255 pet.
    """
    small = shrunk(photo, settings.side)  # (3, n, m)
    inside = silhouette(logits, small.shape[1:], settings.speck)
    lower, upper = limits(inside, settings)
    certain = np.where(lower < upper, np.float32(settings.doubt), np.float32(1))  # weights (n, m)
    radius = max(1, round(settings.window * max(inside.shape)))
    fit = color_fit(small, inside.astype(np.float32), certain, radius, settings.epsilon)
    return _applied(photo, fit, lower, upper, settings.contrast)


def ramp(logits: Tensor) -> Tensor:
    """The plain alpha, without a look at the photo: it rises smoothly with p = P(pet) + P(boundary) / 2.

    A pixel of the boundary is about half pet. Alpha is 0 up to p = 1/4, 1 from p = 3/4, and in between 3 t^2 - 2 t^3 of
    t = 2 p - 1/2 ("smoothstep": level at both ends).

    Args:
        logits: float (3, ...).

    Returns:
        uint8 (...), 0 to 255.
    """
    probabilities = logits.softmax(dim=0)
    p = probabilities[PET] + probabilities[BOUNDARY] / 2
    t = (2 * p - 0.5).clamp_(0, 1)  # a wider ramp leaves a haze wherever the model is uncertain
    return (255 * t * t * (3 - 2 * t)).round_().to(torch.uint8)


def silhouette(logits: Floats, size: tuple[int, ...], speck: float = 0.0) -> Mask:
    """Where the pet is: pet is more likely than background, holes are closed and specks removed.

    P(pet) > P(background) is the same as P(pet) + P(boundary) / 2 > 1/2. So a body that the network takes for one large
    boundary is pet all the same, as far as the rest of its probability says so.

    Args:
        logits: float32 (3, h', w').
        size: height and width of the result.
        speck: regions smaller than this fraction of the largest are removed.

    Returns:
        bool (h, w).
    """
    scores = F.interpolate(torch.from_numpy(logits)[None], size=tuple(size), mode="bilinear", align_corners=False)[0]
    background = scores.softmax(dim=0)[BACKGROUND].numpy()
    inside = (scores[PET] > scores[BACKGROUND]).numpy()
    holes, count = label(~inside)
    if (
        count and inside.any()
    ):  # boundary enclosed by pet is pet; a hole with certain background, as between legs, stays open
        most = np.append(1.0, maximum(background, holes, np.arange(1, count + 1)))  # index 0: the pet itself
        inside |= (most < 0.5)[holes]
    regions, count = label(inside)
    areas = np.bincount(regions.ravel(), minlength=count + 1)
    areas[0] = 0  # the background
    kept: Mask = (areas >= max(1.0, speck * areas.max()))[regions]
    return kept


def limits(inside: Mask, settings: MatteSettings) -> tuple[Floats, Floats]:
    """The trimap, as the smallest and the largest alpha that a pixel may have.

    Certain pet: both are 1; certain background: both are 0. From the silhouette's edge to half the band's width alpha
    is free, 0 to 1; in the other half the limits close gradually, so that no step is seen where the band ends.

    Returns:
        lower and upper, float32 (h, w) each.
    """
    if inside.all() or not inside.any():  # no edge, no band
        return inside.astype(np.float32), inside.astype(np.float32)
    side = max(inside.shape)
    depth = (distance_transform_edt(inside) / (settings.inner * side)).astype(np.float32)  # 1 at the band's inner end
    distance = (distance_transform_edt(~inside) / (settings.outer * side)).astype(np.float32)
    return np.clip(2 * depth - 1, 0, 1), 1 - np.clip(2 * distance - 1, 0, 1)


def color_fit(colors: Floats, alpha: Floats, weights: Floats, radius: int, epsilon: float) -> Floats:
    """Alpha as a linear function of colour around each pixel: alpha = slope . color + offset.

    In each window of (2 radius + 1)^2 pixels, weighted least squares with the penalty epsilon |slope|^2: slope =
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
    average = [mean(weights * channel) / total for channel in (*colors, alpha)]  # of red, green, blue, alpha
    covariance = np.empty((*alpha.shape, 3, 4), np.float32)
    for i in range(3):
        for j in range(i, 4):
            other = alpha if j == 3 else colors[j]
            covariance[..., i, j] = mean(weights * colors[i] * other) / total - average[i] * average[j]
            if j < 3:
                covariance[..., j, i] = covariance[..., i, j]
    slope = np.linalg.solve(covariance[..., :3] + epsilon * np.eye(3, dtype=np.float32), covariance[..., 3:])[..., 0]
    offset = average[3] - sum(slope[..., i] * average[i] for i in range(3))
    return np.stack([mean(plane) for plane in (*np.moveaxis(slope, -1, 0), offset)])


def _applied(photo: Image.Image, fit: Floats, lower: Floats, upper: Floats, contrast: float) -> NDArray[np.uint8]:
    """The fit at each pixel of the photo that lies in the band: uint8 (H, W). Everywhere else the limits are alpha."""
    alpha, most = enlarged(lower, photo.size), enlarged(upper, photo.size)
    colors = np.asarray(photo)  # (H, W, 3)
    for top in range(0, len(alpha), ROWS):
        strip, limit = alpha[top : top + ROWS], most[top : top + ROWS]
        rows, columns = np.nonzero(strip < limit)
        *slope, offset = at_pixels(fit, rows + top, columns, photo.size)
        pixels = colors[rows + top, columns].astype(np.float32) / 255  # (N, 3)
        value = offset + sum(slope[i] * pixels[:, i] for i in range(3))
        value = 255 * (0.5 + contrast * (value - 0.5))
        strip[rows, columns] = np.clip(value, strip[rows, columns], limit[rows, columns]).round()
    return alpha
