"""Drawn animals with strands of fur before busy backgrounds: pictures whose alpha and colours are known exactly."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy.ndimage import distance_transform_edt, gaussian_filter

from petseg.labels import BACKGROUND, BOUNDARY, PET

SUPERSAMPLING = 4  # drawn pixels per pixel along each side: a strand is thinner than a pixel
WORKING = 128  # side of the logits, as of a network at 128x128
HALF_BOUNDARY = 2.5  # half the width of their boundary, in pixels
STRANDS, CORNERS = 900, 180

Floats = NDArray[np.float32]


class FurPicture(NamedTuple):
    """A picture with its true alpha (S, S) in 0..1, colours (S, S, 3) in 0..255 and rough logits (3, 128, 128)."""

    photo: Image.Image
    alpha: Floats
    foreground: Floats
    logits: Floats


def fur_picture(seed: int, side: int = 400) -> FurPicture:
    """A random animal: a rounded body with strands, one colour against a busy background of about its complement."""
    rng = np.random.default_rng(seed)
    alpha = _fur(rng, side)
    coat = rng.uniform(40, 215, 3)
    foreground = _texture(rng, side, coat, 14, (2, 24))
    background = _texture(rng, side, 255 - coat + rng.normal(0, 25, 3), 45, (6, 30, 120))
    mixture = alpha[..., None] * foreground + (1 - alpha[..., None]) * background
    photo = Image.fromarray(mixture.round().astype(np.uint8))
    return FurPicture(photo, alpha, foreground, _logits(rng, alpha))


def _fur(rng: np.random.Generator, side: int) -> Floats:
    """Alpha: a body, and strands that leave its outline and bend."""
    length = side * SUPERSAMPLING
    image = Image.new("L", (length, length))
    draw = ImageDraw.Draw(image)
    angle = np.linspace(0, 2 * np.pi, CORNERS, endpoint=False)
    radius = 0.27 + 0.03 * np.sin(3 * angle + rng.uniform(0, 6)) + 0.02 * np.sin(5 * angle + rng.uniform(0, 6))
    outline = 0.5 + radius[:, None] * np.stack([1.15 * np.cos(angle), np.sin(angle)], axis=1)  # (CORNERS, 2), 0..1
    draw.polygon([tuple(point) for point in outline * length], fill=255)
    for corner in rng.integers(0, CORNERS, STRANDS):
        turns = angle[corner] + rng.normal(0, 0.5) + np.cumsum(np.full(6, rng.normal(0, 0.4) / 6))
        steps = rng.uniform(0.01, 0.04) / 6 * np.stack([np.cos(turns), np.sin(turns)], axis=1)
        points = (outline[corner] + np.concatenate([np.zeros((1, 2)), steps.cumsum(axis=0)])) * length
        thick = rng.uniform(1, 2.2) * length / 800
        for i in range(6):  # thinner towards the tip
            draw.line([tuple(points[i]), tuple(points[i + 1])], fill=255, width=max(1, round(thick * (1 - i / 7))))
    pixels = np.asarray(image.resize((side, side), Image.Resampling.BOX))
    return np.divide(pixels, 255, dtype=np.float32)


def _texture(
    rng: np.random.Generator, side: int, color: NDArray[np.float64], spread: float, grains: tuple[int, ...]
) -> Floats:
    """Colours (S, S, 3) around one colour, varied by noise of several grain sizes in pixels."""
    texture = np.zeros((side, side, 3), np.float32) + color
    for grain in grains:
        cells = max(2, side // grain)
        for channel in range(3):
            noise = Image.fromarray(rng.normal(0, spread / len(grains) ** 0.5, (cells, cells)).astype(np.float32))
            texture[..., channel] += np.asarray(noise.resize((side, side), Image.Resampling.BICUBIC))
    return texture.clip(0, 255).astype(np.float32)


def _logits(rng: np.random.Generator, alpha: Floats) -> Floats:
    """The classes of alpha at the working size, softened and with noise."""
    small = np.asarray(Image.fromarray(alpha).resize((WORKING, WORKING), Image.Resampling.BOX))
    inside = small > 0.5
    near = np.where(inside, distance_transform_edt(inside), distance_transform_edt(~inside)) <= HALF_BOUNDARY
    classes = np.where(near, BOUNDARY, np.where(inside, PET, BACKGROUND))
    sure = 7 * np.eye(3)[classes].transpose(2, 0, 1)  # (3, h, w)
    noise = 4 * gaussian_filter(rng.normal(0, 1, sure.shape), (0, 2, 2))
    return (gaussian_filter(sure, (0, 1, 1)) + noise).astype(np.float32)
