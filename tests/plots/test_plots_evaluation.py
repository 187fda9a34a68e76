import pytest
import torch

from petseg import metrics
from petseg.plots import evaluation as figures


def interval(value):
    return metrics.Interval(*(torch.tensor(value + d) for d in (0.0, -0.1, 0.1)))


def test_breeds_are_sorted_and_species_differ_in_shape():
    breeds = [("Bengal", "cat"), ("pug", "dog"), ("Maine_Coon", "cat")]
    values = torch.tensor([0.7, 0.6, 0.8])
    figure = figures.breed_scores(breeds, metrics.Interval(values, values - 0.05, values + 0.05), 0.7, "title")
    ax = figure.axes[0]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["pug", "Bengal", "Maine Coon"]
    dots = [line for line in ax.get_lines() if line.get_marker() in "os" and len(line.get_xdata())]
    assert [(dot.get_marker(), dot.get_xdata()[0]) for dot in dots] == [
        ("s", pytest.approx(0.6)),
        ("o", pytest.approx(0.7)),
        ("o", pytest.approx(0.8)),
    ]
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
    assert [[bar.get_width() for bar in group] for group in bars] == [
        pytest.approx([10, 10]),
        pytest.approx([20, 20]),
        pytest.approx([30, 30]),
    ]
    ends = bars[0].errorbar.lines[2][0].get_segments()[0]
    assert list(ends[:, 0]) == pytest.approx([0, 20])
    assert "blur 10.0, 20.0, 30.0; noise" in ax.figure.alt


def test_compared_scores_are_sorted_and_say_their_intervals():
    figure = figures.compared_scores({"network": interval(0.7), "baseline": interval(0.3)}, "title")
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["baseline", "network"]
    assert figure.alt == "Mean IoU: network 0.700 [0.600, 0.800]; baseline 0.300 [0.200, 0.400]."


def test_a_score_without_an_interval_is_told_without_one():
    scores = {"network": interval(0.7), "published": metrics.Interval(*[torch.tensor(0.8)] * 3)}
    assert figures.compared_scores(scores, "title").alt == "Mean IoU: published 0.800; network 0.700 [0.600, 0.800]."
