"""Figures of notebook 04: what they show is what they were given, and the alt text says it."""

import pytest
import torch
from matplotlib.colors import to_hex

from petseg import metrics
from petseg.plots import evaluation as figures
from petseg.plots.evaluation import BETTER, NOISE, WORSE


def interval(value):
    return metrics.Interval(*(torch.tensor(value + d) for d in (0.0, -0.1, 0.1)))


def names(ax):
    return [label.get_text() for label in ax.get_yticklabels()]


def test_breeds_are_sorted_and_species_differ_in_shape():
    breeds = [("Bengal", "cat"), ("pug", "dog"), ("Maine_Coon", "cat")]
    values = torch.tensor([0.7, 0.6, 0.8])
    figure = figures.breed_scores(breeds, metrics.Interval(values, values - 0.05, values + 0.05), 0.7, "title")
    ax = figure.axes[0]
    assert names(ax) == ["pug", "Bengal", "Maine Coon"]
    dots = [line for line in ax.get_lines() if line.get_marker() in "os" and len(line.get_xdata())]
    assert [dot.get_marker() for dot in dots] == ["s", "o", "o"]
    assert [dot.get_xdata()[0] for dot in dots] == pytest.approx([0.6, 0.7, 0.8])
    assert "from pug (0.600) to Maine_Coon (0.800)" in figure.alt


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


def test_compared_scores_are_sorted_and_state_their_intervals_where_they_have_one():
    scores = {"network": interval(0.7), "baseline": interval(0.3), "report": metrics.Interval(*[torch.tensor(0.8)] * 3)}
    figure = figures.compared_scores(scores, "title")
    assert names(figure.axes[0]) == ["baseline", "network", "report"]
    assert "report 0.800; network 0.700 [0.600, 0.800]; baseline" in figure.alt


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
