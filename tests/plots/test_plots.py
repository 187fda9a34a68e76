from base64 import b64decode
from io import BytesIO

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_hex
from PIL import Image

from petseg import plots
from petseg.labels import COLORS

SCORES = {"iou_pet": 0.8, "iou_background": 0.9, "iou_boundary": 0.5, "mean_iou": 0.7333}


def bars(figure):
    return [patch for patch in figure.axes[0].patches if patch.get_width() in (0.8, 0.9, 0.5)]


def test_bars_have_the_class_colours_and_the_boundary_a_hatch():
    class_bars = bars(plots.iou_bars(SCORES, "title"))
    assert [to_hex(bar.get_facecolor()).upper() for bar in class_bars] == list(COLORS)
    assert [bool(bar.get_hatch()) for bar in class_bars] == [False, False, True]


def test_figures_leave_no_open_window_and_no_changed_style():
    before = dict(plt.rcParams)
    plots.iou_bars(SCORES, "title")
    assert not plt.get_fignums()
    assert dict(plt.rcParams) == before


def test_a_plot_that_fails_leaves_no_open_figure_and_no_changed_style():
    before = dict(plt.rcParams)
    with pytest.raises(ZeroDivisionError), plots.figure(2, 2):
        1 / 0  # noqa: B018 - the failure
    assert not plt.get_fignums()
    assert dict(plt.rcParams) == before


def test_a_saved_figure_is_a_png_of_the_same_bytes_each_time(tmp_path):
    paths = [plots.save_figure(plots.iou_bars(SCORES, "title"), tmp_path / "new" / f"{i}.png") for i in range(2)]
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert Image.open(paths[0]).width > 500
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["0.png", "1.png"]


def test_a_figure_that_would_be_too_large_gets_fewer_pixels(tmp_path):
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (300, 300, 3), dtype=np.uint8))
    path = plots.save_figure(plots.show_images([noise], ["noise"]), tmp_path / "noise.png", max_bytes=60_000)
    assert path.stat().st_size <= 60_000
    assert Image.open(path).width > 100


@pytest.mark.parametrize("name", ["gradient.png", "gradient.jpg"])
def test_a_photo_keeps_its_colours(tmp_path, name):
    ramp = np.tile(np.arange(256, dtype=np.uint8), (256, 1))
    gradient = np.stack([ramp, ramp.T, np.full_like(ramp, 99)], axis=-1)
    path = plots.save_figure(plots.show_images([gradient], ["gradient"]), tmp_path / name)
    with Image.open(path) as picture:
        assert picture.mode == "RGB"
        assert len(picture.getcolors(2**24)) > 5_000
    assert path.stat().st_size < 120_000


def test_a_notebook_shows_a_figure_at_its_size_in_inches_however_many_pixels_it_has():
    with plots.figure(4, 2, alt="A line.") as (drawn, ax):
        ax.plot([0, 1])
    data, metadata = drawn.bundle()
    with Image.open(BytesIO(b64decode(data["image/png"]))) as image:
        assert image.size == (600, 300)  # 150 pixels per inch
    assert metadata["image/png"] == {"alt": "A line.", "width": 360, "height": 180}


def test_a_figure_that_would_make_a_notebook_large_gets_fewer_pixels():
    noise = np.random.default_rng(0).random((200, 400))
    with plots.figure(4, 2) as (drawn, ax):
        ax.imshow(noise)
    with Image.open(BytesIO(drawn.bytes())) as image:
        assert image.size == (360, 180)
