"""petseg: a course that teaches image segmentation by building a U-Net that cuts pets out of photos.

    from petseg import Predictor
    result = Predictor()("my_dog.jpg")

Names are imported when they are first used, so that `petseg.labels` loads no PyTorch and `Predictor` no Lightning.
"""

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from petseg.inference.predictor import Predictor as Predictor
    from petseg.inference.segmentation import Segmentation as Segmentation

__version__ = "1.0.0"

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={"inference.predictor": ["Predictor"], "inference.segmentation": ["Segmentation"]},
)
