"""Photos that a data set contains twice, found by comparing small grey thumbnails.

In Oxford-IIIT Pet the two masks of such a pair differ, so their agreement tells how exact the labels are (see
`evaluation.evaluate.annotator_matrices`). A pair with one photo in trainval and the other in test is a leak. Barz,
Denzler: Do We Train on Test Data? (2020), https://arxiv.org/abs/1902.00423.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from petseg.data.datamodule import PetDataModule

#: Height and width of a thumbnail, in pixels.
SIDE = 16

#: Least correlation of two thumbnails of one photo. In Oxford, 43 pairs lie above 0.983; they are other crops, sizes or
#: colourings of one photo, as a look at them shows. The next pair, at 0.973, shows one cat in two poses.
THRESHOLD = 0.98

#: Least correlation of two images of one crop, pixel by pixel at 128x128. Of Oxford's 43 pairs 39 lie above.
SAME_CROP = 0.985

#: Weights of red, green and blue in grey: ITU-R BT.601, as Pillow's mode L has them.
GREY = (0.299, 0.587, 0.114)


@dataclass(frozen=True)
class Photo:
    """A photo of the data set: its split (`train`, `val` or `test`), its index in the split, and its name."""

    split: str
    index: int
    name: str


class Pair(NamedTuple):
    """Two photos, and the correlation of their thumbnails, up to 1."""

    first: Photo
    second: Photo
    correlation: float


def thumbnails(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Grey thumbnails, float32 (N, SIDE, SIDE), 0 to 255, of RGB images (N, H, W, 3), which may be memory-mapped.

    Each pixel is the mean of a block of the image.
    """
    weights = torch.tensor(GREY).view(1, 3, 1, 1)
    parts = []
    for start in range(0, len(images), 256):
        part = torch.from_numpy(np.array(images[start : start + 256])).permute(0, 3, 1, 2).float()  # (n, 3, H, W)
        parts.append((F.adaptive_avg_pool2d(part, SIDE) * weights).sum(dim=1).numpy())
    return np.concatenate(parts)


def duplicate_pairs(
    thumbnails: NDArray[np.float32], threshold: float = THRESHOLD, block: int = 1024
) -> list[tuple[int, int, float]]:
    """Indices of thumbnails (N, h, w) whose correlation is above a threshold, and the correlation.

    It is 1 for photos that differ in brightness and contrast only. `block` rows of the N x N correlations are computed
    at a time: for N of 7,349, 30 MB instead of 216 MB.
    """
    rows = _standardized(thumbnails)
    pairs = []
    for start in range(0, len(rows), block):
        correlation = np.triu(rows[start : start + block] @ rows[start:].T, 1)  # (block, N - start), each pair once
        similar = np.argwhere(correlation > threshold).tolist()
        pairs += [(start + i, start + j, float(correlation[i, j])) for i, j in similar]
    return pairs


def duplicates(data: PetDataModule, threshold: float = THRESHOLD) -> list[Pair]:
    """All photos that a data set contains twice, over its three splits, after `setup`; Oxford takes seconds."""
    photos = [
        Photo(split, i, example.name) for split in data.datasets for i, example in enumerate(data.examples[split])
    ]
    # thumbnails of all rows, of which few are unused: that is faster than a copy of the images
    small = [thumbnails(dataset.pixels.images)[dataset.rows.numpy()] for dataset in data.datasets.values()]
    pairs = duplicate_pairs(np.concatenate(small), threshold)
    return [Pair(photos[i], photos[j], correlation) for i, j, correlation in pairs]


def aligned(data: PetDataModule, pairs: Sequence[Pair]) -> list[Pair]:
    """Pairs of one crop, whose masks can be compared pixel by pixel; of a photo that is in several pairs, the first."""
    names: set[str] = set()
    comparable = []
    for pair in pairs:
        images = torch.stack([data.datasets[photo.split][photo.index].image.float().flatten() for photo in pair[:2]])
        photos = {photo.name for photo in pair[:2]}
        if torch.corrcoef(images)[0, 1] > SAME_CROP and names.isdisjoint(photos):
            comparable.append(pair)
            names |= photos
    return comparable


def leaked_test_photos(pairs: Sequence[Pair]) -> list[int]:
    """Indices in the test split of the photos that are also in trainval, each once, in order."""
    leaks = [pair for pair in pairs if (pair.first.split == "test") != (pair.second.split == "test")]
    return sorted({photo.index for pair in leaks for photo in (pair.first, pair.second) if photo.split == "test"})


def _standardized(thumbnails: NDArray[np.float32]) -> NDArray[np.float32]:
    """Each thumbnail as a row of mean 0 and length 1, so that a product of two rows is their correlation."""
    rows = thumbnails.reshape(len(thumbnails), -1)
    rows = rows - rows.mean(axis=1, keepdims=True)
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    # without contrast there is nothing to compare: below half a grey level per pixel an image matches no other
    return np.where(length > 0.5 * rows.shape[1] ** 0.5, rows / (length + 1e-6), 0).astype(np.float32)
