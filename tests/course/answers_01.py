"""Right answers to the exercises of notebook 01, and usual mistakes with words of their hints."""

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
    H, W = mask.shape
    enlarged = mask.repeat(height, axis=0).repeat(width, axis=1)
    return enlarged.reshape(height, H, width, W).mean(axis=(1, 3))


def in_place(mask, height, width):
    resized = nearest(mask, height, width)
    mask[:] = 0
    return resized


class Flipping:
    """A right answer; the wrong ones below each change one method."""

    def __init__(self, pairs, p):
        self.pairs, self.p = pairs, p
        self.once = [torch.rand(()) < p for _ in pairs]

    def __len__(self):
        return len(self.pairs)

    def __getitem__(self, index):
        return self.changed(*self.pairs[index], index)

    def changed(self, image, mask, index):
        return (image.flip(-1), mask.flip(-1)) if torch.rand(()) < self.p else (image, mask)


def flipping(change):
    return type("Changed", (Flipping,), {"changed": change})


def forgotten_mask(self, image, mask, index):
    return (image.flip(-1), mask) if torch.rand(()) < self.p else (image, mask)


def upside_down(self, image, mask, index):
    return (image.flip(-2), mask.flip(-2)) if torch.rand(()) < self.p else (image, mask)


def channels_reversed(self, image, mask, index):
    return (image.flip(0), mask.flip(-1)) if torch.rand(()) < self.p else (image, mask)


def drawn_twice(self, image, mask, index):
    return [x.flip(-1) if torch.rand(()) < self.p else x for x in (image, mask)]


def drawn_once(self, image, mask, index):
    return (image.flip(-1), mask.flip(-1)) if self.once[index] else (image, mask)


def too_seldom(self, image, mask, index):
    return (image.flip(-1), mask.flip(-1)) if torch.rand(()) < self.p**3 else (image, mask)


def in_the_pairs(self, image, mask, index):
    if torch.rand(()) < self.p:
        image.copy_(image.flip(-1).clone())
        mask.copy_(mask.flip(-1).clone())
    return image, mask


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
    ("01.3", flipping(forgotten_mask), "image and mask do not fit"),
    ("01.3", flipping(drawn_twice), "image and mask do not fit"),
    ("01.3", flipping(upside_down), "upside down"),
    ("01.3", flipping(channels_reversed), "neither the one that was given nor its mirror image"),
    ("01.3", flipping(drawn_once), "`__getitem__`"),
    ("01.3", flipping(too_seldom), "number is below p"),
    ("01.3", flipping(in_the_pairs), "changes the pairs"),
    ("01.3", flipping(lambda self, image, mask, index: image), "pair of tensors"),
    ("01.3", flipping(lambda self, image, mask, index: ...), "still to do"),
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
