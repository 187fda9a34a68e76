"""Counts over a split, each against a case that is small enough to count on paper."""

import numpy as np
import pytest

from petseg.data import statistics
from petseg.data.cache import Pixels
from petseg.data.datamodule import PixelDataset
from petseg.labels import BACKGROUND, BOUNDARY, PET

STRIPES = np.array([[PET, PET, BOUNDARY, BACKGROUND, BACKGROUND, BACKGROUND]] * 3, dtype=np.uint8)[None]  # (1, 3, 6)


def test_images_and_masks_are_those_of_the_split_in_its_order():
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (4, 8, 8, 3), dtype=np.uint8)
    masks = random.integers(0, 3, (4, 8, 8), dtype=np.uint8)
    split = PixelDataset(Pixels(images, masks), rows=[2, 0])
    assert np.array_equal(statistics.images_of(split), images[[2, 0]])
    assert np.array_equal(statistics.masks_of(split), masks[[2, 0]])


def test_fractions_of_a_region_pool_all_masks_and_leave_out_what_is_outside():
    region = np.zeros((3, 6), dtype=bool)
    region[0, 1:4] = True  # pet, boundary, background
    assert statistics.region_fractions(STRIPES, region) == pytest.approx([1 / 3, 1 / 3, 1 / 3])
    both = np.concatenate([STRIPES, np.full_like(STRIPES, PET)])
    assert statistics.region_fractions(both, region) == pytest.approx([4 / 6, 1 / 6, 1 / 6])


def test_border_is_the_outermost_ring_and_center_a_sixteenth_in_the_middle():
    assert statistics.border(4).sum() == 12
    assert not statistics.border(4)[1:3, 1:3].any()
    middle = statistics.center(16)
    assert middle.sum() == 16
    assert np.array_equal(middle, middle[::-1, ::-1])
    assert middle[6:10, 6:10].all()


def test_adjacency_counts_the_pixels_with_such_a_neighbour_also_at_a_corner():
    touching = statistics.adjacency(STRIPES)
    assert touching[PET, BOUNDARY] == pytest.approx(3 / 6)
    assert touching[BACKGROUND, BOUNDARY] == pytest.approx(3 / 9)
    assert touching[BOUNDARY, PET] == touching[BOUNDARY, BACKGROUND] == 1
    assert touching[PET, BACKGROUND] == touching[BACKGROUND, PET] == 0
    assert np.isnan(np.diag(touching)).all()
    corners = np.array([[PET, BACKGROUND], [BACKGROUND, BOUNDARY]], dtype=np.uint8)[None]
    assert statistics.adjacency(corners)[PET, BOUNDARY] == 1


def test_adjacency_of_an_absent_class_are_unknown_and_many_masks_are_pooled():
    alone = statistics.adjacency(np.full((1, 4, 4), PET, dtype=np.uint8))
    assert alone[PET, [BACKGROUND, BOUNDARY]].tolist() == [0, 0]
    assert np.isnan(alone[[BACKGROUND, BOUNDARY]]).all()
    many = np.concatenate([STRIPES] * 600)  # more than one part
    assert np.allclose(statistics.adjacency(many), statistics.adjacency(STRIPES), equal_nan=True)


def test_the_most_frequent_class_is_that_of_each_pixel():
    masks = np.array([[[PET, PET, BOUNDARY]], [[PET, BACKGROUND, BOUNDARY]], [[PET, BACKGROUND, PET]]], dtype=np.uint8)
    assert statistics.most_frequent_map(masks).tolist() == [[PET, BACKGROUND, BOUNDARY]]
    assert statistics.most_frequent_map(masks).dtype == np.uint8
