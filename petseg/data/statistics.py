"""Statistics of the masks of a split: how frequent each class is, where it lies, and what it touches."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from petseg.data.datamodule import PixelDataset
from petseg.labels import CLASSES

Masks = NDArray[np.uint8]
Fractions = NDArray[np.float64]


def masks_of(dataset: PixelDataset) -> Masks:
    """All masks of a split in its order: uint8 (N, S, S), labels; 54 MB for the 3,311 of Oxford's train split."""
    return np.asarray(dataset.pixels.masks[dataset.rows.numpy()])


def images_of(dataset: PixelDataset) -> NDArray[np.uint8]:
    """All images of a split in its order: uint8 (N, S, S, 3), RGB."""
    return np.asarray(dataset.pixels.images[dataset.rows.numpy()])


def class_counts(masks: Masks) -> NDArray[np.int64]:
    """Pixels of each class in each mask: int64 (N, 3); each row sums to H * W."""
    return np.stack([(masks == label).sum(axis=(1, 2)) for label in range(len(CLASSES))], axis=1)


def region_fractions(masks: Masks, region: NDArray[np.bool_]) -> Fractions:
    """Fraction of a region's pixels that belongs to each class, all masks pooled.

    Args:
        masks: uint8 (N, H, W), labels.
        region: bool (H, W).

    Returns:
        float64 (3,), summing to 1.
    """
    counts = np.bincount(masks[:, region].ravel(), minlength=len(CLASSES))
    fractions: Fractions = counts / counts.sum()
    return fractions


def border(size: int) -> NDArray[np.bool_]:
    """The outermost ring of pixels: bool (size, size)."""
    inner = np.zeros((size, size), dtype=bool)
    inner[1:-1, 1:-1] = True
    return ~inner


def center(size: int) -> NDArray[np.bool_]:
    """The middle square, a quarter as wide and as high as the image: bool (size, size)."""
    start, stop = size * 3 // 8, size * 5 // 8
    middle = np.zeros((size, size), dtype=bool)
    middle[start:stop, start:stop] = True
    return middle


def adjacency(masks: Masks) -> Fractions:
    """How often classes touch: the fraction of the pixels of class v that have a pixel of class w as a neighbour.

    All 8 pixels around a pixel are its neighbours.

    Args:
        masks: uint8 (N, H, W), labels.

    Returns:
        float64 (3, 3), rows v, columns w; NaN on the diagonal, and in the row of a class that does not occur.
    """
    K = len(CLASSES)
    touching, total = np.zeros((K, K)), np.zeros((K, 1))
    for part in _parts(masks):
        regions = [part == label for label in range(K)]
        for w in range(K):
            near = _dilated(regions[w])  # where w is, or is a neighbour
            for v in range(K):
                touching[v, w] += (regions[v] & near).sum()
            total[w] += regions[w].sum()
    touching[np.diag_indices(K)] = np.nan
    return np.divide(touching, total, out=np.full((K, K), np.nan), where=total > 0)


def mean_map(masks: Masks, label: int) -> Fractions:
    """Fraction of the masks that hold this class, for each pixel: float64 (H, W), 0 to 1."""
    fractions: Fractions = (masks == label).mean(axis=0)
    return fractions


def most_frequent_map(masks: Masks) -> NDArray[np.uint8]:
    """The most frequent class of each pixel, the smaller label where two tie: uint8 (H, W)."""
    maps = [mean_map(masks, label) for label in range(len(CLASSES))]
    return np.argmax(maps, axis=0).astype(np.uint8)


def _parts(masks: Masks) -> list[Masks]:
    return np.array_split(masks, max(1, len(masks) // 256))  # temporary arrays then fit into the processor's cache


def _dilated(region: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The region and all 8 neighbours of its pixels: bool (N, H, W)."""
    wide = region.copy()
    wide[:, :, 1:] |= region[:, :, :-1]
    wide[:, :, :-1] |= region[:, :, 1:]
    high = wide.copy()
    high[:, 1:] |= wide[:, :-1]
    high[:, :-1] |= wide[:, 1:]
    return high
