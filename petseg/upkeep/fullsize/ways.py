"""Ways from a photo to logits at the photo's own size."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from petseg.inference.predictor import Predictor, resize_to_model
from petseg.inference.two_pass import merge_logits, pet_boxes
from petseg.upkeep.fullsize.guided import guided_filter

#: From a photo to logits or probabilities (3, H, W) of its size.
Way = Callable[[Predictor, Image.Image], Tensor]


def enlarged(scores: Tensor, photo: Image.Image, mode: str = "bilinear") -> Tensor:
    """Scores (3, h, w) at the photo's size: (3, H, W)."""
    aligned = None if mode == "nearest-exact" else False
    return F.interpolate(scores[None], photo.size[::-1], mode=mode, align_corners=aligned)[0]


def passes(predictor: Predictor, photo: Image.Image, count: int = 1, mode: str = "bilinear") -> Tensor:
    """The whole photo, then the pet, `count` passes in all; logits enlarged."""
    return enlarged(predictor.photo_logits(photo, count), photo, mode)


def two_in_proportion(predictor: Predictor, photo: Image.Image) -> Tensor:
    """Two passes, the second in the pet's own proportions and with about as many pixels as the working size has."""
    logits = predictor.photo_logits(photo, 1)
    for box in pet_boxes(logits, photo.size):
        part = photo.crop(box)
        h, w = predictor.card.size
        closer = _logits_at(predictor, part, own_shape(part.size, (h * w) ** 0.5))
        logits = merge_logits(logits, closer, box, photo.size)
    return enlarged(logits, photo)


def own_shape(size: tuple[int, int], side: float) -> tuple[int, int]:
    """Height and width of a picture in its own proportions, with the pixels of a square.

    Args:
        size: width and height of the picture in pixels.
        side: of the square in pixels.

    Returns:
        Multiples of 16, which encoders halve four times; one side is taken for at most four times the other.
    """
    ratio = min(max((size[1] / size[0]) ** 0.5, 0.5), 2.0)  # the square becomes as much higher, or wider
    h, w = (max(1, round(length / 16)) * 16 for length in (side * ratio, side / ratio))
    return h, w


def larger(predictor: Predictor, photo: Image.Image, side: int, squeeze: bool = True) -> Tensor:
    """Mean of the plain logits and those of the whole photo once more, with `side` squared pixels or about as many.

    With `squeeze` it is a square, as in training; without, it has the photo's proportions.
    """
    again = _logits_at(predictor, photo, (side, side) if squeeze else own_shape(photo.size, side))
    return (passes(predictor, photo) + enlarged(again, photo)) / 2


def _logits_at(predictor: Predictor, photo: Image.Image, size: tuple[int, int]) -> Tensor:
    """Scores (3, h, w) of a photo at another size than the working size."""
    return predictor.logits(resize_to_model(photo, size))[0]


def mirrored(predictor: Predictor, photo: Image.Image) -> Tensor:
    """For reference, test-time augmentation at the price of a second pass: the mean with the photo's mirror image."""
    image = predictor.prepare(photo)
    both = predictor.logits(image) + predictor.logits(image.flip(-1)).flip(-1)
    return enlarged(both[0] / 2, photo)


def guided(predictor: Predictor, photo: Image.Image, count: int = 1) -> Tensor:
    """Probabilities of `count` passes, sharpened by a guided filter."""
    return guided_filter(predictor.photo_logits(photo, count).softmax(dim=0), photo)


#: What is compared; the first is what all others are measured against.
WAYS: Final[dict[str, Way]] = {
    "bilinear": passes,
    "class map, nearest": partial(passes, mode="nearest-exact"),
    "bicubic": partial(passes, mode="bicubic"),
    "guided filter": guided,
    "photo again at 192x192": partial(larger, side=192),
    "photo again in its own proportions": partial(larger, side=144, squeeze=False),
    "two passes": partial(passes, count=2),
    "three passes": partial(passes, count=3),
    "two passes, the second in the pet's proportions": two_in_proportion,
    "two passes, guided filter": partial(guided, count=2),
    "reference: photo again mirrored": mirrored,
}
