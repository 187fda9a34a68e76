"""Five poses. All but the portrait stand on y = 0 and are about two units high; y grows downwards."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from petseg.data.cartoon.breeds import Color, Pet, mix
from petseg.data.cartoon.canvas import Mark, Outline, Pen, Points, Role, ellipse, mirrored, ribbon, shaggy, smooth
from petseg.data.cartoon.head import INK, RIM, draw_head

Rng = np.random.Generator


@dataclass(frozen=True)
class Pose:
    """How an animal holds itself.

    Attributes:
        draw: draws it with the given pen.
        head: where its head is, in the pen's units.
        height: its height in the pen's units, by which the picture chooses the scale.
        grounded: whether it stands on y = 0; otherwise its head's centre is at the origin.
    """

    draw: Callable[[Pen, Pet, Rng], None]
    head: tuple[float, float]
    height: float
    grounded: bool = True


def _sitting(pen: Pen, pet: Pet, rng: Rng) -> None:
    g = pet.breed.girth
    _shadow(pen, 0.95 * g)
    _tail(pen.at(0.34 * g, -0.2), pet)
    trunk = mirrored([(0, -1.15), (0.3 * g, -1.12), (0.44 * g, -0.85), (0.62 * g, -0.4), (0.66 * g, 0.04), (0, 0.06)])
    _trunk(pen, pet, rng, trunk)
    for side in (-1, 1):
        pen.fill(ellipse(side * 0.5 * g, -0.27, 0.26 * g, 0.31, -12 * side), pet.coat, _limb_marks(pet), rim=RIM)
        _paw(pen.at(side * 0.56 * g, -0.05), pet, 0.2)
    chest = shaggy(ellipse(0, -0.78, 0.27 * g, 0.34), max(0.05, pet.breed.shag), 12)
    pen.fill(chest, mix(pet.coat, pet.light, 0.85))
    for side in (-1, 1):
        _leg(pen, pet, [(side * 0.2 * g, -0.72), (side * 0.22 * g, -0.1)], 0.14)
    _collar(pen, pet, 0, -1.02, 0.34)
    draw_head(pen.at(0, -1.46, 0.5, 7 * pet.turn), pet)


def _standing(pen: Pen, pet: Pet, rng: Rng) -> None:
    g = pet.breed.girth
    _shadow(pen, 1.15)
    _tail(pen.at(-0.72, -1.0, degrees=-28, flip=True), pet)
    for x in (-0.42, 0.66):
        _leg(pen, pet, [(x, -0.75), (x + 0.03, -0.35), (x, -0.12)], 0.13, shade=0.3)
    top, belly = -0.88 - 0.26 * g, -0.82 + 0.34 * g
    trunk = [(-0.86, top + 0.1), (-0.4, top), (0.3, top), (0.84, top - 0.12), (0.95, -0.72), (0.72, belly),
             (0.2, belly + 0.02), (-0.35, belly - 0.1), (-0.84, belly), (-0.98, -0.75)]  # fmt: skip
    _trunk(pen, pet, rng, smooth(trunk))
    pen.fill(ellipse(-0.66, -0.68, 0.28, 0.4, 8), pet.coat, _limb_marks(pet))
    for x in (-0.66, 0.5):
        bend = -0.06 if x < 0 else 0.0
        _leg(pen, pet, [(x, -0.65), (x + bend, -0.35), (x, -0.12)], 0.145)
    pen.fill(ribbon([(0.62, -0.95), (0.78, -1.3)], [0.36, 0.3]), pet.coat)
    _collar(pen, pet, 0.74, -1.16, 0.33)
    draw_head(pen.at(0.84, -1.5, 0.47, 6 * pet.turn), pet)


def _loaf(pen: Pen, pet: Pet, rng: Rng) -> None:
    g = pet.breed.girth
    _shadow(pen, 1.25 * g)
    trunk = smooth(
        [
            (-1.0 * g, 0.03),
            (-1.12 * g, -0.45),
            (-0.7, -0.98 * g),
            (0.1, -1.05 * g),
            (0.85, -0.8),
            (1.0, -0.3),
            (0.9, 0.03),
        ]
    )
    _trunk(pen, pet, rng, trunk)
    pen.fill(ellipse(-0.68 * g, -0.32, 0.38, 0.36), pet.coat, _limb_marks(pet), rim=RIM)
    _tail(pen.at(-0.98 * g, -0.12, degrees=80), pet, lying=True)
    pen.fill(
        shaggy(ellipse(0.5, -0.5, 0.36, 0.4), max(0.05, pet.breed.shag), 12),
        mix(pet.coat, pet.light, 0.85),
    )
    for x in (0.34, 0.72):
        _leg(pen, pet, [(x, -0.3), (x + 0.04, -0.12)], 0.16)
    _collar(pen, pet, 0.5, -0.72, 0.38)
    draw_head(pen.at(0.52, -1.06, 0.52, 8 * pet.turn), pet)


def _curled(pen: Pen, pet: Pet, rng: Rng) -> None:
    g = pet.breed.girth
    _shadow(pen, 1.2)
    trunk = mirrored([(0, -0.95 * g), (0.6, -0.95 * g), (1.08, -0.6), (1.12, -0.1), (0.75, 0.04), (0, 0.05)])
    _trunk(pen, pet, rng, trunk)
    pen.fill(ellipse(-0.6, -0.36, 0.42, 0.38, -10), pet.coat, _limb_marks(pet), rim=RIM)
    draw_head(pen.at(0.46, -0.52, 0.48, 16 + 8 * pet.turn), pet)
    path = [(-1.0, -0.22), (-0.75, 0.02), (-0.2, 0.05), (0.35, 0.0), (0.6, -0.08)]
    if pet.breed.tail != "stub":
        _tail_along(pen, pet, path)
    _paw(pen.at(0.86, -0.07), pet, 0.17)


def _portrait(pen: Pen, pet: Pet, rng: Rng) -> None:
    g = pet.breed.girth
    trunk = mirrored([(0, 0.2), (0.62, 0.3), (0.95 * g, 1.2), (1.4 * g, 2.0), (1.5 * g, 3.6), (0, 3.8)])
    _trunk(pen, pet, rng, trunk)
    chest = shaggy(ellipse(0, 1.6, 0.66, 0.75), max(0.06, pet.breed.shag), 14)
    pen.fill(chest, mix(pet.coat, pet.light, 0.85))
    _collar(pen, pet, 0, 1.02, 0.78)
    draw_head(pen.at(0, 0, 1, 9 * pet.turn), pet)


POSES: Final[tuple[Pose, ...]] = (
    Pose(_sitting, (0, -1.46), 2.1),
    Pose(_standing, (0.84, -1.5), 2.1),
    Pose(_loaf, (0.52, -1.06), 1.75),
    Pose(_curled, (0.46, -0.52), 1.3),
    Pose(_portrait, (0, 0), 2.0, grounded=False),
)


def _shadow(pen: Pen, width: float) -> None:
    pen.glow(0, 0.0, width * 1.25, 0.2, (36, 28, 44), 0.6)


def _trunk(pen: Pen, pet: Pet, rng: Rng, outline: Outline) -> None:
    """Draw the trunk with the pattern laid over the box around it."""
    (left, top), (right, bottom) = outline.min(axis=0), outline.max(axis=0)
    marks = _body_marks(pet, rng, left, top, right, bottom)
    pen.fill(shaggy(outline, pet.breed.shag * 0.7, 34), pet.coat, marks, rim=RIM)


def _body_marks(pet: Pet, rng: Rng, left: float, top: float, right: float, bottom: float) -> list[Mark]:
    width, height = right - left, bottom - top

    def place(u: float, v: float) -> tuple[float, float]:
        return left + u * width, top + v * height

    match pet.breed.pattern:
        case "tabby":
            across = np.linspace(0.08, 0.92, 6) + rng.uniform(-0.03, 0.03, 6)
            return [
                Mark(
                    ribbon([place(u, -0.1), place(u + 0.05, 0.3), place(u - 0.02, 0.62)], [0.075, 0.05, 0.015]),
                    pet.accent,
                )
                for u in across.tolist()
            ]
        case "spots":
            return [Mark(_spot(rng, *place(u, v)), pet.accent) for u, v in _scattered(rng)]
        case "patches":
            spots = [
                (0.15, 0.2, pet.accent),
                (0.85, 0.35, pet.dark),
                (0.25, 0.8, pet.dark),
                (0.7, 0.85, pet.accent),
            ]
            return [
                Mark(
                    ellipse(*place(u, v), rng.uniform(0.28, 0.42), rng.uniform(0.2, 0.34), rng.uniform(0, 180)),
                    color,
                )
                for u, v, color in spots
            ]
        case "saddle":
            return [Mark(ellipse(left + 0.42 * width, top, 0.5 * width, 0.5 * height), pet.accent)]
        case "points":
            return [Mark(ellipse(*place(0.0, 0.2), 0.3 * width, 0.4 * height), mix(pet.coat, pet.accent, 0.25))]
        case "tuxedo":
            return [Mark(ellipse(left + 0.5 * width, bottom, 0.4 * width, 0.16 * height), pet.light)]
        case "plain":
            return []


def _scattered(rng: Rng) -> list[tuple[float, float]]:
    """Places on a jittered grid, so that spots neither clump nor line up."""
    grid = np.stack(np.meshgrid(np.linspace(0.06, 0.94, 6), np.linspace(0.08, 0.92, 4)), axis=-1).reshape(-1, 2)
    pairs: list[tuple[float, float]] = (grid + rng.uniform(-0.07, 0.07, grid.shape)).tolist()
    return pairs


def _spot(rng: Rng, x: float, y: float) -> Outline:
    return ellipse(x, y, rng.uniform(0.05, 0.11), rng.uniform(0.04, 0.08), rng.uniform(0, 180))


def _limb_marks(pet: Pet) -> list[Mark]:
    """Haunches carry the saddle or a shade of the points; the other patterns leave them plain."""
    if pet.breed.pattern == "points":
        return [Mark(ellipse(0, 0, 3), mix(pet.coat, pet.accent, 0.2))]
    return []


def _leg(pen: Pen, pet: Pet, path: Points, radius: float, shade: float = 0.0) -> None:
    """A leg from the first point down to the ankle, and its paw; `shade` darkens the far side's legs."""
    coat, paw = (mix(color, INK, shade) for color in (pet.coat, pet.paw))
    (_, top), (x, ankle) = path[0], path[-1]
    sock = Mark(ellipse(x, ankle + 0.05, 3 * radius, 0.5 * (ankle - top)), paw)
    stripes = [
        Mark(ribbon([(x - 0.3, y), (x + 0.05, y + 0.05)], [0.035, 0.01]), mix(pet.accent, INK, shade))
        for y in np.linspace(top + 0.1, ankle - 0.08, 3).tolist()
        if pet.breed.pattern == "tabby"
    ]
    limb = ribbon(path, [radius * 1.15, radius * 0.95, radius])
    pen.fill(shaggy(limb, pet.breed.shag * 0.35, 20), coat, [sock, *stripes], rim=RIM)
    _paw(pen.at(x, ankle + 0.05), pet, radius * 1.25, shade)


def _paw(pen: Pen, pet: Pet, radius: float, shade: float = 0.0) -> None:
    color = mix(pet.paw, INK, shade)
    pen.fill(ellipse(0, 0, radius, radius * 0.62), color, rim=RIM)
    for toe in (-0.33, 0.33):
        pen.stroke([(toe * radius, -0.05 * radius), (toe * radius, 0.45 * radius)], mix(color, INK, 0.5), 0.025)


_TAIL_PATHS: Final[dict[str, Points]] = {
    "slender": [(0, 0), (0.45, 0.1), (0.62, -0.3), (0.5, -0.75), (0.72, -1.02)],
    "plume": [(0, 0), (0.42, 0.08), (0.62, -0.3), (0.6, -0.68), (0.85, -0.86)],
    "stub": [(0, 0), (0.26, -0.08), (0.38, -0.2)],
    "curl": [(0, 0), (0.4, -0.05), (0.58, -0.42), (0.34, -0.7), (0.1, -0.5)],
}
_TAIL_RADII: Final[dict[str, list[float]]] = {
    "slender": [0.1, 0.085, 0.075, 0.065],
    "plume": [0.12, 0.16, 0.19, 0.06],
    "stub": [0.14, 0.13, 0.1],
    "curl": [0.15, 0.18, 0.18, 0.12],
}
_LYING_TAIL: Final[Points] = [(0, 0), (0.1, -0.35), (0.0, -0.7), (0.2, -0.95)]


def _tail(pen: Pen, pet: Pet, lying: bool = False) -> None:
    """A tail that starts at the pen's origin and rises to the right."""
    path = _LYING_TAIL if lying and pet.breed.tail in ("slender", "plume") else _TAIL_PATHS[pet.breed.tail]
    _tail_along(pen, pet, path)


def _tail_along(pen: Pen, pet: Pet, path: Points) -> None:
    tip = np.asarray(path[-1])
    before = np.asarray(path[-2])
    marks: list[Mark] = []
    if pet.breed.pattern == "tabby":
        spots = smooth(path, closed=False, rounds=2)[2::3]
        marks = [Mark(ellipse(x, y, 0.3, 0.035, 90 * (i % 2)), pet.accent) for i, (x, y) in enumerate(spots.tolist())]
    elif pet.breed.pattern in ("tuxedo", "saddle"):
        x, y = (0.85 * tip + 0.15 * before).tolist()
        marks = [Mark(ellipse(x, y, 0.24), pet.light)]
    color: Color = pet.coat
    if pet.breed.pattern in ("points", "patches"):
        color = pet.accent
    outline = ribbon(path, _TAIL_RADII[pet.breed.tail])
    pen.fill(_fluffed(outline, pet.breed.shag), color, marks, rim=RIM)


def _fluffed(outline: Outline, shag: float) -> Outline:
    """A long thin outline with tufts along its normals, where tufts from the centre would bend it."""
    if shag <= 0:
        return outline
    along = np.gradient(outline, axis=0)
    normal = along[:, ::-1] * (1.0, -1.0)
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-9)
    tooth = np.resize([0.0, 0.6, 1.0], len(outline))[:, None]
    return outline + normal * (tooth - 0.4) * shag * 0.45


def _collar(pen: Pen, pet: Pet, x: float, y: float, width: float) -> None:
    if pet.collar is None:
        return
    band = [(x - width, y - 0.06 * width), (x, y + 0.3 * width), (x + width, y - 0.06 * width)]
    # it may stand out from the neck a little; it is worn, and belongs to the pet
    pen.fill(ribbon(band, [0.15 * width]), pet.collar, rim=RIM)
    tag = pen.at(x, y + 0.46 * width, width)
    tag.into(Role.DETAIL).fill(ellipse(0, 0, 0.2), (246, 206, 92), rim=0.03)
