"""Between a photo's own size and a small copy: matting and colours are estimated there and applied here."""

from __future__ import annotations

from typing import Final

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image

Floats = NDArray[np.float32]

#: Rows of a photo that are worked on at a time, so that temporary arrays stay small beside the photo.
ROWS: Final = 256


def shrunk(photo: Image.Image, side: int) -> Floats:
    """A copy of an image, RGB or L, whose longest side is at most `side` pixels: float32 (C, h, w), 0..1."""
    scale = min(1.0, side / max(photo.size))
    w, h = (max(1, round(length * scale)) for length in photo.size)
    pixels = np.asarray(photo.resize((w, h), Image.Resampling.BOX, reducing_gap=2.0), np.float32).reshape(h, w, -1)
    return np.ascontiguousarray(pixels.transpose(2, 0, 1) / 255)


def shrunk_alpha(alpha: NDArray[np.uint8], side: int) -> Floats:
    """Alpha, uint8 (H, W), at the size of `shrunk` with the same side: float32 (h, w), 0..1."""
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
