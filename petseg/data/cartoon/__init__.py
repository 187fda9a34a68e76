"""Draws cats and dogs with exact trimaps, in the official Oxford-IIIT Pet layout: the embedded data set.

`breeds` describes the breeds, `canvas` draws a shape into the picture and into the pet's silhouette at once, `head` and
`poses` draw the animal, `scenes` its surroundings, `picture` one whole picture with its trimap, and `dataset` writes a
folder of them.
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
