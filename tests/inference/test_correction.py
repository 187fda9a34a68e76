"""Keep and remove: what is painted is certain, and strokes spread as the module's docstring says."""

from typing import Any

import numpy as np
import pytest
from PIL import Image

from petseg.errors import SettingsError
from petseg.inference.segmentation import Segmentation
from petseg.labels import BACKGROUND, PET

#: P(pet) and P(background) by letter: pet, unsure, background.
ODDS = {"#": (0.96, 0.02), "?": (0.35, 0.6), ".": (0.02, 0.96)}

HEAD_AND_EAR = """
....................
....??..............
....??..............
....??..............
....########........
....########........
....########........
....................
..............##....
..............##....
....................
"""

#: Rows and columns of the drawing's parts, five pixels to a letter, and a stroke along the middle of the ear.
MISSED_EAR, BLOB = (slice(5, 20), slice(20, 30)), (slice(40, 50), slice(70, 80))
IN_THE_EAR, IN_THE_BLOB = (slice(6, 19), slice(22, 28)), (44, 74)


def drawn(text: str = HEAD_AND_EAR, letter: int = 5, scale: int = 1) -> Segmentation:
    """The result for a photo: a letter is a square of the logits, a pixel of these `scale` pixels wide and high."""
    rows = text.split()
    odds = np.array([[ODDS[kind] for kind in row] for row in rows])  # (h, w, 2)
    pet, background = odds.repeat(letter, axis=0).repeat(letter, axis=1).transpose(2, 0, 1)
    logits = np.log(np.stack([pet, background, 1 - pet - background])).astype(np.float32)
    photo = Image.new("RGB", (scale * logits.shape[2], scale * logits.shape[1]), "gray")
    return Segmentation(photo, logits, pet_probability=0.0)


def strokes(result: Segmentation, *places: Any) -> np.ndarray:
    mask = np.zeros(result.mask.shape, bool)
    for place in places:
        mask[place] = True
    return mask


def test_keep_on_a_missed_ear_adds_all_of_it_and_nothing_else():
    result = drawn()
    after = result.corrected(strokes(result, IN_THE_EAR), strokes(result))
    expected = result.mask.copy()
    assert (expected[MISSED_EAR] == BACKGROUND).all()
    expected[MISSED_EAR] = PET
    assert np.array_equal(after.mask, expected)
    assert after.found  # who paints a pet says that there is one


def test_remove_on_a_blob_removes_that_blob_and_nothing_else():
    result = drawn()
    after = result.corrected(strokes(result), strokes(result, IN_THE_BLOB))
    expected = result.mask.copy()
    expected[BLOB] = BACKGROUND
    assert np.array_equal(after.mask, expected)
    assert (result.mask[BLOB] == PET).all()


def test_remove_on_the_largest_segment_takes_only_what_was_painted():
    result = drawn()
    painted = strokes(result, (slice(20, 35), slice(50, 60)))
    after = result.corrected(strokes(result), painted)
    assert np.array_equal(after.mask != result.mask, painted)


def test_a_segment_that_is_also_kept_stays_and_remove_counts_where_both_are_painted():
    result = drawn()
    after = result.corrected(strokes(result, BLOB), strokes(result, IN_THE_BLOB))
    assert np.argwhere(after.mask != result.mask).tolist() == [list(IN_THE_BLOB)]


def test_a_stroke_spreads_over_unsure_pixels_a_25th_of_the_longest_side_far():
    row = "#" * 10 + "?" * 30 + "." * 60  # 4 % of 100 pixels are 4
    result = drawn("\n".join([row] * 5), letter=1)
    after = result.corrected(strokes(result, (2, 12)), strokes(result))
    assert np.flatnonzero(after.mask[2] == PET).tolist() == list(range(17))  # 12 and 4 more
    both = result.corrected(strokes(result, (slice(None), 12)), strokes(result, (slice(None), 18)))
    assert np.array_equal(both.probabilities[:, 2, 14:17], result.probabilities[:, 2, 14:17])  # reached by both


def test_no_strokes_change_nothing():
    result = drawn()
    assert result.corrected(strokes(result), strokes(result)) is result


def test_painted_pixels_are_certain_in_probabilities_mask_and_matte():
    result = drawn(scale=4)  # 400 x 220 pixels
    keep, remove = (
        strokes(result, (slice(180, 190), slice(20, 60))),
        strokes(result, (slice(100, 110), slice(100, 200))),
    )
    after = result.corrected(keep, remove)
    for painted, label, opacity in ((keep, PET, 255), (remove, BACKGROUND, 0)):
        assert (after.probabilities[label][painted] == 1).all()
        assert (after.mask[painted] == label).all()
        assert (after.alpha[painted] == opacity).all()
    alpha = np.asarray(after.cutout().getchannel("A"))
    assert np.array_equal(alpha, after.alpha)
    assert result.alpha[185, 40] == 0  # which also would be a speck


def test_on_a_large_photo_the_stroke_lands_where_it_was_painted():
    result = drawn(scale=20)  # 2000 x 1100 pixels, corrected at 512 x 282
    keep = strokes(result, (slice(850, 900), slice(300, 420)))
    after = result.corrected(keep, strokes(result))
    assert (after.mask[keep] == PET).all()
    corner = np.argwhere(after.mask[800:, :1000] == PET)  # where nothing but the stroke is
    np.testing.assert_allclose([corner.min(axis=0), corner.max(axis=0)], [(50, 300), (99, 419)], atol=8)
    again = after.corrected(strokes(result), keep)
    assert (again.mask[keep] == BACKGROUND).all()


@pytest.mark.parametrize(
    ("mask", "came"),
    [(np.zeros((100, 55), bool), "bool of 100 x 55"), (np.zeros((55, 100)), "float64 of 55 x 100")],
)
def test_a_mask_of_another_shape_or_type_is_one_sentence(mask, came):
    result = drawn()
    with pytest.raises(
        SettingsError, match=f"^remove: {came}; expected bool of 55 x 100, the photo's height and width"
    ):
        result.corrected(strokes(result), mask)
