"""The pictures that panel and web app draw of a `Segmentation`: mask, confidence map, cut-out before a background.

Functions of a result without any widget, so that panel and web app show the same and are tested without a browser.
"""

from __future__ import annotations

import base64
from collections.abc import Collection
from dataclasses import dataclass, replace
from io import BytesIO
from typing import Final, Literal

import numpy as np
from PIL import Image, ImageColor

from petseg.inference.foreground import blurred_background
from petseg.inference.segmentation import Segmentation
from petseg.labels import CLASSES, hatch, palette_with_ink

Background = Literal["transparent", "colour", "blur"]

#: What can stand behind a pet that was cut out.
BACKGROUNDS: Final[tuple[Background, ...]] = ("transparent", "colour", "blur")

#: Longest side of what is shown while somebody looks; files keep the photo's own size.
PREVIEW_SIDE: Final = 900

#: Colours of the confidence map at a largest probability of 1/3 (no idea), 2/3 and 1 (sure): dark to light, so that
#: they also read in grey.
CONFIDENCE: Final = ((20, 20, 60), (180, 70, 110), (255, 235, 170))


@dataclass(frozen=True)
class RenderSettings:
    """What a user can change of the pictures.

    Attributes:
        opacity: of the overlay's colours, 0 to 1.
        classes: that the overlay shows, names of `labels.CLASSES`.
        background: of the cut-out, one of `BACKGROUNDS`.
        color: of the background `colour`, as CSS writes it.
    """

    opacity: float = 0.5
    classes: Collection[str] = ("pet", "boundary")
    background: Background = "transparent"
    color: str = "#ffffff"


def draw(result: Segmentation, kind: str, settings: RenderSettings) -> Image.Image:
    """A picture of a result, of the size of its photo.

    Args:
        result: what to draw.
        kind: `photo`, `overlay`, `mask`, `cutout` or `confidence`.
        settings: of overlay and cut-out.

    Raises:
        ValueError: the kind, or a value of the settings, is not known.
    """
    if kind == "photo":
        return result.photo
    if kind == "overlay":
        return result.overlay(settings.opacity, settings.classes)
    if kind == "mask":
        return result.mask_image()
    if kind == "cutout":
        return on_background(result, settings.background, settings.color)
    if kind == "confidence":
        return confidence(result)
    raise ValueError(f"picture {kind!r}: expected photo, overlay, mask, cutout or confidence.")


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


def on_background(result: Segmentation, kind: Background = "transparent", color: str = "#ffffff") -> Image.Image:
    """The cut-out before another background.

    Args:
        result: what to cut out.
        kind: `transparent` gives RGBA; `colour` and `blur` (the photo itself, out of focus) give RGB.
        color: of the background, as CSS writes it.

    Raises:
        ValueError: the background or the colour is not known.
    """
    if kind not in BACKGROUNDS:
        raise ValueError(f"background {kind!r}: expected one of {', '.join(BACKGROUNDS)}.")
    cutout = result.cutout()
    if kind == "transparent":
        return cutout
    if kind == "blur":
        behind = blurred_background(result.photo, result.alpha)
    else:
        try:
            behind = Image.new("RGB", cutout.size, ImageColor.getrgb(color)[:3])
        except ValueError as error:
            raise ValueError(f"colour {color!r}: not a colour. Write it as #ff8800 or orange.") from error
    behind.paste(cutout, mask=cutout.getchannel("A"))
    return behind


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
