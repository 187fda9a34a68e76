"""Right answers to the gaps and the exercise of notebook 01, and usual mistakes with words of their hints."""

from hashlib import sha256

import numpy as np
import torch
from PIL import Image

from petseg.course import lesson_01


class Pets:
    """A right answer; the wrong ones below each change one thing."""

    filters = (Image.Resampling.BILINEAR, Image.Resampling.NEAREST)

    def __init__(self, folder, names, size=128):
        self.folder, self.names, self.size = folder, names, (size, size)

    def __getitem__(self, index):
        name = self.names[index]
        image = Image.open(self.folder / f"images/{name}.jpg").resize(self.size, self.filters[0])
        trimap = Image.open(self.folder / f"annotations/trimaps/{name}.png").resize(self.size, self.filters[1])
        return self.tensors(torch.from_numpy(np.array(image)), torch.from_numpy(np.array(trimap)))

    def tensors(self, image, trimap):
        return image.permute(2, 0, 1), trimap - 1


class Unfilled(Pets):
    def __getitem__(self, index):
        name = self.names[index]
        # ✎ a hint
        ...
        return name


def pets(tensors=Pets.tensors, filters=Pets.filters):
    return type("Changed", (Pets,), {"tensors": tensors, "filters": filters})


BILINEAR, NEAREST = Pets.filters
BICUBIC = Image.Resampling.BICUBIC


def numpy_iou(true, predicted):
    return np.logical_and(true, predicted).sum() / np.sum(np.logical_or(true, predicted))


def numpy_of(images):
    return images.numpy().astype(np.float64)


def in_order(names):
    return sorted(names, key=lambda name: sha256(name.encode()).digest())


def by_pillow(mask, height, width):
    return np.array(Image.fromarray(mask).resize((width, height), Image.Resampling.NEAREST))


def rows_of(mask, height):
    return ((np.arange(height) + 0.5) * len(mask) / height).astype(int)


CASES = [
    ("01.a", Pets, "right."),
    ("01.a", Unfilled, "still to do"),
    ("01.a", pets(lambda self, image, trimap: (image, trimap - 1)), "`permute`"),
    ("01.a", pets(lambda self, image, trimap: (image.permute(2, 0, 1), trimap)), "Labels start at 0"),
    ("01.a", pets(lambda self, image, trimap: (image.permute(2, 0, 1).float(), trimap - 1)), "uint8"),
    ("01.a", pets(lambda self, image, trimap: image), "a pair of tensors"),
    ("01.a", pets(filters=(BILINEAR, BILINEAR)), "mixes labels"),
    ("01.a", pets(filters=(NEAREST, NEAREST)), "by nearest neighbour"),
    ("01.a", pets(lambda self, image, trimap: (image.reshape(3, 8, 8), trimap - 1)), "Take `permute`"),
    ("01.a", pets(lambda self, image, trimap: (image.permute(2, 1, 0), trimap - 1)), "rows and columns are exchanged"),
    ("01.a", pets(lambda self, image, trimap: (image.permute(2, 0, 1) / 255, trimap - 1)), "leave the pixels 0 to 255"),
    ("01.a", pets(filters=(BICUBIC, NEAREST)), "without a filter Pillow takes BICUBIC. Take Image.Resampling.BILINEAR"),
    ("01.a", pets(filters=(BILINEAR, BICUBIC)), "Take Image.Resampling.NEAREST"),
    (
        "01.a",
        pets(lambda self, image, trimap: (image.permute(2, 0, 1) // 2, trimap - 1)),
        "image and mask: part 1 of 2: the shape (3, 8, 8) is right, but",
    ),
    ("01.b", lambda names: sorted(lesson_01._val_names(names)), "expected a set, but got a list"),
    ("01.c", lambda true, predicted: np.sum(true * predicted) / np.sum(true + predicted), "right."),
    ("01.d", lambda predicted, true: [numpy_iou(true == k, predicted == k) for k in range(3)], "right."),
    ("01.f", lambda masks: torch.from_numpy(masks).median(dim=0).values, "that is the median"),
    ("01.f", lambda masks: torch.from_numpy(masks).mode(dim=0).values, "Return a NumPy array"),
    ("01.f", lambda masks: torch.from_numpy(masks).mode(dim=0).values.numpy(), "right."),
    ("01.g", lambda masks: [n for n, mask in enumerate(masks) if not (mask == 0).any()], "right."),
    ("01.h", lambda images: (images.mean(dim=(0, 2, 3)), images.std(dim=(0, 2, 3), correction=0)), "right. Three"),
    ("01.h", lambda images: (numpy_of(images).mean((0, 2, 3)), numpy_of(images).std((0, 2, 3))), "Return a tensor"),
    ("01.h", lambda images: torch.stack([images.mean(dim=(0, 2, 3)), images.std(dim=(0, 2, 3))]), "right. Three"),
    ("01.h", lambda images: (images.mean(dim=(0, 2, 3)), images.std(dim=(0, 2, 3)) + 1), "part 2 of 2: expected ["),
    (
        "01.i",
        lambda images, mean, std: images / 255,
        "the shape (2, 3, 3, 3) is right, but 54 of 54 values differ, most",
    ),
    ("01.i", lambda *case: lesson_01._normalise(*case).double(), "Return torch.float32"),
    ("01.b", lambda names: set(in_order(names)[: max(1, len(names) // 10)]), "a tenth of 18 is 1.8"),
    ("01.k", by_pillow, "right."),
    ("01.k", lambda mask, height, width: mask[rows_of(mask, height), rows_of(mask.T, width)], "pick pairs"),
    # on cats the map of dogs scores 0.4, on dogs 0.35; the map of all scores 0.45 and 0.5
    (
        "01.1",
        ("cats", {"cat": 0.4, "dog": 0.3501}),
        "right. Mean IoU of the map of dogs: cats 0.400, dogs 0.350. Largest: cats, as you predicted.",
    ),
    (
        "01.1",
        ("dogs", {"cat": 0.4, "dog": 0.3501}),
        "right. Mean IoU of the map of dogs: cats 0.400, dogs 0.350. Largest: cats, you predicted dogs.",
    ),
    ("01.1", ("cats", {"cat": 0.45, "dog": 0.5}), "0.450 is the score of the map of all train"),
    ("01.1", ("cats", {"cat": 0.4, "dog": 0.2}), "scored on val"),
    ("01.1", ("cats", {"cat": float("nan"), "dog": 0.35}), "but got NaN"),
    ("01.1", ("both", {"cat": 0.4, "dog": 0.35}), "predict first: expected one of 'cats', 'dogs'"),
    ("01.1", ("cats", 0.4), "a dictionary"),
    ("01.1", ("cats", {"cat": ..., "dog": ...}), "still to do"),
]
