"""Photos at their original sizes with their labels, and scenes in which the same pets are small."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import torch
from PIL import Image, ImageFilter
from torch import Tensor

from petseg.errors import DataError
from petseg.inference.photo import load_photo
from petseg.labels import BACKGROUND, labels_from_trimap

#: Longest side, in pixels, of the photo within a scene.
SCENE_SIDE: Final = 300

#: A photo and its labels, uint8 (H, W).
Pair = tuple[Image.Image, Tensor]


def folder() -> Path:
    """The folder with photos at their own sizes, `PETSEG_FULLSIZE_DIR`.

    Raises:
        DataError: the variable is not set, or nothing is there.
    """
    root = Path(os.environ.get("PETSEG_FULLSIZE_DIR", "")) / "oxford-iiit-pet"
    if not os.environ.get("PETSEG_FULLSIZE_DIR") or not (root / "images").is_dir():
        raise DataError(f"{root}: no photos are there. Set PETSEG_FULLSIZE_DIR to the folder that holds it.")
    return root


def halves(root: Path) -> dict[str, list[str]]:
    """Names of the photos: those that settings were chosen on, and those that the result is reported on."""
    names = sorted(path.stem for path in (root / "images").glob("*.jpg"))
    return {"chosen on": names[::2], "reported": names[1::2]}


def pairs(root: Path, names: Sequence[str]) -> Iterator[Pair]:
    """Photos and labels at their original sizes, read one by one.

    Raises:
        DataError: a trimap is missing, damaged, or holds another value than 1 to 3.
    """
    for name in names:
        path = root / "annotations" / "trimaps" / f"{name}.png"
        try:
            with Image.open(path) as trimap:
                labels = labels_from_trimap(np.array(trimap), path.name)
        except (OSError, SyntaxError, ValueError) as error:  # Pillow reports some damaged files as SyntaxError
            raise DataError(f"{path}: cannot be used as a trimap. {error}") from error
        yield load_photo(root / "images" / f"{name}.jpg"), torch.from_numpy(labels)


def in_a_wider_frame(pair: Pair, times: float) -> Pair:
    """The photo amid its own blurred surroundings, as if the pet had been photographed from further away.

    The photo, shrunk to `SCENE_SIDE`, lies in the middle of a picture that is `times` as high and as wide; round it
    is its mirror image, too blurred to hold a second pet, and labelled background.
    """
    photo, labels = pair[0].copy(), pair[1]
    photo.thumbnail((SCENE_SIDE, SCENE_SIDE), Image.Resampling.BILINEAR)
    W, H = photo.size
    small = Image.fromarray(labels.numpy()).resize((W, H), Image.Resampling.NEAREST)
    x, y = int(W * (times - 1) / 2), int(H * (times - 1) / 2)
    around = Image.fromarray(np.pad(np.asarray(photo), ((y, y), (x, x), (0, 0)), mode="symmetric"))
    scene = around.filter(ImageFilter.GaussianBlur(max(W, H) / 8))
    scene.paste(photo, (x, y))
    return scene, torch.from_numpy(np.pad(np.asarray(small), ((y, y), (x, x)), constant_values=BACKGROUND))
