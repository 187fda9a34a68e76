"""HTML of what the page shows of a photo; it holds the pictures themselves, so that no files of them are left."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from html import escape
from io import BytesIO
from typing import Final

from PIL import Image, ImageOps

from petseg.apps import display
from petseg.apps.cutouts import CutoutSettings, pet_middle
from petseg.apps.webapp.session import SegmentedPhoto
from petseg.inference.segmentation import Segmentation

#: The side of the small pictures by which one of several photos is chosen, in pixels.
THUMBNAIL: Final = 72

HEADER: Final = """<header><h1>Cut your pet out of its photo</h1>
<p>Cats and dogs, with fur and whiskers. Choose a photo, look at the edge, download the cut-out.</p></header>"""

FOOTER: Final = """<footer><p>Photos stay on the machine that runs this page and are deleted after an hour or so.
It shows what the <em>petseg</em> course teaches. <a href="?view=api">Use it from a program</a></p></footer>"""


def compared(name: str, preview: Segmentation, settings: CutoutSettings, background: str) -> str:
    """HTML of photo and cut-out, compared; of the photo alone where no pet was found.

    Args:
        name: of the photo.
        preview: the result for a small copy of it.
        settings: of the cut-out.
        background: what the alt text says of the background.
    """
    alt = f"The photo {name}"
    if not preview.found:
        return display.photo_alone((display.data_uri(preview.photo), alt), preview.photo.size, "No pet found")
    cutout = settings.cut(preview)
    before = (display.data_uri(preview.photo.crop(cutout.frame)), alt)
    after = (display.data_uri(cutout.image), f"The pet, cut out, on {background}")
    return display.comparison(before, after, cutout.image.size, pet_middle(cutout.alpha))


def details(segmented: SegmentedPhoto, opacity: float, classes: Collection[str]) -> list[str]:
    """HTML of overlay, class map, confidence map and legend, in this order."""
    preview = display.preview(segmented.preview(), display.DETAIL_SIDE)
    hatched, confidence = display.hatched_mask(preview), display.confidence(preview)
    return [
        overlay(preview, opacity, classes),
        _figure(hatched, "Class map", f"Class map. {display.percentages(preview)}"),
        _figure(confidence, f"Confidence: guessed {_scale()} sure", "Map of how sure the model is"),
        display.legend(preview.fractions) + f"<p>{escape(segmented.caption)}</p>",
    ]


def overlay(preview: Segmentation, opacity: float, classes: Collection[str]) -> str:
    """HTML of the overlay."""
    preview = display.preview(preview, display.DETAIL_SIDE)
    alt = f"Photo with {' and '.join(classes) or 'nothing'} painted over. {display.percentages(preview)}"
    return _figure(preview.overlay(opacity, classes), "Overlay", alt)


def thumbnails(segmented: Sequence[SegmentedPhoto]) -> str:
    """A style sheet that shows each photo beside its name in the choice of photos; the names alone say enough."""
    rules = (
        f"#choice label:nth-of-type({number})::before {{ background-image: url({_thumbnail(shown.jpeg)}) }}"
        for number, shown in enumerate(segmented, start=1)
    )
    return f"<style>{' '.join(rules)}</style>" if len(segmented) > 1 else ""


def busy(text: str) -> str:
    """HTML of a sentence that says what is being done."""
    return f'<p class="busy">{escape(text)}</p>'


def messages(failed: Iterable[str], notes: Iterable[str] = ()) -> str:
    """HTML of sentences, one paragraph each: what went wrong, and what is worth knowing."""
    lines = [f'<p class="failed">{escape(text)}</p>' for text in failed]
    return "".join([*lines, *(f"<p>{escape(text)}</p>" for text in notes)])


def _figure(image: Image.Image, title: str, alt: str) -> str:
    return f'<figure><img src="{display.data_uri(image)}" alt="{alt}"><figcaption>{title}</figcaption></figure>'


def _thumbnail(jpeg: bytes) -> str:
    with Image.open(BytesIO(jpeg)) as image:
        return display.data_uri(ImageOps.fit(image, (THUMBNAIL, THUMBNAIL)))


def _scale() -> str:
    colours = ",".join("rgb({},{},{})".format(*color) for color in display.CONFIDENCE)
    return f'<span class="scale" aria-hidden="true" style="background:linear-gradient(90deg,{colours})"></span>'
