"""Photos to try without one of your own."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from PIL import Image, ImageOps

from petseg.apps.render import data_uri


def sample_photos() -> dict[str, Callable[[], Image.Image]]:
    """Photos that come with the package: Chelsea, a cat whose photo is in the public domain, and two cartoons.

    Returns:
        By name, a function that loads or draws the RGB image; what it needs is imported only then.
    """
    return {"Chelsea the cat": _chelsea, "cartoon cat": lambda: _cartoon(0, 8), "cartoon dog": lambda: _cartoon(7, 0)}


@lru_cache(maxsize=1)
def sample_thumbnails(side: int = 128) -> dict[str, str]:
    """The samples as small squares to click: by name, the data URI of a JPEG.

    Args:
        side: of the squares, in pixels.
    """
    return {name: data_uri(ImageOps.fit(load(), (side, side))) for name, load in sample_photos().items()}


def _chelsea() -> Image.Image:
    from skimage.data import cat  # takes a moment, and only this sample needs it

    return Image.fromarray(cat())


def _cartoon(breed: int, seed: int) -> Image.Image:
    """A cartoon that networks which were trained on photos segment well; in many others they see the head alone."""
    from petseg.data.cartoon.breeds import BREEDS
    from petseg.data.cartoon.picture import draw_pet

    return draw_pet(BREEDS[breed], seed, 256)[0]
