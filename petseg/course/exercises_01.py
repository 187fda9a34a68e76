"""Checks of the Dataset of notebook 01, its first gap, and of its exercise, the baseline by species."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from petseg.course.checks import exercise
from petseg.course.comparison import close, difference
from petseg.course.hints import NotYetError, UnfilledError, as_number, ask, hint_for, one_of, verdict
from petseg.course.setup import chosen_profile
from petseg.data.datamodule import PetDataModule
from petseg.data.statistics import Masks, masks_of, most_frequent_map
from petseg.metrics.confusion import confusion_matrices, pooled_scores


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
    random = np.random.default_rng(0)
    with TemporaryDirectory() as name:
        for path, shape in (("images/cat_1.jpg", (9, 12, 3)), ("annotations/trimaps/cat_1.png", (9, 12))):
            file = Path(name, path)
            file.parent.mkdir(parents=True)
            Image.fromarray(random.integers(1, 256 if "jpg" in path else 4, shape, dtype=np.uint8)).save(file)
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
            if any(abs(came - other) < 0.002 for other in mixed):
                raise NotYetError(
                    f"{came:.3f} is the score of the map of all train examples. Make it from the dogs alone."
                )
            raise NotYetError(f"{came:.3f} on {kind}s: is the map scored on val, all pixels of a species pooled?")
    said = verdict(prediction, {f"{kind}s": score for kind, score in expected.items()}, ".3f")
    return f"The map of dogs scores {said} The gap says how differently the two are photographed."


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


def _score_of_map(train: Masks, true: Masks) -> float:
    blind = torch.from_numpy(most_frequent_map(train)).expand(true.shape)
    return pooled_scores(confusion_matrices(blind, torch.from_numpy(true)))["mean_iou"]
