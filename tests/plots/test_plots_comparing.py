"""Figures of notebook 07: what they show is what they were given, and the alt text says it."""

import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex

from petseg import metrics
from petseg.plots import comparing as figures
from petseg.plots.comparing import BETTER, NOISE, WORSE


def interval(value):
    return metrics.Interval(*(torch.tensor(value + d) for d in (0.0, -0.1, 0.1)))


def names(ax):
    return [label.get_text() for label in ax.get_yticklabels()]


def test_the_band_of_the_limit_lies_around_the_mean_of_the_seeds():
    figure = figures.seed_scores({"short": [67.0, 68.0], "long": [70.0, 71.0]}, {"short": 2.0, "long": 0.5}, "title")
    ax = figure.axes[0]
    bands = [bar for group in ax.containers for bar in group]
    assert [(bar.get_x(), bar.get_width()) for bar in bands] == [(65.5, 4.0), (70.0, 1.0)]
    dots = [list(line.get_xdata()) for line in ax.get_lines() if line.get_marker() == "o"]
    assert dots == [[67.0, 68.0], [70.0, 71.0]]
    assert "long: 70.00, 71.00, limit 0.50" in figure.alt


def test_draws_of_scores_and_of_differences_have_a_panel_each_and_the_ends_are_in_words():
    scores = {"plain": np.linspace(0, 1, 41), "new": np.linspace(1, 2, 41)}
    figure = figures.paired_drawing(scores, {"same": np.linspace(-1, 1, 41)}, "title")
    assert [len(ax.patches) for ax in figure.axes] == [2, 1]
    assert "plain +0.0250 to +0.9750; new +1.0250 to +1.9750; same -0.9500 to +0.9500" in figure.alt


def test_each_seed_of_a_recipe_has_a_line_and_the_recipe_one_entry_in_the_legend():
    figure = figures.loss_after_epochs(
        {"none": [[(5, 0.9), (10, 0.6)]], "base": [[(5, 0.9), (10, 0.4)], [(5, 0.9), (10, 0.5)]]}, "title"
    )
    ax = figure.axes[0]
    lines = [line.get_xydata().tolist() for line in ax.get_lines()]
    assert lines == [[[5, 0.9], [10, 0.6]], [[5, 0.9], [10, 0.4]], [[5, 0.9], [10, 0.5]]]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["none", "base"]
    assert "none ends at 0.600; base ends at 0.400, 0.500" in figure.alt


def test_a_bin_off_the_diagonal_shows_its_gap():
    ax = figures.reliability_example([0.6, 0.9], [0.6, 0.8], [5, 5], "title").axes[0]
    assert [bar.get_height() for bar in ax.patches] == pytest.approx([0.6, 0.8])
    gaps = [list(line.get_ydata()) for line in ax.get_lines() if line.get_color() == WORSE]
    assert gaps == [[0.6, 0.6], [0.8, 0.9]]
    assert [text.get_text() for text in ax.texts][1:] == ["5 pixels", "gap 0.00", "5 pixels", "gap 0.10"]


def test_reliability_bars_are_frequencies_over_counts():
    probability = torch.full((1, 3, 2, 2), 1 / 3)
    probability[:, :, 0] = torch.tensor([0.8, 0.1, 0.1]).view(1, 3, 1)
    counts = metrics.reliability_counts(probability, torch.zeros(1, 2, 2, dtype=torch.uint8), bins=5)
    axes = figures.reliability_diagram(counts, "title").axes
    assert [bar.get_height() for bar in axes[0].patches] == [0, 1, 0, 0, 1]  # all pixels are pet
    assert [bar.get_height() for bar in axes[3].patches] == [0, 2, 0, 0, 2]
    assert axes[3].get_yscale() == "log"


def test_each_corruption_has_a_bar_per_strength_and_an_interval_at_its_end():
    losses = {name: [interval(0.1 * step) for step in (1, 2, 3)] for name in ("blur", "noise")}
    ax = figures.corruption_losses(losses, "title").axes[0]
    bars = [container for container in ax.containers if hasattr(container, "patches")]
    assert [bar.get_width() for group in bars for bar in group] == pytest.approx([10, 10, 20, 20, 30, 30])
    ends = bars[0].errorbar.lines[2][0].get_segments()[0]
    assert list(ends[:, 0]) == pytest.approx([0, 20])
    assert "blur 10.0, 20.0, 30.0; noise" in ax.figure.alt


def test_changes_of_the_ablation_are_sorted_and_grey_within_their_own_limit():
    changes = (("no skips", -4.2, 0.6), ("blur", 0.5, 0.6), ("many runs", 0.3, 0.1), ("pretrained", 3.0, 0.6))
    runs = [{"change": name, "points": points, "limit": limit} for name, points, limit in changes]
    ax = figures.ablation_bars({"variants": runs}, "title").axes[0]
    *bands, bars = ax.containers
    assert names(ax) == ["no skips", "many runs", "blur", "pretrained"]  # from below
    assert [bar.get_width() for bar in bars] == [-4.2, 0.3, 0.5, 3.0]
    assert [to_hex(bar.get_facecolor()).upper() for bar in bars] == [WORSE, BETTER, NOISE, BETTER]
    assert [band[0].get_width() for band in bands] == [1.2, 0.2, 1.2, 1.2]
    assert "pretrained +3.0, blur +0.5" in ax.figure.alt
    assert "Within the noise of the seed: blur." in ax.figure.alt
