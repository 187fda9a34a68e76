"""What `petseg segment` writes of a result: which pictures, in which format, the cut-out cropped or on a background."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from PIL import Image, ImageColor, ImageOps

from petseg.apps.render import on_background
from petseg.errors import PhotoError, SettingsError
from petseg.files import atomic_write
from petseg.inference.photo import load_photo
from petseg.inference.segmentation import Segmentation

Format = Literal["png", "webp", "jpg"]
Kind = Literal["mask", "overlay", "cutout"]

KINDS: Final[tuple[Kind, ...]] = ("mask", "overlay", "cutout")

#: How each format is written. PNG: a photo gains little from a higher level, which takes five times as long.
SAVE: Final[Mapping[str, dict[str, Any]]] = {
    "png": {"format": "PNG", "compress_level": 1},
    "webp": {"format": "WEBP", "quality": 90},
    "jpg": {"format": "JPEG", "quality": 92},
}

LONGEST_WEBP: Final = 16383  # pixels of a side (RFC 9649, section 2.6)

#: A crop shows each pixel with at least this alpha (0..255) and a margin, a fraction of the crop's longer side.
VISIBLE: Final = 64
MARGIN: Final = 0.05


@dataclass(frozen=True)
class Output:
    """What is written of each photo.

    Attributes:
        kinds: which pictures.
        format: of overlay and cut-out; masks are always palette PNGs.
        background: of the cut-out: None (transparent), "blur", a colour as CSS writes it, or an image.
        crop: whether the cut-out shows the pet alone, with a margin, rather than the whole frame of the photo.

    Raises:
        SettingsError: the settings contradict each other.
    """

    kinds: tuple[Kind, ...] = KINDS
    format: Format = "png"
    background: str | Image.Image | None = None
    crop: bool = False

    def __post_init__(self) -> None:
        """Checks that the settings fit each other."""
        if "cutout" not in self.kinds:
            if self.background is not None or self.crop:
                raise SettingsError("--background and --crop change the cut-out. Add --only cutout.")
        elif self.format == "jpg" and self.background is None:
            raise SettingsError(
                "--format jpg: a JPEG cannot be transparent, as the cut-out is. "
                "Choose --format webp or png, or give it a background: --background white."
            )

    def files(self, folder: Path, name: str) -> dict[Kind, Path]:
        """The files of a photo's results, by picture."""
        return {
            kind: folder / f"{name}.{kind}.{'png' if kind == 'mask' else self.format}"
            for kind in KINDS
            if kind in self.kinds
        }

    def write(self, result: Segmentation, files: Mapping[Kind, Path], photo: str) -> None:
        """Writes pictures of a result, each file whole or not at all.

        Args:
            result: what to draw.
            files: where each picture goes.
            photo: what error messages call the photo.

        Raises:
            PhotoError: the photo is too large for the format.
            OSError: a file cannot be written.
        """
        W, H = result.photo.size
        for kind, path in files.items():
            if path.suffix == ".webp" and max(W, H) > LONGEST_WEBP:
                raise PhotoError(
                    f"{photo}: {W} x {H} pixels; WebP has at most {LONGEST_WEBP} a side. Choose --format png or jpg."
                )
            picture = self.draw(result, kind)
            with atomic_write(path) as partial:
                picture.save(partial, **SAVE[path.suffix[1:]])

    def draw(self, result: Segmentation, kind: Kind) -> Image.Image:
        """One picture of a result: a palette image, RGB, or RGBA where the cut-out is transparent."""
        if kind == "mask":
            return result.mask_image()
        if kind == "overlay":
            return result.overlay()
        cutout = _on_background(result, self.background)
        return cutout.crop(pet_frame(result)) if self.crop else cutout


def parse_background(text: str) -> str | Image.Image:
    """What `--background` names: "blur" or a colour as it is, else the image of that file.

    Raises:
        SettingsError: it is none of these, or the file cannot be used.
    """
    if text == "blur":
        return text
    try:
        ImageColor.getrgb(text)
    except ValueError:
        pass
    else:
        return text
    try:
        is_file = Path(text).exists()
    except (OSError, ValueError):  # too long for a name, for instance
        is_file = False
    if not is_file:
        raise SettingsError(
            f"--background {text}: expected a colour (orange, #ff8800), blur or the file of an image. Check its path."
        )
    try:
        return load_photo(text)
    except PhotoError as error:
        raise SettingsError(f"--background {error}") from error


def pet_frame(result: Segmentation) -> tuple[int, int, int, int]:
    """The part of the photo to crop to: all that is visible of the pet, with a margin; all of it where there is no pet.

    Returns:
        Left, top, right, bottom in pixels, as `PIL.Image.Image.crop` takes them.
    """
    H, W = result.alpha.shape
    visible = result.alpha >= VISIBLE
    columns, rows = np.flatnonzero(visible.any(axis=0)), np.flatnonzero(visible.any(axis=1))
    if not len(columns):
        return 0, 0, W, H
    left, right, top, bottom = int(columns[0]), int(columns[-1]) + 1, int(rows[0]), int(rows[-1]) + 1
    margin = round(MARGIN * max(right - left, bottom - top))
    return max(0, left - margin), max(0, top - margin), min(W, right + margin), min(H, bottom + margin)


def _on_background(result: Segmentation, background: str | Image.Image | None) -> Image.Image:
    if background is None:
        return result.cutout()
    if isinstance(background, str):
        return on_background(result, "blur") if background == "blur" else on_background(result, "colour", background)
    behind = ImageOps.fit(background, result.photo.size)  # fills the frame; what is left over is cut off evenly
    cutout = result.cutout()
    behind.paste(cutout, mask=cutout.getchannel("A"))
    return behind
