"""Draws cats and dogs with exact trimaps, in the official Oxford-IIIT Pet layout: the embedded data set.

`breeds` says how each breed looks, `canvas` draws a shape into the picture and into the pet's silhouette at
once, `head` and `poses` draw the animal, `scenes` what is behind and in front of it, `picture` puts one
picture together and derives its trimap, `dataset` writes a folder of them.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "breeds": ["BREEDS", "Breed"],
        "dataset": ["write_dataset"],
        "picture": ["draw_pet"],
    },
)
