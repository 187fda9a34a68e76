"""Right answers to the exercises of notebook 01, and usual mistakes with words of their hints."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch


def sets(true, predicted):
    for label in range(3):
        yield true == label, predicted == label


def ious(true, predicted):
    with np.errstate(invalid="ignore"):
        return [(t & p).sum() / (t | p).sum() for t, p in sets(true, predicted)]


def ious_or_zero(true, predicted):
    return np.nan_to_num(ious(true, predicted))


def by_ratio(top, bottom):
    def answer(true, predicted):
        values = [(top(t, p), bottom(t, p)) for t, p in sets(true, predicted)]
        return [a / b if b else float("nan") for a, b in values]

    return answer


def both(t, p):
    return (t & p).sum()


def nearest(mask, height, width):
    rows = np.floor((np.arange(height) + 0.5) * mask.shape[0] / height).astype(int)
    columns = np.floor((np.arange(width) + 0.5) * mask.shape[1] / width).astype(int)
    return mask[np.ix_(rows, columns)]


def corner(mask, height, width):
    H, W = mask.shape
    return mask[np.arange(height) * H // height][:, np.arange(width) * W // width]


def averaged(mask, height, width):
    return np.full((height, width), mask.mean())


def in_place(mask, height, width):
    resized = nearest(mask, height, width)
    mask[:] = 0
    return resized


class Flipping:
    """A right answer; wrong ones change `item`."""

    item: Callable[..., Any] = staticmethod(lambda image, mask, p: flipped((image, mask), chance(p)))

    def __init__(self, pairs, p):
        self.pairs, self.p = pairs, p
        self.once = [chance(p) for _ in pairs]

    def __len__(self):
        return len(self.pairs)

    def __getitem__(self, index):
        return self.item(*self.pairs[index], self.p)


class DrawnOnce(Flipping):
    def __getitem__(self, index):
        return flipped(self.pairs[index], self.once[index])


def chance(p):
    return bool(torch.rand(()) < p)


def flipped(pair, happens, axes=(-1, -1)):
    return tuple(part.flip(axis) if happens else part for part, axis in zip(pair, axes, strict=True))


def in_the_pairs(image, mask, p):
    for part, changed in zip((image, mask), flipped((image, mask), chance(p)), strict=True):
        part.copy_(changed.clone())
    return image, mask


WRONG_FLIPS = {
    "image and mask do not fit": lambda image, mask, p: (*flipped((image,), chance(p), (-1,)), mask),
    "one is flipped and the other is not": lambda *item: [x.flip(-1) if chance(item[2]) else x for x in item[:2]],
    "upside down": lambda image, mask, p: flipped((image, mask), chance(p), (-2, -2)),
    "neither the one that was given": lambda image, mask, p: flipped((image, mask), chance(p), (0, -1)),
    "number is below p": lambda image, mask, p: flipped((image, mask), chance(p**3)),
    "changes the pairs": in_the_pairs,
    "pair of tensors": lambda image, mask, p: image,
    "still to do": lambda image, mask, p: ...,
}


CASES = [
    ("01.1", ious, "right."),
    ("01.1", lambda true, predicted: torch.tensor(np.array(ious(true, predicted))), "right."),
    ("01.2", nearest, "right."),
    ("01.3", Flipping, "right."),
    ("01.1", ious_or_zero, "return nan"),
    ("01.1", by_ratio(both, lambda t, p: 1), "That is the intersection"),
    ("01.1", by_ratio(both, lambda t, p: t.sum() + p.sum()), "intersection twice"),
    ("01.1", by_ratio(lambda t, p: 2 * both(t, p), lambda t, p: t.sum() + p.sum()), "Dice"),
    ("01.1", by_ratio(both, lambda t, p: t.sum()), "truly are this class"),
    ("01.1", by_ratio(lambda t, p: 1 + both(t, p), lambda t, p: (t | p).sum()), "the union"),
    ("01.1", lambda true, predicted: 0.5, "three numbers"),
    ("01.2", corner, "corner"),
    ("01.2", averaged, "do not average"),
    ("01.2", lambda mask, height, width: nearest(mask, width, height), "came out as"),
    ("01.2", lambda mask, height, width: nearest(mask, height, width)[::-1], "centre of the new pixel"),
    ("01.2", in_place, "changes the mask"),
    *(("01.3", type("Wrong", (Flipping,), {"item": staticmethod(item)}), hint) for hint, item in WRONG_FLIPS.items()),
    ("01.3", DrawnOnce, "`__getitem__`"),
    ("01.3", lambda pairs, p: Flipping(pairs[:2], p), "`__len__`"),
    # on cats the map of dogs scores 0.4, on dogs 0.35; the map of all scores 0.45 and 0.5
    ("01.4", ("cats", {"cat": 0.4, "dog": 0.3501}), "right. The map of dogs scores higher on cats, as you predicted"),
    ("01.4", ("dogs", {"cat": 0.4, "dog": 0.3501}), "right. The map of dogs scores higher on cats, you predicted dogs"),
    ("01.4", ("cats", {"cat": 0.45, "dog": 0.5}), "from the dogs of train alone"),
    ("01.4", ("cats", {"cat": 0.4, "dog": 0.2}), "scored on val"),
    ("01.4", ("both", {"cat": 0.4, "dog": 0.35}), "expected 'cats' or 'dogs'"),
    ("01.4", ("cats", 0.4), "a dictionary"),
    ("01.4", ("cats", {"cat": ..., "dog": ...}), "still to do"),
]
