"""How opaque a cut-out is where the pet is, and how clear where it is not."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Final

import numpy as np
from numpy.typing import NDArray

from petseg.labels import BACKGROUND, PET

#: A pet's pixel below the first alpha is see-through; the background's above the second are haze.
OPAQUE: Final = 0.9
CLEAR: Final = 0.1

#: A photo is spoilt where more than this fraction of its pet is see-through.
SPOILT: Final = 0.1


@dataclass(frozen=True)
class Counts:
    """Counts of pixels of one cut-out or of several; the trimap's boundary is ignored."""

    pet: float
    background: float
    see_through: float
    haze: float
    error: float  # sum of |alpha - truth|
    both: float  # alpha above 1/2, on the pet
    either: float  # alpha above 1/2, or pet
    photos: float = 1
    spoilt: float = 0

    def __add__(self, other: Counts) -> Counts:
        """The counts of both together."""
        return Counts(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))


def counts(alpha: NDArray[np.uint8], labels: NDArray[np.uint8]) -> Counts:
    """The counts of one cut-out: alpha uint8 (H, W), 0 to 255, against labels uint8 (H, W)."""
    opacity = alpha / np.float32(255)
    pet, background, opaque = labels == PET, labels == BACKGROUND, opacity > 0.5
    see_through = float((opacity[pet] < OPAQUE).sum())
    return Counts(
        pet=float(pet.sum()),
        background=float(background.sum()),
        see_through=see_through,
        haze=float((opacity[background] > CLEAR).sum()),
        error=float((1 - opacity[pet]).sum() + opacity[background].sum()),
        both=float((opaque & pet).sum()),
        either=float(((opaque | pet) & (pet | background)).sum()),
        spoilt=float(see_through > SPOILT * pet.sum()),
    )


def scores(examples: Iterable[Counts]) -> dict[str, float]:
    """Pooled over photos: fractions of the pet and of the background, IoU, and the fraction of photos spoilt."""
    examples = list(examples)
    total = sum(examples[1:], examples[0])
    values = {
        "see_through": total.see_through / total.pet,
        "haze": total.haze / total.background,
        "mad": total.error / (total.pet + total.background),
        "iou": total.both / total.either,
        "spoilt": total.spoilt / total.photos,
    }
    return {name: round(value, 4) for name, value in values.items()}
