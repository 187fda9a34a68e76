"""The result for one photo: class map, probabilities, overlay and cut-out, at the photo's own size."""

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Final, Self

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import minimum_filter1d
from torch import Tensor

from petseg.errors import SettingsError
from petseg.inference import matting
from petseg.inference.foreground import foreground
from petseg.labels import BOUNDARY, CLASSES, LINE, PET, palette, palette_with_ink

#: The photo shows a pet if P(pet) exceeds the first number on at least the second, a fraction of the photo.
SURE: Final = 0.75
SMALLEST: Final = 0.002  # two fifths of what a pet of 100 x 100 pixels fills in a photo of 1600 x 1200

#: Below this P(cat or dog) it is doubtful whether the pet is one; chosen in `figures/elsewhere.json`.
PET_THRESHOLD: Final = 0.1


@dataclass(frozen=True, eq=False)
class Segmentation:
    """A photo and the logits of a model for it. Everything else is computed from them at its first use."""

    photo: Image.Image = field(repr=False)  # RGB, W x H, upright
    logits: NDArray[np.float32] = field(repr=False)  # (3, h, w) at the working size, in the order of `labels.CLASSES`
    seconds: float = 0.0  # from the photo's bytes to the logits
    model: str = ""
    photo_alpha: Image.Image | None = field(default=None, repr=False)  # the photo's own transparency, as in `Photo`
    #: P(cat or dog) of a classifier, as in `Predictor.pet_probabilities`; None if it was not asked, NaN for a drawing.
    pet_probability: float | None = None

    @cached_property
    def mask(self) -> NDArray[np.uint8]:
        """The class map: uint8 (H, W), the label of the largest logit at the photo's size."""
        largest = self._at_photo_size(self.logits[:1])[0]  # (H, W)
        mask = torch.zeros_like(largest, dtype=torch.uint8)
        for label in range(1, len(CLASSES)):  # one class at a time: all together could take 720 MB
            logits = self._at_photo_size(self.logits[label : label + 1])[0]
            mask.masked_fill_(logits > largest, label)  # the first of equals wins, as in `Tensor.argmax`
            torch.maximum(largest, logits, out=largest)
            del logits  # before those of the next class are computed
        return mask.numpy()

    @cached_property
    def probabilities(self) -> NDArray[np.float32]:
        """Softmax of the logits at the photo's size: float32 (3, H, W), 0..1; at each pixel they sum to 1."""
        logits = self._at_photo_size(self.logits)  # (3, H, W)
        for strip in logits.split(matting.ROWS, dim=1):  # in place: a second array could take 720 MB
            strip.copy_(strip.softmax(dim=0))
        return logits.numpy()

    @cached_property
    def alpha(self) -> NDArray[np.uint8]:
        """The alpha matte: uint8 (H, W), 0 background to 255 pet; at most the photo's own alpha."""
        return self._within_photo(matting.matte(self.photo, self.logits))

    @property
    def found(self) -> bool:
        """Whether there is a cat or a dog: there is a `segmented` pet, and it is not `doubtful`."""
        return self.segmented and not self.doubtful

    @property
    def segmented(self) -> bool:
        """Whether P(pet) exceeds 0.75 on at least 0.2 % of the pixels at the working size."""
        pet = torch.from_numpy(self.logits).softmax(dim=0)[PET]  # (h, w)
        return bool((pet > SURE).float().mean() >= SMALLEST)

    @property
    def doubtful(self) -> bool:
        """Whether the segmented pet does not look like a cat or a dog: `pet_probability` is below 0.1."""
        return self.pet_probability is not None and self.pet_probability < PET_THRESHOLD and self.segmented

    def without_doubt(self) -> Self:
        """The same result after somebody said that it is a pet: without `pet_probability`."""
        return replace(self, pet_probability=None)

    def corrected(self, keep: NDArray[np.bool_], remove: NDArray[np.bool_]) -> Self:
        """The result after somebody painted over what is missing (`keep`) and what is too much (`remove`).

        Both are bool (H, W), at the photo's size, else SettingsError is raised; where both are painted, `remove`
        counts. Painted pixels are certain; `petseg.inference.correction` says how strokes spread. What is kept is a
        pet: the result has no `pet_probability`.
        """
        from petseg.inference import correction  # few results are corrected

        keep, remove = (
            correction.checked(m, name, self.photo.size) for m, name in ((keep, "keep"), (remove, "remove"))
        )
        if not keep.any() and not remove.any():
            return self
        return replace(self, logits=correction.corrected_logits(self.logits, keep, remove), pet_probability=None)

    @property
    def fractions(self) -> dict[str, float]:
        """Fraction of the photo's pixels per name in `labels.CLASSES`; they sum to 1."""
        return {name: float(np.mean(self.mask == label)) for label, name in enumerate(CLASSES)}

    def mask_image(self) -> Image.Image:
        """The class map as a palette image: indices 0, 1, 2 in the colours of `labels.COLORS`."""
        image = Image.fromarray(self.mask)
        image.putpalette(palette())
        return image

    def overlay(self, opacity: float = 0.5, classes: Collection[str] = ("pet", "boundary")) -> Image.Image:
        """The photo with classes in colour, and a dark line along the pet's edge that is visible without colour.

        An opacity of 0 is the photo as it is, 1 are plain colours.

        Raises:
            SettingsError: the opacity or a class is invalid.
        """
        if not 0 <= opacity <= 1:
            raise SettingsError(f"opacity {opacity}: expected 0 (the photo alone) to 1 (colours alone). Try 0.5.")
        if isinstance(classes, str) or not set(classes) <= set(CLASSES):
            raise SettingsError(f"classes {classes!r}: expected some of {CLASSES}. Give them as a list.")
        mask = self.mask.copy()
        mask[edge(mask == PET, max(1, round(max(mask.shape) / 300)))] = LINE  # a 300th of the photo wide
        paint = Image.fromarray(mask)  # values 0, 1, 2 and LINE
        # the line fades more slowly than the areas, so that a faint overlay still shows it
        strength = [opacity * (name in classes) for name in CLASSES] + [opacity**0.5 * ("pet" in classes)]
        alpha = paint.point([round(255 * value) for value in strength] + [0] * (256 - len(strength)))
        paint.putpalette(palette_with_ink())
        return Image.composite(paint.convert("RGB"), self.photo, alpha)

    def cutout(self, *, matte: bool = True) -> Image.Image:
        """The pet on a transparent background: RGBA, W x H. Transparent pixels are black, so they hide nothing.

        Args:
            matte: whether opacity is `alpha` and the colours are the pet's own, without the old background. If not,
                opacity comes from the probabilities alone and the colours are the photo's, which is faster.
        """
        if matte:
            alpha, pet = self.alpha, Image.fromarray(foreground(self.photo, self.alpha))
        else:
            strips = self._at_photo_size(self.logits).split(matting.ROWS, dim=1)  # (3, n, W)
            alpha = self._within_photo(torch.cat([_ramp(strip) for strip in strips]).numpy())
            pet = Image.new("RGB", self.photo.size)
            pet.paste(self.photo, mask=Image.fromarray(alpha).point([0] + [255] * 255))
        pet.putalpha(Image.fromarray(alpha))
        return pet

    def _within_photo(self, alpha: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return alpha if self.photo_alpha is None else np.minimum(alpha, np.asarray(self.photo_alpha))

    def _at_photo_size(self, logits: NDArray[np.float32]) -> Tensor:
        """Logits (K, h, w) by bilinear interpolation: float32 (K, H, W), 4 K bytes per pixel.

        Logits are interpolated and the class is taken last: an enlarged class map would have steps for edges.
        """
        W, H = self.photo.size
        classes = torch.from_numpy(logits).unsqueeze(1)  # (K, 1, h, w): as (1, K, h, w) it takes twice the time
        return F.interpolate(classes, size=(H, W), mode="bilinear", align_corners=False).squeeze(1)


def _ramp(logits: Tensor) -> Tensor:
    """Alpha from the probabilities alone, uint8: it rises smoothly with p = P(pet) + P(boundary) / 2.

    A pixel of the boundary is about half pet. Alpha is 0 up to p = 1/4, 1 from p = 3/4, and in between 3 t^2 - 2 t^3 of
    t = 2 p - 1/2 ("smoothstep": level at both ends).
    """
    probabilities = logits.softmax(dim=0)
    p = probabilities[PET] + probabilities[BOUNDARY] / 2
    t = (2 * p - 0.5).clamp_(0, 1)  # a wider ramp leaves a haze wherever the model is uncertain
    return (255 * t * t * (3 - 2 * t)).round_().to(torch.uint8)


def edge(region: NDArray[np.bool_], width: int = 1) -> NDArray[np.bool_]:
    """The pixels of a region, bool (H, W), whose distance from the outside along a row or column is at most `width`.

    Beyond the image's frame nothing counts as outside.
    """
    inner = region.copy()
    for axis in (0, 1):  # an erosion by a cross; two one-dimensional filters take the same time for any width
        inner &= minimum_filter1d(region.view(np.uint8), 2 * width + 1, axis, mode="nearest").view(bool)
    return region & ~inner
