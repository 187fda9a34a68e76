"""What `petseg segment` writes of a result: which pictures, in which format, the cut-out cropped or on a background."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from PIL import Image

from petseg.apps.cutouts import CutoutSettings, Format, encode, rgb
from petseg.errors import PhotoError, SettingsError
from petseg.files import atomic_write
from petseg.inference.photo import load_photo
from petseg.inference.segmentation import Segmentation

Kind = Literal["mask", "overlay", "cutout"]

KINDS: Final[tuple[Kind, ...]] = ("mask", "overlay", "cutout")


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
        else:
            self._cutout()

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
        for kind, path in files.items():
            format: Format = "png" if kind == "mask" else self.format
            data = encode(self.draw(result, kind), format, photo)
            with atomic_write(path) as partial:
                partial.write_bytes(data)

    def draw(self, result: Segmentation, kind: Kind) -> Image.Image:
        """One picture of a result: a palette image, RGB, or RGBA where the cut-out is transparent."""
        if kind == "mask":
            return result.mask_image()
        if kind == "overlay":
            return result.overlay()
        return self._cutout().draw(result)

    def _cutout(self) -> CutoutSettings:
        return CutoutSettings(self.background, self.crop, self.format)


def parse_background(text: str) -> str | Image.Image:
    """What `--background` names: "blur" or a colour as it is, else the image of that file.

    Raises:
        SettingsError: it is none of these, or the file cannot be used.
    """
    if text == "blur":
        return text
    with suppress(SettingsError):
        rgb(text)
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
