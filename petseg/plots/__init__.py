"""The figures of the notebooks in one style: the same class colours everywhere, and a hatch beside the colour."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "ablation": ["ablation_bars"],
        "grid": ["show_examples", "show_images", "show_masks"],
        "images": ["mask_overlay", "mask_picture", "on_checkerboard"],
        "scores": ["iou_bars"],
        "style": [
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
