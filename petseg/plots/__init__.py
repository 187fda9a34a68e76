"""Every figure, in one look: the same class colours everywhere, the boundary hatched, so that colour is never alone."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "ablation": ["ablation_bars"],
        "cost": ["Network", "accuracy_against_cost"],
        "images": ["mask_overlay", "mask_picture", "on_checkerboard", "show_images"],
        "scores": ["confusion_heatmap", "iou_bars", "learning_curves"],
        "style": [
            "INK",
            "STYLE",
            "DescribedFigure",
            "PhotoFigure",
            "class_legend",
            "figure",
            "png",
            "save_figure",
        ],
    },
)
