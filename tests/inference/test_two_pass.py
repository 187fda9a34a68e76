"""Two passes: which part of the photo the second one sees, and how both are merged."""

import numpy as np
import pytest
import torch
from photo_files import noise
from PIL import Image

from petseg.errors import SettingsError
from petseg.inference.predictor import Predictor
from petseg.inference.two_pass import (
    MOST_PETS,
    WEIGHT,
    mean_logits,
    merge_logits,
    part_of,
    pet_boxes,
    pet_squares,
    pets_are_small,
)
from petseg.labels import BACKGROUND, BOUNDARY, PET

ROWS, COLUMNS = slice(40, 60), slice(20, 50)
Part = tuple[slice, slice]  # rows, columns


def scores(labels: np.ndarray) -> torch.Tensor:
    """Logits (3, h, w) of a network that is certain of these labels."""
    return 20 * torch.nn.functional.one_hot(torch.from_numpy(labels).long(), 3).movedim(-1, 0).float()


def with_pets(*parts: Part, size: int = 100) -> torch.Tensor:
    labels = np.full((size, size), BACKGROUND)
    for part in parts:
        labels[part] = PET
    return scores(labels)


def test_the_box_contains_the_pet_and_a_margin_in_pixels_of_the_photo():
    [(left, top, right, bottom)] = pet_boxes(with_pets((ROWS, COLUMNS)), (1000, 500))
    assert (left, right) == (pytest.approx(200 - 0.15 * 300, abs=8), pytest.approx(500 + 0.15 * 300, abs=8))
    assert (top, bottom) == (pytest.approx(200 - 0.15 * 100, abs=4), pytest.approx(300 + 0.15 * 100, abs=4))


def test_a_speck_far_from_the_pet_does_not_widen_the_box():
    [alone] = pet_boxes(with_pets((ROWS, COLUMNS)), (100, 100))
    [with_speck] = pet_boxes(with_pets((ROWS, COLUMNS), (slice(2, 3), slice(3, 4))), (100, 100))
    assert with_speck == pytest.approx(alone, abs=1)


@pytest.mark.parametrize(("label", "boxes"), [(BACKGROUND, 0), (PET, 1), (BOUNDARY, 1)])
def test_the_boundary_belongs_to_the_pet_and_without_a_pet_there_is_no_box(label, boxes):
    assert pet_boxes(scores(np.full((20, 20), label)), (300, 200)) == [(0, 0, 300, 200)] * boxes


@pytest.mark.parametrize("size", [(1, 1), (3, 500), (128, 128), (4000, 3000)])
def test_the_box_lies_within_a_photo_of_any_size(size):
    [(left, top, right, bottom)] = pet_boxes(with_pets((slice(97, 100), slice(0, 2))), size)
    assert 0 <= left < right <= size[0]
    assert 0 <= top < bottom <= size[1]


def test_each_of_two_pets_that_stand_apart_has_its_own_box_and_the_larger_comes_first():
    small, large = (slice(30, 60), slice(70, 90)), (slice(30, 70), slice(10, 30))
    first, second = pet_boxes(with_pets(small, large), (200, 100))
    assert first[0] < 20 < 60 < first[2] < 80
    assert 120 < second[0] < 140 < 180 < second[2]


def test_of_many_pets_the_largest_have_boxes():
    pets = [(slice(8 * n, 8 * n + 2), slice(70, 72 + n)) for n in range(10)]
    boxes = pet_boxes(with_pets(*pets), (2000, 2000))
    assert len(boxes) == MOST_PETS < 10
    assert boxes == sorted(boxes, reverse=True, key=lambda box: box[1])  # the larger ones are further down


@pytest.mark.parametrize("box", [(0, 0, 60, 40), (3, 5, 60, 40), (7, 0, 8, 1), (11, 13, 47, 39)])
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_the_part_in_a_box_has_the_pixels_that_crop_would_give(box, mode, monkeypatch):
    photo = noise(60, 40).convert(mode)
    expected = photo.crop(box)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 0.4)  # of which Pillow refuses the double
    assert np.array_equal(part_of(photo, box), expected)


def test_boxes_that_overlap_become_one():
    pets = with_pets((slice(30, 70), slice(10, 48)), (slice(30, 60), slice(50, 90)))
    [(left, _, right, _)] = pet_boxes(pets, (100, 100))
    assert left < 10 < 90 < right


def test_a_region_far_smaller_than_the_largest_is_no_separate_pet():
    pets = with_pets((slice(30, 70), slice(10, 50)), (slice(45, 50), slice(90, 95)))  # 25 pixels beside 1600
    assert len(pet_boxes(pets, (100, 100))) == 1


def test_a_classifier_is_asked_about_a_square_around_each_of_the_three_largest_regions_of_pet():
    labels = np.full((100, 100), BACKGROUND)
    labels[40:60, 20:50] = PET  # 30 x 20 pixels: a square of 36 with the margin
    labels[40:60, 50:80] = BOUNDARY
    labels[0:10, 90:100] = PET  # in the corner of the photo, which ends the square
    labels[90:92, 0:2] = PET  # too small
    assert pet_squares(scores(labels), (200, 100)) == [(34, 14, 106, 86), (178, 0, 200, 17)]
    labels[::20, ::20] = labels[50, :] = BACKGROUND
    labels[95:99, 80:99] = labels[70:80, 90:99] = PET
    assert len(pet_squares(scores(labels), (200, 100))) == 3
    assert pet_squares(scores(np.full((9, 9), BOUNDARY)), (9, 9)) == []


def test_a_square_of_a_photo_far_smaller_than_the_logits_has_a_pixel():
    labels = np.full((128, 128), BACKGROUND)
    labels[60:62, 60:62] = PET
    assert pet_squares(scores(labels), (20, 20)) == [(9, 9, 10, 10)]


def test_outside_the_box_the_first_pass_stays_and_inside_it_is_the_weighted_mean_of_both():
    first, closer = torch.zeros(3, 40, 40), torch.ones(3, 40, 40)
    merged = merge_logits(first, closer, (100, 100, 300, 300), (400, 400))
    positions = (torch.arange(40) + 0.5) * 10
    outside = (positions < 100) | (positions > 300)
    assert (merged[:, outside] == 0).all()
    assert (merged[:, :, outside] == 0).all()
    torch.testing.assert_close(merged[:, 15:25, 15:25], torch.full((3, 10, 10), WEIGHT))


def test_the_second_pass_lands_where_its_box_lies():
    whole = with_pets((slice(16, 48), slice(24, 40)), size=64)
    part = torch.nn.functional.interpolate(whole[None, :, 8:56, 16:48], (64, 64), mode="nearest")[0]
    merged = merge_logits(torch.zeros(3, 64, 64), part, (16, 8, 48, 56), (64, 64))
    inner = (slice(None), slice(14, 50), slice(20, 44))
    same = merged[inner].argmax(0) == whole[inner].argmax(0)
    assert same.float().mean() > 0.93  # except for the pet's outline, half a pixel wide
    assert same[4:-4, 6:-6].all()


def test_at_the_frame_of_the_photo_the_second_pass_does_not_fade():
    merged = merge_logits(torch.zeros(3, 40, 40), torch.ones(3, 40, 40), (0, 0, 400, 200), (400, 400))
    torch.testing.assert_close(merged[:, 0, :], torch.full((3, 40), WEIGHT))
    assert merged[0, 19, 20] < WEIGHT / 2  # the box's lower end lies within the photo


LARGE = (slice(10, 90), slice(10, 90))
SMALL_ONES = (slice(10, 30), slice(10, 30)), (slice(60, 80), slice(60, 80))


@pytest.mark.parametrize(
    ("pets", "passes", "sizes"),
    [
        ([LARGE], 1, [(30, 48)]),
        ([LARGE], 2, [(30, 48)] * 2),
        (SMALL_ONES, 1, [(30, 48)]),
        (SMALL_ONES, 2, [(30, 48), (60, 96), (30, 48), (30, 48)]),
        ([], 2, [(30, 48)]),
    ],
)
def test_each_pet_is_segmented_again_after_the_photo_at_twice_the_size_if_its_pets_are_small(
    model, pets, passes, sizes
):
    seen = []

    class Spy(Predictor):
        def logits(self, image: torch.Tensor) -> torch.Tensor:
            seen.append(tuple(image.shape[2:]))
            return torch.nn.functional.interpolate(with_pets(*pets)[None], image.shape[2:], mode="nearest")

    logits = Spy(model).photo_logits(noise(400, 100), passes)
    assert seen == sizes
    assert logits.shape == (3, 30, 48)
    assert Spy(model).passes == 2  # the default


def test_the_mean_of_both_sizes_is_that_of_their_probabilities():
    logits, larger = torch.randn(3, 5, 7), torch.randn(3, 10, 14)
    likely = larger.softmax(dim=0).reshape(3, 5, 2, 7, 2).mean(dim=(2, 4))
    expected = (logits.softmax(dim=0) + likely) / 2
    torch.testing.assert_close(mean_logits(logits, larger).softmax(dim=0), expected)


def test_pets_are_small_if_there_are_some_and_with_their_boundary_they_fill_less_than_a_quarter_of_the_photo():
    labels = np.full((20, 20), BACKGROUND)
    labels[:10, :5], labels[:10, 5:10] = PET, BOUNDARY
    assert not pets_are_small(scores(labels))
    labels[0, 0] = BACKGROUND
    assert pets_are_small(scores(labels))
    assert not pets_are_small(scores(np.full((20, 20), BACKGROUND)))


def test_fewer_passes_than_one_are_refused(model):
    with pytest.raises(SettingsError, match=r"passes=0: expected 1 "):
        Predictor(model, passes=0)
    with pytest.raises(SettingsError, match=r"passes=-1: expected 1 "):
        Predictor(model).photo_logits(noise(8, 8), -1)
