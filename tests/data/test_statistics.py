"""Counts over a split, each against a case that is small enough to count on paper."""

import numpy as np
import pytest

from petseg.data import statistics as census
from petseg.data.cache import Pixels
from petseg.data.cartoon.breeds import BREEDS
from petseg.data.cartoon.picture import draw_pet
from petseg.data.datamodule import PixelDataset
from petseg.labels import BACKGROUND, BOUNDARY, PET

STRIPES = np.array([[PET, PET, BOUNDARY, BACKGROUND, BACKGROUND, BACKGROUND]] * 3, dtype=np.uint8)[None]  # (1, 3, 6)


def test_images_and_masks_are_those_of_the_split_in_its_order():
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (4, 8, 8, 3), dtype=np.uint8)
    masks = random.integers(0, 3, (4, 8, 8), dtype=np.uint8)
    split = PixelDataset(Pixels(images, masks), rows=[2, 0])
    assert np.array_equal(census.images_of(split), images[[2, 0]])
    assert np.array_equal(census.masks_of(split), masks[[2, 0]])


def test_class_counts_are_counted_per_mask():
    other = np.full_like(STRIPES, BOUNDARY)
    counts = census.class_counts(np.concatenate([STRIPES, other]))
    assert counts[:, PET].tolist() == [6, 0]
    assert counts[:, BACKGROUND].tolist() == [9, 0]
    assert counts[:, BOUNDARY].tolist() == [3, 18]


def test_shares_of_a_region_pool_all_masks_and_leave_out_what_is_outside():
    region = np.zeros((3, 6), dtype=bool)
    region[0, 1:4] = True  # pet, boundary, background
    assert census.region_shares(STRIPES, region) == pytest.approx([1 / 3, 1 / 3, 1 / 3])
    both = np.concatenate([STRIPES, np.full_like(STRIPES, PET)])
    assert census.region_shares(both, region) == pytest.approx([4 / 6, 1 / 6, 1 / 6])


def test_frame_is_the_outermost_ring_and_centre_a_sixteenth_in_the_middle():
    assert census.frame(4).sum() == 12
    assert not census.frame(4)[1:3, 1:3].any()
    middle = census.centre(16)
    assert middle.sum() == 16
    assert np.array_equal(middle, middle[::-1, ::-1])
    assert middle[6:10, 6:10].all()


def test_contacts_count_the_pixels_with_such_a_neighbour():
    touching = census.contacts(STRIPES)
    assert touching[PET, BOUNDARY] == pytest.approx(3 / 6)
    assert touching[BACKGROUND, BOUNDARY] == pytest.approx(3 / 9)
    assert touching[BOUNDARY, PET] == touching[BOUNDARY, BACKGROUND] == 1
    assert touching[PET, BACKGROUND] == touching[BACKGROUND, PET] == 0
    assert np.isnan(np.diag(touching)).all()


def test_corners_touch_too():
    corner = np.array([[PET, BACKGROUND], [BACKGROUND, BOUNDARY]], dtype=np.uint8)[None]
    assert census.contacts(corner)[PET, BOUNDARY] == 1


def test_contacts_of_an_absent_class_are_unknown_and_many_masks_are_pooled():
    alone = census.contacts(np.full((1, 4, 4), PET, dtype=np.uint8))
    assert alone[PET, [BACKGROUND, BOUNDARY]].tolist() == [0, 0]
    assert np.isnan(alone[[BACKGROUND, BOUNDARY]]).all()
    many = np.concatenate([STRIPES] * 600)  # more than one part
    assert np.allclose(census.contacts(many), census.contacts(STRIPES), equal_nan=True)


def test_peeling_takes_what_touches_another_class_and_nothing_at_the_frame():
    left = census.peeled(STRIPES, layers=3)
    assert left[:, PET].tolist() == [1, 1 / 2, 0, 0]
    assert left[:, BOUNDARY].tolist() == [1, 0, 0, 0]
    assert left[:, BACKGROUND] == pytest.approx([1, 2 / 3, 1 / 3, 0])


def test_the_boundary_of_cartoons_is_peeled_away_first():
    masks = np.stack([draw_pet(BREEDS[i], i, 64)[1] - 1 for i in range(3)])
    assert census.peeled(masks, 3)[3].argmin() == BOUNDARY


def test_maps_are_per_place():
    masks = np.array([[[PET, PET, BOUNDARY]], [[PET, BACKGROUND, BOUNDARY]], [[PET, BACKGROUND, PET]]], dtype=np.uint8)
    assert census.mean_map(masks, PET) == pytest.approx(np.array([[1, 1 / 3, 1 / 3]]))
    assert census.commonest_map(masks).tolist() == [[PET, BACKGROUND, BOUNDARY]]
    assert census.commonest_map(masks).dtype == np.uint8


def test_twins_are_the_same_photo_in_another_light_or_with_noise_and_no_others():
    photos = np.stack([np.asarray(draw_pet(BREEDS[i], i, 64)[0]) for i in range(5)])
    noise = np.random.default_rng(0).integers(-4, 5, photos[1].shape)
    noisy = np.clip(photos[1] + noise, 0, 255).astype(np.uint8)
    darker = (photos[3] * 0.8).astype(np.uint8)
    found = census.twins(np.concatenate([photos, noisy[None], darker[None]]))
    assert found == [(1, 5), (3, 6)]


def test_plain_pictures_are_nobodys_twins():
    assert census.twins(np.full((3, 16, 16, 3), 90, dtype=np.uint8)) == []
