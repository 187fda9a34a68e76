"""Statistics of the masks of a split: how frequent each class is, where it lies, and what it touches."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation

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


def region_fractions(masks: Masks, region: NDArray[np.bool_]) -> Fractions:
    """Fraction of a region's pixels (bool (H, W)) that belongs to each class, all masks pooled: float64 (3,)."""
    counts = np.bincount(masks[:, region].ravel(), minlength=len(CLASSES))
    return np.asarray(counts / counts.sum())


def border(size: int) -> NDArray[np.bool_]:
    """The outermost ring of pixels: bool (size, size)."""
    return np.pad(np.zeros((size - 2, size - 2), dtype=bool), 1, constant_values=True)


def center(size: int) -> NDArray[np.bool_]:
    """The middle square, a quarter as wide and as high as the image: bool (size, size)."""
    start, stop = size * 3 // 8, size * 5 // 8
    middle = np.zeros((size, size), dtype=bool)
    middle[start:stop, start:stop] = True
    return middle


def adjacency(masks: Masks) -> Fractions:
    """How often classes touch: the fraction of the pixels of class v with a pixel of class w among its 8 neighbours.

    Returns:
        float64 (3, 3), rows v, columns w; NaN on the diagonal, and in the row of a class that does not occur.
    """
    K = len(CLASSES)
    touching, total = np.zeros((K, K)), np.zeros((K, 1))
    for part in np.array_split(masks, max(1, len(masks) // 256)):  # temporary arrays then fit into memory
        regions = [part == label for label in range(K)]
        for w in range(K):
            near = binary_dilation(regions[w], np.ones((1, 3, 3)))  # pixels of class w and their neighbours
            for v in range(K):
                touching[v, w] += (regions[v] & near).sum()
            total[w] += regions[w].sum()
    touching[np.diag_indices(K)] = np.nan
    return np.divide(touching, total, out=np.full((K, K), np.nan), where=total > 0)


def most_frequent_map(masks: Masks) -> NDArray[np.uint8]:
    """The most frequent class of each pixel, the smaller label where two tie: uint8 (H, W)."""
    return np.argmax([(masks == label).mean(axis=0) for label in range(len(CLASSES))], axis=0).astype(np.uint8)
