"""What a visitor can choose of a cut-out, as the page's fields hold it."""

from __future__ import annotations

from typing import Final

from PIL import Image

from petseg.apps.cutouts import CutoutSettings, Format, background_of

#: The choices of a background: what the page says, and the field's value (`cutouts.BACKGROUNDS`).
BACKGROUND_CHOICES: Final = (
    ("Transparent", "transparent"),
    ("White", "white"),
    ("Colour", "color"),
    ("Blurred photo", "blur"),
    ("Own image", "image"),
)

FORMATS: Final[tuple[tuple[str, Format], ...]] = (("PNG", "png"), ("WebP", "webp"), ("JPG", "jpg"))


def cutout_settings(
    background: str, color: str, image: Image.Image | None, crop: bool, format: Format, grow: float, feather: float
) -> CutoutSettings:
    """The settings of the page's fields, in their order.

    Args:
        background: a value of `BACKGROUND_CHOICES`.
        color: `#rrggbb`, or `rgba(r, g, b, a)` with fractions, as Gradio's field writes it; used for `color` alone.
        image: used for `image` alone; until one is chosen the background is transparent.
        crop: as in `CutoutSettings`.
        format: as in `CutoutSettings`.
        grow: as in `CutoutSettings`.
        feather: as in `CutoutSettings`.

    Raises:
        SettingsError: the settings contradict each other, or the colour is none.
    """
    return CutoutSettings(background_of(background, _plain(color), image), bool(crop), format, grow, feather)


def agreed_format(background: str, format: Format) -> Format:
    """The format after another background was chosen: a JPEG cannot be transparent, so it becomes a PNG."""
    return "png" if (background, format) == ("transparent", "jpg") else format


def agreed_background(background: str, format: Format) -> str:
    """The background after another format was chosen: a JPEG cannot be transparent, so it becomes white."""
    return "white" if (background, format) == ("transparent", "jpg") else background


def _plain(color: str) -> str:
    if not color.startswith("rgb"):
        return color
    values = color[color.index("(") + 1 : -1].split(",")[:3]
    return "#" + "".join(f"{round(float(value)):02x}" for value in values)
