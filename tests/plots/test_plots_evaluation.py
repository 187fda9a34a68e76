"""Figures of notebook 04: what they show is what they were given, and the alt text says it."""

import numpy as np
import pytest
import torch

from petseg import metrics
from petseg.labels import COLORS
from petseg.plots import evaluation as figures
from petseg.plots.evaluation import OUTCOMES

TRUE = np.array([[1, 1], [0, 0]], dtype=bool)
PREDICTED = np.array([[1, 0], [1, 0]], dtype=bool)


def interval(value):
    return metrics.Interval(*(torch.tensor(value + d) for d in (0.0, -0.1, 0.1)))


def names(ax):
    return [label.get_text() for label in ax.get_yticklabels()]


def test_each_outcome_has_its_colour_which_no_class_has():
    picture = figures.outcome_map(TRUE, PREDICTED)
    hexes = ["#{:02X}{:02X}{:02X}".format(*pixel) for pixel in picture.reshape(-1, 3)]
    expected = [OUTCOMES[name][0] for name in ("true positive", "false negative", "false positive", "true negative")]
    assert hexes == expected
    assert set(hexes).isdisjoint(COLORS)


def test_the_letters_of_the_outcomes_stand_in_their_pixels():
    figure = figures.outcomes(TRUE, PREDICTED, "title")
    letters = {text.get_position(): text.get_text() for text in figure.axes[2].texts}
    assert letters == {(0, 0): "TP", (1, 0): "FN", (0, 1): "FP", (1, 1): "TN"}
    assert "1 true positive, 1 false positive, 1 false negative, 1 true negative" in figure.alt


def test_pictures_stand_in_rows_by_kind_and_columns_by_image():
    pictures = [[np.full((2, 2, 3), 10 * row + column, np.uint8) for column in range(3)] for row in range(2)]
    figure = figures.outcome_rows(pictures, ["truth", "prediction"], ["a_1", "b_2", "c_3"])
    shown = [int(ax.get_images()[0].get_array()[0, 0, 0]) for ax in figure.axes]
    assert shown == [0, 1, 2, 10, 11, 12]
    assert [ax.get_title(loc="left") for ax in figure.axes[:3]] == ["a 1", "b 2", "c 3"]
    assert figure.axes[3].get_ylabel() == "prediction"


def test_a_draw_of_the_bootstrap_shows_the_numbers_of_its_images():
    figure = figures.bootstrap_drawing([[0, 0, 2], [1, 1, 1]], [0.1, 0.2, 0.3], (0.1, 0.3), "title")
    numbers = [text.get_text() for text in figure.axes[0].texts if text.get_text().isdigit()]
    assert numbers == ["1", "2", "3", "1", "1", "3", "2", "2", "2"]
    assert "95 % of them lie from 0.1000 to 0.3000" in figure.alt


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


def test_compared_scores_are_sorted_and_state_their_intervals_where_they_have_one():
    scores = {"network": interval(0.7), "baseline": interval(0.3), "report": metrics.Interval(*[torch.tensor(0.8)] * 3)}
    figure = figures.compared_scores(scores, "title")
    assert names(figure.axes[0]) == ["baseline", "network", "report"]
    assert "report 0.800; network 0.700 [0.600, 0.800]; baseline" in figure.alt
