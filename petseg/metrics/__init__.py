"""Scores of segmentation: regions, contours, probabilities, and how certain a score is.

All of them come in two steps: counts per image first, the reduction last. `confusion` counts pixels by class,
`boundary` contour pixels by distance, `calibration` pixels by probability; `intervals` resamples any of these.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "boundary": ["TOLERANCES", "BoundaryScores", "boundary_counts", "boundary_scores", "contour"],
        "calibration": ["expected_calibration_error", "mean_gap", "reliability", "reliability_counts"],
        "confusion": [
            "SplitConfusion",
            "accuracy",
            "class_map",
            "confusion_matrices",
            "dice",
            "iou",
            "mean_iou",
            "pooled_scores",
        ],
        "intervals": ["Interval", "bootstrap", "resampled_sums"],
    },
)
