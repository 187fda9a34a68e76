"""A canvas with two layers, colours and the pet's silhouette, and one pen that draws every shape into both.

Pen and outlines know no pixels: x grows to the right and y downwards, in units that `Pen.at` sets.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from petseg.data.cartoon.breeds import Color, mix

Outline = NDArray[np.float64]
Points = Sequence[tuple[float, float]]

#: Pixels drawn per pixel kept, each way. Odd, so that a kept pixel's centre is a drawn pixel's centre.
SUPERSAMPLING: Final = 3


class Role(Enum):
    """What a shape does to the silhouette: a pet adds to it, a scene covers it, a detail leaves it alone."""

    PET = 255
    SCENE = 0
    DETAIL = None


class Mark(NamedTuple):
    """A stripe, spot or patch: visible only within the shape that it is drawn with."""

    outline: Outline
    color: Color


def smooth(points: Points | Outline, closed: bool = True, rounds: int = 3) -> Outline:
    """Chaikin's corner cutting, which tends to a quadratic B-spline; an open line keeps its two ends.

    Args:
        points: (N, 2) control points.
        closed: whether the last point is joined to the first.
        rounds: how often every corner is cut; each doubles the number of points.

    Returns:
        float64 (M, 2).
    """
    return _corner_cutting(len(points), closed, rounds) @ np.asarray(points, dtype=np.float64)


@lru_cache(maxsize=64)
def _corner_cutting(count: int, closed: bool, rounds: int) -> Outline:
    """Corner cutting of `count` points is linear: its matrix, (M, count)."""
    line = np.eye(count)
    first, last = line[:1], line[-1:]
    for _ in range(rounds):
        following = np.roll(line, -1, axis=0) if closed else line[1:]
        start = line if closed else line[:-1]
        pairs = [0.75 * start + 0.25 * following, 0.25 * start + 0.75 * following]
        line = np.stack(pairs, axis=1).reshape(-1, count)
    return line if closed else np.concatenate([first, line, last])


def mirrored(half: Points, rounds: int = 3) -> Outline:
    """Smooth outline from its right half, listed from top to bottom, and the mirror image about x = 0."""
    left = [(-x, y) for x, y in reversed(half) if x != 0]
    return smooth([*half, *left], rounds=rounds)


@lru_cache(maxsize=8)
def _circle(corners: int) -> Outline:
    angle = np.arange(corners) * (2 * np.pi / corners)
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


def ellipse(x: float, y: float, rx: float, ry: float | None = None, degrees: float = 0.0) -> Outline:
    """Ellipse about (x, y) with half axes rx and ry (a disc without ry), turned clockwise; (36, 2)."""
    outline = _circle(36) * (rx, rx if ry is None else ry)
    return outline @ _rotation(degrees).T + (x, y)


def box(left: float, top: float, right: float, bottom: float) -> Outline:
    """Rectangle, float64 (4, 2)."""
    return np.array([(left, top), (right, top), (right, bottom), (left, bottom)])


def ribbon(points: Points, radii: Sequence[float]) -> Outline:
    """Band with round ends along a smoothed line, such as a leg, a tail or a stripe.

    Args:
        points: (N, 2) control points of the centre line.
        radii: half widths, spread evenly from the first point to the last.

    Returns:
        float64 (M, 2).
    """
    center = smooth(points, closed=False, rounds=2)
    step = np.concatenate([center[1:2], center[2:], center[-1:]]) - np.concatenate([center[:1], center[:-1]])
    step /= np.hypot(step[:, :1], step[:, 1:])
    normal = step[:, ::-1] * (-1.0, 1.0)
    half = np.interp(np.linspace(0, 1, len(center)), np.linspace(0, 1, len(radii)), radii)[:, None]
    arc = _circle(16)[1:8]
    end = center[-1] + half[-1] * (arc[:, :1] * normal[-1] + arc[:, 1:] * step[-1])
    start = center[0] - half[0] * (arc[:, :1] * normal[0] + arc[:, 1:] * step[0])
    return np.concatenate([center + normal * half, end, (center - normal * half)[::-1], start])


def shaggy(outline: Outline, depth: float, tufts: int = 22) -> Outline:
    """The outline with tufts of fur: teeth of the given depth, as a part of the distance to the centre."""
    if depth <= 0:
        return outline
    position = np.linspace(0, len(outline), 4 * tufts, endpoint=False)
    closed = np.concatenate([outline, outline[:1]])
    x, y = (np.interp(position, np.arange(len(closed)), closed[:, axis]) for axis in (0, 1))
    center = outline.mean(axis=0)
    tooth = np.tile([0.0, 0.55, 1.0, 0.25], tufts)[:, None]
    return center + (np.stack([x, y], axis=1) - center) * (1 + depth * (tooth - 0.4))


def _rotation(degrees: float) -> Outline:
    angle = np.deg2rad(degrees)
    return np.array([(np.cos(angle), -np.sin(angle)), (np.sin(angle), np.cos(angle))])


def _light() -> tuple[Image.Image, Image.Image]:
    """Opacity of shade and of sheen on a round thing lit from the upper left, mode L, 128 x 128."""
    y, x = np.mgrid[-1:1:128j, -1:1:128j]
    distance = np.hypot(x + 0.3, y + 0.45)
    shade = np.clip((distance - 0.55) / 1.25, 0, 1) ** 1.4 * 130
    sheen = np.clip(1 - distance / 0.95, 0, 1) ** 1.5 * 48
    return Image.fromarray(shade.astype(np.uint8)), Image.fromarray(sheen.astype(np.uint8))


_SHADE, _SHEEN = _light()
_SLOPE = Image.linear_gradient("L")
_DUSK: Final[Color] = (38, 30, 66)
_SUN: Final[Color] = (255, 248, 226)


@lru_cache(maxsize=32)
def _fade(opacity: float) -> Image.Image:
    """Opacity of a soft disc, mode L, 256 x 256."""
    table = [round(max(0.0, 1 - value / 180) * 255 * opacity) for value in range(256)]
    return Image.radial_gradient("L").point(table)


@dataclass(frozen=True)
class Canvas:
    """The two layers, `SUPERSAMPLING` times as wide and high as the picture will be.

    Attributes:
        image: RGB.
        silhouette: mode L, 255 where the pet is seen and 0 elsewhere; never anything between.
    """

    image: Image.Image
    silhouette: Image.Image

    @classmethod
    def blank(cls, size: int) -> Canvas:
        """A canvas for a picture of size x size pixels."""
        side = (SUPERSAMPLING * size,) * 2
        return cls(Image.new("RGB", side), Image.new("L", side))

    def pen(self) -> Pen:
        """A pen for the scene whose unit is the picture's side, with the origin at the upper left."""
        return Pen(self, np.eye(2) * self.image.width, np.zeros(2), Role.SCENE)


@dataclass(frozen=True)
class Pen:
    """Draws in units and axes of its own: `origin + axes @ (x, y)` are pixels of the canvas."""

    canvas: Canvas
    axes: Outline
    origin: Outline
    role: Role

    def at(self, x: float, y: float, scale: float = 1.0, degrees: float = 0.0, flip: bool = False) -> Pen:
        """A pen with its origin at this one's (x, y) and `scale` of its unit, turned and mirrored."""
        mirror = np.diag([-1.0 if flip else 1.0, 1.0])
        axes = self.axes @ _rotation(degrees) @ mirror * scale
        return replace(self, axes=axes, origin=self.origin + self.axes @ (x, y))

    def into(self, role: Role) -> Pen:
        """The same pen, drawing for another role."""
        return replace(self, role=role)

    @property
    def unit(self) -> float:
        """Length of this pen's unit, in pixels of the canvas."""
        return float(np.hypot(self.axes[0, 0], self.axes[1, 0]))

    def pixels(self, outline: Outline | Points) -> Outline:
        """Points of this pen in whole pixels of the canvas, float64 (N, 2).

        Rounded here: Pillow would cut the fraction off, and machines differ in a cosine's last digit.
        """
        return np.rint(np.asarray(outline) @ self.axes.T + self.origin)

    def fill(
        self,
        outline: Outline,
        color: Color,
        marks: Iterable[Mark] = (),
        *,
        round_light: bool = True,
        rim: float = 0.0,
    ) -> None:
        """Fill a shape, in the colour layer and in the silhouette through the very same mask.

        Args:
            outline: (N, 2), closed by itself.
            color: RGB of 0 to 255.
            marks: shapes painted on this one and cut off at its outline.
            round_light: whether the shape is shaded as if it were round; flat otherwise.
            rim: width of a darker line just inside the outline, in this pen's units.
        """
        polygon = self.pixels(outline)
        if self.role is Role.DETAIL and not (round_light or rim):
            ImageDraw.Draw(self.canvas.image).polygon(_flat(polygon), fill=color)  # quicker by half
            return
        corner = polygon.min(axis=0)
        width, height = (int(side) + 1 for side in polygon.max(axis=0) - corner)
        polygon -= corner
        mask = Image.new("L", (width, height))
        ImageDraw.Draw(mask).polygon(_flat(polygon), fill=255)
        patch = Image.new("RGB", (width, height), color)
        draw = ImageDraw.Draw(patch)
        for mark in marks:
            draw.polygon(_flat(self.pixels(mark.outline) - corner), fill=mark.color)
        if round_light and min(patch.size) > 4 * SUPERSAMPLING:  # on less, nobody sees it
            _shine(patch)
        if rim:
            line = _flat(np.concatenate([polygon, polygon[:2]]))
            thickness = max(2, round(2 * rim * self.unit))
            draw.line(line, fill=mix(color, (44, 26, 36), 0.42), width=thickness)
        self._stamp(patch, mask, (int(corner[0]), int(corner[1])))

    def _stamp(self, patch: Image.Image, mask: Image.Image, corner: tuple[int, int]) -> None:
        self.canvas.image.paste(patch, corner, mask)
        if self.role is not Role.DETAIL:
            self.canvas.silhouette.paste(self.role.value, corner, mask)

    def stroke(self, points: Outline | Points, color: Color, width: float) -> None:
        """A line such as a mouth or a whisker: only in the colour layer, whatever the pen's role."""
        line = _flat(self.pixels(points))
        thickness = max(1, round(width * self.unit))
        ImageDraw.Draw(self.canvas.image).line(line, fill=color, width=thickness)

    def glow(self, x: float, y: float, rx: float, ry: float, color: Color, opacity: float) -> None:
        """A soft ellipse, such as a shadow on the floor: only in the colour layer, axes not turned."""
        center = self.pixels([(x, y)])[0]
        width, height = (max(2, round(2 * radius * self.unit)) for radius in (rx, ry))
        fade = _fade(opacity).resize((width, height), Image.Resampling.NEAREST)
        corner = int(center[0]) - width // 2, int(center[1]) - height // 2
        self.canvas.image.paste(color, (*corner, corner[0] + width, corner[1] + height), fade)

    def gradient(self, top: float, bottom: float, upper: Color, lower: Color) -> None:
        """A band across the whole picture whose colour runs from `upper` to `lower`; it holds no pet."""
        first, last = (int(self.pixels([(0.0, y)])[0, 1]) for y in (top, bottom))
        area = (0, first, self.canvas.image.width, last)
        fade = _SLOPE.resize((area[2], last - first), Image.Resampling.NEAREST)
        self.canvas.image.paste(upper, area)
        self.canvas.image.paste(lower, area, fade)
        self.canvas.silhouette.paste(0, area)


def _flat(polygon: Outline) -> list[float]:
    values: list[float] = polygon.ravel().tolist()
    return values


def _shine(patch: Image.Image) -> None:
    """Shade the patch as if it were round."""
    for color, light in ((_DUSK, _SHADE), (_SUN, _SHEEN)):
        # the light is smooth, so that the quickest resampling will do
        patch.paste(color, (0, 0), light.resize(patch.size, Image.Resampling.NEAREST))
