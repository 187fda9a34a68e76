"""Every figure, in one look: the same class colours everywhere, the boundary hatched, so that colour is never alone."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray
from PIL import Image

from petseg.labels import CLASSES, COLORS

#: Hatch of each class, the second cue beside its colour.
HATCHES = ("", "", "////")

#: Dark ink on an opaque white ground reads the same in a light and in a dark theme.
STYLE: Any = {
    "figure.facecolor": "white",
    "axes.facecolor": "white",
    "savefig.facecolor": "white",
    "text.color": "#222222",
    "axes.labelcolor": "#222222",
    "axes.edgecolor": "#888888",
    "xtick.color": "#222222",
    "ytick.color": "#222222",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.titlesize": 11,
    "font.size": 11,
    "legend.frameon": False,
    "hatch.linewidth": 0.6,
}


class PhotoFigure(Figure):
    """A figure that notebooks store as JPEG: a photo takes a quarter of the bytes that PNG needs."""

    def _ipython_display_(self) -> None:
        from IPython.display import display  # only a notebook calls this, and only it needs IPython

        file = BytesIO()
        self.savefig(file, format="jpeg", dpi=90, pil_kwargs={"quality": 80})
        display({"image/jpeg": b64encode(file.getvalue()).decode(), "text/plain": repr(self)}, raw=True)


@contextmanager
def _axes(
    width: float, height: float, rows: int = 1, columns: int = 1, kind: type[Figure] = Figure
) -> Iterator[tuple[Figure, Any]]:
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(rows, columns, figsize=(width, height), layout="constrained", FigureClass=kind)
        yield figure, axes
        plt.close(figure)  # a notebook shows what the cell returns, and not a second time at its end


def class_legend(axes: Axes, **where: Any) -> None:
    """Adds a legend of the three classes to `axes`; `where` goes to matplotlib's `legend`."""
    swatches = zip(CLASSES, COLORS, HATCHES, strict=True)
    handles = [Patch(facecolor=c, edgecolor="#222222", hatch=hatch, label=name) for name, c, hatch in swatches]
    axes.legend(handles=handles, **where)


def show_images(
    images: Sequence[Image.Image], titles: Sequence[str], columns: int | None = None, width: float = 3.0
) -> Figure:
    """Pictures side by side, each under its title.

    Args:
        images: any mode; transparent parts are shown on a checkerboard.
        titles: one an image.
        columns: pictures in a row; all in one when None.
        width: of each picture, in inches.
    """
    columns = columns or len(images)
    rows = -(-len(images) // columns)
    ratio = max(image.height / image.width for image in images)
    with _axes(width * columns, (width * ratio + 0.3) * rows, rows, columns, PhotoFigure) as (figure, axes):
        for ax in np.ravel(axes):
            ax.axis("off")
        for ax, image, title in zip(np.ravel(axes), images, titles, strict=False):
            ax.imshow(np.asarray(on_checkerboard(image)))
            ax.set_title(title, fontweight="normal")
    return figure


def on_checkerboard(image: Image.Image, square: int = 16) -> Image.Image:
    """The RGB picture of an image whose transparent parts show a grey checkerboard of `square` pixels."""
    image = image.convert("RGBA")
    row, column = np.ogrid[: image.height, : image.width]
    board = np.where((row // square + column // square) % 2, 205, 240).astype(np.uint8)
    ground = Image.fromarray(board).convert("RGBA")
    return Image.alpha_composite(ground, image).convert("RGB")


def iou_bars(scores: Mapping[str, float], title: str) -> Figure:
    """A bar for the IoU of each class, with its number.

    Args:
        scores: as `metrics.pooled_scores` gives them.
        title: states the finding.
    """
    values = [scores[f"iou_{name}"] for name in CLASSES]
    with _axes(6, 2.3) as (figure, ax):
        bars = ax.barh(CLASSES, values, color=COLORS, edgecolor="#222222", linewidth=0.6)
        for bar, hatch in zip(bars, HATCHES, strict=True):
            bar.set_hatch(hatch)
        ax.bar_label(bars, fmt="%.3f", padding=4)
        ax.axvline(scores["mean_iou"], color="#222222", linestyle=":", linewidth=1)
        ax.text(scores["mean_iou"], -0.62, f"mean {scores['mean_iou']:.3f} ", ha="right", va="center")
        ax.set(xlim=(0, 1), xlabel="IoU, pooled over all pixels of the split", title=title)
        ax.set_ylim(2.5, -0.85)
    return figure


def confusion_heatmap(pixels: NDArray[np.int64], title: str) -> Figure:
    """Where the pixels of each true class went, as shares of that class.

    Args:
        pixels: counts (3, 3), rows true classes, columns predicted ones.
        title: states the finding.
    """
    shares = pixels / pixels.sum(axis=1, keepdims=True)
    with _axes(5.2, 3.6) as (figure, ax):
        ax.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        for row, column in np.ndindex(shares.shape):
            ink = "white" if shares[row, column] > 0.5 else "#222222"
            ax.text(column, row, f"{shares[row, column]:.1%}", ha="center", va="center", color=ink)
        ax.set_xticks(range(3), CLASSES)
        ax.set_yticks(range(3), CLASSES)
        ax.spines[:].set_visible(False)
        ax.set(xlabel="predicted", ylabel="true", title=title)
    return figure


def learning_curves(log: Mapping[str, Sequence[tuple[int, float]]], title: str) -> Figure:
    """Validation IoU over the epochs: averaged weights drawn through, raw weights dotted.

    Args:
        log: (epoch, value) pairs by column name of a run's `metrics.csv`, as `results.read_log` gives them.
        title: states the finding.
    """
    with _axes(6.4, 3.4) as (figure, ax):
        for name, color in zip(CLASSES, COLORS, strict=True):
            _curve(ax, log.get(f"val/iou_{name}"), color="#222222", linewidth=3.2)  # an edge: yellow on white is pale
            _curve(ax, log.get(f"val/iou_{name}"), color=color, linewidth=2, label=name)
            _curve(ax, log.get(f"val_raw/iou_{name}"), color=color, linewidth=1, linestyle=":")
        _curve(ax, log.get("val/mean_iou"), color="#222222", linewidth=1.5, linestyle="--", label="mean")
        ax.plot([], [], color="#222222", linewidth=1, linestyle=":", label="raw weights")
        ax.set(xlabel="epoch", ylabel="IoU on validation", ylim=(0, 1), title=title)
        ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def _curve(ax: Axes, points: Sequence[tuple[int, float]] | None, **look: Any) -> None:
    if points:
        epochs, values = zip(*points, strict=True)
        ax.plot(epochs, values, **look)


def save_figure(figure: Figure, path: Path, dpi: int = 110, max_bytes: int = 120_000) -> Path:
    """Writes a PNG of 256 colours under a temporary name and renames it; makes the folder if missing.

    Args:
        figure: what to draw.
        path: where to.
        dpi: pixels an inch; fewer are taken where the file would be larger than `max_bytes`.
        max_bytes: of the file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}")
    draft.write_bytes(_png(figure, dpi, max_bytes))
    draft.replace(path)
    return path


def _png(figure: Figure, dpi: int, max_bytes: int) -> bytes:
    drawn, file = BytesIO(), BytesIO()
    figure.savefig(drawn, dpi=dpi, format="png")
    with Image.open(drawn) as picture:
        picture.convert("RGB").quantize(256).save(file, "PNG", optimize=True)
    if file.tell() <= max_bytes or dpi <= 40:
        return file.getvalue()
    return _png(figure, round(0.9 * dpi), max_bytes)
