"""Figures of notebook 03: what they show is what they were given, and the alt text says it."""

import pandas as pd
import pytest
from matplotlib.colors import to_hex

from petseg.plots import learning as figures
from petseg.plots.training import ACCENT, MUTED


def test_every_step_of_a_descent_is_an_arrow_along_the_parabola():
    figure = figures.descents({"0.25: right": [1.0, 0.5, 0.25], "2: too large": [0.5, -1.5]})
    for ax, path in zip(figure.axes, ([1.0, 0.5, 0.25], [0.5, -1.5]), strict=True):
        assert [tuple(point) for point in ax.lines[1].get_xydata()] == [(w, w**2) for w in path]
        assert len(ax.texts) == len(path) - 1
    assert "0.25: right: from 1 to 0.25; 2: too large: from 0.5 to -1.50" in figure.alt


def test_the_modes_of_a_run_alternate_and_no_text_leaves_its_box():
    figure = figures.modes(epochs=2)
    ax = figure.axes[0]
    figure.canvas.draw()
    boxes = [patch.get_window_extent() for patch in ax.patches if hasattr(patch, "get_boxstyle")][:4]
    modes = [text for text in ax.texts if text.get_text().startswith("network.")]
    assert [text.get_text().split("(")[0] for text in modes] == ["network.train", "network.eval"] * 2
    for box, text in zip(boxes, modes, strict=True):
        inside = text.get_window_extent()
        assert box.x0 <= inside.x0
        assert inside.x1 <= box.x1


def test_learning_rate_and_beta1_are_drawn_over_epochs_and_the_peak_named():
    figure = figures.learning_rates([0.1, 0.4, 0.3, 0.0], [0.95, 0.85, 0.9, 0.95], steps_per_epoch=2)
    left, right = (ax.lines[0].get_xydata().tolist() for ax in figure.axes)
    assert left == [[0, 0.1], [0.5, 0.4], [1, 0.3], [1.5, 0]]
    assert right == [[0, 0.95], [0.5, 0.85], [1, 0.9], [1.5, 0.95]]
    assert "4.0e-01 at epoch 0.5" in figure.alt
    assert "0.95 to 0.85" in figure.alt


def test_a_gain_is_coloured_only_beyond_its_limit():
    rows = pd.DataFrame({"points": [0.8, 0.3, -0.5], "limit": [0.6, 0.6, 0.4]}, index=["more", "chance", "less"])
    figure = figures.gains(rows, "title")
    ax = figure.axes[0]
    dots = {to_hex(line.get_color()).upper(): list(line.get_xdata()) for line in ax.lines[:2]}
    assert dots == {ACCENT: [0.8, -0.5], MUTED: [0.3]}
    assert [(bar.get_x(), bar.get_width()) for bar in ax.patches] == [
        pytest.approx((-limit, 2 * limit)) for limit in rows["limit"]
    ]
    assert "chance +0.30, limit 0.60" in figure.alt


def test_the_ladder_says_what_each_step_adds():
    figure = figures.ladder({"low": 0.25, "middle": 0.5, "high": 0.625}, ("beside it", 0.75))
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert texts == ["0.250", "0.500  (+0.250)", "0.625  (+0.125)", "beside it: 0.750"]
    assert figure.axes[0].lines[0].get_xdata()[0] == 0.75
    assert "low 0.250, middle 0.500, high 0.625. A line marks beside it, 0.750." in figure.alt
