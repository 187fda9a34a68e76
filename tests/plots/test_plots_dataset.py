"""Figures of the data set: what they show is what they were given, and the alt text says it."""

import numpy as np
import pytest

from petseg.plots import dataset as figures

LEFT = np.zeros((4, 8), dtype=bool)
LEFT[1:3, 1:3] = True


def titles(figure):
    return [ax.get_title(loc="left") for ax in figure.axes]


def test_intersection_and_union_are_drawn_with_their_numbers_of_pixels():
    predicted = np.zeros((4, 4), dtype=bool)
    predicted[1:, 2:] = True
    figure = figures.overlap(LEFT[:, :4], predicted)
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert texts == ["true: 4", "predicted: 6", "intersection: 2", "union: 8", "IoU =", "= 2 / 8 = 0.25"]
    assert all(text in figure.alt for text in texts[:4])
    squares = np.array([patch.get_facecolor()[:3] != (1, 1, 1) for patch in figure.axes[0].patches]).reshape(4, 4, 4)
    assert np.array_equal(squares[2], LEFT[:, :4] & predicted)
    assert np.array_equal(squares[3], LEFT[:, :4] | predicted)


def test_two_animals_share_a_colour_in_semantic_segmentation_differ_in_instance_segmentation_and_have_boxes():
    image = np.full((4, 8, 3), 255, dtype=np.uint8)
    figure = figures.vision_tasks(image, [LEFT, LEFT[:, ::-1]], "cat")
    panels = {ax.get_title(loc="left"): ax for ax in figure.axes}

    def colors(name):
        return [layer.get_cmap()(0) for layer in panels[name].images[1:]]  # the first is the image

    semantic, instance, panoptic = (colors(f"{kind} segmentation") for kind in ("semantic", "instance", "panoptic"))
    assert semantic[0] == semantic[1] != semantic[2]
    assert len(instance) == len(set(instance)) == 2
    assert panoptic == [*instance, semantic[2]]
    assert figure.axes[2].patches[0].get_bbox().bounds == (0.5, 0.5, 2, 2)


def test_region_bars_are_as_wide_as_the_fractions_and_the_boundary_is_hatched():
    figure = figures.region_bars({"ring": np.array([0.04, 0.9, 0.06])}, "title")
    bars = figure.axes[0].patches
    assert [bar.get_width() for bar in bars] == pytest.approx([0.04, 0.9, 0.06])
    assert [bool(bar.get_hatch()) for bar in bars] == [False, False, True]
    assert [text.get_text() for text in figure.axes[0].texts] == ["", "90%", "6%"]
    assert "pet 4%, background 90%, boundary 6%" in figure.alt
