"""Right answers to the gaps and the exercise of notebook 01, and usual mistakes with words of their hints."""

import numpy as np
import torch
from PIL import Image


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

CASES = [
    ("01.a", Pets, "right."),
    ("01.a", Unfilled, "still to do"),
    ("01.a", pets(lambda self, image, trimap: (image, trimap - 1)), "`permute`"),
    ("01.a", pets(lambda self, image, trimap: (image.permute(2, 0, 1), trimap)), "Labels start at 0"),
    ("01.a", pets(lambda self, image, trimap: (image.permute(2, 0, 1).float(), trimap - 1)), "uint8"),
    ("01.a", pets(lambda self, image, trimap: image), "a pair of tensors"),
    ("01.a", pets(filters=(BILINEAR, BILINEAR)), "mixes labels"),
    ("01.a", pets(filters=(NEAREST, NEAREST)), "by nearest neighbour"),
    # on cats the map of dogs scores 0.4, on dogs 0.35; the map of all scores 0.45 and 0.5
    ("01.1", ("cats", {"cat": 0.4, "dog": 0.3501}), "right. The map of dogs scores higher on cats, as you predicted"),
    ("01.1", ("dogs", {"cat": 0.4, "dog": 0.3501}), "right. The map of dogs scores higher on cats, you predicted dogs"),
    ("01.1", ("cats", {"cat": 0.45, "dog": 0.5}), "from the dogs of train alone"),
    ("01.1", ("cats", {"cat": 0.4, "dog": 0.2}), "scored on val"),
    ("01.1", ("both", {"cat": 0.4, "dog": 0.35}), "expected 'cats' or 'dogs'"),
    ("01.1", ("cats", 0.4), "a dictionary"),
    ("01.1", ("cats", {"cat": ..., "dog": ...}), "still to do"),
]
