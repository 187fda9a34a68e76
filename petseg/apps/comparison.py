"""One large before-and-after comparison as HTML: a handle is drawn over two pictures that lie on each other.

It needs no script beside the one line in the slider itself, so that it works wherever HTML is put into a page. The
slider is an ordinary, invisible range input that covers the pictures: mouse, touch, arrow keys and screen readers work
with it as with any other. `CSS` is the style sheet of the page.
"""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Final

#: The style sheet that the page must have.
CSS: Final = Path(__file__).with_name("comparison.css").read_text(encoding="utf-8")


def comparison(
    before: tuple[str, str],
    after: tuple[str, str],
    size: tuple[int, int],
    *,
    label: str = "Move the line between photo and cut-out",
    titles: tuple[str, str] = ("Photo", "Cut-out"),
    line: float = 0.5,
) -> str:
    """HTML of a comparison.

    Args:
        before: address (`data:` for instance) and alt text of the picture on the left of the line.
        after: those of the picture on its right, which lies on a checkerboard.
        size: width and height of both, in pixels: their space is reserved before they are loaded.
        label: what a screen reader calls the slider.
        titles: short words in the upper corners of the two pictures.
        line: where it is at first, 0 to 1 from the left.

    Returns:
        One `<div class="petseg-comparison">`. It is as wide as its parent, as far as it fits the height of a screen.
    """
    W, H = size
    return (
        f'<div class="petseg-comparison" style="--petseg-ratio:{W / H:.5f};--petseg-position:{line:.1%}">'
        f"{_side('after', after, titles[1])}{_side('before', before, titles[0])}"
        '<span class="petseg-handle" aria-hidden="true"></span>'
        f'<input class="petseg-slider" type="range" min="0" max="100" value="{100 * line:.1f}" step="any" '
        f'aria-label="{escape(label)}" '
        "oninput=\"this.parentElement.style.setProperty('--petseg-position', this.value + '%')\">"
        "</div>"
    )


def photo_alone(picture: tuple[str, str], size: tuple[int, int], title: str) -> str:
    """HTML of a photo in the place of a comparison, where there is nothing to compare it with.

    Args:
        picture: address and alt text.
        size: width and height in pixels.
        title: short words in the picture's upper corner.
    """
    W, H = size
    return (
        f'<div class="petseg-comparison petseg-alone" style="--petseg-ratio:{W / H:.5f}">'
        f"{_side('before', picture, title)}</div>"
    )


def _side(side: str, picture: tuple[str, str], title: str) -> str:
    address, alt = map(escape, picture)
    return (
        f'<div class="petseg-side petseg-{side}"><img src="{address}" alt="{alt}" draggable="false">'
        f'<span class="petseg-title" aria-hidden="true">{escape(title)}</span></div>'
    )
