"""The common style: class colours, sizes and formats of the files, nothing left behind."""

from base64 import b64decode
from contextlib import suppress
from io import BytesIO

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_hex
from PIL import Image

from petseg import plots
from petseg.labels import CLASSES, COLORS


def test_the_legend_has_the_class_colours_and_the_boundary_a_hatch():
    with plots.figure(2, 2) as (_, ax):
        plots.class_legend(ax)
    legend = ax.get_legend()
    assert [text.get_text() for text in legend.get_texts()] == list(CLASSES)
    assert [to_hex(patch.get_facecolor()).upper() for patch in legend.get_patches()] == list(COLORS)
    assert [bool(patch.get_hatch()) for patch in legend.get_patches()] == [False, False, True]


@pytest.mark.parametrize("fails", [False, True])
def test_a_figure_leaves_no_open_window_and_no_changed_style_even_if_it_fails(fails):
    before = dict(plt.rcParams)
    with suppress(ZeroDivisionError), plots.figure(2, 2):
        1 / (0 if fails else 1)
    assert not plt.get_fignums()
    assert dict(plt.rcParams) == before


@pytest.mark.parametrize("name", ["gradient.png", "gradient.jpg"])
def test_a_saved_figure_has_the_same_bytes_each_time_and_a_photo_keeps_its_colours(tmp_path, name):
    ramp = np.tile(np.arange(256, dtype=np.uint8), (256, 1))
    gradient = np.stack([ramp, ramp.T, np.full_like(ramp, 99)], axis=-1)
    first, second = (
        plots.save_figure(plots.show_images([gradient], ["gradient"]), tmp_path / f"{i}" / name) for i in range(2)
    )
    assert first.read_bytes() == second.read_bytes()
    assert [path.name for path in first.parent.iterdir()] == [name]
    with Image.open(first) as picture:
        assert picture.mode == "RGB"
        assert len(picture.getcolors(2**24)) > 5_000
    assert first.stat().st_size < 120_000


def test_a_notebook_shows_a_figure_at_its_size_in_inches_however_many_pixels_it_has():
    with plots.figure(4, 2, alt="A line.") as (drawing, ax):
        ax.plot([0, 1])
    data, metadata = drawing.bundle()
    with Image.open(BytesIO(b64decode(data["image/png"]))) as image:
        assert image.size == (600, 300)  # 150 pixels per inch
    assert metadata["image/png"] == {"alt": "A line.", "width": 360, "height": 180}


@pytest.mark.slow
def test_a_figure_whose_file_would_be_too_large_gets_fewer_pixels(tmp_path):
    with plots.figure(4, 2) as (drawing, ax):
        ax.imshow(np.random.default_rng(0).random((200, 400)))
    with Image.open(BytesIO(drawing.bytes())) as image:
        assert image.size == (360, 180)
    path = plots.save_figure(drawing, tmp_path / "noise.png", max_bytes=60_000)
    assert path.stat().st_size <= 60_000
    assert 300 < Image.open(path).width < 600
