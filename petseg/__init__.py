"""petseg: a course that teaches image segmentation by building a U-Net that cuts pets out of photos.

    from petseg import Predictor
    result = Predictor()("my_dog.jpg")

Names are imported when they are first used, so that `petseg.labels` loads no PyTorch and `Predictor` no Lightning.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from petseg.predict import Predictor, Segmentation
    from petseg.unet import UNet

__version__ = "0.1.0"
__all__ = ["Predictor", "Segmentation", "UNet", "__version__"]

_ROOMS = {"Predictor": "petseg.predict", "Segmentation": "petseg.predict", "UNet": "petseg.unet"}


def __getattr__(name: str) -> Any:
    if name not in _ROOMS:
        raise AttributeError(f"module 'petseg' has no attribute {name!r}")
    return getattr(import_module(_ROOMS[name]), name)
