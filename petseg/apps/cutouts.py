"""Cut-outs as their owner wants them: background, crop, edge, file format; the same in panel, web app and command."""

import re
import threading
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import BytesIO
from typing import Any, Final, Literal, NamedTuple, Self

import numpy as np
from PIL import Image, ImageColor, ImageOps
from PIL.ExifTags import IFD
from PIL.ExifTags import Base as Tag

from petseg.errors import PetsegError, PetsegWarning, PhotoError, SettingsError
from petseg.inference.foreground import blurred_background
from petseg.inference.matting import Alpha
from petseg.inference.segmentation import Segmentation
from petseg.inference.two_pass import Box, part_of

Format = Literal["png", "webp", "jpg"]

#: How each format is written. Higher levels of PNG and methods of WebP take longer, and save an eighth or less.
SAVE: Final[Mapping[Format, dict[str, Any]]] = {
    "png": {"format": "PNG", "compress_level": 1},
    "webp": {"format": "WEBP", "quality": 90, "method": 0},
    "jpg": {"format": "JPEG", "quality": 92},
}

#: A date as EXIF writes it.
DATE: Final = re.compile(r"\d{4}:\d\d:\d\d \d\d:\d\d:\d\d")

#: The longest side that a format allows, in pixels: RFC 9649, section 2.6, and `JPEG_MAX_DIMENSION` of libjpeg.
LONGEST: Final[Mapping[Format, int]] = {"webp": 16383, "jpg": 65500}

#: What can stand behind the pet, with the words of the apps' fields.
BACKGROUNDS: Final = {
    "transparent": "Transparent",
    "white": "White",
    "color": "Colour",
    "blur": "Blurred",
    "image": "Own picture",
}

#: How the edge can be drawn: `grow` and `feather` of `CutoutSettings`.
EDGES: Final = {"tighter": (-3.0, 0.0), "as found": (0.0, 0.0), "looser": (3.0, 0.0), "softer": (0.0, 2.0)}

#: A crop shows each pixel with at least this alpha, and a margin: a fraction of the crop's longer side.
VISIBLE: Final = 64
MARGIN: Final = 0.05


class Cutout(NamedTuple):
    """A drawn cut-out."""

    image: Image.Image  # RGBA if the background is transparent, else RGB; as large as the frame
    frame: Box  # the part of the photo that it shows
    alpha: Alpha  # opacity of the pet in this part


@dataclass(frozen=True)
class CutoutSettings:
    """The options of a cut-out; raises SettingsError if a value is out of range, or a JPEG would be transparent."""

    background: str | Image.Image | None = None  # None: transparent; "blur": the photo's; a colour in CSS; an image
    crop: bool = False  # to the pet with a margin
    format: Format = "png"  # of the file; see `encode`
    grow: float = 0.0  # how far the edge moves outwards, -10 to 10 per mille of the photo's longest side
    feather: float = 0.0  # standard deviation of the blur of the edge, 0 to 10 in the same unit
    shadow: bool = False  # a soft one, below the pet

    @classmethod
    def chosen(
        cls, background: str, color: str, image: Image.Image | None, crop: bool, format: Format, edge: str, shadow: bool
    ) -> Self:
        """The settings in an app's fields: one of `BACKGROUNDS` (the image may be missing) or a colour, and an edge."""
        if edge not in EDGES:
            raise SettingsError(f"edge {edge!r}: expected one of {', '.join(EDGES)}.")
        behind = {"transparent": None, "color": color, "image": image}.get(background, background)
        return cls(behind, bool(crop), format, *EDGES[edge], shadow=bool(shadow))

    def __post_init__(self) -> None:
        """Checks the values."""
        if self.format not in SAVE:
            raise SettingsError(f"format {self.format!r}: expected one of {', '.join(SAVE)}.")
        if self.format == "jpg" and self.background is None:
            raise SettingsError("jpg: a JPEG cannot be transparent. Choose webp or png, or a background such as white.")
        for name, value, least, most in (("grow", self.grow, -10, 10), ("feather", self.feather, 0, 10)):
            if not least <= value <= most:
                raise SettingsError(f"{name} {value}: expected {least} to {most}, per mille of the longest side.")
        if isinstance(self.background, str) and self.background != "blur":
            rgb(self.background)

    def draw(self, result: Segmentation) -> Image.Image:
        """Draws the cut-out of a result: RGBA if the background is transparent, else RGB."""
        return self.cut(result).image

    def cut(self, result: Segmentation) -> Cutout:
        """Draws the cut-out of a result; also says which part of the photo it shows."""
        if (moved := bool(self.grow or self.feather)) or self.shadow:
            from petseg.apps import edge  # most cut-outs need none of it
        alpha = result.alpha
        if moved:
            alpha = edge.moved_edge(alpha, self.grow, self.feather)
            if result.photo_alpha:  # what the photo itself shows through stays so
                alpha = np.minimum(alpha, np.asarray(result.photo_alpha))
        frame = pet_frame(alpha) if self.crop else (0, 0, *result.photo.size)
        left, top, right, bottom = frame
        pet = edge.recolored(result.photo, result.alpha, alpha) if moved else result.cutout()
        pet = part_of(pet, frame)
        pet = edge.with_shadow(pet) if self.shadow else pet
        return Cutout(self._composed(pet, result, frame), frame, alpha[top:bottom, left:right])

    def _composed(self, pet: Image.Image, result: Segmentation, frame: Box) -> Image.Image:
        """The pet, RGBA, on the background."""
        if self.background is None:
            return pet
        if isinstance(self.background, Image.Image):  # fills the frame; what is left over is cut off evenly
            picture = ImageOps.fit(self.background.convert("RGB"), pet.size)
        elif self.background == "blur":
            picture = part_of(blurred_background(result.photo, result.alpha), frame)
        else:
            picture = Image.new("RGB", pet.size, rgb(self.background))
        picture.paste(pet, mask=pet.getchannel("A"))
        return picture


def rgb(color: str) -> tuple[int, int, int]:
    """Red, green and blue, 0 to 255, of a colour in CSS notation; raises SettingsError if it is none."""
    try:
        red, green, blue = ImageColor.getrgb(color)[:3]
    except ValueError as error:
        raise SettingsError(f"colour {color!r}: not a colour. Write it as #ff8800 or orange.") from error
    return red, green, blue


def pet_frame(alpha: Alpha) -> Box:
    """The part to crop to: all visible pixels and a margin; everything if no pixel is visible."""
    H, W = alpha.shape
    left, top, right, bottom = Image.fromarray(alpha >= VISIBLE).getbbox() or (0, 0, W, H)
    margin = round(MARGIN * max(right - left, bottom - top))
    return max(0, left - margin), max(0, top - margin), min(W, right + margin), min(H, bottom + margin)


def pet_middle(alpha: Alpha) -> float:
    """The fraction of the width that has half of the pet on each side: 0.15 to 0.85; 1/2 if no pixel is visible."""
    mass = alpha.sum(axis=0, dtype=np.float64).cumsum()  # (W,)
    if not mass[-1]:
        return 0.5
    return float(np.clip((np.searchsorted(mass, mass[-1] / 2) + 0.5) / len(mass), 0.15, 0.85))


# --- Files and sentences ---------------------------------------------------------------------------------------------


def encode(image: Image.Image, format: Format, name: str = "photo", **metadata: Any) -> bytes:
    """The file of a picture: RGB, RGBA (not as jpg) or, as png, with a palette; `name` is the photo's, for messages.

    `metadata` are further arguments of `Image.save`, which win over `SAVE`. Raises PhotoError if the picture is too
    large for the format.
    """
    W, H = image.size
    most = LONGEST.get(format)
    if most is not None and max(W, H) > most:
        title = SAVE[format]["format"]
        raise PhotoError(f"{name}: {W} x {H} pixels; {title} has at most {most} per side. Choose the format png.")
    file = BytesIO()
    image.save(file, **SAVE[format] | metadata)
    return file.getvalue()


def date_and_resolution(photo: Image.Image) -> dict[str, Any]:
    """What a JPEG says of its date and resolution, for `encode`; nothing else of its EXIF, which may tell the place."""
    if photo.format not in ("JPEG", "MPO"):
        return {}
    exif = Image.Exif()
    with suppress(Exception):  # however broken EXIF is, the pixels are as good as before
        old = photo.getexif()
        exif.update(_dates(old, Tag.DateTime))
        if taken := _dates(old.get_ifd(IFD.Exif), Tag.DateTimeOriginal, Tag.DateTimeDigitized):
            exif[IFD.Exif] = taken
    dpi = photo.info.get("dpi", (0, 0))
    return {"exif": exif} | ({"dpi": dpi} if all(1 <= number < 2**16 for number in dpi) else {})


def _dates(exif: Mapping[int, Any], *tags: int) -> dict[int, str]:
    return {tag: exif[tag] for tag in tags if DATE.fullmatch(str(exif.get(tag)))}


def no_pet(photo: str, doubtful: bool = False, remedy: str = "If it is one, show it anyway.") -> str:
    """The sentence for a photo without a pet; for one with a pet that is `Segmentation.doubtful`, a question."""
    if doubtful:
        return f"Is this a cat or a dog? No pet found in {photo} that looks like one. {remedy}"
    return f"No pet found in {photo}, so there is no cut-out of it. Try a photo that shows the pet larger."


def other_pets(photo: str) -> str:
    """The sentence for a photo whose choice among several pets is lost, since another model segmented it."""
    return f"{photo}: another model may find other pets. Choose again which are shown."


def sentence(error: Exception, photo: str) -> str:
    """The sentence for a photo that failed, never a traceback."""
    if isinstance(error, PetsegError):
        return str(error)
    if isinstance(error, MemoryError):
        return f"{photo}: too large for the memory of this machine. Shrink it and try again."
    return f"{photo}: could not be segmented ({type(error).__name__}: {error}). Try another photo."


@contextmanager
def photo_notes() -> Iterator[Callable[[], list[str]]]:
    """Collects the sentences of each `PetsegWarning` inside a `with` block instead of printing them.

    Yields a function that returns, and forgets, the sentences about photos that the calling thread has decoded.
    """
    notes: defaultdict[int, list[str]] = defaultdict(list)

    def collect(message: Warning | str, category: type[Warning], *where: Any) -> None:
        if issubclass(category, PetsegWarning):
            notes[threading.get_ident()].append(str(message))
        else:
            show(message, category, *where)

    with warnings.catch_warnings():
        warnings.simplefilter("always", PetsegWarning)  # for each photo, not only for the first
        show = warnings.showwarning
        warnings.showwarning = collect  # type: ignore[assignment]
        yield lambda: notes.pop(threading.get_ident(), [])
