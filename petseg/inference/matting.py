"""Alpha matting: from three classes to an opacity for each pixel, which follows hair as far as the photo shows it.

A photo's pixel at the pet's edge is a mixture: I = alpha F + (1 - alpha) B, of a foreground colour F and a background
colour B. *Matting* asks for alpha. It needs a *trimap*: certain foreground, certain background, unknown between. The
network's classes are nearly one:

1. `silhouette`: where pet is more likely than background, without holes of boundary and without specks;
2. `limits`: the trimap. Beyond a narrow band along the silhouette's edge alpha is certain, 1 or 0;
3. `color_fit`: near each pixel of the band, alpha as a linear function of colour, fitted to the certain pixels;
4. `matte`: that function applied to the photo's own pixels, between the limits;
5. `petseg.inference.foreground`: F, since a pet pasted elsewhere with the colour I has a halo of the old background.

Step 3 is the guided filter of He, Sun, Tang: Guided Image Filtering (TPAMI 2013), with weights: pixels whose alpha is
unknown count little in the fit. It is computed at a small size and applied at the photo's own, as in He, Sun: Fast
Guided Filter (2015, https://arxiv.org/abs/1505.00996).
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import distance_transform_edt, label, maximum, uniform_filter

from petseg.labels import BACKGROUND, PET

Mask = NDArray[np.bool_]
Floats = NDArray[np.float32]
Alpha = NDArray[np.uint8]

ROWS: Final = 256  # rows of a photo that are computed at a time, so that temporary arrays stay small beside the photo
CERTAIN: Final = 1000.0  # logit where a person painted, as in `correction`; those of a network are far smaller


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


def matte(photo: Image.Image, logits: Floats, settings: MatteSettings = MatteSettings()) -> Alpha:
    """The alpha matte, uint8 (H, W), 0 background to 255 pet, of an RGB photo and its logits, float32 (3, h, w)."""
    small = shrunk(photo, settings.side)  # (3, n, m)
    inside = silhouette(logits, small.shape[1:], settings.speck)
    lower, upper = limits(inside, settings)
    kept, removed = painted(logits, small.shape[1:])
    lower[kept], upper[removed] = 1, 0  # a person knows better than colours
    certain = np.where(lower < upper, np.float32(settings.doubt), np.float32(1))  # weights (n, m)
    radius = max(1, round(settings.window * max(inside.shape)))
    fit = color_fit(small, inside.astype(np.float32), certain, radius, settings.epsilon)
    return _applied(photo, fit, lower, upper, settings.contrast)


def silhouette(logits: Floats, size: tuple[int, ...], speck: float = 0.0) -> Mask:
    """Where the pet is, by logits float32 (3, h', w'): bool of this size, height and width.

    Pet is more likely than background, holes are closed, and regions smaller than the fraction `speck` of the largest
    are removed.

    P(pet) > P(background) is the same as P(pet) + P(boundary) / 2 > 1/2. So a body that the network takes for one large
    boundary is pet, as long as the rest of its probability says so.
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
    large[regions[painted(logits, size)[0] & inside]] = True
    return large[regions]


def painted(logits: Floats, size: tuple[int, ...]) -> tuple[Mask, Mask]:
    """Where a person painted keep and where remove, as logits (3, h', w') of `correction` say: bool (h, w) each."""
    scores = F.interpolate(torch.from_numpy(logits)[None], size=tuple(size), mode="bilinear", align_corners=False)[0]
    return (scores[PET] > CERTAIN / 2).numpy(), (scores[BACKGROUND] > CERTAIN / 2).numpy()


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
