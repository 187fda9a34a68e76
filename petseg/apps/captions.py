"""What panel and web app say of a `Segmentation`: legend, captions, file names, model names, sentences for errors."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from pathlib import PurePath

from petseg.apps.batch.names import shortened
from petseg.errors import PetsegError
from petseg.inference.segmentation import Segmentation
from petseg.labels import BOUNDARY, CLASSES, COLORS, HATCH_STEP, INK
from petseg.models import zoo
from petseg.models.zoo import ModelCard


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


def percentages(result: Segmentation) -> str:
    """How much of the photo each class covers: `pet 82%, background 10%, boundary 8%`."""
    return ", ".join(f"{name} {fraction:.0%}" for name, fraction in result.fractions.items())


def description(result: Segmentation) -> str:
    """One sentence for readers who cannot see the picture: `Photo of 451 x 300 pixels: pet 82%, ...`."""
    W, H = result.photo.size
    return f"Photo of {W} x {H} pixels: {percentages(result)}."


def caption(result: Segmentation) -> str:
    """Size, model and time in one line: `4000 x 3000 pixels (12.0 megapixels), segmented by unet in 0.41 s`."""
    W, H = result.photo.size
    return f"{W} x {H} pixels ({W * H / 1e6:.1f} megapixels), segmented by {result.model} in {result.seconds:.2f} s"


def file_name(photo: str, kind: str, ending: str = "png") -> str:
    """Name of a file to download: `my dog.jpg` and `cutout` give `my dog.cutout.png`; at most 255 bytes."""
    stem = PurePath(photo.replace("\\", "/")).stem
    plain = re.sub(r"[^\w .()-]", "_", stem).strip(" .")
    ending = f".{kind}.{ending}"
    return shortened(plain or "photo", 255 - len(ending)) + ending


def no_pet(photo: str) -> str:
    """What to tell the user whose photo shows no pet that the model finds."""
    return f"No pet found in {photo}, so there is no cut-out of it. Try a photo that shows the pet larger."


def model_choices() -> list[tuple[str, str]]:
    """Released models that can be run here: a line that says what each scores, and its name."""
    return [(_model_line(card), card.name) for card in zoo.cards() if zoo.runnable(card)]


def _model_line(card: ModelCard) -> str:
    score = card.scores.get("test", {}).get("mean_iou")
    scored = f", mean IoU {score:.3f}" if score is not None else ""
    return f"{card.name}: {card.parameters / 1e6:.1f} M parameters{scored}"


def sentence(error: Exception, name: str) -> str:
    """What to tell the user whose photo failed: one sentence, never a traceback.

    Args:
        error: what happened.
        name: of the photo.
    """
    if isinstance(error, PetsegError):
        return str(error)
    if isinstance(error, MemoryError):
        return f"{name}: too large for the memory of this machine. Shrink it and try again."
    return f"{name}: could not be segmented ({type(error).__name__}: {error}). Try another photo."


def as_html(text: str) -> str:
    """Text made safe to stand in HTML: a file may be called `<b>.jpg`."""
    return html.escape(text)
