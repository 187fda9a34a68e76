"""Draws cats and dogs with exact trimaps, in the official Oxford-IIIT Pet layout: the embedded data set.

`breeds` says how each breed looks, `canvas` draws a shape into the picture and into the pet's silhouette at
once, `head` and `poses` draw the animal, `scenes` what is behind and in front of it, `picture` puts one
picture together and derives its trimap, `dataset` writes a folder of them.
"""

from petseg.cartoon.breeds import BREEDS, Breed
from petseg.cartoon.dataset import write_dataset
from petseg.cartoon.picture import draw_pet

__all__ = ["BREEDS", "Breed", "draw_pet", "write_dataset"]
