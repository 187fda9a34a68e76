"""Checks of notebook 01: a Dataset, splits, IoU, class frequencies, the baseline, normalisation, flips."""

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from petseg.course.checks import exercise, gap
from petseg.course.comparison import close, difference, same_dtype
from petseg.course.hints import NotYetError, UnfilledError, as_number, ask, hint_for, one_of, verdict
from petseg.course.setup import chosen_profile
from petseg.data.datamodule import PetDataModule
from petseg.data.statistics import Masks, masks_of, most_frequent_map
from petseg.labels import BACKGROUND, PET
from petseg.metrics.confusion import confusion_matrices, pooled_scores

BREEDS = [([f"pug_{i}" for i in range(count)],) for count in (18, 30, 4, 93)]
PAIR = (np.arange(12).reshape(3, 4) < 5, np.arange(12).reshape(3, 4) % 3 == 0)
TWO_IMAGES = (np.array([[[0, 1, 2, 2]], [[0, 0, 2, 1]]]), np.array([[[0, 1, 1, 2]], [[0, 1, 2, 1]]]))
MASKS = [(np.array([[[0, 1], [1, 2]], [[1, 1], [1, 0]]]),), (np.array([[[0, 1], [1, 1]]]),)]
SOME_EMPTY = (np.array([[[0, 1], [1, 1]], [[1, 1], [1, 2]], [[2, 2], [0, 2]], [[1, 1], [1, 1]]]),)
MANY_PIXELS = torch.rand(4, 3, 90, 60, generator=torch.Generator().manual_seed(0)) + torch.arange(12).view(4, 3, 1, 1)
STD = "Three numbers each: red, green, blue. torch's `std` divides by n - 1, NumPy's by n: the same for many pixels."
PIXELS = ((3 * torch.arange(54.0)).view(2, 3, 3, 3) ** 1.05).byte()
CHANNELS = (torch.tensor([0.4, 0.5, 0.6]), torch.tensor([0.2, 0.25, 0.5]))
EXAMPLE = (torch.arange(24).view(3, 2, 4), torch.tensor([[0, 1, 1, 2], [0, 0, 1, 2]]))
RESIZED = [(np.array([[0, 0, 2, 2], [0, 2, 2, 1], [2, 2, 1, 1]], np.uint8), 2, 2)]
RESIZED += [(np.arange(15, dtype=np.uint8).reshape(3, 5) % 4, 6, 2)]


@gap("01.b", "the validation split of a breed", BREEDS, "The choice depends on the names alone, everywhere the same.")
def _val_names(names: Any) -> Iterator[Any]:
    ordered, tenth = sorted(names, key=lambda name: sha256(name.encode()).digest()), round(len(names) / 10)
    count = max(1, tenth)
    yield set(ordered[:count])
    yield {
        "these are the first names. Sort by the SHA-256 of a name, not by the name.": set(sorted(names)[:count]),
        "a breed with few names must have at least one in validation.": set(ordered[:tenth]),
        "a tenth of 18 is 1.8. Round to the nearest number.": set(ordered[: max(1, len(names) // 10)]),
    }


@gap("01.c", "IoU of two masks", [PAIR], "Pixels in neither set do not count, so a large background does not raise it.")
def _iou(true: Any, predicted: Any) -> Iterator[Any]:
    both, areas = (true & predicted).sum(), true.sum() + predicted.sum()
    yield both / (true | predicted).sum()
    yield {
        "that is the intersection. What do you divide it by?": both,
        "your union counts the pixels of the intersection twice.": both / areas,
        "that is Dice, which counts the intersection twice.": 2 * both / areas,
        "you divide by the true pixels. The union also holds those predicted wrongly.": both / true.sum(),
        "that is accuracy. Pixels in neither set do not count.": (true == predicted).mean(),
    }


@gap("01.d", "pooled IoU of each class", [TWO_IMAGES], "Each pixel has the same weight.")
def _class_ious(predicted: Any, true: Any) -> Iterator[Any]:
    yield [float(_iou(true == label, predicted == label)) for label in range(3)]
    single = [_class_ious(*images) for images in zip(predicted, true, strict=True)]
    right = [((predicted == label) & (true == label)).sum() / (true == label).sum() for label in range(3)]
    yield {
        "you average the IoUs of single images. Count the pixels of all images first.": np.mean(single, axis=0),
        "that is the fraction of a class's pixels that is predicted right. Divide by the union.": right,
    }


@gap("01.e", "fraction of each class", MASKS, "They sum to 1.")
def _fractions(masks: Masks) -> Iterator[Any]:
    counts = np.bincount(masks.ravel(), minlength=3)
    yield counts / masks.size
    yield {
        "these are counts. Divide them by the number of all pixels.": counts,
        "a class without a pixel is missing: see `minlength` of np.bincount.": np.bincount(masks.ravel()) / masks.size,
    }


#: Of four positions (rows), the labels of seven masks. The most frequent are 2, 0, 1, 2; the medians 1, 1, 1, 2.
VOTES = np.array([[2, 1, 2, 0, 2, 1, 0], [0, 0, 2, 1, 0, 1, 2], [1, 0, 1, 2, 1, 1, 0], [2, 0, 0, 2, 2, 0, 2]])


@gap("01.f", "the most frequent class per position", [(VOTES.T[:, None],)], "One mask for all photos is the baseline.")
def _baseline(masks: Masks) -> Iterator[Any]:
    yield most_frequent_map(masks)
    counts = np.array([(masks == label).sum(axis=0) for label in range(3)])
    yield {
        "you average labels. The mean of pet (0) and boundary (2) is background (1).": np.rint(masks.mean(axis=0)),
        "that is the median. Labels have no order: count each.": np.median(masks, axis=0),
        "these are the counts of the winners. Which class wins: `argmax`, not `max`.": counts.max(axis=0),
    }


@gap("01.g", "masks without a pet", [SOME_EMPTY], "Labels have errors, too: look before you train.", kind=lambda *_: "")
def _without_pet(masks: Masks) -> Iterator[Any]:
    pet = (masks == PET).any(axis=(1, 2))
    yield np.flatnonzero(~pet)
    only_background = np.flatnonzero((masks == BACKGROUND).all(axis=(1, 2)))
    yield {
        "these are the masks that hold a pet.": np.flatnonzero(pet),
        "a mask of background and boundary has no pet either.": only_background,
        "that is true or false for each mask. `np.flatnonzero` gives the indices.": ~pet,
    }


@gap("01.h", "mean and standard deviation per channel", [(MANY_PIXELS,)], STD)
def _channel_statistics(images: Tensor) -> Iterator[Any]:
    mean, std, by_image = images.mean(dim=(0, 2, 3)), images.std(dim=(0, 2, 3)), images.std(dim=(2, 3)).mean(dim=0)
    yield mean, std
    yield {
        "that is one mean over everything. Keep the channels, axis 1.": (images.mean(), images.std()),
        "you average over the images alone. Rows and columns count too.": (images.mean(dim=0), images.std(dim=0)),
        "the channels are axis 1 of (N, 3, H, W).": (images.mean(dim=(0, 1, 2)), images.std(dim=(0, 1, 2))),
        "that is the mean of each image's deviation. Take the pixels of all images together.": (mean, by_image),
        "that is the variance. What is its root?": (mean, std**2),
    }


@gap("01.i", "normalise", [(PIXELS, *CHANNELS)], "The constants are the same in training and in use.", same_dtype)
def _normalise(images: Tensor, mean: Tensor, std: Tensor) -> Iterator[Any]:
    yield (images / 255 - mean.view(3, 1, 1)) / std.view(3, 1, 1)
    yield {
        "mean and std belong to pixels from 0 to 1: divide by 255 first.": _normalise(255.0 * images, mean, std),
        "mean and std were applied along the columns. Give them the shape (3, 1, 1).": (images / 255 - mean) / std,
        "divide by the standard deviation; do not multiply.": _normalise(images, mean, 1 / std),
    }


@gap("01.j", "flip image and mask", [EXAMPLE], "What moves the image must move the mask.")
def _flip(image: Tensor, mask: Tensor) -> Iterator[Any]:
    yield image.flip(-1), mask.flip(-1)
    yield {
        "the mask was not flipped.": (image.flip(-1), mask),
        "the image was not flipped.": (image, mask.flip(-1)),
        "both are as they were. `flip` returns a new tensor.": (image, mask),
        "both are upside down. The last axis holds the columns.": (image.flip(-2), mask.flip(-2)),
        "the image is upside down: its axes are channels, rows, columns.": (image.flip(-2), mask.flip(-1)),
        "the order of the image's channels is reversed: red and blue are exchanged.": (image.flip(0), mask.flip(-1)),
    }


@gap("01.k", "resize a mask by nearest neighbour", RESIZED, "Each pixel is a copy. Pillow's NEAREST picks the same.")
def _resized(mask: Masks, height: int, width: int, place: float = 0.5) -> Iterator[Any]:
    H, W = mask.shape
    rows, columns = (((np.arange(n) + place) * old / n).astype(int) for n, old in ((height, H), (width, W)))
    yield mask[rows][:, columns]
    ends = np.ix_(*(np.linspace(0, old - 1, n).round().astype(int) for n, old in ((height, H), (width, W))))
    pairs = mask[rows[: min(height, width)], columns[: min(height, width)]]
    yield {
        "you read a corner of each new pixel. Its centre is at i + 0.5.": _resized(mask, height, width, 0),
        "the outermost new pixels are not the outermost old ones: row i is at (i + 0.5) * H / height.": mask[ends],
        "two lists of indices pick pairs. First the rows, then the columns: `mask[rows][:, columns]`.": pairs,
        "height and width are exchanged.": _resized(mask, width, height),
        "only the rows are resized.": _resized(mask, height, W),
    }


class _PetDataset:
    """The data set of the notebook; the filters are those of image and mask."""

    def __init__(self, folder: Path, names: list[str], size: int = 128, filters: str = "BILINEAR NEAREST") -> None:
        self.folder, self.names, self.size = folder, names, (size, size)
        self.filters = [Image.Resampling[name] for name in filters.split()]

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        image = Image.open(self.folder / f"images/{self.names[index]}.jpg").convert("RGB")
        trimap = Image.open(self.folder / f"annotations/trimaps/{self.names[index]}.png")
        pixels, values = (np.array(x.resize(self.size, f)) for x, f in zip((image, trimap), self.filters, strict=True))
        return torch.from_numpy(pixels).permute(2, 0, 1), torch.from_numpy(values) - 1


FILTERS = {
    "the image was resized by nearest neighbour. For colours, take bilinear.": "NEAREST NEAREST",
    "the mask was resized bilinearly, which mixes labels: between 0 and 2 lies 1.": "BILINEAR BILINEAR",
    "without a filter Pillow takes BICUBIC. Take BILINEAR for the image, NEAREST for the mask.": "BICUBIC BICUBIC",
    "without a filter Pillow takes BICUBIC. Take Image.Resampling.BILINEAR.": "BICUBIC NEAREST",
    "without a filter Pillow takes BICUBIC, which mixes labels. Take Image.Resampling.NEAREST.": "BILINEAR BICUBIC",
}


@exercise("01.a", "a Dataset of images and masks", _PetDataset)
def pet_dataset(answer: Any) -> str:
    """`PetDataset(folder, names, size)[i]` is image (3, size, size) and mask (size, size), uint8."""
    with TemporaryDirectory(ignore_cleanup_errors=True) as name:  # Windows removes no file that an answer left open
        for path, shape in (("images/cat_1.jpg", (9, 12, 3)), ("annotations/trimaps/cat_1.png", (9, 12))):
            Path(name, path).parent.mkdir(parents=True)
            pixels = np.random.default_rng(0).integers(1, 256 if "jpg" in path else 4, shape, dtype=np.uint8)
            Image.fromarray(pixels).save(Path(name, path))
        item = ask(lambda: answer(Path(name), ["cat_1"], 8)[0])
        image, mask = right = _PetDataset(Path(name), ["cat_1"], 8)[0]
        mistakes = {hint: _PetDataset(Path(name), ["cat_1"], 8, pair)[0] for hint, pair in FILTERS.items()}
    if not isinstance(item, tuple) or len(item) != 2 or not all(torch.is_tensor(part) for part in item):
        raise NotYetError("an example must be a pair of tensors, `image, mask`.")
    if not close(item, right):
        rows = image.permute(1, 2, 0)  # (H, W, 3), as Pillow has it
        mistakes |= {
            "the channels of the image come first: look up `permute`.": (rows, mask),
            "`reshape` and `view` mix colours and places. Take `permute`.": (rows.reshape(3, 8, 8), mask),
            "rows and columns are exchanged: it is `permute(2, 0, 1)`.": (image.mT, mask),
            "leave the pixels 0 to 255; they are divided where they are used.": (image / 255, mask),
            "the mask still has the values 1, 2 and 3. Labels start at 0.": (image, mask + 1),
        }
        raise hint_for(item, mistakes, f"image and mask: {difference(item, right)}")
    if any(part.dtype != torch.uint8 for part in item):
        raise NotYetError("leave image and mask uint8, which needs a quarter of the memory of float32.")
    return "Colours are mixed, labels are copied."


@exercise("01.1", "experiment: a baseline of dogs for cats")
def baseline_by_species(prediction: Any, measured: Any) -> str:
    """On which species the most frequent map of train's dogs has the higher mean IoU, predicted and measured."""
    one_of(prediction, ("cats", "dogs"))
    if not isinstance(measured, dict) or set(measured) != {"cat", "dog"}:
        raise NotYetError("measured: expected a dictionary with the mean IoU on 'cat' and on 'dog'.")
    if ... in measured.values():
        raise UnfilledError
    expected, mixed = _species_scores()
    for kind, score in expected.items():
        came = as_number(measured[kind])
        if abs(came - score) > 0.002:
            of_all = f"{came:.3f} is the score of the map of all train examples. Make it from the dogs alone."
            other = f"{came:.3f} on {kind}s: is the map scored on val, all pixels of a species pooled?"
            raise NotYetError(of_all if any(abs(came - score) < 0.002 for score in mixed) else other)
    said = verdict(prediction, {f"{kind}s": score for kind, score in expected.items()}, ".3f")
    return f"Mean IoU of the map of dogs: {said}"


def _species_scores() -> tuple[dict[str, float], list[float]]:
    """Mean IoU of the most frequent map of train's dogs on val's cats and on its dogs; and of that of all of train."""
    data = PetDataModule("cartoon" if chosen_profile() == "quick" else "oxford", progress=False)
    data.prepare_data()
    data.setup()
    train, val = (masks_of(data.datasets[split]) for split in ("train", "val"))
    of_dogs = train[[example.species == "dog" for example in data.examples["train"]]]
    on = {kind: val[[example.species == kind for example in data.examples["val"]]] for kind in ("cat", "dog")}
    scores, mixed = ([_score_of_map(made_of, masks) for masks in on.values()] for made_of in (of_dogs, train))
    return dict(zip(on, scores, strict=True)), mixed


def _score_of_map(train: Masks, true: Masks) -> float:
    blind = torch.from_numpy(most_frequent_map(train)).expand(true.shape)
    return pooled_scores(confusion_matrices(blind, torch.from_numpy(true)))["mean_iou"]
