"""Notebooks 04 and 07: evaluation. A model over a whole split, its mistakes, damaged images, agreeing annotators."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "corruptions": ["CORRUPTIONS", "OUTSIDE", "STRENGTHS"],
        "evaluate": [
            "Counts",
            "annotator_matrices",
            "corruption_matrices",
            "evaluate_images",
            "evaluate_split",
            "probabilities",
        ],
        "mistakes": [
            "commonest_mistake",
            "confident_disagreement",
            "indices_by",
            "largest_boundary_radius",
            "worst_by_breed",
        ],
    },
)
