"""Notebooks 04 and 07: metrics of regions, contours and probabilities, and confidence intervals.

Every metric comes in two steps: counts per image first, the reduction last. `confusion` counts pixels by class,
`boundary` contour pixels by distance, `calibration` pixels by probability; `intervals` resamples any of these.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "boundary": ["TOLERANCES", "BoundaryScores", "boundary_counts", "boundary_scores", "contour"],
        "calibration": ["expected_calibration_error", "mean_gap", "reliability", "reliability_counts"],
        "confusion": [
            "accuracy",
            "batch_confusion",
            "class_map",
            "confusion_matrices",
            "dice",
            "iou",
            "mean_iou",
            "pooled_scores",
            "split_matrices",
        ],
        "intervals": ["Interval", "bootstrap", "resampled_sums"],
    },
)
