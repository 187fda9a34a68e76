"""What is behind the pet and in front of it: rooms, gardens, toys and plants, often coloured like coats."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from petseg.data.cartoon.breeds import BREEDS, Color, mix, vary
from petseg.data.cartoon.canvas import Mark, Pen, box, ellipse, mirrored, ribbon, smooth

Rng = np.random.Generator

_PASTELS: Final[tuple[Color, ...]] = (
    (186, 206, 214), (226, 206, 186), (204, 214, 186), (222, 196, 200), (196, 190, 214), (236, 226, 202),
)  # fmt: skip
_VIVID: Final[tuple[Color, ...]] = (
    (214, 84, 76), (70, 130, 190), (96, 168, 110), (240, 190, 76), (150, 100, 170), (236, 140, 160),
)  # fmt: skip
_WOOD: Final[tuple[Color, ...]] = ((176, 126, 82), (206, 164, 116), (132, 92, 64), (224, 192, 150))


def pick(colors: tuple[Color, ...], rng: Rng) -> Color:
    """One of the colours, a little changed."""
    return vary(colors[rng.integers(len(colors))], rng, 8)


def furlike(rng: Rng) -> Color:
    """The colour of a random breed's coat or pattern: colour alone must not tell a pet from a thing."""
    breed = BREEDS[rng.integers(len(BREEDS))]
    return pick((breed.coat, breed.accent, breed.light), rng)


def thing_color(rng: Rng) -> Color:
    """A colour for furniture and toys: as often a coat's as a toy shop's."""
    return furlike(rng) if rng.random() < 0.55 else pick(_VIVID, rng)


def _studio(pen: Pen, rng: Rng, ground: float) -> None:
    tone = furlike(rng) if rng.random() < 0.45 else pick(_PASTELS, rng)
    floor = min(0.9, ground + 0.04)
    pen.gradient(0, floor, mix(tone, (255, 255, 255), 0.25), tone)
    pen.gradient(floor, 1, mix(tone, (40, 30, 50), 0.1), mix(tone, (40, 30, 50), 0.22))
    for x, y, radius in rng.uniform((0, 0, 0.04), (1, floor, 0.16), (5, 3)).tolist():
        pen.glow(x, y, radius, radius, (255, 255, 255), 0.35)


def _meadow(pen: Pen, rng: Rng, ground: float) -> None:
    horizon = ground - rng.uniform(0.12, 0.3)
    sky = pick(((150, 200, 236), (206, 224, 240), (250, 206, 160)), rng)
    grass = pick(((126, 178, 92), (164, 186, 96), (196, 176, 104)), rng)
    pen.gradient(0, horizon + 0.06, sky, mix(sky, (255, 255, 255), 0.55))
    for x, size in rng.uniform((0, 0.5), (1, 1.1), (3, 2)).tolist():
        _cloud(pen.at(x, rng.uniform(0.04, max(0.08, horizon - 0.14)), 0.16 * size))
    for shade, lift in ((0.25, 0.1), (0.1, 0.05)):
        hill = [
            (-0.2, 1),
            (-0.2, horizon),
            (rng.uniform(0.1, 0.9), horizon - lift * 1.6),
            (1.2, horizon),
            (1.2, 1),
        ]
        pen.fill(smooth(hill), mix(grass, (60, 110, 100), shade), round_light=False)
    for _ in range(int(rng.integers(0, 3))):
        tree(pen.at(rng.uniform(0, 1), horizon + 0.03, rng.uniform(0.22, 0.42)), rng, thing_color(rng))
    pen.gradient(horizon + 0.03, 1, grass, mix(grass, (50, 90, 50), 0.3))
    for x, y in rng.uniform((0, horizon + 0.06), (1, 1), (26, 2)).tolist():
        blade = mix(grass, (40, 100, 50), rng.uniform(0.2, 0.5))
        pen.stroke([(x - 0.012, y - 0.035), (x, y), (x + 0.01, y - 0.03)], blade, 0.008)
    for x, y in rng.uniform((0, horizon + 0.06), (1, 1), (int(rng.integers(0, 9)), 2)).tolist():
        _flower(pen.at(x, y, 0.022), pick((*_VIVID, (250, 250, 250)), rng))


def _garden(pen: Pen, rng: Rng, ground: float) -> None:
    foot = ground - rng.uniform(0.04, 0.16)
    sky = pick(((170, 210, 236), (216, 226, 226)), rng)
    pen.gradient(0, foot, sky, mix(sky, (255, 255, 255), 0.4))
    for _ in range(3):
        tree(
            pen.at(rng.uniform(0, 1), foot, rng.uniform(0.4, 0.7)),
            rng,
            pick(((106, 156, 96), (136, 160, 84)), rng),
        )
    board = furlike(rng) if rng.random() < 0.5 else pick((*_WOOD, (240, 238, 230)), rng)
    top, pitch = foot - rng.uniform(0.3, 0.46), rng.uniform(0.1, 0.15)
    for y in (0.25, 0.75):
        pen.fill(box(0, top + y * (foot - top), 1, top + y * (foot - top) + 0.04), mix(board, (40, 30, 40), 0.2))
    for x in np.arange(-0.02, 1.0, pitch).tolist():
        side = pitch * 0.78
        slat = [
            (x, foot + 0.02),
            (x, top),
            (x + side / 2, top - 0.05),
            (x + side, top),
            (x + side, foot + 0.02),
        ]
        pen.fill(np.array(slat), vary(board, rng, 3), rim=0.004)
    grass = pick(((136, 178, 92), (170, 150, 104), (196, 186, 166)), rng)
    pen.gradient(foot, 1, grass, mix(grass, (60, 70, 50), 0.25))


def _room(pen: Pen, rng: Rng, ground: float) -> None:
    skirting = ground - rng.uniform(0.06, 0.22)
    wall = furlike(rng) if rng.random() < 0.3 else pick(_PASTELS, rng)
    pen.gradient(0, skirting, mix(wall, (255, 255, 255), 0.18), wall)
    if rng.random() < 0.4:
        for x in np.arange(0.03, 1.0, 0.11).tolist():
            pen.fill(box(x, 0, x + 0.045, skirting), mix(wall, (255, 255, 255), 0.28), round_light=False)
    _wall_decoration(pen, rng, skirting)
    pen.fill(box(0, skirting - 0.035, 1, skirting), (244, 240, 234), round_light=False)
    floor = pick(_WOOD, rng)
    pen.gradient(skirting, 1, floor, mix(floor, (60, 36, 30), 0.2))
    for y in np.linspace(skirting, 1, 5)[1:].tolist():
        pen.stroke([(0, y), (1, y)], mix(floor, (50, 30, 30), 0.3), 0.005)
    rug = thing_color(rng)
    middle, rx = rng.uniform(0.3, 0.7), rng.uniform(0.35, 0.6)
    pen.fill(ellipse(middle, ground + 0.04, rx, 0.12), rug, round_light=False)
    pen.fill(ellipse(middle, ground + 0.04, rx * 0.85, 0.095), mix(rug, (255, 255, 255), 0.3), round_light=False)
    if rng.random() < 0.6:
        _sofa(pen.at(rng.uniform(0.1, 0.9), skirting + 0.05, rng.uniform(0.45, 0.7)), thing_color(rng))


def _wall_decoration(pen: Pen, rng: Rng, skirting: float) -> None:
    if rng.random() < 0.55:
        left, right = rng.uniform(0.02, 0.5), rng.uniform(0.25, 0.4)
        frame = box(left, 0.05, left + right, min(skirting - 0.1, 0.45))
        pen.fill(
            frame,
            (250, 248, 244),
            [Mark(frame * 0.94 + frame.mean(axis=0) * 0.06, (186, 218, 238))],
            rim=0.004,
        )
        (x0, y0), (x1, y1) = frame.min(axis=0).tolist(), frame.max(axis=0).tolist()
        pen.stroke([((x0 + x1) / 2, y0), ((x0 + x1) / 2, y1)], (250, 248, 244), 0.016)
        pen.stroke([(x0, (y0 + y1) / 2), (x1, (y0 + y1) / 2)], (250, 248, 244), 0.016)
        return
    for x in rng.uniform(0.0, 0.8, 2).tolist():
        y, side = rng.uniform(0.05, 0.2), rng.uniform(0.1, 0.2)
        pen.fill(box(x, y, x + side, y + side * 1.2), (250, 246, 238), rim=0.006)
        pen.fill(ellipse(x + side / 2, y + side * 0.62, side * 0.3), thing_color(rng))


def _sofa(pen: Pen, color: Color) -> None:
    pen.fill(
        smooth([(-0.75, 0.05), (-0.75, -0.7), (-0.7, -0.78), (0.7, -0.78), (0.75, -0.7), (0.75, 0.05)], rounds=2),
        color,
    )
    for side in (-1, 1):
        pen.fill(box(0, -0.4, side * 0.6, -0.1), mix(color, (255, 255, 255), 0.12), rim=0.008)
        pen.fill(
            smooth([(side * 0.58, 0.05), (side * 0.58, -0.5), (side * 0.86, -0.5), (side * 0.86, 0.05)]),
            mix(color, (40, 30, 40), 0.1),
        )


def _cloud(pen: Pen) -> None:
    puffs = ((-0.6, 0.1, 0.35), (0.0, -0.1, 0.5), (0.55, 0.1, 0.38))
    for x, y, radius in puffs:
        pen.fill(ellipse(x, y, radius, radius * 0.7), (252, 252, 254), round_light=False)


def _flower(pen: Pen, color: Color) -> None:
    for x, y in ((0, -0.7), (0.7, 0), (0, 0.7), (-0.7, 0)):
        pen.fill(ellipse(x, y, 0.6), color, round_light=False)
    pen.fill(ellipse(0, 0, 0.45), (250, 214, 90), round_light=False)


def tree(pen: Pen, rng: Rng, color: Color) -> None:
    """A bush or a round tree, about one unit high, whose foot is the origin."""
    pen.fill(ribbon([(0, 0.05), (0.02, -0.5)], [0.06, 0.05]), (124, 88, 62))
    for x, y, radius in ((-0.22, -0.55, 0.27), (0.22, -0.58, 0.27), (0, -0.8, 0.3)):
        pen.fill(ellipse(x, y, radius * rng.uniform(0.85, 1.1)), vary(color, rng, 4))


def ball(pen: Pen, rng: Rng, color: Color) -> None:
    """A striped ball of diameter 0.6."""
    tilt = rng.uniform(0, 180)
    stripe = Mark(ellipse(0, -0.3, 0.4, 0.1, tilt), mix(color, (255, 255, 255), 0.75))
    pen.fill(ellipse(0, -0.3, 0.3), color, [stripe], rim=0.012)


def cushion(pen: Pen, rng: Rng, color: Color) -> None:
    """A square cushion of about 0.8 x 0.6."""
    outline = smooth(
        [
            (-0.42, -0.02),
            (-0.36, -0.3),
            (-0.42, -0.6),
            (0, -0.55),
            (0.42, -0.6),
            (0.36, -0.3),
            (0.42, -0.02),
            (0, -0.07),
        ]
    )
    dots = [Mark(ellipse(x, y, 0.03), mix(color, (255, 255, 255), 0.6)) for x in (-0.2, 0, 0.2) for y in (-0.42, -0.2)]
    pen.fill(outline, color, dots if rng.random() < 0.5 else (), rim=0.012)


def plant(pen: Pen, rng: Rng, color: Color) -> None:
    """A pot plant, about 1.2 units high."""
    leaf = pick(((92, 150, 92), (120, 166, 84), (70, 130, 110)), rng)
    for lean in np.linspace(-0.55, 0.55, 7).tolist():
        path = [(0, -0.4), (lean * 0.5, -0.85), (lean * 1.25, -1.15 + abs(lean) * 0.5)]
        pen.fill(ribbon(path, [0.03, 0.1, 0.015]), vary(leaf, rng, 8), rim=0.01)
    pen.fill(np.array([(-0.27, -0.5), (0.27, -0.5), (0.19, 0.0), (-0.19, 0.0)]), color, rim=0.012)


def books(pen: Pen, rng: Rng, color: Color) -> None:
    """Three or four books in a pile, about 0.5 units high."""
    for level in range(int(rng.integers(3, 5))):
        left, width = rng.uniform(-0.4, -0.3), rng.uniform(0.6, 0.75)
        cover = color if level == 1 else thing_color(rng)
        pages = Mark(box(left + 0.04, -0.13 * level - 0.1, left + width, -0.13 * level - 0.03), (248, 242, 228))
        pen.fill(box(left, -0.13 * (level + 1), left + width, -0.13 * level), cover, [pages], round_light=False)


def bowl(pen: Pen, rng: Rng, color: Color) -> None:
    """A bowl full of food, about 0.3 units high."""
    pen.fill(ellipse(0, -0.24, 0.3, 0.1), furlike(rng))
    pen.fill(smooth([(-0.34, -0.26), (0.34, -0.26), (0.4, 0.02), (-0.4, 0.02)], rounds=2), color, rim=0.012)


def teddy(pen: Pen, rng: Rng, color: Color) -> None:
    """A plush bear, about 0.9 units high: it has ears and eyes, and yet it is background."""
    for side in (-1, 1):
        pen.fill(ellipse(side * 0.19, -0.86, 0.1), color, rim=0.01)
        pen.fill(ellipse(side * 0.25, -0.08, 0.14, 0.1), color, rim=0.01)
        pen.fill(ellipse(side * 0.28, -0.36, 0.08, 0.16, -30 * side), color, rim=0.01)
    pen.fill(ellipse(0, -0.27, 0.23, 0.26), color, rim=0.01)
    pen.fill(mirrored([(0, -0.94), (0.2, -0.94), (0.32, -0.66), (0.2, -0.46), (0, -0.46)]), color, rim=0.01)
    pen.fill(ellipse(0, -0.6, 0.12, 0.09), mix(color, (255, 250, 240), 0.5))
    for x, y, radius in ((-0.12, -0.72, 0.03), (0.12, -0.72, 0.03), (0, -0.63, 0.04)):
        pen.fill(ellipse(x, y, radius), (40, 34, 40), round_light=False)


def yarn(pen: Pen, rng: Rng, color: Color) -> None:
    """A ball of wool of diameter 0.6 with its loose end."""
    thread = mix(color, (60, 30, 40), 0.3)
    pen.stroke(smooth([(0.2, -0.05), (0.5, 0.02), (0.6, -0.1), (0.9, 0.0)], closed=False), color, 0.035)
    turns = [Mark(ribbon([(-0.4, y - 0.3), (0.4, y)], [0.012]), thread) for y in np.linspace(-0.5, 0.1, 7).tolist()]
    pen.fill(ellipse(0, -0.3, 0.3), color, turns)


Scene = Callable[[Pen, Rng, float], None]
Thing = Callable[[Pen, Rng, Color], None]

#: Each draws the whole background; the last argument is the height on which the pet will stand, 0 (top) to 1.
SCENES: Final[tuple[Scene, ...]] = (_studio, _meadow, _garden, _room, _room)
#: Each stands on its origin and is about one unit large.
THINGS: Final[tuple[Thing, ...]] = (ball, cushion, plant, books, bowl, teddy, yarn)
#: Those small and round enough to lie in front of a pet without hiding what it is.
OCCLUDERS: Final[tuple[Thing, ...]] = (ball, cushion, plant, bowl, yarn)


def draw_clutter(pen: Pen, rng: Rng, ground: float, count: int) -> None:
    """Stand `count` things on the floor behind the pet, far ones first."""
    for depth in np.sort(rng.uniform(-0.12, 0.03, count)).tolist():
        thing = THINGS[rng.integers(len(THINGS))]
        spot = pen.at(rng.uniform(0.02, 0.98), ground + depth, rng.uniform(0.2, 0.36))
        spot.glow(0, 0, 0.5, 0.1, (36, 28, 44), 0.5)
        thing(spot, rng, thing_color(rng))


def draw_occluder(pen: Pen, rng: Rng, x: float, ground: float) -> None:
    """Put one thing in front of the pet, near the place (x, ground) of its feet."""
    thing = OCCLUDERS[rng.integers(len(OCCLUDERS))]
    spot = pen.at(x, min(1.02, ground + rng.uniform(0.04, 0.1)), rng.uniform(0.26, 0.42))
    spot.glow(0, 0, 0.45, 0.1, (36, 28, 44), 0.5)
    thing(spot, rng, thing_color(rng))
