import math

import pytest
import torch

from petseg import metrics


def square(top, left, side, size=12):
    region = torch.zeros(1, size, size, dtype=torch.bool)
    region[:, top : top + side, left : left + side] = True
    return region


def test_contour_of_a_square_is_its_outermost_pixels():
    edge = metrics.contour(square(2, 3, 4))
    inner = square(3, 4, 2)
    assert torch.equal(edge, square(2, 3, 4) & ~inner)


def test_the_frame_of_the_picture_is_no_contour():
    region = torch.zeros(1, 6, 6, dtype=torch.bool)
    region[:, :, :3] = True  # the left half: only its right side is an edge
    assert metrics.contour(region).nonzero()[:, 2].unique().tolist() == [2]
    assert not metrics.contour(torch.ones(1, 6, 6, dtype=torch.bool)).any()


def test_counts_of_a_square_moved_by_one_pixel_are_those_on_paper():
    # 12 contour pixels each; three above and three below fall on the other contour, all lie within one pixel
    counts = metrics.boundary_counts(square(4, 5, 4), square(4, 4, 4), (0, 1))
    assert counts.tolist() == [[[6, 12, 6, 12], [12, 12, 12, 12]]]


def test_tolerance_is_euclidean_and_includes_its_end():
    # single pixels, 3 rows and 4 columns apart: distance 5
    true, predicted = square(2, 2, 1), square(5, 6, 1)
    counts = metrics.boundary_counts(predicted, true, (4.99, 5))
    assert counts[0, :, 0].tolist() == [0, 1]


def test_precision_is_of_the_prediction_and_recall_of_the_truth():
    islands = square(2, 2, 3) | square(8, 8, 2)  # the second does not exist: 4 of its 12 contour pixels are wrong
    scores = metrics.boundary_scores(metrics.boundary_counts(islands, square(2, 2, 3), (0,)))
    assert scores.precision.item() == pytest.approx(8 / 12)
    assert scores.recall.item() == 1
    assert scores.f.item() == pytest.approx(2 * (2 / 3) / (5 / 3))


def test_exchanging_prediction_and_truth_exchanges_precision_and_recall():
    generator = torch.Generator().manual_seed(0)
    a, b = (torch.rand(3, 16, 16, generator=generator) > 0.6 for _ in range(2))
    one, other = (metrics.boundary_scores(metrics.boundary_counts(*pair)) for pair in ((a, b), (b, a)))
    assert torch.equal(one.precision, other.recall)
    assert torch.equal(one.f, other.f)


def test_a_missed_contour_scores_0_and_no_contour_at_all_has_no_score():
    nothing = torch.zeros(1, 12, 12, dtype=torch.bool)
    missed = metrics.boundary_scores(metrics.boundary_counts(nothing, square(2, 2, 3), (2,)))
    assert (missed.f.item(), missed.recall.item()) == (0, 0)
    assert math.isnan(missed.precision.item())
    assert metrics.boundary_scores(metrics.boundary_counts(nothing, nothing, (2,))).f.isnan().all()


def test_summed_counts_weigh_images_by_their_contours():
    counts = torch.cat(
        [
            metrics.boundary_counts(square(2, 2, 8), square(2, 2, 8), (0,)),
            metrics.boundary_counts(square(0, 0, 1), square(9, 9, 1), (0,)),
        ]
    )
    assert metrics.boundary_scores(counts.sum(dim=0)).f.item() == pytest.approx(28 / 29)
    assert metrics.boundary_scores(counts).f.flatten().tolist() == [1, 0]
