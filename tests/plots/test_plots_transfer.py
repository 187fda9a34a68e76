"""Figures of notebook 06: what they show is what they were given, and the alt text says it."""

import numpy as np
import pytest

from petseg.plots import transfer as figures


def test_data_curves_join_the_runs_of_a_method_in_the_order_of_their_data(transfer_run):
    runs = [transfer_run(images=400, score=0.7), transfer_run(images=100), transfer_run("frozen", 100, score=0.6)]
    figure = figures.data_curves(runs, "More is better")
    ax = figure.axes[0]
    lines = [container[0] for container in ax.containers]
    assert [list(line.get_ydata()) for line in lines] == [[0.5, 0.7], [0.6]]
    assert len({line.get_linestyle() for line in lines}) == len({line.get_marker() for line in lines}) == 2
    bars = np.concatenate(ax.containers[0][2][0].get_segments())[:, 1]
    assert bars == pytest.approx([0.4, 0.7, 0.6, 0.9])
    assert ax.get_xscale() == "log"
    assert "scratch: 0.500 with 100, 0.700 with 400; frozen: 0.600 with 100" in figure.alt


def test_runs_of_equal_size_and_score_do_not_cover_each_other(transfer_run):
    figure = figures.data_curves([transfer_run(method) for method in ("scratch", "frozen", "fine-tuned")], "Equal")
    positions = [container[0].get_xdata()[0] for container in figure.axes[0].containers]
    assert np.diff(positions).min() > 5
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["100"]


def test_step_curves_tell_two_runs_of_one_method_apart(transfer_run):
    figure = figures.step_curves([transfer_run(), transfer_run(steps=30, score=0.6), transfer_run("frozen")], "Longer")
    labels = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert labels == ["scratch, 10 steps", "scratch, 30 steps", "frozen"]
    first, second, _ = figure.axes[0].get_lines()
    assert first.get_color() != second.get_color()
    assert list(second.get_xdata()) == [5, 30]


def test_weight_changes_and_probe_scores_are_drawn_as_given():
    changes = figures.weight_changes({"a": {"stem": 0.25, "block 1": 0.5}}, "Moved")
    assert [bar.get_height() for bar in changes.axes[0].patches] == [25, 50]
    probe = figures.probe_scores({"a": {1: 0.2, 2: 0.4}, "b": {1: 0.2, 2: 0.6}}, "Known")
    assert [list(line.get_ydata()) for line in probe.axes[0].get_lines()] == [[0.2, 0.4], [0.2, 0.6]]
    assert "b: 0.20 at stride 1, 0.60 at stride 2" in probe.alt
