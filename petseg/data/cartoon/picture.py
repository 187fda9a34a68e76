"""One picture: a pet of a breed in a scene, photographed in some light, and the trimap of its silhouette."""

from __future__ import annotations

import zlib
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from petseg.data.cartoon.breeds import Breed, Pet, random_pet
from petseg.data.cartoon.canvas import SUPERSAMPLING, Canvas, Role
from petseg.data.cartoon.poses import POSES, Pose
from petseg.data.cartoon.scenes import SCENES, draw_clutter, draw_occluder
from petseg.errors import SettingsError
from petseg.labels import BACKGROUND, BOUNDARY, PET, trimap_from_labels

#: Half the width of the boundary, as a part of the picture's side. In the real trimaps the boundary covers
#: about an eighth of an image; this gives the same fraction.
BAND: Final = 0.019
SMALLEST: Final = 32

Rng = np.random.Generator


def draw_pet(breed: Breed, seed: int, size: int = 128) -> tuple[Image.Image, NDArray[np.uint8]]:
    """Draw one animal, the same pixels for the same arguments on every machine.

    Args:
        breed: one of `BREEDS`, or a new one.
        seed: 0 or more; pose, scene, light and the animal's own colours follow from it.
        size: height and width in pixels, 32 or more.

    Returns:
        The picture, RGB of size x size, and its trimap, uint8 (size, size): 1 pet, 2 background, 3 boundary.
        What hides the pet is background; whiskers are too thin to count as pet.

    Raises:
        SettingsError: a negative seed, or a size below 32.
    """
    if seed < 0 or size < SMALLEST:
        raise SettingsError(f"seed {seed}, size {size}: seed must be 0 or more and size {SMALLEST} or more.")
    # a checksum of the name, not Python's hash: that differs from run to run
    rng = np.random.default_rng([zlib.crc32(breed.name.encode()), seed])
    canvas = Canvas.blank(size)
    _compose(canvas, random_pet(breed, rng), rng)
    return _develop(canvas.image, rng), trimap_of(canvas.silhouette)


def trimap_of(silhouette: Image.Image) -> NDArray[np.uint8]:
    """The trimap of a supersampled silhouette.

    Args:
        silhouette: mode L, `SUPERSAMPLING` times the picture's size, 255 where the pet is seen, else 0.

    Returns:
        uint8 (H, W): 3 within `BAND` of the silhouette's edge on either side, else 1 inside and 2 outside.
        Where the picture's frame cuts off the pet there is no edge, as in the real trimaps.
    """
    inside = np.asarray(silhouette) > 127
    edge = np.zeros_like(inside)
    edge[:, 1:] |= inside[:, 1:] != inside[:, :-1]
    edge[1:] |= inside[1:] != inside[:-1]
    labels = np.where(inside, np.uint8(PET), np.uint8(BACKGROUND))
    labels[_within(edge, max(SUPERSAMPLING, round(BAND * edge.shape[1])))] = BOUNDARY
    center = SUPERSAMPLING // 2
    return trimap_from_labels(np.ascontiguousarray(labels[center::SUPERSAMPLING, center::SUPERSAMPLING]))


def _within(mask: NDArray[np.bool_], radius: int) -> NDArray[np.bool_]:
    """Dilation by a disc: True where a pixel of the mask lies within `radius`, bool (H, W)."""
    H, W = mask.shape
    count = np.zeros((H, W + 2 * radius + 1), dtype=np.int32)
    np.cumsum(np.pad(mask, ((0, 0), (radius, radius))), axis=1, out=count[:, 1:])
    near = np.zeros_like(mask)
    for dy in range(-radius, radius + 1):
        reach = int((radius**2 - dy**2) ** 0.5)
        row = count[:, radius + reach + 1 : radius + reach + 1 + W] > count[:, radius - reach : radius - reach + W]
        near[max(0, dy) : H + min(0, dy)] |= row[max(0, -dy) : H + min(0, -dy)]
    return near


def _compose(canvas: Canvas, pet: Pet, rng: Rng) -> None:
    """Draw scene, clutter, pet and what is in front of it, from back to front."""
    scene = canvas.pen()
    pose = POSES[rng.choice(len(POSES), p=[0.25, 0.2, 0.2, 0.1, 0.25])]
    height = rng.uniform(0.5, 0.86) if pose.grounded else rng.uniform(0.42, 0.68)
    scale = height / pose.height
    ground = rng.uniform(0.78, 0.97)
    SCENES[rng.integers(len(SCENES))](scene, rng, ground)
    draw_clutter(scene, rng, ground, int(rng.integers(1, 5)))
    x, y, flip = _place(pose, scale, ground, rng)
    pen = scene.at(x, y, scale, rng.normal(0, 3.5), flip).into(Role.PET)
    pose.draw(pen, pet, rng)
    if rng.random() < 0.35:
        draw_occluder(scene, rng, x + rng.choice([-1, 1]) * rng.uniform(0.12, 0.3), ground)


def _place(pose: Pose, scale: float, ground: float, rng: Rng) -> tuple[float, float, bool]:
    """Where the pet's pen goes and whether it is mirrored; the head stays in the frame, the rest need not."""
    flip = bool(rng.random() < 0.5)
    if not pose.grounded:
        return rng.uniform(0.3, 0.7), rng.uniform(0.42, 0.6), flip
    offset = pose.head[0] * scale * (-1 if flip else 1)
    x = np.clip(0.5 + rng.normal(0, 0.13), 0.2 - offset, 0.8 - offset)
    y = max(ground, 0.2 - pose.head[1] * scale)
    return float(x), float(y), flip


def _develop(image: Image.Image, rng: Rng) -> Image.Image:
    """Reduce the canvas to the picture, and give it light, colour cast, vignette, softness and grain."""
    small = image.reduce(SUPERSAMPLING)
    softness = rng.uniform(0, 0.7)
    if softness > 0.35:
        small = small.filter(ImageFilter.GaussianBlur(softness * small.width / 128))
    pixels = np.asarray(small, dtype=np.float32)
    x = np.linspace(-1, 1, small.width, dtype=np.float32)
    y = np.linspace(-1, 1, small.height, dtype=np.float32)[:, None]
    slope_x, slope_y = rng.uniform(-0.12, 0.12, 2).astype(np.float32)
    light = rng.uniform(0.88, 1.08) + slope_x * x + slope_y * y - rng.uniform(0, 0.1) * (x * x + y * y)
    warmth = rng.uniform(-0.06, 0.06)
    cast = np.array([1 + warmth, 1, 1 - warmth], dtype=np.float32)
    grain = rng.standard_normal(pixels.shape, dtype=np.float32) * rng.uniform(1.0, 4.0)
    pixels = pixels * light.astype(np.float32)[..., None] * cast + grain
    return Image.fromarray(np.clip(np.rint(pixels), 0, 255).astype(np.uint8))
