"""The twelve invented breeds, and one animal of a breed: its colours vary a little, and so does its pose."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

Color = tuple[int, int, int]
Pattern = Literal["plain", "tabby", "spots", "patches", "points", "tuxedo", "saddle"]
Ears = Literal["pointed", "tufted", "folded", "pricked", "floppy", "button"]
Tail = Literal["slender", "plume", "stub", "curl"]


@dataclass(frozen=True)
class Breed:
    """The properties that all animals of a breed have in common.

    Attributes:
        name: the file names' stem; as in Oxford-IIIT Pet, cats start with a capital and dogs do not.
        species: "cat" or "dog".
        coat: RGB of the fur, 0 to 255.
        accent: RGB of the pattern's stripes, spots, patches, points or saddle.
        light: RGB of muzzle, chest and, where the pattern has them, socks.
        pattern: how `accent` and `light` lie on the coat.
        ears: the ears' shape.
        tail: the tail's shape.
        eyes: RGB of the iris.
        muzzle: width of the muzzle, as a part of half the head's width.
        nose: RGB of the nose.
        ear_accent: fraction of `accent` in the ears' colour, 0 to 1; the rest is `coat`.
        shag: depth of the fur's tufts along the outline, as a part of a limb's radius; 0 is sleek.
        girth: width of the body, 1 for the average.
    """

    name: str
    species: Literal["cat", "dog"]
    coat: Color
    accent: Color
    light: Color
    pattern: Pattern
    ears: Ears
    tail: Tail
    eyes: Color
    muzzle: float = 0.5
    nose: Color = (226, 128, 126)
    ear_accent: float = 0.0
    shag: float = 0.0
    girth: float = 1.0


_BLACK: Final[Color] = (46, 38, 42)

# fmt: off
BREEDS: Final[tuple[Breed, ...]] = (
    Breed("Duskpoint", "cat", (235, 218, 192), (92, 68, 58), (245, 234, 214), "points", "pointed", "slender",
          (86, 158, 220), nose=(86, 60, 62), ear_accent=1, girth=0.88),
    Breed("Fernspot", "cat", (206, 160, 102), (98, 62, 36), (240, 218, 180), "spots", "pointed", "slender",
          (122, 178, 74), nose=(86, 60, 62)),
    Breed("Inkwell", "cat", (58, 58, 68), (36, 36, 44), (246, 244, 240), "tuxedo", "pointed", "slender",
          (214, 190, 66)),
    Breed("Marmalade", "cat", (236, 154, 72), (196, 104, 34), (252, 230, 198), "tabby", "pointed", "plume",
          (112, 170, 84), shag=0.05, girth=1.08),
    Breed("Patchwork_Tortie", "cat", (246, 238, 226), (222, 136, 62), (250, 246, 240), "patches", "tufted",
          "plume", (92, 168, 150), ear_accent=1, shag=0.08),
    Breed("Pebble_Fold", "cat", (148, 156, 170), (112, 120, 136), (196, 202, 212), "plain", "folded",
          "slender", (232, 166, 54), girth=1.14),
    Breed("biscuit_doodle", "dog", (226, 194, 148), (198, 158, 106), (242, 222, 190), "plain", "floppy",
          "plume", (84, 54, 34), muzzle=0.52, nose=_BLACK, ear_accent=1, shag=0.13, girth=1.08),
    Breed("cocoa_retriever", "dog", (138, 88, 56), (104, 64, 40), (176, 124, 84), "plain", "floppy",
          "plume", (116, 82, 40), muzzle=0.56, nose=(112, 66, 54), ear_accent=1, shag=0.04),
    Breed("dotty_hound", "dog", (244, 242, 236), (62, 58, 60), (250, 248, 246), "spots", "floppy", "slender",
          (92, 64, 40), muzzle=0.54, nose=_BLACK, ear_accent=1, girth=0.9),
    Breed("ginger_corgi", "dog", (222, 142, 70), (186, 108, 48), (252, 244, 232), "tuxedo", "pricked", "stub",
          (78, 50, 32), muzzle=0.48, nose=_BLACK, girth=1.12),
    Breed("maple_beagle", "dog", (188, 116, 62), (64, 52, 50), (248, 240, 228), "saddle", "floppy", "slender",
          (82, 52, 32), muzzle=0.52, nose=_BLACK, ear_accent=0.3),
    Breed("snowdrift_spitz", "dog", (238, 238, 242), (206, 208, 220), (252, 252, 252), "plain", "button",
          "curl", (60, 44, 40), muzzle=0.44, nose=_BLACK, shag=0.11, girth=1.05),
)
# fmt: on


@dataclass(frozen=True)
class Pet:
    """One animal in one picture: colours as RGB of 0 to 255, `turn` and `nod` of the head in -1 to 1.

    `patch_side` is the side (-1 or 1) of a patched face, `collar` is None for an animal without one.
    """

    breed: Breed
    coat: Color
    accent: Color
    light: Color
    collar: Color | None
    turn: float
    nod: float
    asleep: bool
    mouth_open: bool
    patch_side: int

    @property
    def paw(self) -> Color:
        """Colour of the lower legs."""
        return {"tuxedo": self.light, "saddle": self.light, "points": self.accent}.get(self.breed.pattern, self.coat)

    @property
    def dark(self) -> Color:
        """The pattern's second colour, for the patches of a tortoiseshell."""
        return mix(self.accent, (40, 34, 38), 0.72)


def mix(first: Color, second: Color, fraction: float) -> Color:
    """A mixture of two colours, from `first` (fraction 0) to `second` (fraction 1), clipped to 0 to 255."""
    red, green, blue = (min(255, max(0, round(a + (b - a) * fraction))) for a, b in zip(first, second, strict=True))
    return red, green, blue


def vary(color: Color, rng: np.random.Generator, amount: float = 12.0) -> Color:
    """The colour, brighter or darker by up to twice `amount`, each channel shifted by up to half of it."""
    shift = rng.uniform(-2, 2) * amount + rng.uniform(-0.5, 0.5, 3) * amount
    red, green, blue = (min(255, max(0, round(c + s))) for c, s in zip(color, shift.tolist(), strict=True))
    return red, green, blue


COLLARS: Final[tuple[Color, ...]] = (
    (206, 62, 66),
    (52, 110, 190),
    (66, 152, 112),
    (236, 186, 62),
    (148, 88, 168),
)


def random_pet(breed: Breed, rng: np.random.Generator) -> Pet:
    """A random animal of the breed."""
    collar = COLLARS[rng.integers(len(COLLARS))] if rng.random() < 0.5 else None
    return Pet(
        breed=breed,
        coat=vary(breed.coat, rng),
        accent=vary(breed.accent, rng, 8),
        light=vary(breed.light, rng, 4),
        collar=collar,
        turn=float(rng.uniform(-1, 1)),
        nod=float(rng.uniform(-1, 1)),
        asleep=bool(rng.random() < 0.08),
        mouth_open=bool(rng.random() < (0.5 if breed.species == "dog" else 0.12)),
        patch_side=int(rng.choice([-1, 1])),
    )
