"""What panel and web app show of a `Segmentation`: pictures, texts, the before-and-after comparison, samples to try.

Everything here is a function without any widget, so that panel, web app and live page show the same.
"""

import base64
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from html import escape
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from PIL import Image, ImageOps

from petseg.apps.cutouts import LONGEST, SAVE, CutoutSettings, Format, encode, no_pet, pet_middle
from petseg.apps.names import file_name
from petseg.data.cartoons import sample
from petseg.errors import PhotoError
from petseg.inference.segmentation import Segmentation
from petseg.inference.two_pass import Box, part_of
from petseg.labels import BOUNDARY, CLASSES, COLORS, HATCH_STEP, INK, LINE, hatch, palette_with_ink
from petseg.models import zoo

#: Longest side of the compared pictures, in pixels: sharp in a wide window too. Files have the photo's own size.
PREVIEW_SIDE: Final = 1440

#: Longest side of the pictures that are shown small, side by side.
DETAIL_SIDE: Final = 900

#: Colours of the confidence map at a largest probability of 1/3 (no idea), 2/3 and 1 (sure): dark to light, so that
#: the map can also be read in grey.
CONFIDENCE: Final = ((20, 20, 60), (180, 70, 110), (255, 235, 170))


#: The pictures under "Details", with their alt texts.
DETAILS: Final = {
    "overlay": "The photo with classes painted over",
    "mask": "Pet, background and boundary in three colours",
    "confidence": "Map of how sure the model is, dark to light",
}

#: The background of one colour at first; also the accent of the apps.
COLOR: Final = "#2e7d6b"


def source(*names: str) -> str:
    """The text of files below this folder; modules of JavaScript as one, without exports and imports of each other."""
    text = "\n".join((Path(__file__).parent / name).read_text(encoding="utf-8") for name in names)
    return re.sub(r"^(import [^;]*;\n|export (?!default ))", "", text, flags=re.MULTILINE)


# --- Pictures --------------------------------------------------------------------------------------------------------


def preview(result: Segmentation, side: int = PREVIEW_SIDE) -> Segmentation:
    """The result for a copy of the photo whose longest side is at most `side` pixels: fast to redraw."""
    if max(result.photo.size) <= side:
        return result
    small = result.photo.copy()
    small.thumbnail((side, side), Image.Resampling.BILINEAR, reducing_gap=2.0)
    alpha = result.photo_alpha and result.photo_alpha.resize(small.size, Image.Resampling.BILINEAR)
    return replace(result, photo=small, photo_alpha=alpha)


def hatched_mask(result: Segmentation) -> Image.Image:
    """The mask for the screen: the boundary is hatched as in the legend, so that colour is not its only mark.

    Values of the palette image are the labels, and 3 for the lines. Files hold the plain mask.
    """
    image = Image.fromarray(np.where(hatch(result.mask), np.uint8(LINE), result.mask))
    image.putpalette(palette_with_ink())
    return image


def detail(kind: str, result: Segmentation, opacity: float, classes: Sequence[str]) -> Image.Image:
    """One of `DETAILS` for the screen, with the opacity and the classes of the overlay."""
    if kind == "overlay":
        return result.overlay(opacity, classes)
    return hatched_mask(result) if kind == "mask" else confidence(result)


def confidence(result: Segmentation) -> Image.Image:
    """The largest of the three probabilities at each pixel, in the colours of `CONFIDENCE`: RGB."""
    largest = result.probabilities.max(axis=0)  # (H, W), 1/3 to 1
    step = np.clip((largest - 1 / 3) / (2 / 3), 0, 1)
    channels = [np.interp(step, (0, 0.5, 1), values) for values in zip(*CONFIDENCE, strict=True)]
    return Image.fromarray(np.stack(channels, axis=-1).round().astype(np.uint8))


def for_screen(image: Image.Image) -> tuple[str, bytes]:
    """MIME type and small file of a picture: WebP for transparency, JPEG without; PNG for a palette or a long side."""
    format: Format = "jpg" if image.mode == "RGB" else "webp"
    if image.mode == "P" or max(image.size) > LONGEST[format]:
        return "image/png", encode(image, "png")
    return f"image/{SAVE[format]['format'].lower()}", encode(image, format, quality=85)


def data_uri(image: Image.Image) -> str:
    """The picture as an address that contains it, encoded `for_screen`."""
    kind, data = for_screen(image)
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


# --- Texts -----------------------------------------------------------------------------------------------------------


def legend(fractions: Mapping[str, float]) -> str:
    """HTML of the legend: for each class a swatch, its name and its fraction of the pixels; the boundary is hatched."""
    items = []
    for label, (name, color) in enumerate(zip(CLASSES, COLORS, strict=True)):
        lines = f"repeating-linear-gradient(45deg,{INK} 0 1px,transparent 1px {HATCH_STEP - 1}px),"
        background = f"{lines if label == BOUNDARY else ''}{color}"
        swatch = (
            f'<span aria-hidden="true" style="display:inline-block;width:1em;height:1em;margin-right:.4em;'
            f'vertical-align:-.15em;border:1px solid #888;background:{background}"></span>'
        )
        items.append(f'<span style="white-space:nowrap">{swatch}{name} {fractions[name]:.1%}</span>')
    return f'<div style="display:flex;flex-wrap:wrap;gap:.3em 1.2em">{"".join(items)}</div>'


def caption(result: Segmentation) -> str:
    """Size, model and time in one line: `4000 x 3000 pixels (12.0 megapixels), segmented by unet in 0.41 s`."""
    W, H = result.photo.size
    return f"{W} x {H} pixels ({W * H / 1e6:.1f} megapixels), segmented by {result.model} in {result.seconds:.2f} s"


def model_choices() -> list[tuple[str, str]]:
    """Words for, and the name of, each released model that this machine can run."""
    names = [card.name for card in zoo.cards() if zoo.runnable(card)]
    return [(f"{name} (the most accurate)" if name == zoo.best() else name, name) for name in names]


# --- Before and after ------------------------------------------------------------------------------------------------


class Compared(NamedTuple):
    """What a comparison shows: pictures of the same part of the photo, each with its alt text."""

    before: tuple[Image.Image, str]  # the photo
    after: tuple[Image.Image, str] | None  # the cut-out, if there is a pet
    frame: Box  # the part of the photo
    line: float  # where the line is at first, 0 to 1 from the left: amid the pet


def compared(photo: str, result: Segmentation, settings: CutoutSettings) -> Compared:
    """The comparison of a photo of this name with its cut-out."""
    alt = f"The photo {photo}"
    if not result.found:
        return Compared((result.photo, alt), None, (0, 0, *result.photo.size), 0.5)
    cutout, background = settings.cut(result), settings.background
    words = {None: "a transparent background", "white": "white", "blur": "the blurred photo"}
    behind = "an image of your own"
    if not isinstance(background, Image.Image):
        behind = words.get(background, "a background of one colour")
    after = cutout.image, f"The pet of {photo}, cut out, on {behind}"
    return Compared((part_of(result.photo, cutout.frame), alt), after, cutout.frame, pet_middle(cutout.alpha))


Side = tuple[str, str]  # address of a picture (for instance a data URI), and its alt text


def comparison(
    before: Side, after: Side | None, size: tuple[int, int], line: float = 0.5, doubtful: bool = False
) -> str:
    """HTML of two pictures on top of each other, with a handle that moves the line between them.

    It needs no script except one line in the slider itself, so it works wherever HTML is put into a page. The slider
    is an invisible range input that covers the pictures: mouse, touch, arrow keys and screen readers all work.

    `after` is right of the line, on a checkerboard; without it, `before` is said to show no pet, or to be `doubtful`.
    `size` is that of both in pixels, to reserve their space; `line` goes from 0 to 1 from the left.
    """
    W, H = size
    style = f'style="--petseg-ratio:{W / H:.5f};--petseg-position:{line:.1%}"'
    if after is None:
        kind, title = ("petseg-doubtful", "Is this a cat or a dog?") if doubtful else ("", "No pet found")
        return f'<div class="petseg-comparison petseg-alone {kind}" {style}>{_side("before", before, title)}</div>'
    return (
        f'<div class="petseg-comparison" {style}>'
        f"{_side('after', after, 'Cut-out')}{_side('before', before, 'Photo')}"
        '<span class="petseg-handle" aria-hidden="true"></span>'
        f'<input class="petseg-slider" type="range" min="0" max="100" value="{100 * line:.1f}" step="any" '
        'aria-label="Move the line between photo and cut-out" '
        "oninput=\"this.parentElement.style.setProperty('--petseg-position', this.value + '%')\">"
        "</div>"
    )


def _side(side: str, picture: Side, title: str) -> str:
    address, alt = map(escape, picture)
    return (
        f'<div class="petseg-side petseg-{side}"><img src="{address}" alt="{alt}" draggable="false">'
        f'<span class="petseg-title" aria-hidden="true">{escape(title)}</span></div>'
    )


def file(photo: str, kind: str, result: Segmentation, settings: CutoutSettings, *overlay: Any) -> tuple[str, bytes]:
    """Name and bytes of a picture of a photo to download: `cutout`, `copy`, `overlay` or `mask`.

    `overlay` are the opacity and the classes of the overlay. Raises PhotoError if there is no such picture.
    """
    if kind == "copy":  # programs that paste expect PNG
        kind, settings = "cutout", replace(settings, format="png")
    if kind != "cutout":
        image = result.mask_image() if kind == "mask" else result.overlay(*overlay)
        return file_name(photo, kind), encode(image, "png")
    if not result.found:
        raise PhotoError(no_pet(photo, result.doubtful))
    return file_name(photo, kind, settings.format), encode(settings.draw(result), settings.format, photo)


# --- Samples ---------------------------------------------------------------------------------------------------------


def sample_photos() -> dict[str, Callable[[], Image.Image]]:
    """Functions that load the photos of the package: Chelsea, a cat in the public domain, and two cartoons."""
    return {"Chelsea the cat": _chelsea, "cartoon cat": lambda: sample("cat"), "cartoon dog": lambda: sample("dog")}


@lru_cache(maxsize=1)
def sample_thumbnails() -> dict[str, str]:
    """The samples as squares of 128 pixels to click: by name, the data URI of a JPEG."""
    return {name: data_uri(ImageOps.fit(load(), (128, 128))) for name, load in sample_photos().items()}


def _chelsea() -> Image.Image:
    from skimage.data import cat  # takes a moment, and only this sample needs it

    return Image.fromarray(cat())
