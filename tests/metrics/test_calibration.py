import pytest
import torch

from petseg import metrics


def of(first, truth):
    """Ten pixels in a row of two classes: P(class 0) and labels."""
    first = torch.tensor(first)
    return torch.stack([first, 1 - first]).view(1, 2, 1, -1), torch.tensor(truth).view(1, 1, -1)


def test_error_of_ten_pixels_is_the_one_on_paper():
    # five said 0.9 of which four come true, five said 0.6 of which three do: 0.5 * 0.1 + 0.5 * 0
    probability, target = of([0.9] * 5 + [0.6] * 5, [0, 0, 0, 0, 1, 0, 0, 0, 1, 1])
    errors = metrics.expected_calibration_error(metrics.reliability_counts(probability, target, bins=10))
    assert errors.tolist() == pytest.approx([0.05, 0.05, 0.05], abs=1e-6)


def test_bins_hold_mean_probability_and_frequency():
    probability, target = of([0.9] * 4 + [0.1], [0, 0, 0, 1, 1])
    said, true = metrics.reliability(metrics.reliability_counts(probability, target, bins=5)[0])
    assert said[[0, 4]].tolist() == pytest.approx([0.1, 0.9], abs=1e-6)
    assert true[[0, 4]].tolist() == [0, 0.75]
    assert said[1:4].isnan().all()


def test_a_probability_of_1_falls_into_the_last_bin():
    counts = metrics.reliability_counts(*of([1.0, 0.0], [0, 1]), bins=4)
    assert counts[0, :, 0].tolist() == [1, 0, 0, 1]


def test_top_label_asks_whether_the_decision_is_right():
    # the decision is class 1 in the second pixel, with 0.8, and right
    counts = metrics.reliability_counts(*of([0.9, 0.2], [1, 1]), bins=10)
    assert counts[2, 9].tolist() == pytest.approx([1, 0.9, 0])
    assert counts[2, 8].tolist() == pytest.approx([1, 0.8, 1])


def test_every_row_counts_every_pixel_and_batches_add_up():
    generator = torch.Generator().manual_seed(0)
    probability = torch.randn(4, 3, 8, 8, generator=generator).softmax(dim=1)
    target = torch.randint(0, 3, (4, 8, 8), generator=generator)
    whole = metrics.reliability_counts(probability, target)
    parts = sum(metrics.reliability_counts(probability[i : i + 2], target[i : i + 2]) for i in (0, 2))
    assert whole[..., 0].sum(-1).tolist() == [256] * 4
    torch.testing.assert_close(whole, parts)


def test_labels_drawn_from_the_probabilities_are_calibrated_and_sharpened_ones_overconfident():
    generator = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(8, 3, 64, 64, generator=generator)
    probability = logits.softmax(dim=1)
    drawn = torch.multinomial(probability.permute(0, 2, 3, 1).reshape(-1, 3), 1, generator=generator).view(8, 64, 64)
    honest = metrics.reliability_counts(probability, drawn)
    sharp = metrics.reliability_counts((3 * logits).softmax(dim=1), drawn)
    assert metrics.expected_calibration_error(honest).max() < 0.015
    assert metrics.expected_calibration_error(sharp)[-1] > 0.1
    assert metrics.mean_gap(sharp)[-1] > 0.1
    assert metrics.mean_gap(sharp)[-1] == pytest.approx(float(metrics.expected_calibration_error(sharp)[-1]), abs=0.01)
