"""The common style of all figures: white background, class colours with hatches, alt text, small files."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from PIL import Image

from petseg.files import atomic_write
from petseg.labels import CLASSES, COLORS, HATCHES, INK

#: Dark text on an opaque white background reads the same in a light and in a dark theme.
STYLE: Any = {
    "figure.facecolor": "white",
    "axes.facecolor": "white",
    "savefig.facecolor": "white",
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": "#888888",
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.titlesize": 11,
    "font.size": 11,
    "legend.frameon": False,
    "hatch.linewidth": 0.6,
}

#: Pixels per inch of figures, and the fewest of a notebook's figure whose file would otherwise be larger than
#: `NOTEBOOK_BYTES`: GitHub shows no notebook of more than 300 KB.
DPI = 150
LEAST_DPI = 90
NOTEBOOK_BYTES = 12_000


class DescribedFigure(Figure):
    """A figure with an alt text: `alt`, a sentence for readers who cannot see it.

    A notebook stores it as a PNG of 64 colours, with the alt text in the output's metadata and as its plain text.
    """

    alt: str = ""
    format = "png"

    def bytes(self) -> bytes:
        """The file that a notebook stores."""
        return png(self, DPI, NOTEBOOK_BYTES, LEAST_DPI)

    def bundle(self) -> tuple[dict[str, str], dict[str, Any]]:
        """What a notebook stores: data and metadata by MIME type."""
        kind = f"image/{self.format}"
        data = {kind: b64encode(self.bytes()).decode(), "text/plain": self.alt or repr(self)}
        # shown as large as if it had the fewest pixels per inch, so that more of them only make it sharper
        width, height = (round(LEAST_DPI * side) for side in self.get_size_inches())
        size = {"width": width, "height": height}
        return data, {kind: {"alt": self.alt, **size} if self.alt else size}

    def _ipython_display_(self) -> None:
        from IPython.display import display  # here, because only notebooks need IPython

        data, metadata = self.bundle()
        display(data, metadata=metadata, raw=True)


class PhotoFigure(DescribedFigure):
    """A figure that notebooks store as JPEG: a photo takes a quarter of the bytes that PNG needs."""

    format = "jpeg"

    def bytes(self) -> bytes:
        """The file that a notebook stores."""
        return jpeg(self, DPI, NOTEBOOK_BYTES, LEAST_DPI, quality=72)


@contextmanager
def figure(
    width: float,
    height: float,
    rows: int = 1,
    columns: int = 1,
    *,
    alt: str = "",
    photo: bool = False,
    **grid: Any,
) -> Iterator[tuple[DescribedFigure, Any]]:
    """Figure and axes in the course's style: `with plots.figure(6, 3, alt="...") as (figure, ax):`.

    Args:
        width: of the whole figure, in inches.
        height: likewise.
        rows: of axes.
        columns: of axes.
        alt: what the figure shows, for readers who cannot see it; may also be set later, as `figure.alt`.
        photo: store it as JPEG.
        grid: goes to matplotlib's `subplots`, for instance `sharex=True`.
    """
    kind = PhotoFigure if photo else DescribedFigure
    with plt.rc_context(STYLE):
        settings: Any = {"figsize": (width, height), "layout": "constrained", "FigureClass": kind}
        drawn, axes = plt.subplots(rows, columns, **settings, **grid)
        drawn.alt = alt
        try:
            yield drawn, axes
        finally:
            plt.close(drawn)  # else a notebook would show an open figure again at the end of its cell


def class_legend(axes: Axes, **where: Any) -> None:
    """Adds a legend of the three classes to `axes`; `where` goes to matplotlib's `legend`."""
    swatches = zip(CLASSES, COLORS, HATCHES, strict=True)
    handles = [Patch(facecolor=c, edgecolor=INK, hatch=hatch, label=name) for name, c, hatch in swatches]
    axes.legend(handles=handles, **where)


def save_figure(figure: Figure, path: Path, dpi: int = DPI, max_bytes: int = 120_000) -> Path:
    """Writes a figure as a whole file; makes the folder if missing.

    Args:
        figure: what to draw.
        path: where to; `.jpg` gives a JPEG, anything else a PNG.
        dpi: pixels per inch; fewer are taken where the file would be larger than `max_bytes`.
        max_bytes: of the file.
    """
    content = jpeg(figure, dpi, max_bytes) if path.suffix == ".jpg" else png(figure, dpi, max_bytes)
    with atomic_write(path) as draft:
        draft.write_bytes(content)
    return path


def jpeg(figure: Figure, dpi: int, max_bytes: int, least: int = 40, quality: int = 90) -> bytes:
    """A JPEG in full colour; fewer pixels per inch, down to `least`, where it would be larger than `max_bytes`."""
    file = BytesIO()
    figure.savefig(file, dpi=dpi, format="jpeg", pil_kwargs={"quality": quality, "optimize": True})
    if file.tell() <= max_bytes or dpi <= least:
        return file.getvalue()
    return jpeg(figure, max(least, round(0.9 * dpi)), max_bytes, least, quality)


def png(figure: Figure, dpi: int, max_bytes: int, least: int = 40) -> bytes:
    """A PNG, of 64 colours unless the figure shows photos; smaller where it would be larger than `max_bytes`."""
    drawn, file = BytesIO(), BytesIO()
    figure.savefig(drawn, dpi=dpi, format="png")
    with Image.open(drawn) as image:
        picture = image.convert("RGB")
    if not isinstance(figure, PhotoFigure):  # a palette would reduce a photo to patches of one colour
        picture = picture.quantize(64)
    picture.save(file, "PNG", optimize=True)
    if file.tell() <= max_bytes or dpi <= least:
        return file.getvalue()
    return png(figure, max(least, round(0.9 * dpi)), max_bytes, least)
