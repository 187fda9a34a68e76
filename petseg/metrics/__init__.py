"""Scores of segmentation: regions, contours, probabilities, and how sure a score is.

All of them come in two steps: counts per image first, the reduction last. `confusion` counts pixels by class,
`boundary` contour pixels by distance, `calibration` pixels by probability; `intervals` resamples any of these.
"""

from petseg.metrics.boundary import TOLERANCES, BoundaryScores, boundary_counts, boundary_scores, contour
from petseg.metrics.calibration import expected_calibration_error, mean_gap, reliability, reliability_counts
from petseg.metrics.confusion import SplitConfusion, accuracy, confusion_matrices, dice, iou, mean_iou, pooled_scores
from petseg.metrics.intervals import Interval, bootstrap, resampled_sums

__all__ = [
    "TOLERANCES",
    "BoundaryScores",
    "Interval",
    "SplitConfusion",
    "accuracy",
    "bootstrap",
    "boundary_counts",
    "boundary_scores",
    "confusion_matrices",
    "contour",
    "dice",
    "expected_calibration_error",
    "iou",
    "mean_gap",
    "mean_iou",
    "pooled_scores",
    "reliability",
    "reliability_counts",
    "resampled_sums",
]
