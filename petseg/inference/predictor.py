"""From a photo of any size to a `Segmentation` of that size: class map, probabilities, overlay, cut-out."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from petseg.errors import ModelError
from petseg.files import atomic_write
from petseg.inference import photo as photos
from petseg.inference import two_pass as refine
from petseg.labels import BOUNDARY, CLASSES, PET, palette, palette_with_ink
from petseg.models import zoo
from petseg.models.device import best_device

#: Rows of a photo that are worked on at a time, so that temporary arrays stay small beside the photo.
ROWS: Final = 256

#: The cut-out is transparent where the pet is no likelier than the first and opaque from the second on.
SEE_THROUGH: Final = 0.25
OPAQUE: Final = 0.75

OUTLINE: Final = len(CLASSES)  # the overlay's fourth value, beside the labels


class Predictor:
    """A released model, ready to segment photos; threads may share one.

    Args:
        model: a name of `zoo.available()`, or a path that ends in `.safetensors`; default: the most accurate released
            model that this installation can run.
        device: as PyTorch names it; default: "cuda" where there is one, else "mps", else "cpu".
        max_pixels: the largest photo that is decoded.
        looks: how often the network sees a photo: 1, the whole of it; 2, then also the pet alone; see `two_pass`.

    Raises:
        ModelError: the model or the device is not there.
        ValueError: fewer looks than 1.
    """

    looks: int = 2

    def __init__(
        self,
        model: str | Path | None = None,
        *,
        device: str | torch.device | None = None,
        max_pixels: int = 40_000_000,
        looks: int = looks,
    ) -> None:
        if looks < 1:
            raise ValueError(f"looks {looks}: expected 1 or more. Leave it out for {Predictor.looks}.")
        network, self.card = zoo.load(model)
        self.max_pixels, self.looks = max_pixels, looks
        try:
            self.device = torch.device(device or best_device())
            self.network = network.to(self.device).to(memory_format=torch.channels_last)
        except (AssertionError, RuntimeError) as error:
            raise ModelError(f"device {device}: not on this machine. Choose {best_device()}.") from error

    def __call__(self, photo: photos.Source, *, name: str | None = None) -> Segmentation:
        """Segments one photo.

        Args:
            photo: anything that `load_photo` takes.
            name: what error messages call it.

        Raises:
            PhotoError: the photo cannot be used.
        """
        start = time.perf_counter()
        upright = self.load_photo(photo, name=name)
        logits = self.look(upright)
        seconds = time.perf_counter() - start
        return Segmentation(upright, logits.numpy(), seconds=seconds, model=self.card.name)

    def load_photo(self, photo: photos.Source, *, name: str | None = None) -> Image.Image:
        """Step 1: the upright RGB photo, at its own size; see `petseg.inference.photo.load_photo`."""
        return photos.load_photo(photo, max_pixels=self.max_pixels, name=name)

    def prepare(self, photo: Image.Image) -> Tensor:
        """Step 2: squeezes a photo to the model's working size, as its training data were, and normalises it.

        Args:
            photo: RGB, any size.

        Returns:
            float32 (1, 3, h, w), `(x - mean) / std` of pixels x in 0..1.
        """
        mean, std = (torch.tensor(three).view(3, 1, 1) for three in (self.card.mean, self.card.std))
        return (resize_to_model(photo, self.card.size) - mean) / std

    @torch.inference_mode()
    def logits(self, image: Tensor) -> Tensor:
        """Step 3: the network's scores.

        Args:
            image: float32 (B, 3, h, w) as `prepare` gives it.

        Returns:
            float32 (B, 3, h, w) on the CPU: unnormalised scores in the order of `labels.CLASSES`.
        """
        image = image.to(self.device, memory_format=torch.channels_last)
        scores: Tensor = self.network(image)
        return scores.float().cpu().contiguous()

    def look(self, photo: Image.Image, times: int | None = None) -> Tensor:
        """Steps 2 and 3, first of the whole photo and then of where the pet is.

        Args:
            photo: RGB, upright, any size.
            times: looks in all; default: the predictor's own number.

        Returns:
            float32 (3, h, w) on the CPU: scores of the whole photo at the working size.
        """
        logits = self.logits(self.prepare(photo))[0]
        for _ in range((times or self.looks) - 1):
            box = refine.pet_box(logits, photo.size)
            if box is None:
                break
            closer = self.logits(self.prepare(photo.crop(box)))[0]
            logits = refine.merge_logits(logits, closer, box, photo.size)
        return logits


def resize_to_model(photo: Image.Image, size: tuple[int, int]) -> Tensor:
    """A photo at the working size (height, width): float32 (1, 3, h, w), values 0..1."""
    h, w = size
    small = photo.resize((w, h), Image.Resampling.BILINEAR)  # Pillow's widens with the scale: no aliasing
    pixels = torch.from_numpy(np.array(small))  # (h, w, 3)
    return pixels.permute(2, 0, 1).unsqueeze(0).float() / 255


@dataclass(frozen=True, eq=False)
class Segmentation:
    """What a model sees in a photo. Everything but the logits is worked out when first asked for.

    Attributes:
        photo: RGB, upright, of size W x H.
        logits: float32 (3, h, w), unnormalised scores at the working size, in the order of `labels.CLASSES`.
        seconds: from the photo's bytes to the logits.
        model: the model's name.
    """

    photo: Image.Image = field(repr=False)
    logits: NDArray[np.float32] = field(repr=False)
    seconds: float = 0.0
    model: str = ""

    @cached_property
    def mask(self) -> NDArray[np.uint8]:
        """The class map: uint8 (H, W), the label whose logit, brought back to the photo's size, is largest."""
        return self._per_strip(_class_map)

    @cached_property
    def probabilities(self) -> NDArray[np.float32]:
        """Softmax of the logits at the photo's size: float32 (3, H, W), 0..1, in sum 1 at each pixel."""
        scores = self._at_photo_size()
        for strip in scores.split(ROWS, dim=1):
            strip.copy_(strip.softmax(dim=0))
        return scores.numpy()

    @property
    def shares(self) -> dict[str, float]:
        """How much of the photo each class covers: 0..1 per name in `labels.CLASSES`, in sum 1."""
        mask = self.mask
        return {name: float(np.mean(mask == label)) for label, name in enumerate(CLASSES)}

    def mask_image(self) -> Image.Image:
        """The class map as a palette image: indices 0, 1, 2 in the colours of `labels.COLORS`."""
        image = Image.fromarray(self.mask)
        image.putpalette(palette())
        return image

    def overlay(self, opacity: float = 0.5, classes: Collection[str] = ("pet", "boundary")) -> Image.Image:
        """The photo with classes painted over and a dark line along the pet's edge, for eyes that see no colour.

        Args:
            opacity: 0 (the photo as it is) to 1 (plain colours).
            classes: which to paint, names of `labels.CLASSES`.

        Returns:
            RGB, W x H.

        Raises:
            ValueError: the opacity or a class is none of these.
        """
        if not 0 <= opacity <= 1:
            raise ValueError(f"opacity {opacity}: expected 0 (the photo alone) to 1 (colours alone). Try 0.5.")
        if isinstance(classes, str) or not set(classes) <= set(CLASSES):
            raise ValueError(f"classes {classes!r}: expected some of {CLASSES}. Give them as a list.")
        paint = _outlined(self.mask)
        strength = [opacity * (name in classes) for name in CLASSES] + [opacity**0.5 * ("pet" in classes)]
        colours = Image.fromarray(paint)
        alpha = colours.point([round(255 * value) for value in strength] + [0] * (256 - len(strength)))
        colours.putpalette(palette_with_ink())
        return Image.composite(colours.convert("RGB"), self.photo, alpha)

    def cutout(self) -> Image.Image:
        """The pet on a transparent background: RGBA, W x H, its colours as in the photo.

        Opacity rises smoothly with p = P(pet) + P(boundary) / 2: 0 up to p = 1/4, 1 from p = 3/4, and in between
        3 t^2 - 2 t^3 of t = 2 p - 1/2: a wider ramp leaves a haze wherever the model hesitates. Where it is 0,
        the photo is not there either, only black.
        """
        alpha = Image.fromarray(self._per_strip(_opacity))
        pet = Image.new("RGB", self.photo.size)
        pet.paste(self.photo, mask=alpha.point([0] + [255] * 255))
        pet.putalpha(alpha)
        return pet

    def save(self, folder: str | Path, stem: str) -> list[Path]:
        """Writes `<stem>.mask.png`, `<stem>.overlay.png` and `<stem>.cutout.png`, each whole or not at all.

        Returns:
            The three paths, in this order.
        """
        paths = []
        for kind, draw in (("mask", self.mask_image), ("overlay", self.overlay), ("cutout", self.cutout)):
            path = Path(folder) / f"{stem}.{kind}.png"
            with atomic_write(path) as partial:
                # a photo gains little from a higher level, which takes five times as long
                draw().save(partial, format="PNG", compress_level=1)
            paths.append(path)
        return paths

    def _at_photo_size(self) -> Tensor:
        """The logits by bilinear interpolation: float32 (3, H, W), 12 bytes a pixel."""
        W, H = self.photo.size
        logits = torch.from_numpy(self.logits).unsqueeze(1)  # (3, 1, h, w): as (1, 3, h, w) one thread needs twice
        return F.interpolate(logits, size=(H, W), mode="bilinear", align_corners=False).squeeze(1)

    def _per_strip(self, function: Callable[[Tensor], Tensor]) -> NDArray[np.uint8]:
        """The result (H, W) of a function that makes uint8 (n, W) of float32 logits (3, n, W)."""
        result = torch.empty(self.photo.size[::-1], dtype=torch.uint8)
        for target, strip in zip(result.split(ROWS), self._at_photo_size().split(ROWS, dim=1), strict=True):
            target.copy_(function(strip))
        return result.numpy()


def _class_map(logits: Tensor) -> Tensor:
    """The label of the largest logit, the first of equals as in `Tensor.argmax`, in a tenth of its time."""
    pet, background, boundary = logits
    labels = (background > pet).to(torch.uint8)
    return labels.masked_fill_(boundary > torch.maximum(pet, background), BOUNDARY)


def _opacity(logits: Tensor) -> Tensor:
    """The cut-out's alpha, 0..255, of logits (3, n, W)."""
    p = logits.softmax(dim=0)
    t = ((p[PET] + p[BOUNDARY] / 2 - SEE_THROUGH) / (OPAQUE - SEE_THROUGH)).clamp_(0, 1)
    return (255 * t * t * (3 - 2 * t)).round_().to(torch.uint8)


def _outlined(mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A copy of the class map (H, W) whose outermost pet pixels are `OUTLINE`, a 300th of the photo wide."""
    outlined = mask.copy()
    outlined[edge(mask == PET, max(1, round(max(mask.shape) / 300)))] = OUTLINE
    return outlined


def edge(region: NDArray[np.bool_], width: int = 1) -> NDArray[np.bool_]:
    """The pixels of a region (H, W) that lie within `width` pixels, along a row or a column, of one outside it.

    What lies beyond the picture's frame does not count as outside.
    """
    inner = region.copy()
    inner[width:] &= region[:-width]
    inner[:-width] &= region[width:]
    inner[:, width:] &= region[:, :-width]
    inner[:, :-width] &= region[:, width:]
    return region & ~inner
