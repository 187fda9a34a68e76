"""What a check says about a wrong answer: where it differs, never the same shape twice."""

import numpy as np
import pytest
import torch

from petseg.course.comparison import close, difference, other_kind, shown

LARGE = np.arange(600.0).reshape(20, 30)


def test_of_large_arrays_of_one_shape_the_place_and_the_amount_are_said() -> None:
    other = LARGE.copy()
    other[3, 4] += 7
    other[0, 0] += 1
    assert difference(other, LARGE) == (
        "the shape (20, 30) is right, but 2 of 600 values differ, most at [3, 4]: expected 94, but got 101."
    )


def test_a_difference_that_rounding_hides_is_shown() -> None:
    assert difference(0.5004 + LARGE[:1, :3], 0.5 + LARGE[:1, :3]).endswith("expected 0.5, but got 0.5004.")


def test_of_a_pair_the_part_that_differs_is_named() -> None:
    assert difference((LARGE, np.ones(2)), (LARGE, np.zeros(2))) == "part 2 of 2: expected [0., 0.], but got [1., 1.]."


def test_shapes_are_said_where_they_differ() -> None:
    assert difference(LARGE[1:], LARGE).startswith("expected an array of the shape (20, 30), but got an array of the")


@pytest.mark.parametrize("value", [{"a": 1}, None, "text", [[1], [1, 2]], {2, 1}])
def test_what_is_no_number_is_shown_on_one_line_and_equals_no_number(value: object) -> None:
    assert "\n" not in shown(value)
    assert not close(value, LARGE)


def test_a_tensor_that_needs_a_gradient_equals_its_numbers() -> None:
    assert close(torch.ones(2, requires_grad=True), torch.ones(2))


def test_the_right_numbers_in_the_wrong_kind_of_array_are_said_to_be_right() -> None:
    assert "`torch.as_tensor`" in other_kind(np.ones(2), torch.ones(2))
    assert "`.numpy()`" in other_kind((np.ones(2), torch.ones(2)), (np.ones(2), np.ones(2)))
    assert other_kind(np.float64(1), torch.tensor(1.0)) == ""
