"""The three classes: order, names, colours, the lines that mark them; how trimap values become labels."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

PET: Final = 0
BACKGROUND: Final = 1
BOUNDARY: Final = 2

CLASSES: Final = ("pet", "background", "boundary")

#: One colour per class, everywhere: legend, overlay, bars, widget. Vermilion, blue and yellow of Okabe and Ito's
#: palette (https://jfly.uni-koeln.de/color/), which readers with any of the common colour blindnesses tell apart.
COLORS: Final = ("#D55E00", "#0072B2", "#F0E442")

#: Hatch of each class as matplotlib writes it: a second cue beside the colour, which only the boundary needs.
HATCHES: Final = ("", "", "////")

#: Colour of all lines that mark a class: the hatch, outlines, and the text of figures.
INK: Final = "#222222"

#: Pixels from one line of a picture's hatch to the next, along a row or a column.
HATCH_STEP: Final = 6


def rgb(label: int) -> tuple[int, int, int]:
    """Colour of a class as three values of 0 to 255."""
    return _channels(COLORS[label])


def palette() -> list[int]:
    """Colours of all classes in a row, as `PIL.Image.putpalette` takes them: 9 values of 0 to 255."""
    return [channel for label in range(len(CLASSES)) for channel in rgb(label)]


def palette_with_ink() -> list[int]:
    """`palette` and then the colour of the lines, for pictures whose value 3 is a line: 12 values of 0 to 255."""
    return [*palette(), *_channels(INK)]


def hatch(mask: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """The boundary pixels of a class map (H, W) that lie on the diagonal lines of the hatch: bool (H, W)."""
    row, column = np.ogrid[: mask.shape[0], : mask.shape[1]]
    lines: NDArray[np.bool_] = (mask == BOUNDARY) & ((row + column) % HATCH_STEP == 0)
    return lines


def _channels(color: str) -> tuple[int, int, int]:
    """`#rrggbb` as three values of 0 to 255."""
    value = color.removeprefix("#")
    return int(value[0:2], 16), int(value[2:4], 16), int(value[4:6], 16)


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
