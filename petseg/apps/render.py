"""The pictures that panel and web app draw of a `Segmentation` beside its cut-out: overlay, class map, confidence.

Functions of a result without any widget, so that panel and web app show the same and are tested without a browser.
"""

from __future__ import annotations

import base64
from dataclasses import replace
from io import BytesIO
from typing import Final

import numpy as np
from PIL import Image

from petseg.inference.segmentation import Segmentation
from petseg.labels import CLASSES, hatch, palette_with_ink

#: Longest side of what is compared on the screen, sharp there in a wide window too; files keep the photo's own size.
PREVIEW_SIDE: Final = 1440

#: Longest side of the pictures that are shown small, side by side.
DETAIL_SIDE: Final = 900

#: Colours of the confidence map at a largest probability of 1/3 (no idea), 2/3 and 1 (sure): dark to light, so that
#: they also read in grey.
CONFIDENCE: Final = ((20, 20, 60), (180, 70, 110), (255, 235, 170))


def hatched_mask(result: Segmentation) -> Image.Image:
    """The mask for the screen: the boundary is hatched as in the legend, so that colour is not its only mark.

    Returns:
        Palette image, of the photo's size: indices 0, 1, 2, and 3 for the lines; files hold the plain mask.
    """
    image = Image.fromarray(np.where(hatch(result.mask), np.uint8(len(CLASSES)), result.mask))
    image.putpalette(palette_with_ink())
    return image


def preview(result: Segmentation, side: int = PREVIEW_SIDE) -> Segmentation:
    """The same result for a smaller copy of the photo: quick to redraw while a slider moves.

    Args:
        result: of a photo of any size.
        side: the longest that the copy may have, in pixels; a photo that is smaller stays as it is.
    """
    if max(result.photo.size) <= side:
        return result
    small = result.photo.copy()
    small.thumbnail((side, side), Image.Resampling.BILINEAR, reducing_gap=2.0)
    alpha = result.photo_alpha and result.photo_alpha.resize(small.size, Image.Resampling.BILINEAR)
    return replace(result, photo=small, photo_alpha=alpha)


def confidence(result: Segmentation) -> Image.Image:
    """How sure the model is at each pixel: the largest of the three probabilities, dark (1/3) to light (1).

    Returns:
        RGB, of the photo's size.
    """
    surest = result.probabilities.max(axis=0)  # (H, W), 1/3 to 1
    step = np.clip((surest - 1 / 3) / (2 / 3), 0, 1)
    channels = [np.interp(step, (0, 0.5, 1), values) for values in zip(*CONFIDENCE, strict=True)]
    return Image.fromarray(np.stack(channels, axis=-1).round().astype(np.uint8))


def png(image: Image.Image) -> bytes:
    """The picture as a PNG file; compressed lightly, since a photo gains little from more."""
    file = BytesIO()
    image.save(file, format="PNG", compress_level=1)
    return file.getvalue()


def jpeg(image: Image.Image, quality: int = 85) -> bytes:
    """The picture as a JPEG file, for the screen."""
    file = BytesIO()
    image.convert("RGB").save(file, format="JPEG", quality=quality)
    return file.getvalue()


def for_screen(image: Image.Image) -> tuple[str, bytes]:
    """MIME type and file of a picture: PNG for a palette, WebP for transparency, JPEG for the rest; each is small."""
    if image.mode == "P":
        return "image/png", png(image)
    if image.mode == "RGB":
        return "image/jpeg", jpeg(image)
    file = BytesIO()
    image.save(file, format="WEBP", quality=85, method=0)
    return "image/webp", file.getvalue()


def data_uri(image: Image.Image) -> str:
    """A picture that HTML can hold, encoded `for_screen`."""
    kind, data = for_screen(image)
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"
