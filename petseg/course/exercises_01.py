"""Checks of the exercises of notebook 01: IoU of two masks, resizing a mask, a random flip, the baseline by species."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from petseg.course.checks import NotYetError, UnfilledError, as_number, ask, exercise, hint_for
from petseg.course.setup import chosen_profile
from petseg.data.datamodule import PetDataModule
from petseg.data.statistics import masks_of, most_frequent_map
from petseg.labels import CLASSES
from petseg.metrics.confusion import confusion_matrices, pooled_scores

Pairs = list[tuple[Tensor, Tensor]]


@exercise("01.1", "IoU of each class")
def iou_of_masks(answer: Any) -> str:
    """`ious(true, predicted)` gives one IoU per class; nan for a class in neither mask."""
    random = np.random.default_rng(0)
    cases = [*random.integers(0, 3, (3, 2, 4, 5)), *random.integers(0, 2, (1, 2, 2, 3))]  # the last without class 2
    for true, predicted in cases:
        result = np.asarray(ask(answer, true.copy(), predicted.copy()), dtype=float)
        if result.shape != (len(CLASSES),):
            raise NotYetError(f"expected three numbers, one per class, but got the shape {result.shape}.")
        for label, value in enumerate(result):
            seen = f"for true mask {true.tolist()} and prediction {predicted.tolist()}, class {label} gets {value}. "
            _check_iou(true == label, predicted == label, float(value), seen)
    return "Mean IoU is the mean of these three; of many masks, all their pixels are counted together first."


def _check_iou(true: NDArray[np.bool_], predicted: NDArray[np.bool_], result: float, seen: str) -> None:
    both, either = int((true & predicted).sum()), int((true | predicted).sum())
    areas = int(true.sum() + predicted.sum())
    if not either:
        if not math.isnan(result):
            raise NotYetError(seen + "Neither mask holds the class, so there is nothing to divide: return nan.")
    elif not math.isclose(result, both / either, abs_tol=1e-6):
        mistakes = {
            "That is the intersection. By what is it divided?": both,
            "Your union counts the pixels of the intersection twice.": both / areas,
            "That is the Dice score, which counts the intersection twice; IoU counts it once.": 2 * both / areas,
            "You divide by the pixels that truly are this class; the union also holds those predicted wrongly.": (
                both / max(1, true.sum())
            ),
        }
        hint = hint_for(result, mistakes, f"The intersection has {both} pixels and the union {either}.")
        raise NotYetError(f"{seen}{hint}")


@exercise("01.2", "resize a mask by nearest neighbour")
def nearest(answer: Any) -> str:
    """`resized(mask, height, width)` picks the pixel in whose area the centre of each new pixel lies."""
    random = np.random.default_rng(0)
    for (H, W), (height, width) in (((4, 4), (2, 2)), ((6, 9), (2, 3)), ((5, 7), (8, 3)), ((3, 3), (3, 3))):
        mask = random.integers(0, 3, (H, W), dtype=np.uint8)
        if (H, W) == (4, 4):
            mask = np.array([[0, 0, 2, 2], [0, 2, 2, 1], [2, 2, 1, 1], [2, 1, 1, 1]], dtype=np.uint8)
        before = mask.copy()
        result = np.asarray(ask(answer, mask, height, width))
        _check_nearest(before, result, height, width)
        if not np.array_equal(mask, before):
            raise NotYetError("your function changes the mask that it gets. Work on a copy.")
    return "Pillow's NEAREST and PyTorch's `nearest-exact` pick the same pixels."


def _check_nearest(mask: NDArray[np.uint8], result: NDArray[Any], height: int, width: int) -> None:
    H, W = mask.shape
    seen = f"a mask of {H}x{W} (height x width) resized to {height}x{width} "
    if result.shape != (height, width):
        raise NotYetError(f"{seen}came out as {'x'.join(map(str, result.shape)) or 'a single value'}.")
    if not np.isin(result, np.unique(mask)).all():
        raise NotYetError(f"{seen}holds values that are not in the mask. Pick pixels; do not average them.")
    if np.array_equal(result, _picked(mask, height, width, 0.5)):
        return
    if np.array_equal(result, _picked(mask, height, width, 0.0)):
        raise NotYetError(f"{seen}reads the corner of each new pixel, which shifts the mask by up to half a pixel.")
    raise NotYetError(f"{seen}holds wrong pixels. Where is the centre of the new pixel (0, 0) in the old mask?")


def _picked(mask: NDArray[np.uint8], height: int, width: int, place: float) -> NDArray[np.uint8]:
    """The mask resized by reading it at a place in each new pixel: 0 is its corner, 0.5 its centre."""
    rows = ((np.arange(height) + place) * mask.shape[0] / height).astype(int)
    columns = ((np.arange(width) + place) * mask.shape[1] / width).astype(int)
    return mask[rows][:, columns]


@exercise("01.3", "build: a random flip of image and mask")
def random_flip(answer: Any) -> str:
    """`RandomFlip(pairs, p)` is a data set that mirrors image and mask together with probability p."""
    pairs = _numbered_pairs()
    for p in (0.0, 1.0, 0.5):
        dataset = ask(answer, pairs, p)
        if not hasattr(dataset, "__getitem__") or ask(lambda made: len(made), dataset) != len(pairs):
            raise NotYetError(f"of {len(pairs)} pairs your data set must make {len(pairs)}: look at `__len__`.")
        flipped = [_read(dataset, pairs, i % len(pairs)) for i in range(200)]
        if 0 < p < 1 and all(len(set(flipped[i::4])) == 1 for i in range(4)):
            raise NotYetError("an item is the same each time it is read. Draw the random number in `__getitem__`.")
        fraction = sum(flipped) / len(flipped)
        if abs(fraction - p) > 0.15:
            raise NotYetError(
                f"with p={p}, {fraction:.0%} of the items are flipped. Flip if a random number is below p."
            )
    return "One random number decides for image and mask together, so the two always fit together."


def _numbered_pairs() -> Pairs:
    """Four pairs without any symmetry: all pixels of an image and of a mask are different numbers."""
    return [(torch.arange(60).view(3, 4, 5) + 100 * i, torch.arange(20).view(4, 5) + 100 * i) for i in range(4)]


def _read(dataset: Any, pairs: Pairs, index: int) -> bool:
    """Whether an item of the student's data set is flipped."""
    before = _numbered_pairs()[index]
    item = ask(lambda: dataset[index])
    if not isinstance(item, tuple | list) or len(item) != 2 or not all(torch.is_tensor(part) for part in item):
        raise NotYetError("an item of the data set must be a pair of tensors: `image, mask`.")
    flips = [_is_mirrored(*each) for each in zip(item, before, ("image", "mask"), strict=True)]
    if flips[0] != flips[1]:
        raise NotYetError(
            "image and mask do not fit: one is flipped and the other is not. Draw one random number for both."
        )
    if not torch.equal(pairs[index][0], before[0]) or not torch.equal(pairs[index][1], before[1]):
        raise NotYetError("your data set changes the pairs that it gets. Return new tensors.")
    return flips[0]


def _is_mirrored(part: Tensor, before: Tensor, name: str) -> bool:
    if torch.equal(part, before.flip(-2)):
        raise NotYetError(f"your {name} is upside down. A left-right flip reverses the last axis, the columns.")
    mirrored = torch.equal(part, before.flip(-1))
    if not mirrored and not torch.equal(part, before):
        raise NotYetError(f"your {name} is neither the one that was given nor its mirror image (`flip(-1)`).")
    return mirrored


@exercise("01.4", "experiment: a baseline of dogs for cats")
def baseline_by_species(prediction: Any, measured: Any) -> str:
    """On which species the most frequent map of train's dogs has the higher mean IoU, predicted and measured."""
    if prediction not in ("cats", "dogs"):
        raise NotYetError(f"your prediction is {prediction!r}; expected 'cats' or 'dogs'.")
    if not isinstance(measured, dict) or set(measured) != {"cat", "dog"}:
        raise NotYetError("measured: expected a dictionary with the mean IoU on 'cat' and on 'dog'.")
    if ... in measured.values():
        raise UnfilledError
    expected, mixed = _species_scores()
    for kind, score in expected.items():
        if not math.isclose(as_number(measured[kind]), score, abs_tol=0.002):
            from_all = any(math.isclose(as_number(measured[kind]), other, abs_tol=0.002) for other in mixed)
            raise NotYetError(
                f"on {kind}s you measured {measured[kind]}. "
                + (
                    "That is the map of all train examples. Make it from the dogs of train alone."
                    if from_all
                    else "Is the map made from train's dogs, and scored on val, all pixels of a species pooled?"
                )
            )
    best = max(expected, key=lambda kind: expected[kind])
    verdict = "as you predicted" if prediction == f"{best}s" else f"you predicted {prediction}"
    return (
        f"The map of dogs scores higher on {best}s, {verdict}. The gap says how differently the two are photographed."
    )


def _species_scores() -> tuple[dict[str, float], list[float]]:
    """Mean IoU of the most frequent map of train's dogs on val's cats and on its dogs; and of that of all of train."""
    data = PetDataModule("cartoon" if chosen_profile() == "quick" else "oxford", progress=False)
    data.prepare_data()
    data.setup()
    train, val = (masks_of(data.datasets[split]) for split in ("train", "val"))
    of_dogs = train[[example.species == "dog" for example in data.examples["train"]]]
    on = {kind: val[[example.species == kind for example in data.examples["val"]]] for kind in ("cat", "dog")}
    expected = {kind: _score_of_map(of_dogs, masks) for kind, masks in on.items()}
    return expected, [_score_of_map(train, masks) for masks in on.values()]


def _score_of_map(train: NDArray[np.uint8], true: NDArray[np.uint8]) -> float:
    blind = torch.from_numpy(most_frequent_map(train)).expand(true.shape)
    return pooled_scores(confusion_matrices(blind, torch.from_numpy(true)))["mean_iou"]
