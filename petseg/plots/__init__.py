"""Every figure, in one look: the same class colours everywhere, the boundary hatched, so that colour is never alone."""

from petseg.labels import COLORS
from petseg.plots.ablation import ablation_bars
from petseg.plots.cost import Network, accuracy_against_cost
from petseg.plots.images import mask_overlay, mask_picture, on_checkerboard, show_images
from petseg.plots.scores import confusion_heatmap, iou_bars, learning_curves
from petseg.plots.style import (
    HATCHES,
    INK,
    STYLE,
    DescribedFigure,
    PhotoFigure,
    class_legend,
    figure,
    png,
    save_figure,
)

__all__ = [
    "COLORS",
    "HATCHES",
    "INK",
    "STYLE",
    "DescribedFigure",
    "Network",
    "PhotoFigure",
    "ablation_bars",
    "accuracy_against_cost",
    "class_legend",
    "confusion_heatmap",
    "figure",
    "iou_bars",
    "learning_curves",
    "mask_overlay",
    "mask_picture",
    "on_checkerboard",
    "png",
    "save_figure",
    "show_images",
]
