"""Any pixels that Pillow decodes, as 8-bit sRGB and an alpha channel."""

from __future__ import annotations

from contextlib import suppress
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image, ImageCms

from petseg.errors import PhotoError

BITS_PER_SAMPLE, PHOTOMETRIC = 258, 262  # tags of a TIFF; PHOTOMETRIC 0: white is zero


def to_srgb(image: Image.Image, name: str) -> tuple[Image.Image, Image.Image | None]:
    """An image in 8-bit sRGB, what is see-through laid on white, and its alpha channel.

    Args:
        image: decoded; stays as it is.
        name: what the error message calls it.

    Returns:
        RGB, perhaps `image` itself; and L, 0 see-through to 255 opaque, or None where all of it is opaque.

    Raises:
        PhotoError: its pixels have no defined white.
    """
    profile = image.info.get("icc_profile")
    image = _eight_bit(image, name)
    alpha = _alpha(image)
    if alpha is not None:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    elif image.mode not in ("RGB", "L", "CMYK", "LAB"):
        image = image.convert("RGB")
    return _by_profile(image, profile), alpha


def _alpha(image: Image.Image) -> Image.Image | None:
    """The alpha channel of an image, as L; None where all of it is opaque."""
    if not image.has_transparency_data:
        return None
    alpha = image.convert("RGBA").getchannel("A")
    if alpha.getextrema() == (255, 255):
        return None
    if image.format == "BMP" and alpha.getbbox() is None:  # 0 everywhere: many programs fill the fourth byte with 0
        return None
    return alpha


def _eight_bit(image: Image.Image, name: str) -> Image.Image:
    """Grey of 9 to 16 bits, divided by its type's range: white is 2 ** bits - 1, whatever the photo holds."""
    if not image.mode.startswith(("I", "F")):
        return image
    tags = getattr(image, "tag_v2", {})  # of a TIFF
    if image.mode == "F" or (image.mode == "I" and tags):
        kind = "float" if image.mode == "F" else "signed or 32-bit"
        raise PhotoError(
            f"{name}: {kind} pixels, whose white is not defined; expected 8 or 16 bits per channel. "
            "Save it as an 8-bit PNG."
        )
    white = 2 ** tags.get(BITS_PER_SAMPLE, (16,))[0] - 1  # mode I is how Pillow may hold a 16-bit PNG
    values = np.asarray(image).clip(0, white).astype(np.uint32)  # (H, W)
    grey = ((values * 255 + white // 2) // white).astype(np.uint8)
    eight = Image.fromarray(255 - grey if tags.get(PHOTOMETRIC) == 0 else grey)
    transparent = image.info.get("transparency")
    if isinstance(transparent, int):  # one value of the 65,536 is see-through
        eight.putalpha(Image.fromarray(np.where(values == transparent, 0, 255).astype(np.uint8)))  # now LA
    return eight


def _by_profile(image: Image.Image, profile: bytes | None) -> Image.Image:
    """RGB of an RGB, L, CMYK or LAB image, by its colour profile where that is valid."""
    if image.mode == "LAB":  # independent of any device: it is its own profile
        return _converted(image, ImageCms.createProfile("LAB"))
    if profile:  # a broken one is ignored, as every viewer does
        with suppress(ImageCms.PyCMSError, OSError, ValueError, TypeError):
            return _converted(image, ImageCms.ImageCmsProfile(BytesIO(profile)))
    return image if image.mode == "RGB" else image.convert("RGB")


def _converted(image: Image.Image, profile: Any) -> Image.Image:
    converted = ImageCms.profileToProfile(image, profile, ImageCms.createProfile("sRGB"), outputMode="RGB")
    if converted is None:
        raise ValueError("profileToProfile returns an image unless it works in place")
    return converted
