"""Figures of the data set: what they show is what they were given, and the alt text says it."""

import numpy as np
import pytest
from matplotlib.colors import to_hex
from PIL import Image

from petseg.labels import BACKGROUND, BOUNDARY, CLASSES, COLORS, PET
from petseg.plots import dataset as figures
from petseg.plots.images import mask_overlay
from petseg.plots.style import PhotoFigure


def titles(figure):
    return [ax.get_title(loc="left") for ax in figure.axes]


@pytest.fixture
def half_pet():
    mask = np.full((8, 8), BACKGROUND, dtype=np.uint8)
    mask[:, :4] = PET
    return mask


def test_samples_show_each_picture_and_below_it_the_painted_one(half_pet):
    image = np.full((8, 8, 3), 100, dtype=np.uint8)
    figure = figures.samples([image, image], [half_pet, half_pet], ["one", "two"])
    shown = [ax.images[0].get_array() for ax in figure.axes]
    assert len(shown) == 4
    assert np.array_equal(shown[0], image)
    assert np.array_equal(shown[2], np.asarray(mask_overlay(image, half_pet, scale=2)))
    assert titles(figure)[:2] == ["one", "two"]
    assert isinstance(figure, PhotoFigure)
    assert "one, 50% pet; two, 50% pet" in figure.alt


def test_samples_can_be_overlays_alone_and_take_pillow_images(half_pet):
    figure = figures.samples([Image.new("RGB", (8, 8))], [half_pet], ["one"], plain=False)
    assert len(figure.axes) == 1


def test_the_legend_of_overlays_says_that_background_is_not_painted(half_pet):
    figure = figures.samples([Image.new("RGB", (8, 8))], [half_pet], ["one"])
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["pet", "background, not painted", "boundary"]
    patches = legend.get_patches()
    assert to_hex(patches[BACKGROUND].get_facecolor()) == "#ffffff"
    assert to_hex(patches[PET].get_facecolor()).upper() == COLORS[PET]


def test_the_legend_of_masks_has_the_class_colours(half_pet):
    (legend,) = figures.enlarged_masks([half_pet], ["nearest"]).legends
    assert [text.get_text() for text in legend.get_texts()] == list(CLASSES)
    assert [to_hex(patch.get_facecolor()).upper() for patch in legend.get_patches()] == list(COLORS)


def test_enlarged_masks_show_every_pixel_as_a_square_and_say_the_shares(half_pet):
    figure = figures.enlarged_masks([half_pet], ["nearest"], scale=5)
    assert figure.axes[0].images[0].get_array().shape == (40, 40, 3)
    assert "nearest, 50% pet, 50% background, 0% boundary" in figure.alt


def test_photo_sizes_measure_the_longer_side_against_the_shorter():
    width, height = np.array([400, 300, 200]), np.array([200, 600, 200])
    figure = figures.photo_sizes(width, height)
    assert "median 2.00" in figure.alt
    assert titles(figure) == ["33% of the photos are square", "Half exceed 2.00 to 1"]
    assert np.array_equal(figure.axes[0].collections[0].get_offsets(), np.stack([width, height], 1))
    assert sum(bar.get_height() for bar in figure.axes[1].patches) == 3


def test_region_bars_are_as_wide_as_the_shares_and_the_boundary_is_hatched():
    figure = figures.region_bars({"ring": np.array([0.04, 0.9, 0.06])}, "title")
    bars = figure.axes[0].patches
    assert [bar.get_width() for bar in bars] == pytest.approx([0.04, 0.9, 0.06])
    assert [bool(bar.get_hatch()) for bar in bars] == [False, False, True]
    assert [text.get_text() for text in figure.axes[0].texts] == ["", "90%", "6%"]
    assert "pet 4%, background 90%, boundary 6%" in figure.alt


def test_peeling_tells_the_classes_apart_by_dash_and_marker_too():
    left = np.array([[1, 1, 1], [0.9, 0.95, 0.4]])
    lines = figures.peeling(left, "title").axes[0].get_lines()
    assert [list(line.get_ydata()) for line in lines] == [[1, 0.9], [1, 0.95], [1, 0.4]]
    assert len({line.get_linestyle() for line in lines}) == len({line.get_marker() for line in lines}) == 3
    assert [to_hex(line.get_color()).upper() for line in lines][BOUNDARY] == COLORS[BOUNDARY]


def test_the_share_histogram_counts_every_picture_and_marks_the_mean():
    shares = np.array([0.0, 0.1, 0.5, 1.0])
    figure = figures.share_histogram(shares, 0.4)
    assert sum(bar.get_height() for bar in figure.axes[0].patches) == 4
    assert [list(line.get_xdata()) for line in figure.axes[0].get_lines()] == [[0.4, 0.4]]
    assert "mean 40%" in figure.alt


def test_mean_maps_keep_the_first_row_at_the_top_and_say_their_peak():
    found = np.linspace(0.1, 0.9, 64).reshape(8, 8)
    figure = figures.mean_maps({"cats": found, "dogs": found.T}, "title")
    cats = figure.axes[0]
    assert cats.get_ylim()[0] > cats.get_ylim()[1]
    assert titles(figure)[:2] == ["cats", "dogs"]
    assert "cats: at most 90%, at least 10%" in figure.alt
