"""Pictures side by side: what a grid shows is what it was given."""

import numpy as np
import pytest
from matplotlib.colors import to_hex
from PIL import Image

from petseg import plots
from petseg.labels import BACKGROUND, CLASSES, COLORS, PET


def shown(figure):
    return [np.asarray(ax.images[0].get_array()) for ax in figure.axes if ax.images]


def titles(figure):
    return [ax.get_title(loc="left") for ax in figure.axes if ax.images]


@pytest.fixture
def half_pet():
    mask = np.full((8, 8), BACKGROUND, dtype=np.uint8)
    mask[:, :4] = PET
    return mask


@pytest.mark.parametrize(("columns", "count"), [(None, 3), (2, 4), (1, 3)])
def test_every_image_is_shown_under_its_title_and_the_rest_of_the_grid_is_empty(columns, count):
    images = [Image.new("RGB", (8, 6), color) for color in ("red", "green", "blue")]
    figure = plots.show_images(images, ["a", "b", "c"], columns)
    assert titles(figure) == ["a", "b", "c"]
    assert [tuple(picture[0, 0]) for picture in shown(figure)] == [(255, 0, 0), (0, 128, 0), (0, 0, 255)]
    assert len(figure.axes) == count
    assert not any(ax.axison and (*ax.get_xticks(), *ax.get_yticks()) for ax in figure.axes)
    assert figure.alt == "Pictures side by side: a; b; c."


def test_pictures_of_three_kinds_of_numbers_are_drawn_as_they_look():
    white = np.ones((4, 4, 3))
    maps = [np.array([[-2.0, 0.0], [1.0, 4.0]]), np.full((2, 2), 7.0)]
    pictures = shown(plots.show_images([white, (255 * white).astype(np.uint8), *maps], list("abcd")))
    assert all((picture == 255).all() for picture in pictures[:2])
    assert pictures[2][..., 0].tolist() == [[0, 85], [136, 255]]  # steps of 17 from the smallest to the largest
    assert (pictures[3] == 0).all()  # no smallest and largest value to tell apart


def test_photos_are_stored_as_jpeg_and_other_pictures_pixel_by_pixel_as_png_under_titles_that_fit():
    photos, pixels = (plots.show_images([np.eye(3)], ["a_wide_title " * 3], photo=x, width=1.0) for x in (True, False))
    assert (photos.format, pixels.format) == ("jpeg", "png")
    assert pixels.axes[0].images[0].get_interpolation() == "nearest"
    assert all(len(line) <= 13 for line in titles(pixels)[0].split("\n"))


def test_transparent_parts_show_a_checkerboard_and_opaque_ones_do_not():
    image = Image.new("RGBA", (64, 64), (255, 0, 0, 255))
    image.paste((0, 0, 0, 0), (32, 0, 64, 64))
    for picture in (np.asarray(plots.on_checkerboard(image)), shown(plots.show_images([image], ["a"]))[0]):
        assert (picture[:, :32] == (255, 0, 0)).all()
        assert {tuple(pixel) for pixel in picture[:, 32:].reshape(-1, 3)} == {(205, 205, 205), (240, 240, 240)}


def legend_of(figure):
    """The texts and colours of its legend."""
    (legend,) = figure.legends
    colors = [to_hex(patch.get_facecolor()).upper() for patch in legend.get_patches()]
    return [text.get_text() for text in legend.get_texts()], colors


def test_masks_are_enlarged_pixel_by_pixel_under_a_legend_in_the_class_colours(half_pet):
    figure = plots.show_masks([half_pet, half_pet.T], ["one", "two"])
    assert titles(figure) == ["one", "two"]
    assert np.array_equal(shown(figure)[0], np.asarray(plots.mask_picture(half_pet, 24)))
    assert legend_of(figure) == (list(CLASSES), list(COLORS))
    assert "one, 50% pet, 50% background, 0% boundary" in figure.alt


def test_examples_show_each_image_and_below_it_the_painted_one_whose_background_is_not_painted(half_pet):
    image = np.full((8, 8, 3), 100, dtype=np.uint8)
    figure = plots.show_examples([image, image], [half_pet, half_pet], ["one", "two"])
    overlay = np.asarray(plots.mask_overlay(image, half_pet, scale=2))
    assert all(map(np.array_equal, shown(figure), [image, image, overlay, overlay]))
    assert titles(figure)[:2] == ["one", "two"]
    assert "one, 50% pet; two, 50% pet" in figure.alt
    alone = plots.show_examples([image], [half_pet], ["one"], plain=False)
    assert len(shown(alone)) == 1
    assert legend_of(alone) == (["pet", "background, not painted", "boundary"], [COLORS[PET], "#FFFFFF", COLORS[2]])


def test_the_outline_follows_the_pet_and_not_the_frame_of_the_picture(half_pet):
    overlay = np.asarray(plots.mask_overlay(np.full((8, 8, 3), 255, dtype=np.uint8), half_pet, opacity=0, scale=1))
    dark = (overlay < 100).all(axis=-1)
    assert [column.all() for column in dark.T] == [False, False, False, True, False, False, False, False]
    assert dark.sum() == 8
