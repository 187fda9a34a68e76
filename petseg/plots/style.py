"""The common style of all figures: white background, class colours with hatches, alt text, small files."""

from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any, Final, Literal

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle
from PIL import Image

from petseg.files import atomic_write
from petseg.labels import CLASSES, COLORS, HATCHES, INK

#: Dark text on an opaque white background reads the same in a light and in a dark theme.
STYLE: Final[Any] = {
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
    "axes.axisbelow": True,
    "font.size": 11,
    "legend.frameon": False,
    "hatch.linewidth": 0.6,
}

Point = tuple[float, float]

#: Lines of the grid behind a plot.
GRID: Final[Any] = {"color": "#DDDDDD", "linewidth": 0.6}

#: Pixels per inch. A notebook's figure gets fewer, but at least `LEAST_DPI`, if its file would exceed
#: `NOTEBOOK_BYTES`: GitHub shows no notebook above 300 KB.
DPI: Final = 150
LEAST_DPI: Final = 90
NOTEBOOK_BYTES: Final = 12_000


class DescribedFigure(Figure):
    """A figure with an alt text, a sentence for readers who cannot see it.

    A notebook stores the alt text in the output's metadata and as its plain text.
    """

    alt: str = ""
    #: JPEG for photos, which take a quarter of PNG's bytes; PNG with 64 colours for everything else.
    format: Literal["png", "jpeg"] = "png"

    def bytes(self) -> bytes:
        """The file that a notebook stores."""
        return _encoded(self, self.format, DPI, NOTEBOOK_BYTES, LEAST_DPI, quality=72)

    def bundle(self) -> tuple[dict[str, str], dict[str, Any]]:
        """What a notebook stores: data and metadata by MIME type."""
        kind = f"image/{self.format}"
        data = {kind: b64encode(self.bytes()).decode(), "text/plain": self.alt or repr(self)}
        # always shown at the size of LEAST_DPI, so that more pixels only make it sharper
        width, height = (round(LEAST_DPI * side) for side in self.get_size_inches())
        size = {"width": width, "height": height}
        return data, {kind: {"alt": self.alt, **size} if self.alt else size}

    def _ipython_display_(self) -> None:
        from IPython.display import display  # only notebooks need IPython

        data, metadata = self.bundle()
        display(data, metadata=metadata, raw=True)


@contextmanager
def figure(
    width: float,
    height: float,
    rows: int = 1,
    columns: int = 1,
    *,
    title: str = "",
    alt: str = "",
    photo: bool = False,
    **grid: Any,
) -> Iterator[tuple[DescribedFigure, Any]]:
    """Figure and axes in the course's style: `with plots.figure(6, 3, alt="...") as (figure, ax):`.

    Width and height are in inches; `title` stands above the whole figure, for titles that are too long for one of its
    axes; `figure.alt` sets the alt text later; `photo` stores the figure as JPEG; `grid` are more arguments of
    matplotlib's `subplots`.
    """
    with plt.rc_context(STYLE):
        settings: Any = {"figsize": (width, height), "layout": "constrained", "FigureClass": DescribedFigure}
        drawing, axes = plt.subplots(rows, columns, **settings, **grid)
        if title:
            drawing.suptitle(title, x=0.01, ha="left", fontweight="bold", fontsize=11)
        drawing.alt = alt
        drawing.format = "jpeg" if photo else "png"
        try:
            yield drawing, axes
        finally:
            plt.close(drawing)  # a notebook would show an open figure again at the end of its cell


def listed(table: Mapping[Any, Mapping[Any, Any]], form: str) -> str:
    """A table in words, for an alt text: `row: cell, cell; row: cell`, each cell by `form` from its key and value."""
    return "; ".join(
        f"{row}: " + ", ".join(form.format(*cell) for cell in cells.items()) for row, cells in table.items()
    )


def by(shape: Sequence[int]) -> str:
    """A shape in words: `3 x 128 x 128`."""
    return " x ".join(map(str, shape))


def write(ax: Axes, x: float, y: float, text: str, **style: Any) -> None:
    """Text of 10 points with its centre at (x, y); `style` as matplotlib's `text` takes it."""
    ax.text(x, y, text, **{"ha": "center", "va": "center", "fontsize": 10, **style})


def box(ax: Axes, x: float, y: float, width: float, height: float, text: str = "", **style: Any) -> None:
    """A rectangle from (x, y) on with text in its middle; `style` as matplotlib's `Rectangle` takes it."""
    ax.add_patch(Rectangle((x, y), width, height, **{"edgecolor": INK, **style}))
    if text:
        write(ax, x + width / 2, y + height / 2, text)


def arrow(ax: Axes, start: Point, end: Point, **style: Any) -> None:
    """An arrow; `style` as the `arrowprops` of matplotlib's `annotate`."""
    ax.annotate("", end, start, arrowprops={"arrowstyle": "-|>", "color": INK, **style})


def canvas(ax: Axes, x: Point, y: Point, aspect: str = "equal") -> None:
    """Shows what is drawn between these limits, and no axes."""
    ax.set(xlim=x, ylim=y, aspect=aspect)
    ax.axis("off")


def class_legend(axes: Axes | Figure, **settings: Any) -> None:
    """Adds a legend of the three classes; `settings` are arguments of matplotlib's `legend`."""
    swatches = zip(CLASSES, COLORS, HATCHES, strict=True)
    handles = [Patch(facecolor=c, edgecolor=INK, hatch=hatch, label=name) for name, c, hatch in swatches]
    axes.legend(handles=handles, **settings)


def save_figure(figure: Figure, path: Path, max_bytes: int = 120_000) -> Path:
    """Saves a figure as JPEG (`.jpg`) or PNG, with fewer pixels per inch if it would exceed `max_bytes`."""
    content = _encoded(figure, "jpeg" if path.suffix == ".jpg" else "png", DPI, max_bytes)
    with atomic_write(path) as draft:
        draft.write_bytes(content)
    return path


def _encoded(
    figure: Figure, format: Literal["png", "jpeg"], dpi: int, max_bytes: int, least: int = 40, quality: int = 90
) -> bytes:
    """The figure's file, with fewer pixels per inch, down to `least`, while it exceeds `max_bytes`."""
    while True:
        drawing, file = BytesIO(), BytesIO()
        figure.savefig(drawing, dpi=dpi, format="png")
        with Image.open(drawing) as image:
            pixels = image.convert("RGB")
        if format == "jpeg":
            pixels.save(file, "JPEG", quality=quality, optimize=True)
        else:
            if getattr(figure, "format", "png") == "png":  # a palette would reduce a photo to patches of one colour
                pixels = pixels.quantize(64)
            pixels.save(file, "PNG", optimize=True)
        if file.tell() <= max_bytes or dpi <= least:
            return file.getvalue()
        dpi = max(least, round(0.9 * dpi))
