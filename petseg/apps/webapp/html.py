"""What the page shows of a photo: HTML with the pictures inside, so that no file of them is left behind."""

from __future__ import annotations

import base64
from collections.abc import Collection, Iterable
from io import BytesIO
from typing import Final

from PIL import Image

from petseg.apps import render as presentation
from petseg.apps.render import Look
from petseg.apps.webapp.session import Shown
from petseg.inference.predictor import Segmentation

#: What can be downloaded, at the photo's own size, and what the buttons say.
FILES: Final = {"overlay": "Overlay", "mask": "Mask", "cutout": "Cut-out"}

GROUNDS: Final[dict[presentation.Background, str]] = {
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


def chosen(opacity: float, classes: Collection[str], background: presentation.Background, color: str) -> Look:
    """The look of the page's fields, in their order.

    Raises:
        ValueError: the colour is not one that Gradio's field gives: `#rrggbb`, or `rgba(r, g, b, a)` with fractions.
    """
    if color.startswith("rgb"):
        values = color[color.index("(") + 1 : -1].split(",")[:3]
        color = "#" + "".join(f"{round(float(value)):02x}" for value in values)
    return Look(opacity, classes, background, color)


def pictures(shown: Shown, look: Look) -> list[str]:
    """HTML of the photo, overlay, mask, cut-out, confidence map and legend, in this order."""
    small = shown.small()
    name = presentation.as_html(shown.chosen.name)
    return [
        _figure(small.photo, f"Photo: {name}", f"The photo {name}"),
        overlay(small, look),
        _figure(presentation.hatched_mask(small), "Mask", f"Mask. {_shares(small)}"),
        cutout(small, look),
        _figure(presentation.confidence(small), f"Confidence: guessed {_scale()} sure", "Map of how sure the model is"),
        presentation.legend(small.shares) + f"<p>{presentation.as_html(shown.caption)}</p>",
    ]


def overlay(small: Segmentation, look: Look) -> str:
    """HTML of the overlay."""
    painted = " and ".join(look.classes) or "nothing"
    return _figure(look.draw(small, "overlay"), "Overlay", f"Photo with {painted} painted over. {_shares(small)}")


def cutout(small: Segmentation, look: Look) -> str:
    """HTML of the cut-out before the background that was chosen."""
    alt = f"The pet, cut out, on {GROUNDS[look.background]}"
    return _figure(look.draw(small, "cutout"), "Cut-out", alt, "cutout")


def messages(failed: Iterable[str], notes: Iterable[str] = ()) -> str:
    """HTML of sentences, each of its own: what went wrong, and what there is to say besides."""
    lines = [f'<p class="failed">{presentation.as_html(text)}</p>' for text in failed]
    return "".join([*lines, *(f"<p>{presentation.as_html(text)}</p>" for text in notes)])


def _figure(image: Image.Image, title: str, alt: str, style: str = "") -> str:
    kind, data = _encoded(image)
    source = f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
    return f'<figure class="{style}"><img src="{source}" alt="{alt}"><figcaption>{title}</figcaption></figure>'


def _encoded(image: Image.Image) -> tuple[str, bytes]:
    """Few bytes: PNG for a palette, WebP for what is see-through, JPEG for the rest."""
    if image.mode == "P":
        return "png", presentation.png(image)
    if image.mode == "RGB":
        return "jpeg", presentation.jpeg(image)
    file = BytesIO()
    image.save(file, format="WEBP", quality=80, method=0)
    return "webp", file.getvalue()


def _shares(result: Segmentation) -> str:
    return ", ".join(f"{name} {share:.0%}" for name, share in result.shares.items())


def _scale() -> str:
    colours = ",".join("rgb({},{},{})".format(*color) for color in presentation.CONFIDENCE)
    return f'<span class="scale" aria-hidden="true" style="background:linear-gradient(90deg,{colours})"></span>'
