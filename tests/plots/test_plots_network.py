"""Figures of notebook 02: what they show is what they were given, and the alt text says it."""

import numpy as np
import pytest
from matplotlib.colors import to_hex

from petseg.labels import COLORS
from petseg.models import inspection
from petseg.models.unet import UNet
from petseg.plots import network as figures


@pytest.mark.parametrize(("channels", "size"), [((16, 32, 64, 128, 256), 128), ((8, 16, 24), 96), ((5,), 32)])
def test_the_u_names_the_shape_of_every_stage_and_no_text_covers_another(channels, size):
    steps = inspection.trace(UNet(channels=channels, num_classes=4), (1, 3, size, size), stages=True)
    figure = figures.unet_diagram(steps, "title")
    texts = [text.get_text() for text in figure.axes[0].texts]
    n = len(channels)
    for i, c in enumerate(channels):
        assert texts.count(f"{c} x {size >> i} x {size >> i}") == 2  # in the encoder and in the decoder
        assert {f"encoder {i + 1}", f"decoder {i + 1}", f"{c} + {c}"} <= set(texts)
    bottom = f"{2 * channels[-1]} x {size >> n} x {size >> n}"
    assert texts.count(bottom) == 1
    assert f"4 x {size} x {size}" in figure.alt
    assert bottom in figure.alt
    figure.canvas.draw()
    boxes = [text.get_window_extent() for text in figure.axes[0].texts if text.get_text()]
    whole = figure.bbox
    assert all(whole.x0 <= box.x0 and box.x1 <= whole.x1 and box.y1 <= whole.y1 for box in boxes)
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[i + 1 :])


def test_gradients_are_drawn_as_powers_of_ten_of_their_largest_cell():
    gradient = np.zeros((8, 8))
    gradient[4, 4], gradient[0, 0] = 1, 0.01
    figure = figures.gradient_panels({"a": gradient, "b": gradient}, radii=[1, 2], cell=2, alt="words")
    ax = figure.axes[0]
    drawn = ax.images[0].get_array()
    assert drawn.shape == (4, 4)
    assert drawn[2, 2] == 0
    assert drawn[0, 0] == pytest.approx(-2)
    assert drawn[1, 1] == pytest.approx(-9)  # nothing there: below the scale
    squares = [panel.patches[0] for panel in figure.axes[:2]]
    assert [(square.get_x(), square.get_width()) for square in squares] == [(2.5, 3), (1.5, 5)]
    assert figure.alt == "words"


def test_the_loss_curve_has_a_point_for_each_step_and_says_both_ends():
    figure = figures.loss_curve([1.1, 0.5, 0.01], "title")
    (line,) = figure.axes[0].get_lines()
    assert list(line.get_xdata()) == [1, 2, 3]
    assert figure.axes[0].get_yscale() == "log"
    assert "from 1.10 to 0.010 in 3 steps" in figure.alt


def test_scores_without_skips_have_class_colours_and_a_marker_each():
    figure = figures.skip_scores({"none": [0.8, 0.9, 0.5], "1": [0.7, 0.8, 0.1]}, "title")
    lines = figure.axes[0].get_lines()
    assert [to_hex(line.get_color()).upper() for line in lines] == list(COLORS)
    assert len({line.get_marker() for line in lines}) == 3
    assert [list(line.get_ydata()) for line in lines] == [[0.8, 0.7], [0.9, 0.8], [0.5, 0.1]]
    assert "1: pet 0.70, background 0.80, boundary 0.10" in figure.alt
