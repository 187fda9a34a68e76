"""What panel and web app show of a `Segmentation`: legend, confidence, backgrounds, file names, error sentences.

Pure functions of a result, without any widget, so that both show the same and are tested without a browser.
"""

from __future__ import annotations

import html
import re
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import PurePath
from typing import Final, Literal

import numpy as np
from PIL import Image, ImageColor, ImageFilter

from petseg.errors import ModelError, PhotoError
from petseg.inference.predictor import Segmentation
from petseg.labels import BOUNDARY, CLASSES, COLORS, palette
from petseg.models import zoo

Background = Literal["transparent", "colour", "blur"]

#: What can stand behind a pet that was cut out.
BACKGROUNDS: Final[tuple[Background, ...]] = ("transparent", "colour", "blur")

#: Longest side of what is shown while somebody looks; files keep the photo's own size.
PREVIEW_SIDE: Final = 900

#: Colours of the confidence map at a largest probability of 1/3 (no idea), 2/3 and 1 (sure): dark to light, so that
#: they also read in grey.
CONFIDENCE: Final = ((20, 20, 60), (180, 70, 110), (255, 235, 170))

#: Lines over the boundary's colour, for eyes that cannot tell it from the others.
HATCH_COLOR: Final = (34, 34, 34)
HATCH_STEP: Final = 6  # pixels from line to line, along a row


@dataclass(frozen=True)
class Look:
    """What somebody can change: `Segmentation.overlay` and `on_background` say what the values mean."""

    opacity: float = 0.5
    classes: Collection[str] = ("pet", "boundary")
    background: Background = "transparent"
    color: str = "#ffffff"

    def draw(self, result: Segmentation, kind: str) -> Image.Image:
        """A picture of a result, of the size of its photo.

        Args:
            result: what to draw.
            kind: `photo`, `overlay`, `mask`, `cutout` or `confidence`.

        Raises:
            ValueError: the kind, or a value of this look, is not known.
        """
        if kind == "photo":
            return result.photo
        if kind == "overlay":
            return result.overlay(self.opacity, self.classes)
        if kind == "mask":
            return result.mask_image()
        if kind == "cutout":
            return on_background(result, self.background, self.color)
        if kind == "confidence":
            return confidence(result)
        raise ValueError(f"picture {kind!r}: expected photo, overlay, mask, cutout or confidence.")


def hatched_mask(result: Segmentation) -> Image.Image:
    """The mask for the screen: the boundary has dark lines as in the legend, and can be told without its colour.

    Returns:
        Palette image, of the photo's size: indices 0, 1, 2, and 3 for the lines; files hold the plain mask.
    """
    paint = result.mask.copy()
    H, W = paint.shape
    line = (np.arange(H)[:, None] + np.arange(W)) % HATCH_STEP == 0  # (H, W)
    paint[line & (paint == BOUNDARY)] = len(CLASSES)
    image = Image.fromarray(paint)
    image.putpalette([*palette(), *HATCH_COLOR])
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
    return Segmentation(small, result.logits, seconds=result.seconds, model=result.model)


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
        color: of the ground, as CSS writes it.

    Raises:
        ValueError: the background or the colour is not known.
    """
    if kind not in BACKGROUNDS:
        raise ValueError(f"background {kind!r}: expected one of {', '.join(BACKGROUNDS)}.")
    cutout = result.cutout()
    if kind == "transparent":
        return cutout
    if kind == "blur":
        ground = blurred(result.photo)
    else:
        try:
            ground = Image.new("RGB", cutout.size, ImageColor.getrgb(color)[:3])
        except ValueError as error:
            raise ValueError(f"colour {color!r}: not a colour. Write it as #ff8800 or orange.") from error
    ground.paste(result.photo, mask=cutout.getchannel("A"))
    return ground


def blurred(photo: Image.Image, share: float = 1 / 40) -> Image.Image:
    """The photo out of focus, by a radius of `share` of its longest side; blurred small, since nobody sees that."""
    small = photo.copy()
    small.thumbnail((600, 600), Image.Resampling.BILINEAR, reducing_gap=2.0)
    small = small.filter(ImageFilter.GaussianBlur(share * max(small.size)))
    return small.resize(photo.size, Image.Resampling.BILINEAR)


def legend(shares: Mapping[str, float]) -> str:
    """HTML of the legend: a swatch for each class, the boundary's hatched, its name and its share of the pixels."""
    items = []
    for label, (name, color) in enumerate(zip(CLASSES, COLORS, strict=True)):
        hatch = "repeating-linear-gradient(45deg,#222 0 1px,transparent 1px 5px)," if label == BOUNDARY else ""
        swatch = (
            f'<span aria-hidden="true" style="display:inline-block;width:1em;height:1em;margin-right:.4em;'
            f'vertical-align:-.15em;border:1px solid #888;background:{hatch}{color}"></span>'
        )
        items.append(f'<span style="white-space:nowrap">{swatch}{name} {shares[name]:.1%}</span>')
    return f'<div style="display:flex;flex-wrap:wrap;gap:.3em 1.2em">{"".join(items)}</div>'


def description(result: Segmentation) -> str:
    """One sentence for those who cannot see the picture: `Photo of 451 x 300 pixels: pet 82 %, ...`."""
    W, H = result.photo.size
    shares = ", ".join(f"{name} {share:.0%}" for name, share in result.shares.items())
    return f"Photo of {W} x {H} pixels: {shares}."


def caption(result: Segmentation) -> str:
    """Size, model and time in one line: `4000 x 3000 pixels (12.0 megapixels), segmented by unet in 0.41 s`."""
    W, H = result.photo.size
    return f"{W} x {H} pixels ({W * H / 1e6:.1f} megapixels), segmented by {result.model} in {result.seconds:.2f} s"


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


def file_name(photo: str, kind: str) -> str:
    """Name of a file to download: `my dog.jpg` and `cutout` give `my dog.cutout.png`."""
    stem = PurePath(photo.replace("\\", "/")).stem
    plain = re.sub(r"[^\w .()-]", "_", stem).strip(" .")
    return f"{plain or 'photo'}.{kind}.png"


def models() -> list[tuple[str, str]]:
    """Released models that can be run here: a line that says what each scores, and its name."""
    return [(_model_line(card), card.name) for card in zoo.cards() if zoo.runnable(card)]


def _model_line(card: zoo.ModelCard) -> str:
    score = card.scores.get("test", {}).get("mean_iou")
    scored = f", mean IoU {score:.3f}" if score is not None else ""
    return f"{card.name}: {card.parameters / 1e6:.1f} M parameters{scored}"


def samples() -> dict[str, Callable[[], Image.Image]]:
    """Pictures that come with the package: Chelsea, a cat whose photo is in the public domain, and cartoons."""

    def chelsea() -> Image.Image:
        from skimage.data import cat  # takes a moment, and only this sample needs it

        return Image.fromarray(cat())

    def cartoon(breed: int) -> Callable[[], Image.Image]:
        def draw() -> Image.Image:
            from petseg.data.cartoon.breeds import BREEDS
            from petseg.data.cartoon.picture import draw_pet

            return draw_pet(BREEDS[breed], 3, 256)[0]

        return draw

    return {"Chelsea the cat": chelsea, "cartoon cat": cartoon(0), "cartoon dog": cartoon(-1)}


def sentence(error: Exception, name: str) -> str:
    """What to tell the person whose photo failed: one sentence, never a traceback.

    Args:
        error: what happened.
        name: of the photo.
    """
    if isinstance(error, (PhotoError, ModelError)):
        return str(error)
    if isinstance(error, MemoryError):
        return f"{name}: too large for the memory of this machine. Shrink it and try again."
    return f"{name}: could not be segmented ({type(error).__name__}: {error}). Try another photo."


@contextmanager
def remarks() -> Iterator[list[str]]:
    """Collects what there is to say about a photo besides its result: that its last rows are missing, for instance.

    Nothing of it is printed. One thread at a time: Python's filters of warnings know no threads.
    """
    found: list[str] = []
    with warnings.catch_warnings(record=True) as notes:
        warnings.simplefilter("always", UserWarning)
        try:
            yield found
        finally:
            found += [str(note.message) for note in notes if issubclass(note.category, UserWarning)]


def as_html(text: str) -> str:
    """Text made safe to stand in HTML: a file may be called `<b>.jpg`."""
    return html.escape(text)
