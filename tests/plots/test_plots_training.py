"""Curves of runs: what they show is what they were given, and the alt text says it."""

import numpy as np
import pandas as pd

from petseg.plots import training as figures

LOG = {
    "train/loss": [(1, 1.5), (2, 1.0), (3, 0.8), (4, 0.7)],
    "val/loss": [(2, 1.1), (4, 0.6)],
    "val/mean_iou": [(2, 0.3), (4, 0.55)],
}
STAGES = [(1, 64), (3, 128)]
OVERFITTED = pd.DataFrame({"train loss": [1.0, 0.6, 0.3, 0.1], "val loss": [1.1, 0.8, 0.7, 0.9]}, index=[1, 2, 3, 4])


def points(ax):
    return [list(map(tuple, line.get_xydata())) for line in ax.get_lines()]


def test_curves_of_a_run_show_losses_scores_and_stages():
    figure = figures.run_curves(LOG, epochs=8, stages=STAGES)
    left, right = figure.axes
    assert points(left)[:2] == [LOG["train/loss"], LOG["val/loss"]]
    assert points(right)[0] == LOG["val/mean_iou"]
    assert (left.get_title(loc="left"), right.get_title(loc="left")) == ("Losses", "0.550 after epoch 4 of 8")
    assert right.get_xlim()[1] > 8
    assert np.array_equal(right.get_lines()[1].get_xdata(), [3, 3])  # the second stage
    assert "128 pixels from epoch 3" in figure.alt


def test_curves_are_drawn_before_the_first_validation_and_a_high_first_loss_does_not_flatten_the_others():
    assert figures.run_curves({"train/loss": [(1, 1.5)]}, epochs=4).axes[1].get_title(loc="left") == "No scores yet"
    left = figures.run_curves({**LOG, "val/loss": [(2, 50.0), (4, 0.6)]}, epochs=4).axes[0]
    assert left.get_ylim()[1] < 3
    assert "off the scale" in left.get_title(loc="left")


def test_loss_curves_mark_the_epoch_in_which_validation_was_lowest():
    figure = figures.loss_curves({"few": OVERFITTED, "one": OVERFITTED.head(1)}, "Overfitted")
    few, one = figure.axes
    assert few.lines[2].get_xydata().tolist() == [[3, 0.7]]
    assert few.get_legend_handles_labels()[1] == ["training", "validation", "lowest on validation"]
    assert few.get_title(loc="left").endswith("\nlowest: epoch 3")
    assert one.get_title(loc="left").endswith("\nlowest: epoch 1")
    assert "few: training ends at 0.10, validation at 0.90 after its lowest value of 0.70 in epoch 3" in figure.alt
