"""HTML of what the page shows of a photo; it holds the pictures themselves, so that no files of them are left."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from io import BytesIO
from typing import Final

from PIL import Image, ImageOps

from petseg.apps import captions, render
from petseg.apps.comparison import comparison, photo_alone
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
        return photo_alone((render.data_uri(preview.photo), alt), preview.photo.size, "No pet found")
    cutout = settings.draw(preview)
    photo = preview.photo.crop(settings.frame(preview))
    before = (render.data_uri(photo), alt)
    after = (render.data_uri(cutout), f"The pet, cut out, on {background}")
    left, top, right, bottom = settings.frame(preview)
    line = pet_middle(preview.alpha[top:bottom, left:right])
    return comparison(before, after, cutout.size, line=line)


def details(segmented: SegmentedPhoto, opacity: float, classes: Collection[str]) -> list[str]:
    """HTML of overlay, class map, confidence map and legend, in this order."""
    preview = render.preview(segmented.preview(), render.DETAIL_SIDE)
    hatched, confidence = render.hatched_mask(preview), render.confidence(preview)
    return [
        overlay(preview, opacity, classes),
        _figure(hatched, "Class map", f"Class map. {captions.percentages(preview)}"),
        _figure(confidence, f"Confidence: guessed {_scale()} sure", "Map of how sure the model is"),
        captions.legend(preview.fractions) + f"<p>{captions.as_html(segmented.caption)}</p>",
    ]


def overlay(preview: Segmentation, opacity: float, classes: Collection[str]) -> str:
    """HTML of the overlay."""
    preview = render.preview(preview, render.DETAIL_SIDE)
    alt = f"Photo with {' and '.join(classes) or 'nothing'} painted over. {captions.percentages(preview)}"
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
    return f'<p class="busy">{captions.as_html(text)}</p>'


def messages(failed: Iterable[str], notes: Iterable[str] = ()) -> str:
    """HTML of sentences, one paragraph each: what went wrong, and what is worth knowing."""
    lines = [f'<p class="failed">{captions.as_html(text)}</p>' for text in failed]
    return "".join([*lines, *(f"<p>{captions.as_html(text)}</p>" for text in notes)])


def _figure(image: Image.Image, title: str, alt: str) -> str:
    return f'<figure><img src="{render.data_uri(image)}" alt="{alt}"><figcaption>{title}</figcaption></figure>'


def _thumbnail(jpeg: bytes) -> str:
    with Image.open(BytesIO(jpeg)) as image:
        return render.data_uri(ImageOps.fit(image, (THUMBNAIL, THUMBNAIL)))


def _scale() -> str:
    colours = ",".join("rgb({},{},{})".format(*color) for color in render.CONFIDENCE)
    return f'<span class="scale" aria-hidden="true" style="background:linear-gradient(90deg,{colours})"></span>'
