"""The three classes: their order, names and colours, and how trimap values become labels."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

PET: Final = 0
BACKGROUND: Final = 1
BOUNDARY: Final = 2

CLASSES: Final = ("pet", "background", "boundary")

#: One colour a class, everywhere: legend, overlay, bars, widget. Vermilion, blue and yellow of Okabe and Ito's
#: palette (https://jfly.uni-koeln.de/color/), which readers with any of the common colour blindnesses tell apart.
COLORS: Final = ("#D55E00", "#0072B2", "#F0E442")


def rgb(label: int) -> tuple[int, int, int]:
    """Colour of a class as three values of 0 to 255."""
    value = COLORS[label].removeprefix("#")
    return int(value[0:2], 16), int(value[2:4], 16), int(value[4:6], 16)


def palette() -> list[int]:
    """Colours of all classes in a row, as `PIL.Image.putpalette` takes them: 9 values of 0 to 255."""
    return [channel for label in range(len(CLASSES)) for channel in rgb(label)]


def labels_from_trimap(trimap: NDArray[np.uint8], name: str = "trimap") -> NDArray[np.uint8]:
    """Labels of an Oxford-IIIT Pet trimap, whose values are 1 (pet), 2 (background) and 3 (boundary).

    Args:
        trimap: uint8 of any shape, values 1 to 3.
        name: what the error message calls it, usually the file's name.

    Returns:
        uint8 of the same shape, values 0 (pet), 1 (background), 2 (boundary).

    Raises:
        ValueError: the trimap holds another value.
    """
    if trimap.size and not (trimap.min() >= 1 and trimap.max() <= 3):
        found = ", ".join(str(value) for value in np.unique(trimap)[:6])
        raise ValueError(
            f"{name}: holds the values {found}; a trimap holds only 1 (pet), 2 (background) and 3 (boundary). "
            "Delete the file and fetch it again with `petseg data oxford`."
        )
    return trimap - np.uint8(1)


def trimap_from_labels(labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The inverse of `labels_from_trimap`: labels 0 to 2 to trimap values 1 to 3."""
    return labels + np.uint8(1)
