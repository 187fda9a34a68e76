"""Heads of cats and dogs, from the front or a little from the side, about (0, 0) with a radius of about 1."""

from __future__ import annotations

from typing import Final

import numpy as np

from petseg.data.cartoon.breeds import Color, Pet, mix
from petseg.data.cartoon.canvas import Mark, Outline, Pen, Points, Role, ellipse, mirrored, ribbon, shaggy, smooth

RIM: Final = 0.022
INK: Final[Color] = (48, 34, 38)
PINK: Final[Color] = (240, 158, 156)
WHITE: Final[Color] = (255, 255, 255)

_CAT_FACE = mirrored([(0, -0.9), (0.55, -0.92), (1.0, -0.5), (1.16, 0.22), (0.74, 0.82), (0.25, 0.94)])
_DOG_FACE = mirrored([(0, -0.98), (0.55, -0.98), (0.94, -0.6), (0.94, 0.05), (0.8, 0.6), (0.45, 1.06), (0, 1.1)])

# right ears: the outline's control points, and those of the pink within (none: the ear hangs and hides it)
_EARS: Final[dict[str, tuple[Points, Points]]] = {
    "pointed": (
        [(0.2, -0.62), (0.36, -1.0), (0.8, -1.62), (0.84, -1.56), (1.08, -0.6), (0.9, -0.2)],
        [(0.42, -0.72), (0.52, -0.98), (0.79, -1.36), (0.8, -1.34), (0.93, -0.66)],
    ),
    "tufted": (
        [(0.2, -0.62), (0.4, -1.05), (0.86, -1.5), (1.02, -1.86), (1.0, -1.45), (1.1, -0.6), (0.9, -0.2)],
        [(0.44, -0.72), (0.54, -1.0), (0.84, -1.34), (0.88, -1.3), (0.96, -0.66)],
    ),
    "folded": ([(0.26, -0.8), (0.5, -1.1), (0.95, -1.02), (1.1, -0.55), (0.86, -0.46), (0.55, -0.6)], []),
    "pricked": (
        [(0.14, -0.6), (0.36, -1.15), (0.72, -1.85), (0.86, -1.85), (1.1, -1.1), (0.92, -0.3)],
        [(0.38, -0.75), (0.5, -1.15), (0.74, -1.6), (0.8, -1.58), (0.92, -1.05), (0.8, -0.62)],
    ),
    "floppy": (
        [
            (0.4, -0.9),
            (0.72, -1.04),
            (1.12, -0.86),
            (1.3, -0.1),
            (1.3, 0.62),
            (0.98, 0.8),
            (0.8, 0.3),
            (0.78, -0.3),
        ],
        [],
    ),
    "button": (
        [(0.2, -0.6), (0.36, -1.1), (0.66, -1.5), (0.78, -1.5), (1.02, -1.0), (0.92, -0.3)],
        [(0.42, -0.8), (0.48, -1.02), (0.68, -1.28), (0.74, -1.28), (0.86, -0.96), (0.78, -0.66)],
    ),
}


def draw_head(pen: Pen, pet: Pet) -> None:
    """Draw the whole head: ears, face with its pattern, eyes, muzzle, mouth and whiskers."""
    hanging = pet.breed.ears in ("floppy", "folded")
    face = pen.at(0.16 * pet.turn, 0.08 * pet.nod)
    if not hanging:
        _draw_ears(pen, pet)
    outline = _CAT_FACE if pet.breed.species == "cat" else _DOG_FACE
    pen.fill(shaggy(outline, pet.breed.shag, 26), pet.coat, _face_marks(pet), rim=RIM)
    if hanging:
        _draw_ears(pen, pet)
    detail = face.into(Role.DETAIL)
    for side in (-1, 1):
        _draw_eye(detail, pet, side)
    if pet.breed.species == "cat":
        _draw_cat_muzzle(face, pet)
    else:
        _draw_dog_muzzle(face, pet)


def _draw_ears(pen: Pen, pet: Pet) -> None:
    outer, inner = _EARS[pet.breed.ears]
    for side in (-1, 1):
        patched = pet.breed.pattern == "patches" and side == pet.patch_side
        color = pet.dark if patched else mix(pet.coat, pet.accent, pet.breed.ear_accent)
        # an ear on the side that the head turns to is seen more edge-on
        ear = pen.at(-0.05 * pet.turn, 0, flip=side < 0)
        ear.fill(shaggy(smooth(outer), pet.breed.shag * 0.8, 12), color, rim=RIM)
        if inner:
            ear.into(Role.DETAIL).fill(smooth(inner), mix(PINK, color, 0.35))


def _face_marks(pet: Pet) -> list[Mark]:
    """The pattern on the face, in the head's coordinates."""
    x = 0.16 * pet.turn
    side = pet.patch_side
    match pet.breed.pattern:
        case "tabby":
            forehead = [ribbon([(x * 1.4 + dx, -1.0), (x + dx * 0.8, -0.5)], [0.09, 0.03]) for dx in (-0.3, 0, 0.3)]
            cheeks = [ribbon([(s * 1.2, y), (s * 0.72, y + 0.1)], [0.08, 0.02]) for s in (-1, 1) for y in (0.0, 0.3)]
            return [Mark(stripe, pet.accent) for stripe in forehead + cheeks]
        case "spots":
            spots = [(-0.3, -0.75), (0.35, -0.7), (-0.85, 0.2), (0.85, 0.3), (side * 0.42, -0.1)]
            return [Mark(ellipse(px, py, 0.13, 0.1), pet.accent) for px, py in spots[:4]] + _eye_patch(pet)
        case "patches":
            other = Mark(ellipse(-0.8 * side, -0.7, 0.62, 0.5, 30), pet.accent)
            return [*_eye_patch(pet), other]
        case "points":
            return [Mark(ellipse(x, 0.22, 0.62, 0.72), mix(pet.coat, pet.accent, 0.72))]
        case "tuxedo":
            return [Mark(_blaze(x), pet.light)]
        case "saddle":
            return [Mark(_blaze(x), pet.light)]
        case "plain":
            return []


def _eye_patch(pet: Pet) -> list[Mark]:
    if pet.breed.species == "cat" and pet.breed.pattern == "spots":
        return []
    color = pet.dark if pet.breed.pattern == "patches" else pet.accent
    return [Mark(ellipse(0.55 * pet.patch_side, -0.3, 0.5, 0.62, 20), color)]


def _blaze(x: float) -> Outline:
    """A white wedge that runs from the forehead down and widens over the muzzle."""
    return smooth(
        [
            (x, -0.95),
            (x + 0.13, -0.4),
            (x + 0.75, 0.5),
            (x + 0.6, 1.3),
            (x - 0.6, 1.3),
            (x - 0.75, 0.5),
            (x - 0.13, -0.4),
        ]
    )


def _draw_eye(pen: Pen, pet: Pet, side: int) -> None:
    cat = pet.breed.species == "cat"
    # the farther eye of a turned head is narrower and nearer to the nose
    narrow = 1 - 0.16 * max(0.0, side * pet.turn)
    x, y = (0.45 * side * narrow, -0.06) if cat else (0.38 * side * narrow, -0.16)
    eye = pen.at(x, y, 0.27 if cat else 0.21)
    if pet.asleep:
        lid = smooth([(-0.9, 0.1), (-0.5, 0.6), (0.5, 0.6), (0.9, 0.1)], closed=False)
        eye.stroke(lid, mix(pet.coat, INK, 0.8), 0.2)
        return
    eye.fill(ellipse(0, 0, 1.1 * narrow, 1.14), INK, round_light=False)
    if cat:
        eye.fill(ellipse(0, 0.03, 0.94 * narrow, 0.98), pet.breed.eyes)
        eye.fill(ellipse(0.05 * pet.turn, 0.02, 0.46 * narrow, 0.8), (22, 18, 24), round_light=False)
    else:
        eye.fill(ellipse(0, 0.06, 0.92 * narrow, 0.96), pet.breed.eyes)
        eye.fill(ellipse(0.05 * pet.turn, 0.02, 0.62 * narrow, 0.68), (22, 18, 24), round_light=False)
    eye.fill(ellipse(-0.3, -0.36, 0.3), WHITE, round_light=False)
    eye.fill(ellipse(0.32, 0.42, 0.14), mix(pet.breed.eyes, WHITE, 0.7), round_light=False)


def _draw_cat_muzzle(pen: Pen, pet: Pet) -> None:
    light = mix(pet.light, pet.accent, 0.75) if pet.breed.pattern == "points" else pet.light
    detail = pen.into(Role.DETAIL)
    if pet.mouth_open and not pet.asleep:
        detail.fill(ellipse(0, 0.66, 0.15, 0.16), (168, 70, 78))
        detail.fill(ellipse(0, 0.73, 0.1, 0.08), PINK)
    else:
        detail.fill(ellipse(0, 0.64, 0.17, 0.12), light)
    for side in (-1, 1):
        detail.fill(ellipse(0.19 * side, 0.47, 0.25, 0.2), light)
    detail.fill(smooth([(-0.17, 0.22), (0.17, 0.22), (0.1, 0.36), (0, 0.42), (-0.1, 0.36)], rounds=2), pet.breed.nose)
    _draw_mouth(detail, 0.37, 0.18)
    for side in (-1, 1):
        for slope in (-0.16, 0.0, 0.15):
            whisker = smooth(
                [
                    (side * 0.4, 0.46 + slope * 0.3),
                    (side * 0.85, 0.4 + slope),
                    (side * 1.42, 0.52 + slope * 2),
                ],
                closed=False,
            )
            detail.stroke(whisker, mix(WHITE, pet.coat, 0.25), 0.018)


def _draw_mouth(pen: Pen, y: float, width: float) -> None:
    for side in (-1, 1):
        lip = [(0, y), (0, y + 0.22), (side * width * 0.9, y + 0.26), (side * width * 1.5, y + 0.1)]
        pen.stroke(smooth(lip, closed=False), INK, 0.045)


def _draw_dog_muzzle(pen: Pen, pet: Pet) -> None:
    wide = pet.breed.muzzle
    detail = pen.into(Role.DETAIL)
    if pet.mouth_open and not pet.asleep:
        detail.fill(smooth([(-0.27, 0.6), (0.27, 0.6), (0.2, 0.98), (-0.2, 0.98)]), (120, 48, 56))
        # the tongue may hang below the chin, and belongs to the pet
        pen.fill(ribbon([(0.03, 0.72), (0.05, 0.9), (0.06, 1.1)], [0.15, 0.15, 0.13]), (240, 128, 138))
    jowl = mirrored(
        [
            (0, 0.02),
            (wide * 0.42, 0.06),
            (wide * 0.95, 0.45),
            (wide * 0.72, 0.82),
            (wide * 0.2, 0.7),
            (0, 0.66),
        ]
    )
    detail.fill(shaggy(jowl, pet.breed.shag * 0.6, 16), pet.light)
    detail.fill(mirrored([(0, 0.08), (0.2, 0.08), (0.26, 0.22), (0.1, 0.38), (0, 0.4)], rounds=2), pet.breed.nose)
    detail.fill(ellipse(-0.08, 0.15, 0.07, 0.035), (170, 164, 168), round_light=False)
    _draw_mouth(detail, 0.36, wide * 0.5)
    for side in (-1, 1):
        brow = smooth([(side * 0.2, -0.5), (side * 0.36, -0.6), (side * 0.52, -0.52)], closed=False)
        detail.stroke(brow, mix(pet.coat, INK, 0.35), 0.06)
        for dot in np.array([(0.24, 0.5), (0.33, 0.56), (0.27, 0.63)]):
            detail.fill(ellipse(side * dot[0] * wide * 2, dot[1], 0.018), mix(pet.light, INK, 0.5), round_light=False)
