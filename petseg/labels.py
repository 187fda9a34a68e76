"""The three classes: their order, names, colours and hatch, and the labels of a trimap."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from petseg.errors import REPAIR, DataError

PET: Final = 0
BACKGROUND: Final = 1
BOUNDARY: Final = 2

CLASSES: Final = ("pet", "background", "boundary")

#: One colour per class, everywhere: legend, overlay, bars, widget. Vermilion, blue and yellow of Okabe and Ito's
#: palette (https://jfly.uni-koeln.de/color/), which readers with any of the common colour blindnesses can distinguish.
COLORS: Final = ("#D55E00", "#0072B2", "#F0E442")

#: Hatch of each class in matplotlib's notation: a second cue beside the colour, which only the boundary needs.
HATCHES: Final = ("", "", "////")

#: Colour of all lines that mark a class: the hatch, outlines, and the text of figures.
INK: Final = "#222222"

#: Beside the labels, the value of those lines in an image with `palette_with_ink`.
LINE: Final = len(CLASSES)

#: Pixels from one line of an image's hatch to the next, along a row or a column.
HATCH_STEP: Final = 6


def rgb(label: int) -> tuple[int, int, int]:
    """Colour of a class as three values of 0 to 255."""
    red, green, blue = bytes.fromhex(COLORS[label].removeprefix("#"))
    return red, green, blue


def palette() -> list[int]:
    """Colours of all classes for `PIL.Image.putpalette`: 9 values of 0 to 255."""
    return [channel for label in range(len(CLASSES)) for channel in rgb(label)]


def palette_with_ink() -> list[int]:
    """`palette`, then the colour of the lines, for images whose value 3 is a line: 12 values of 0 to 255."""
    return [*palette(), *bytes.fromhex(INK.removeprefix("#"))]


def hatch(mask: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """The boundary pixels of a class map (H, W) that lie on the diagonal lines of the hatch: bool (H, W)."""
    row, column = np.ogrid[: mask.shape[0], : mask.shape[1]]
    return np.asarray((mask == BOUNDARY) & ((row + column) % HATCH_STEP == 0))


def labels_from_trimap(trimap: NDArray[np.uint8], name: str = "trimap") -> NDArray[np.uint8]:
    """Labels 0 to 2 of an Oxford-IIIT Pet trimap, whose values are 1 (pet), 2 (background) and 3 (boundary).

    Args:
        trimap: uint8 of any shape.
        name: of the trimap in the error message, usually its file.

    Raises:
        DataError: the trimap has another value.
    """
    if trimap.size and not (trimap.min() >= 1 and trimap.max() <= 3):
        values = ", ".join(str(value) for value in np.unique(trimap)[:6])
        raise DataError(
            f"{name}: has the values {values}; a trimap has only 1 (pet), 2 (background) and 3 (boundary). {REPAIR}"
        )
    return trimap - np.uint8(1)
