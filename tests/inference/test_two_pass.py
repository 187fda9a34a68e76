"""Two passes: which part of the photo the second one sees, how both are merged, and that masks gain by it."""

import numpy as np
import pytest
import torch
from PIL import Image

from petseg.errors import SettingsError
from petseg.inference import two_pass
from petseg.inference.predictor import Predictor
from petseg.labels import BACKGROUND, BOUNDARY, PET

SURE = 20.0


def scores(label: np.ndarray) -> torch.Tensor:
    """Logits (3, h, w) of a network that is sure of these labels."""
    return SURE * torch.nn.functional.one_hot(torch.from_numpy(label).long(), 3).movedim(-1, 0).float()


def with_pet(rows: slice, columns: slice, size: int = 100) -> torch.Tensor:
    label = np.full((size, size), BACKGROUND)
    label[rows, columns] = PET
    return scores(label)


def test_the_box_holds_the_pet_and_a_margin_in_pixels_of_the_photo():
    [(left, top, right, bottom)] = two_pass.pet_boxes(with_pet(slice(40, 60), slice(20, 50)), (1000, 500))
    assert (left, right) == (pytest.approx(200 - 0.15 * 300, abs=8), pytest.approx(500 + 0.15 * 300, abs=8))
    assert (top, bottom) == (pytest.approx(200 - 0.15 * 100, abs=4), pytest.approx(300 + 0.15 * 100, abs=4))


def test_the_boundary_belongs_to_the_pet():
    label = np.full((50, 50), BACKGROUND)
    label[20:30, 20:30] = BOUNDARY
    assert len(two_pass.pet_boxes(scores(label), (50, 50))) == 1


def test_a_speck_far_from_the_pet_does_not_widen_the_box():
    alone, spotted = with_pet(slice(40, 80), slice(40, 80)), with_pet(slice(40, 80), slice(40, 80))
    spotted[:, 2, 3] = scores(np.array([[PET]]))[:, 0, 0]
    [with_speck], [without] = (two_pass.pet_boxes(logits, (100, 100)) for logits in (spotted, alone))
    assert with_speck == pytest.approx(without, abs=1)


def test_without_a_pet_there_is_no_box_and_with_nothing_but_pet_it_is_the_whole_photo():
    assert two_pass.pet_boxes(scores(np.full((20, 20), BACKGROUND)), (300, 200)) == []
    assert two_pass.pet_boxes(scores(np.full((20, 20), PET)), (300, 200)) == [(0, 0, 300, 200)]


@pytest.mark.parametrize("size", [(1, 1), (3, 500), (128, 128), (4000, 3000)])
def test_the_box_lies_within_a_photo_of_any_size(size):
    for box in two_pass.pet_boxes(with_pet(slice(97, 100), slice(0, 2)), size):
        assert 0 <= box[0] < box[2] <= size[0]
        assert 0 <= box[1] < box[3] <= size[1]


def two_pets(columns: slice, others: slice) -> torch.Tensor:
    label = np.full((100, 100), BACKGROUND)
    label[30:70, columns] = PET
    label[30:60, others] = PET
    return scores(label)


def test_each_of_two_pets_that_stand_apart_has_a_box_of_its_own() -> None:
    logits = two_pets(slice(10, 30), slice(70, 90))
    larger, smaller = two_pass.pet_boxes(logits, (200, 100))
    assert larger[0] < 20 < 60 < larger[2] < 80
    assert 120 < smaller[0] < 140 < 180 < smaller[2]
    assert larger[3] > smaller[3]


def test_boxes_that_overlap_become_one() -> None:
    [(left, _, right, _)] = two_pass.pet_boxes(two_pets(slice(10, 48), slice(50, 90)), (100, 100))
    assert left < 10 < 90 < right


def test_a_region_far_smaller_than_the_largest_is_no_pet_to_look_at() -> None:
    label = np.full((100, 100), BACKGROUND)
    label[30:70, 10:50] = PET
    label[45:50, 90:95] = PET  # 25 pixels beside 1600
    assert len(two_pass.pet_boxes(scores(label), (100, 100))) == 1


def test_outside_the_box_the_first_pass_stays_and_inside_it_is_the_weighted_mean_of_both():
    first, closer = torch.zeros(3, 40, 40), torch.ones(3, 40, 40)
    merged = two_pass.merge_logits(first, closer, (100, 100, 300, 300), (400, 400))
    cells = (torch.arange(40) + 0.5) * 10
    outside = (cells < 100) | (cells > 300)
    assert (merged[:, outside] == 0).all()
    assert (merged[:, :, outside] == 0).all()
    torch.testing.assert_close(merged[:, 15:25, 15:25], torch.full((3, 10, 10), two_pass.WEIGHT))


def test_the_second_pass_lands_where_its_box_lies():
    label = np.full((64, 64), BACKGROUND)
    label[16:48, 24:40] = PET
    whole = scores(label)
    box = (16, 8, 48, 56)  # left, top, right, bottom
    part = torch.nn.functional.interpolate(whole[None, :, 8:56, 16:48], (64, 64), mode="nearest")[0]
    merged = two_pass.merge_logits(torch.zeros(3, 64, 64), part, box, (64, 64))
    inner = (slice(None), slice(14, 50), slice(20, 44))
    same = merged[inner].argmax(0) == whole[inner].argmax(0)
    assert same.float().mean() > 0.93  # but for the pet's outline, half a cell wide
    assert same[4:-4, 6:-6].all()


def test_at_the_frame_of_the_photo_the_second_pass_does_not_fade():
    merged = two_pass.merge_logits(torch.zeros(3, 40, 40), torch.ones(3, 40, 40), (0, 0, 400, 200), (400, 400))
    torch.testing.assert_close(merged[:, 0, :], torch.full((3, 40), two_pass.WEIGHT))
    assert merged[0, 19, 20] < two_pass.WEIGHT / 2  # the box's lower end lies within the photo


def test_one_pass_is_the_network_alone_and_the_default_is_two(small_model):
    photo = Image.fromarray(np.random.default_rng(0).integers(0, 256, (100, 400, 3), dtype=np.uint8))
    once = Predictor(small_model, passes=1)
    assert torch.equal(once.photo_logits(photo), once.logits(once.prepare(photo))[0])
    assert np.array_equal(once(photo).logits, once.photo_logits(photo).numpy())
    seen = []

    class Spy(Predictor):
        def logits(self, image):
            seen.append(tuple(image.shape))
            label = np.full(image.shape[-2:], BACKGROUND)
            label[10:20, 10:20] = PET
            return scores(label)[None]

    Spy(small_model)(photo)
    assert seen == [(1, 3, 32, 32)] * 2


@pytest.mark.parametrize("passes", [0, -1])
def test_fewer_passes_than_one_are_refused(small_model, passes):
    with pytest.raises(SettingsError, match=f"passes={passes}: expected 1 "):
        Predictor(small_model, passes=passes)
    with pytest.raises(SettingsError, match=f"passes={passes}: expected 1 "):
        Predictor(small_model).photo_logits(Image.new("RGB", (8, 8)), passes)
