"""The figures of the notebooks in one style: the same class colours everywhere, and a hatch beside the colour."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "comparing": ["ablation_bars"],
        "pictures": ["mask_overlay", "mask_picture", "on_checkerboard", "show_examples", "show_images", "show_masks"],
        "style": ["STYLE", "DescribedFigure", "class_legend", "figure", "save_figure"],
    },
)
