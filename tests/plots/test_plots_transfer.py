"""Figures of notebook 06: what they show is what they were given, and the alt text says it."""

import numpy as np

from petseg.plots import transfer as figures


def test_a_learning_curve_has_a_point_per_seed_and_a_line_through_their_means():
    scores = {"scratch": {100: [0.4, 0.6], 400: [0.7, 0.7]}, "frozen": {100: [0.6, 0.6], 400: [0.8, 0.6]}}
    figure = figures.learning_curves(scores, "More is better")
    ax = figure.axes[0]
    joined = [line for line in ax.get_lines() if line.get_linestyle() != "None"]
    assert [list(line.get_ydata()) for line in joined] == [[0.5, 0.7], [0.6, 0.7]]
    assert len({line.get_linestyle() for line in joined}) == 2
    points = [line for line in ax.get_lines() if line.get_linestyle() == "None"]
    assert [list(line.get_ydata()) for line in points] == [[0.4, 0.6], [0.7, 0.7], [0.6, 0.6], [0.8, 0.6]]
    assert ax.get_xscale() == "log"
    assert "scratch: 0.500 with 100, 0.700 with 400; frozen: 0.600 with 100" in figure.alt


def test_methods_of_equal_score_do_not_cover_each_other():
    scores = {method: {100: [0.5]} for method in ("scratch", "frozen", "fine-tuned")}
    lines = figures.learning_curves(scores, "Equal").axes[0].get_lines()
    assert np.diff(sorted({line.get_xdata()[0] for line in lines})).min() > 5


def test_the_drawing_of_freezing_says_what_moves_and_where_the_backward_pass_ends():
    moves = {"free": {"encoder": (True, True), "decoder": (True, True)}, "frozen": {"encoder": (False, True)}}
    moves["frozen"]["decoder"] = (True, True)
    figure = figures.freezing(moves, "What moves")
    assert "frozen: encoder's weights stay and statistics move" in figure.alt
    arrows = [
        sum(text.arrow_patch is not None for text in ax.texts if hasattr(text, "arrow_patch")) for ax in figure.axes
    ]
    assert arrows == [2, 1]


def test_the_shapes_of_a_pretrained_network_are_those_that_it_was_given():
    features = [(16, 32, 32), (24, 16, 16), (40, 8, 8)]
    figure = figures.network_shapes((3, 64, 64), features, [(8, 16, 16), (4, 32, 32)], "Shapes")
    assert "16 x 32 x 32, 24 x 16 x 16 to the bottleneck of 40 x 8 x 8" in figure.alt
    texts = {text.get_text() for text in figure.axes[0].texts}
    assert {"24 + 40", "16 + 8"} <= texts  # what the blocks concatenate
    assert "logits, head and bilinear upsampling\n3 x 64 x 64" in texts


def test_weight_changes_and_probe_scores_are_drawn_as_given():
    changes = figures.weight_changes({"a": {"stem": 0.25, "block 1": 0.5}}, "Moved")
    assert [bar.get_height() for bar in changes.axes[0].patches] == [25, 50]
    scores = {"a": {1: 0.2, 2: 0.4}, "b": {1: 0.2, 2: 0.6}, "position": {1: 0.44, 2: 0.4}}
    probe = figures.probe_scores(scores, "Known")
    assert [list(line.get_ydata()) for line in probe.axes[0].get_lines()] == [[0.2, 0.4], [0.2, 0.6], [0.44, 0.4]]
    assert "b: 0.20 at stride 1, 0.60 at stride 2; position: 0.44 at stride 1" in probe.alt
