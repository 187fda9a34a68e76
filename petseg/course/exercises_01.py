"""Checks of the exercises of notebook 01: IoU of two masks, resizing a mask, a random flip, the baseline by species."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from petseg.course.checks import NotYetError, UnfilledError, ask, exercise
from petseg.course.setup import chosen_profile
from petseg.data.datamodule import PetDataModule
from petseg.data.statistics import masks_of, most_frequent_map
from petseg.labels import CLASSES
from petseg.metrics.confusion import confusion_matrices, pooled_scores

Pairs = list[tuple[Tensor, Tensor]]


@exercise("01.1", "IoU of each class")
def _iou_of_masks(answer: Any) -> str:
    random = np.random.default_rng(0)
    cases = [*random.integers(0, 3, (3, 2, 4, 5)), *random.integers(0, 2, (1, 2, 2, 3))]  # the last without class 2
    for true, predicted in cases:
        result = np.asarray(ask(answer, true.copy(), predicted.copy()), dtype=float)
        if result.shape != (len(CLASSES),):
            raise NotYetError(f"expected three numbers, one per class, but got the shape {result.shape}.")
        _check_iou(true, predicted, result)
    return "Mean IoU is the mean of these three; of many masks, all their pixels are counted together first."


def _check_iou(true: NDArray[Any], predicted: NDArray[Any], result: NDArray[Any]) -> None:
    for label in range(len(CLASSES)):
        t, p = true == label, predicted == label
        both, either = int((t & p).sum()), int((t | p).sum())
        seen = (
            f"for true mask {true.tolist()} and prediction {predicted.tolist()}, class {label} gets {result[label]}. "
        )
        if not either:
            if not math.isnan(result[label]):
                raise NotYetError(seen + "Neither mask holds the class, so there is nothing to divide: return nan.")
        elif not math.isclose(result[label], both / either, abs_tol=1e-6):
            raise NotYetError(seen + _iou_hint(result[label], both, either, int(t.sum()), int(p.sum())))


def _iou_hint(result: float, both: int, either: int, true: int, predicted: int) -> str:
    if math.isclose(result, both, abs_tol=1e-6):
        return "That is the intersection. By what is it divided?"
    if math.isclose(result, both / (true + predicted), abs_tol=1e-6):
        return "Your union counts the pixels of the intersection twice."
    if math.isclose(result, 2 * both / (true + predicted), abs_tol=1e-6):
        return "That is the Dice score, which counts the intersection twice; IoU counts it once."
    if true and math.isclose(result, both / true, abs_tol=1e-6):
        return "You divide by the pixels that truly are this class; the union also holds those predicted wrongly."
    return f"The intersection has {both} pixels and the union {either}."


@exercise("01.2", "resize a mask by nearest neighbour")
def _nearest(answer: Any) -> str:
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
    if np.array_equal(result, _nearest_pixels(mask, height, width)):
        return
    corner = mask[np.arange(height) * H // height][:, np.arange(width) * W // width]
    if np.array_equal(result, corner):
        raise NotYetError(f"{seen}reads the corner of each new pixel, which shifts the mask by up to half a pixel.")
    raise NotYetError(f"{seen}holds wrong pixels. Where is the centre of the new pixel (0, 0) in the old mask?")


def _nearest_pixels(mask: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    rows = ((np.arange(height) + 0.5) * mask.shape[0] / height).astype(int)
    columns = ((np.arange(width) + 0.5) * mask.shape[1] / width).astype(int)
    return mask[rows][:, columns]


@exercise("01.3", "build: a random flip of image and mask")
def _random_flip(answer: Any) -> str:
    pairs = _numbered_pairs()
    for p in (0.0, 1.0, 0.5):
        dataset = ask(answer, pairs, p)
        if not hasattr(dataset, "__getitem__") or ask(lambda made: len(made), dataset) != len(pairs):
            raise NotYetError(f"of {len(pairs)} pairs your data set must make {len(pairs)}: look at `__len__`.")
        flipped = [_read(dataset, pairs, i % len(pairs)) for i in range(200)]
        _check_fraction(flipped, p)
    return "One random number decides for image and mask together, so the two always fit together."


def _numbered_pairs() -> Pairs:
    """Four pairs without any symmetry: each pixel of an image is a number of its own, and so is each of a mask."""
    return [(torch.arange(60).view(3, 4, 5) + 100 * i, torch.arange(20).view(4, 5) + 100 * i) for i in range(4)]


def _read(dataset: Any, pairs: Pairs, index: int) -> bool:
    """Whether the item of the student's data set is flipped, after a look at whether reading it changes its source."""
    before = _numbered_pairs()[index]
    flipped = _is_flipped(ask(lambda: dataset[index]), before)
    if not torch.equal(pairs[index][0], before[0]) or not torch.equal(pairs[index][1], before[1]):
        raise NotYetError("your data set changes the pairs that it gets. Return new tensors.")
    return flipped


def _is_flipped(result: Any, pair: tuple[Tensor, Tensor]) -> bool:
    """Whether image and mask are both mirrored; any other change than that gets its hint."""
    if not isinstance(result, tuple | list) or len(result) != 2 or not all(torch.is_tensor(part) for part in result):
        raise NotYetError("an item of the data set must be a pair of tensors: `image, mask`.")
    states = []
    for part, before, name in zip(result, pair, ("image", "mask"), strict=True):
        if torch.equal(part, before):
            states.append(False)
        elif torch.equal(part, before.flip(-1)):
            states.append(True)
        elif torch.equal(part, before.flip(-2)):
            raise NotYetError(f"your {name} is upside down. A left-right flip reverses the last axis, the columns.")
        else:
            raise NotYetError(f"your {name} is neither the one that was given nor its mirror image (`flip(-1)`).")
    if states[0] != states[1]:
        raise NotYetError(
            "image and mask do not fit: one is flipped and the other is not. Draw one random number for both."
        )
    return states[0]


def _check_fraction(flipped: list[bool], p: float) -> None:
    if 0 < p < 1 and all(len(set(flipped[i::4])) == 1 for i in range(4)):
        raise NotYetError("an item is the same each time it is read. Draw the random number in `__getitem__`.")
    fraction = sum(flipped) / len(flipped)
    if abs(fraction - p) > 0.15:
        raise NotYetError(f"with p={p}, {fraction:.0%} of the items are flipped. Flip if a random number is below p.")


@exercise("01.4", "experiment: a baseline of dogs for cats")
def _baseline_by_species(prediction: Any, measured: Any) -> str:
    if prediction not in ("cats", "dogs"):
        raise NotYetError(f"your prediction is {prediction!r}; expected 'cats' or 'dogs'.")
    if not isinstance(measured, dict) or set(measured) != {"cat", "dog"}:
        raise NotYetError("measured: expected a dictionary with the mean IoU on 'cat' and on 'dog'.")
    expected, mixed = _species_scores()
    for kind, score in expected.items():
        if measured[kind] is ...:
            raise UnfilledError
        if not math.isclose(float(measured[kind]), score, abs_tol=0.002):
            raise NotYetError(
                f"on {kind}s you measured {measured[kind]}. {_baseline_hint(float(measured[kind]), mixed)}"
            )
    best = max(expected, key=lambda kind: expected[kind])
    verdict = "as you predicted" if prediction == f"{best}s" else f"you predicted {prediction}"
    return (
        f"The map of dogs scores higher on {best}s, {verdict}. The gap says how differently the two are photographed."
    )


def _species_scores() -> tuple[dict[str, float], list[float]]:
    """Mean IoU on val's cats and dogs of the map made from train's dogs, and of maps that are made otherwise."""
    data = PetDataModule("cartoon" if chosen_profile() == "quick" else "oxford", progress=False)
    data.prepare_data()
    data.setup()
    masks = {split: torch.from_numpy(masks_of(data.datasets[split])) for split in ("train", "val")}
    where = {
        split: {kind: torch.tensor([e.species == kind for e in data.examples[split]]) for kind in ("cat", "dog")}
        for split in masks
    }
    scores = {
        kind: _score_of_map(masks["train"][where["train"]["dog"]], masks["val"][chosen])
        for kind, chosen in where["val"].items()
    }
    mixed = [_score_of_map(masks["train"], masks["val"][chosen]) for chosen in where["val"].values()]
    return scores, mixed


def _score_of_map(train: Tensor, true: Tensor) -> float:
    blind = torch.from_numpy(most_frequent_map(train.numpy())).expand_as(true)
    return pooled_scores(confusion_matrices(blind, true))["mean_iou"]


def _baseline_hint(measured: float, mixed: list[float]) -> str:
    if any(math.isclose(measured, score, abs_tol=0.002) for score in mixed):
        return "That is the map of all train examples. Make it from the dogs of train alone."
    return "Is the map made from train's dogs, and scored on val, all pixels of a species pooled?"
