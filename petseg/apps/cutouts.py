"""A cut-out as its owner wants it: background, crop, edge and file format. The same for panel, web app and command."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageColor, ImageOps

from petseg.apps import edge
from petseg.errors import PhotoError, SettingsError
from petseg.inference.foreground import blurred_background
from petseg.inference.segmentation import Segmentation

Format = Literal["png", "webp", "jpg"]

#: How each format is written. PNG: a photo gains little from a higher level, which takes longer; WebP: method 2 takes
#: less time than the usual 4 for a file of about the same size.
SAVE: Final[Mapping[Format, dict[str, Any]]] = {
    "png": {"format": "PNG", "compress_level": 1},
    "webp": {"format": "WEBP", "quality": 90, "method": 2},
    "jpg": {"format": "JPEG", "quality": 92},
}

#: The longest side that a format allows, in pixels: RFC 9649, section 2.6, and `JPEG_MAX_DIMENSION` of libjpeg.
LONGEST: Final[Mapping[Format, int]] = {"webp": 16383, "jpg": 65500}

#: How far the edge of a cut-out can be moved and softened, in per mille of the photo's longest side.
GROW: Final = (-10.0, 10.0)
FEATHER: Final = (0.0, 10.0)

#: What can stand behind the pet, by the value of the panel's and the web app's fields, and how an alt text names it.
BACKGROUNDS: Final[Mapping[str, str]] = {
    "transparent": "a transparent background",
    "white": "white",
    "color": "a background of one colour",
    "blur": "the blurred photo",
    "image": "an image of your own",
}

#: A crop shows each pixel with at least this alpha (0..255) and a margin, a fraction of the crop's longer side.
VISIBLE: Final = 64
MARGIN: Final = 0.05


def background_of(choice: str, color: str, image: Image.Image | None) -> str | Image.Image | None:
    """The background of `CutoutSettings` that a field's value stands for.

    Args:
        choice: one of `BACKGROUNDS`.
        color: as CSS writes it; used for `color` alone.
        image: used for `image` alone; until one is chosen the background is transparent.
    """
    return {"transparent": None, "color": color, "image": image}.get(choice, choice)


@dataclass(frozen=True)
class CutoutSettings:
    """What can be chosen of a cut-out.

    Attributes:
        background: None (transparent), "blur" (the photo, out of focus), a colour as CSS writes it, or an image.
        crop: whether only the pet is shown, with a margin, rather than the whole frame of the photo.
        format: of the file; see `encode`.
        grow: by how much the edge moves outwards, -10 to 10 per mille of the photo's longest side.
        feather: how soft the edge is made, 0 to 10 in the same unit.

    Raises:
        SettingsError: a value is none of these, or a JPEG is to be transparent.
    """

    background: str | Image.Image | None = None
    crop: bool = False
    format: Format = "png"
    grow: float = 0.0
    feather: float = 0.0

    def __post_init__(self) -> None:
        """Checks the values."""
        if self.format not in SAVE:
            raise SettingsError(f"format {self.format!r}: expected one of {', '.join(SAVE)}.")
        if self.format == "jpg" and self.background is None:
            raise SettingsError(
                "A cut-out without a background is no JPEG: a JPEG cannot be transparent. "
                "Choose webp or png, or a background such as white."
            )
        for name, value, (least, most) in (("grow", self.grow, GROW), ("feather", self.feather, FEATHER)):
            if not least <= value <= most:
                raise SettingsError(f"{name} {value}: expected {least:g} to {most:g}, per mille of the longest side.")
        if isinstance(self.background, str) and self.background != "blur":
            rgb(self.background)

    def draw(self, result: Segmentation) -> Image.Image:
        """The cut-out of a result: RGBA where the background is transparent, else RGB; as large as its `frame`."""
        alpha = self.alpha(result)
        own = alpha is result.alpha  # the edge is that of the matte
        pet = result.cutout() if own else edge.colored(result.photo, result.alpha, alpha)
        frame = self._frame(alpha)
        pet = pet.crop(frame)
        if self.background is None:
            return pet
        behind = self._behind(result, frame)
        behind.paste(pet, mask=pet.getchannel("A"))
        return behind

    def alpha(self, result: Segmentation) -> NDArray[np.uint8]:
        """The opacity of the pet: uint8 (H, W), never more than that of the photo itself."""
        if not self.grow and not self.feather:
            return result.alpha
        alpha = edge.moved(result.alpha, self.grow, self.feather)
        return alpha if result.photo_alpha is None else np.minimum(alpha, np.asarray(result.photo_alpha))

    def frame(self, result: Segmentation) -> tuple[int, int, int, int]:
        """The part of the photo that is shown: left, top, right, bottom in pixels, as `PIL.Image.Image.crop` takes."""
        return self._frame(self.alpha(result)) if self.crop else (0, 0, *result.photo.size)

    def _frame(self, alpha: NDArray[np.uint8]) -> tuple[int, int, int, int]:
        return pet_frame(alpha) if self.crop else (0, 0, alpha.shape[1], alpha.shape[0])

    def _behind(self, result: Segmentation, frame: tuple[int, int, int, int]) -> Image.Image:
        left, top, right, bottom = frame
        if isinstance(self.background, Image.Image):  # fills the frame; what is left over is cut off evenly
            return ImageOps.fit(self.background.convert("RGB"), (right - left, bottom - top))
        if self.background == "blur":
            return blurred_background(result.photo, result.alpha).crop(frame)
        return Image.new("RGB", (right - left, bottom - top), rgb(str(self.background)))


def rgb(color: str) -> tuple[int, int, int]:
    """Red, green and blue, 0 to 255, of a colour as CSS writes it.

    Raises:
        SettingsError: it is no colour.
    """
    try:
        red, green, blue = ImageColor.getrgb(color)[:3]
    except ValueError as error:
        raise SettingsError(f"colour {color!r}: not a colour. Write it as #ff8800 or orange.") from error
    return red, green, blue


def pet_frame(alpha: NDArray[np.uint8]) -> tuple[int, int, int, int]:
    """The part to crop to: all that is visible in an alpha (H, W), with a margin; all of it where nothing is.

    Returns:
        Left, top, right, bottom in pixels.
    """
    H, W = alpha.shape
    visible = alpha >= VISIBLE
    columns, rows = np.flatnonzero(visible.any(axis=0)), np.flatnonzero(visible.any(axis=1))
    if not len(columns):
        return 0, 0, W, H
    left, right, top, bottom = int(columns[0]), int(columns[-1]) + 1, int(rows[0]), int(rows[-1]) + 1
    margin = round(MARGIN * max(right - left, bottom - top))
    return max(0, left - margin), max(0, top - margin), min(W, right + margin), min(H, bottom + margin)


def pet_middle(alpha: NDArray[np.uint8]) -> float:
    """Where the pet's middle is in an alpha (H, W): as much of it lies on the left as on the right.

    Returns:
        0.15 to 0.85 of the width; 1/2 where nothing is visible.
    """
    mass = alpha.sum(axis=0, dtype=np.float64).cumsum()  # (W,)
    if not mass[-1]:
        return 0.5
    return float(np.clip((np.searchsorted(mass, mass[-1] / 2) + 0.5) / len(mass), 0.15, 0.85))


def encode(image: Image.Image, format: Format, name: str = "photo") -> bytes:
    """The file of a picture.

    Args:
        image: RGB, RGBA (not as jpg) or, as png, with a palette.
        format: which.
        name: what an error message calls the photo.

    Raises:
        PhotoError: the picture is too large for the format.
    """
    W, H = image.size
    most = LONGEST.get(format)
    if most is not None and max(W, H) > most:
        title = SAVE[format]["format"]
        raise PhotoError(f"{name}: {W} x {H} pixels; {title} has at most {most} per side. Choose the format png.")
    file = BytesIO()
    image.save(file, **SAVE[format])
    return file.getvalue()
