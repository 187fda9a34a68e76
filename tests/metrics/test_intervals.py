import pytest
import torch

from petseg import metrics


def matrices(n, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 50, (n, 3, 3), generator=generator) + 100 * torch.eye(3, dtype=torch.int64)


def test_draws_are_whole_images():
    # image n counts 10^n, so that the digits of a sum tell how often each came up
    counts = 10.0 ** torch.arange(5)
    for total in metrics.resampled_sums(counts, 20, seed=3).tolist():
        assert sum(int(digit) for digit in str(int(total))) == 5


def test_value_is_the_score_of_the_images_as_they_are():
    counts = matrices(30)
    found = metrics.bootstrap(counts, metrics.mean_iou)
    assert found.value == metrics.mean_iou(counts.sum(dim=0))
    assert found.low < found.value < found.high


def test_interval_of_a_mean_is_that_of_theory():
    # the mean of N numbers of variance s^2 has the standard error s / sqrt(N)
    numbers = torch.randn(400, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = metrics.bootstrap(numbers, lambda sums: sums[:, 0] / 400, resamples=5000)
    error = float(numbers.std(correction=0)) / 20
    assert float(found.high - found.low) == pytest.approx(2 * 1.96 * error, rel=0.06)


def test_pairing_tells_a_small_steady_gain_from_none():
    ours = matrices(60)
    theirs = ours + 2 * torch.eye(3, dtype=torch.int64)  # on every image a little better
    pairs = torch.stack([ours, theirs], dim=1)
    gain = metrics.bootstrap(pairs, lambda sums: metrics.mean_iou(sums[:, 1]) - metrics.mean_iou(sums[:, 0]))
    alone = metrics.bootstrap(ours, metrics.mean_iou)
    assert gain.low > 0
    assert gain.high - gain.low < 0.2 * (alone.high - alone.low)


def test_draws_without_a_score_are_left_out():
    # one image of two holds the class; a draw without it has no IoU for that class
    counts = torch.tensor([[[5, 1], [1, 5]], [[8, 0], [0, 0]]])
    interval = metrics.bootstrap(counts, metrics.iou)
    assert [tuple(part.shape) for part in interval] == [(2,)] * 3
    assert interval.low.isfinite().all()


def test_no_image_is_refused():
    with pytest.raises(ValueError, match="at least one image"):
        metrics.resampled_sums(torch.zeros(0, 3, 3))
