"""What lies around a cut-out: its edge, moved and softened, the colours there, and a shadow."""

from typing import Final

import numpy as np
from PIL import Image, ImageFilter
from scipy.ndimage import distance_transform_edt, gaussian_filter

from petseg.inference.foreground import foreground
from petseg.inference.matting import Alpha, enlarged, shrunk_alpha

#: Longest side, in pixels, of the copy on which distances to the edge are measured, and a shadow is blurred.
EDGE_SIDE: Final = 1024

#: The shadow: how far below the pet, and its blur, as fractions of the longest side; and its opacity.
FALL, BLUR, DARKNESS = 0.012, 0.012, 0.5


def moved_edge(alpha: Alpha, grow: float, feather: float) -> Alpha:
    """Moves the edge of an alpha matte outwards (below 0: inwards), then blurs it; per mille of the longest side."""
    if grow > 0:
        alpha = _grown(alpha, grow)
    elif grow < 0:
        alpha = 255 - _grown(255 - alpha, -grow)
    if feather > 0:
        blur = ImageFilter.GaussianBlur(feather * max(alpha.shape) / 1000)
        alpha = np.asarray(Image.fromarray(alpha).filter(blur))
    return alpha


def _grown(alpha: Alpha, length: float) -> Alpha:
    """The larger of alpha and a silhouette that reaches `length` per mille beyond alpha > 1/2."""
    small = shrunk_alpha(alpha, EDGE_SIDE)  # (h, w), 0..1
    if not (small > 0.5).any():
        return alpha
    distance = distance_transform_edt(small <= 0.5)  # 1 at the first pixel outside
    reach = np.clip(length * max(small.shape) / 1000 + 1 - distance, 0, 1).astype(np.float32)
    return np.maximum(alpha, enlarged(reach, (alpha.shape[1], alpha.shape[0])))


def recolored(photo: Image.Image, matte: Alpha, alpha: Alpha) -> Image.Image:
    """The photo with opacity `alpha` and, inside the matte, the pet's own colours without the old background.

    Where `alpha` exceeds the matte, the colour goes over to the photo's own, completely where the matte is 0 and
    `alpha` is 255: there the owner asks for what the photo shows.

    Returns:
        RGBA, as large as the photo.
    """
    # a matte of 1 just beyond the edge: the pet's colour is estimated there too, instead of black
    colors = foreground(photo, np.where((alpha > 0) & (matte == 0), np.uint8(1), matte))  # (H, W, 3)
    rows, columns = np.nonzero(alpha > matte)
    before, after = (plane[rows, columns].astype(np.float32) for plane in (matte, alpha))
    weight = ((after - before) / (255 - before))[:, None]
    own = np.asarray(photo)[rows, columns]
    colors[rows, columns] = (colors[rows, columns] * (1 - weight) + own * weight).round().astype(np.uint8)
    colors[alpha == 0] = 0
    image = Image.fromarray(colors)
    image.putalpha(Image.fromarray(alpha))
    return image


def with_shadow(pet: Image.Image) -> Image.Image:
    """A pet, RGBA, and below it a soft black shadow."""
    alpha = np.asarray(pet.getchannel("A"))
    small = shrunk_alpha(alpha, EDGE_SIDE)  # (h, w), 0..1
    side = max(small.shape)
    fallen = np.roll(small, fall := max(1, round(FALL * side)), axis=0)
    fallen[:fall] = 0
    shadow = Image.new("RGBA", pet.size)
    shadow.putalpha(Image.fromarray(enlarged(DARKNESS * gaussian_filter(fallen, BLUR * side), pet.size)))
    return Image.alpha_composite(shadow, pet)
