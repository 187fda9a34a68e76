"""Counts over a whole split: how much there is of each class, where it lies, what it touches; photos that are twins."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from petseg.data.datamodule import PixelDataset
from petseg.labels import CLASSES

Masks = NDArray[np.uint8]
Shares = NDArray[np.float64]


def masks_of(dataset: PixelDataset) -> Masks:
    """All masks of a split in its order: uint8 (N, S, S), labels; 54 MB for the 3,311 of Oxford's train split."""
    return np.asarray(dataset.pixels.masks[dataset.rows.numpy()])


def images_of(dataset: PixelDataset) -> NDArray[np.uint8]:
    """All images of a split in its order: uint8 (N, S, S, 3), RGB."""
    return np.asarray(dataset.pixels.images[dataset.rows.numpy()])


def class_counts(masks: Masks) -> NDArray[np.int64]:
    """Pixels of each class in each mask: int64 (N, 3); each row sums to H * W."""
    return np.stack([(masks == label).sum(axis=(1, 2)) for label in range(len(CLASSES))], axis=1)


def region_shares(masks: Masks, region: NDArray[np.bool_]) -> Shares:
    """Shares of the classes among the pixels of a region, all masks pooled.

    Args:
        masks: uint8 (N, H, W), labels.
        region: bool (H, W).

    Returns:
        float64 (3,), which sums to 1.
    """
    counts = np.bincount(masks[:, region].ravel(), minlength=len(CLASSES))
    shares: Shares = counts / counts.sum()
    return shares


def frame(size: int) -> NDArray[np.bool_]:
    """The outermost ring of pixels: bool (size, size)."""
    inner = np.zeros((size, size), dtype=bool)
    inner[1:-1, 1:-1] = True
    return ~inner


def centre(size: int) -> NDArray[np.bool_]:
    """The middle square, a quarter as wide and as high as the picture: bool (size, size)."""
    start, stop = size * 3 // 8, size * 5 // 8
    middle = np.zeros((size, size), dtype=bool)
    middle[start:stop, start:stop] = True
    return middle


def contacts(masks: Masks) -> Shares:
    """How often the classes touch: share of the pixels of class v with a pixel of class w among their 8 neighbours.

    Args:
        masks: uint8 (N, H, W), labels.

    Returns:
        float64 (3, 3), rows v, columns w; NaN on the diagonal, and in the row of a class that no mask holds.
    """
    K = len(CLASSES)
    touching, total = np.zeros((K, K)), np.zeros((K, 1))
    for part in _parts(masks):
        here = [part == label for label in range(K)]
        for w in range(K):
            near = _grown(here[w])
            for v in range(K):
                touching[v, w] += (here[v] & near).sum()
            total[w] += here[w].sum()
    touching[np.diag_indices(K)] = np.nan
    return np.divide(touching, total, out=np.full((K, K), np.nan), where=total > 0)


def peeled(masks: Masks, layers: int) -> Shares:
    """What is left of each class after peeling its regions: a layer takes all pixels that touch another class.

    The picture's frame is no edge: a pet that it cuts off is not peeled there.

    Args:
        masks: uint8 (N, H, W), labels; each class must be there.
        layers: how many are taken, one after the other.

    Returns:
        float64 (layers + 1, 3), shares of the class's pixels, from 1 downwards.
    """
    left = np.zeros((layers + 1, len(CLASSES)))
    for part in _parts(masks):
        for label in range(len(CLASSES)):
            others = part != label
            for layer in range(layers + 1):
                left[layer, label] += others.size - others.sum()
                others = _grown(others)
    shares: Shares = left / left[0]
    return shares


def mean_map(masks: Masks, label: int) -> Shares:
    """Share of the masks that hold this class at each place: float64 (H, W), 0 to 1."""
    shares: Shares = (masks == label).mean(axis=0)
    return shares


def commonest_map(masks: Masks) -> NDArray[np.uint8]:
    """The class that is most frequent at each place, the smaller label where two tie: uint8 (H, W)."""
    maps = [mean_map(masks, label) for label in range(len(CLASSES))]
    return np.argmax(maps, axis=0).astype(np.uint8)


def twins(images: NDArray[np.uint8], threshold: float = 0.99) -> list[tuple[int, int]]:
    """Pairs of images that are the same photo as far as a thumbnail can tell.

    Args:
        images: uint8 (N, S, S, 3) with S a multiple of 8, at least 16.
        threshold: on the correlation of the two thumbnails of 8x8 colours, 1 being equal up to contrast.

    Returns:
        places (i, j), i < j, in order.
    """
    N, S = images.shape[:2]
    blocks = images.reshape(N, 8, S // 8, 8, S // 8, 3)
    thumbnails = blocks.mean(axis=(2, 4), dtype=np.float32).reshape(N, -1)
    thumbnails -= thumbnails.mean(axis=1, keepdims=True)
    thumbnails /= np.linalg.norm(thumbnails, axis=1, keepdims=True) + 1e-6  # a plain picture is nobody's twin
    first, second = np.nonzero(np.triu(thumbnails @ thumbnails.T > threshold, k=1))
    return list(zip(first.tolist(), second.tolist(), strict=True))


def _parts(masks: Masks) -> list[Masks]:
    return np.array_split(masks, max(1, len(masks) // 256))  # keeps the temporaries in the processor's cache


def _grown(region: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The region and all 8 neighbours of its pixels: bool (N, H, W)."""
    wide = region.copy()
    wide[:, :, 1:] |= region[:, :, :-1]
    wide[:, :, :-1] |= region[:, :, 1:]
    high = wide.copy()
    high[:, 1:] |= wide[:, :-1]
    high[:, :-1] |= wide[:, 1:]
    return high
