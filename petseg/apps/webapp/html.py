"""HTML of what the page shows of a photo; it holds the pictures themselves, so that no files of them are left."""

from __future__ import annotations

import base64
from collections.abc import Collection, Iterable
from io import BytesIO
from typing import Final

from PIL import Image

from petseg.apps import captions, render
from petseg.apps.render import RenderSettings
from petseg.apps.webapp.session import SegmentedPhoto
from petseg.inference.segmentation import Segmentation

#: What can be downloaded, at the photo's own size, and what the buttons say.
FILES: Final = {"overlay": "Overlay", "mask": "Mask", "cutout": "Cut-out"}

#: How the alt text of the cut-out names its background.
BACKGROUND_ALT: Final[dict[render.Background, str]] = {
    "transparent": "a transparent background",
    "colour": "a background of one colour",
    "blur": "the blurred photo",
}

CSS: Final = """
.gradio-container main { width: 100%; max-width: 1500px; margin: 0 auto }
#pictures { display: grid; gap: 12px; grid-template-columns: repeat(auto-fill, minmax(min(100%, 260px), 1fr)) }
#pictures figure { margin: 0 }
#pictures figcaption { font-size: var(--text-sm); padding-top: 2px; overflow-wrap: anywhere }
#pictures img { display: block; margin: 0; max-width: 100%; max-height: 400px; border-radius: 4px }
#pictures .cutout img { background: repeating-conic-gradient(#b4b4b4 0 25%, #e4e4e4 0 50%) 0 0 / 20px 20px }
#pictures .scale { display: inline-block; width: 5em; height: .8em; border: 1px solid #888; vertical-align: -.05em }
#model input { font-size: var(--text-sm); padding-right: 2em; text-overflow: ellipsis }
.sample { padding: 6px 4px !important; white-space: nowrap }
#status p { margin: 0 0 .3em; overflow-wrap: anywhere }
#status .failed { border-left: 4px solid #d55e00; padding-left: .6em }
"""


def settings_of(opacity: float, classes: Collection[str], background: render.Background, color: str) -> RenderSettings:
    """The settings that the page's fields hold, in their order.

    Raises:
        ValueError: the colour is not one that Gradio's field gives: `#rrggbb`, or `rgba(r, g, b, a)` with fractions.
    """
    if color.startswith("rgb"):
        values = color[color.index("(") + 1 : -1].split(",")[:3]
        color = "#" + "".join(f"{round(float(value)):02x}" for value in values)
    return RenderSettings(opacity, classes, background, color)


def pictures(segmented: SegmentedPhoto, settings: RenderSettings) -> list[str]:
    """HTML of the photo, overlay, mask, cut-out, confidence map and legend, in this order."""
    preview = segmented.preview()
    name = captions.as_html(segmented.photo.name)
    hatched, confidence = render.hatched_mask(preview), render.confidence(preview)
    return [
        _figure(preview.photo, f"Photo: {name}", f"The photo {name}"),
        overlay(preview, settings),
        _figure(hatched, "Mask", f"Mask. {captions.percentages(preview)}"),
        cutout(preview, settings),
        _figure(confidence, f"Confidence: guessed {_scale()} sure", "Map of how sure the model is"),
        captions.legend(preview.fractions) + f"<p>{captions.as_html(segmented.caption)}</p>",
    ]


def overlay(preview: Segmentation, settings: RenderSettings) -> str:
    """HTML of the overlay."""
    painted = " and ".join(settings.classes) or "nothing"
    alt = f"Photo with {painted} painted over. {captions.percentages(preview)}"
    return _figure(render.draw(preview, "overlay", settings), "Overlay", alt)


def cutout(preview: Segmentation, settings: RenderSettings) -> str:
    """HTML of the cut-out before the background of the settings."""
    image = render.draw(preview, "cutout", settings)  # first, since it refuses a background that is not known
    return _figure(image, "Cut-out", f"The pet, cut out, on {BACKGROUND_ALT[settings.background]}", "cutout")


def messages(failed: Iterable[str], notes: Iterable[str] = ()) -> str:
    """HTML of sentences, one paragraph each: what went wrong, and what is worth knowing."""
    lines = [f'<p class="failed">{captions.as_html(text)}</p>' for text in failed]
    return "".join([*lines, *(f"<p>{captions.as_html(text)}</p>" for text in notes)])


def _figure(image: Image.Image, title: str, alt: str, style: str = "") -> str:
    kind, data = _encoded(image)
    source = f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
    return f'<figure class="{style}"><img src="{source}" alt="{alt}"><figcaption>{title}</figcaption></figure>'


def _encoded(image: Image.Image) -> tuple[str, bytes]:
    """MIME subtype and bytes: PNG for a palette, WebP for transparency, JPEG for the rest, since each is then small."""
    if image.mode == "P":
        return "png", render.png(image)
    if image.mode == "RGB":
        return "jpeg", render.jpeg(image)
    file = BytesIO()
    image.save(file, format="WEBP", quality=80, method=0)
    return "webp", file.getvalue()


def _scale() -> str:
    colours = ",".join("rgb({},{},{})".format(*color) for color in render.CONFIDENCE)
    return f'<span class="scale" aria-hidden="true" style="background:linear-gradient(90deg,{colours})"></span>'
