"""Drawings: the numbers that they show are those that the layers compute, and no text leaves its figure."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from petseg.models import inspection
from petseg.models.unet import UNet
from petseg.plots import drawings

PATCH = np.array([[[1, 1, 0]] * 3, [[0, 2, 2]] * 3, np.eye(3)])
KERNELS = np.array([[[-1, 0, 1]] * 3, [[0, 1, 0], [0, 0, 0], [0, -1, 0]], np.eye(3)])
LAYERS = [("3x3 conv", 3, 1), ("2x2 pool", 2, 2), ("3x3 conv", 3, 1)]
LOWER, UPPER = np.array([1.0, 1, 0.5, 0, 0]), np.array([1.0, 1, 1, 0.5, 0])

FIGURES = {
    "channels": drawings.channel_convolution(PATCH, KERNELS),
    "transposed": drawings.transposed_convolution(np.array([[1, 2], [3, 4]]), np.eye(2), np.eye(4)),
    "concatenation": drawings.concatenation((16, 128, 128), (16, 128, 128)),
    "field": drawings.receptive_field(LAYERS),
    "code": drawings.shapes_beside_code(inspection.trace(UNet(channels=(4, 8)), (1, 3, 64, 64), stages=True)),
    "matte": drawings.matte_profile(LOWER, UPPER, np.array([1, 1, 0.7, 0.2, 0]), "a title"),
}


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.axes[0].texts]


@pytest.mark.parametrize("name", FIGURES)
def test_every_text_lies_within_the_figure_at_9_points_or_more(name: str) -> None:
    figure = FIGURES[name]
    figure.canvas.draw()
    for text in figure.axes[0].texts:
        box, whole = text.get_window_extent(), figure.bbox
        assert whole.x0 <= box.x0 < box.x1 <= whole.x1, text.get_text()
        assert whole.y0 <= box.y0 < box.y1 <= whole.y1, text.get_text()
        assert float(text.get_fontsize()) * 600 / 90 / figure.get_figwidth() >= 8.5  # where the page is 600 px wide


def test_one_output_of_a_convolution_adds_up_all_channels_as_pytorch_does() -> None:
    patch, kernels = (torch.as_tensor(x, dtype=torch.float32)[None] for x in (PATCH, KERNELS))
    total = F.conv2d(patch, kernels).item()
    assert FIGURES["channels"].alt.endswith(f"= {total:g}.")
    assert f"{total:g}" in texts(FIGURES["channels"])


def test_the_pixels_that_one_output_sees_are_coloured_in_every_line() -> None:
    squares = [p for p in FIGURES["field"].axes[0].patches if isinstance(p, Rectangle)]
    used = [square for square in squares if square.get_facecolor()[2] < 0.9]
    lines = [sum(square.get_y() == level for square in used) for level in range(len(LAYERS) + 1)]
    assert lines == [8, 6, 3, 1]  # of the image, then after each layer: 1 + 2 = 3, 2 * 3 = 6, 6 + 2 = 8
    assert "after 3x3 conv, 8 pixels." in FIGURES["field"].alt


def test_the_concatenated_stack_has_the_channels_of_both() -> None:
    assert "concatenated\n32 x 128 x 128" in texts(FIGURES["concatenation"])


def test_each_line_of_forward_has_its_shapes_and_the_cell_of_more_numbers_is_darker() -> None:
    said = FIGURES["code"].alt
    assert "x = pool(x): 4 x 32 x 32, 8 x 16 x 16; x = bottleneck(x): 16 x 16 x 16; x = up(x): 8 x 32 x 32" in said
    assert "x = cat([skips.pop(), x]): 16 x 32 x 32, 8 x 64 x 64; x = stage(x): 8 x 32 x 32, 4 x 64 x 64" in said
    first, second = FIGURES["code"].axes[0].patches[:2]  # 4 x 64 x 64 and 8 x 32 x 32
    assert first.get_facecolor()[3] > second.get_facecolor()[3]


def test_the_matte_lies_between_its_limits_and_the_alt_text_counts_the_band() -> None:
    assert "In the 2 pixels of the unknown band" in FIGURES["matte"].alt
