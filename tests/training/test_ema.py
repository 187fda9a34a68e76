"""The exponential moving average of the weights."""

from copy import deepcopy

import pytest
import torch

from petseg.training.ema import WarmupEMA, keep


def test_the_first_update_copies_and_the_others_keep_more_and_more_up_to_the_decay():
    assert [keep(n, 0.9) for n in (0, 1, 2, 1000)] == [0, 2 / 11, 3 / 12, 0.9]
    assert keep(5, 0.1) == 0.1


def test_an_average_follows_the_schedule():
    network = torch.nn.BatchNorm1d(1)
    averaged, ema, expected = deepcopy(network), WarmupEMA(decay=0.25), 0.0
    ema.collect(averaged, network)
    for step in range(5):
        network.weight.data.fill_(float(step))
        network.num_batches_tracked.fill_(step)
        ema.update()
        expected = keep(step, 0.25) * expected + (1 - keep(step, 0.25)) * step
        assert averaged.weight.item() == pytest.approx(expected)
        assert int(averaged.num_batches_tracked) == step  # a count has no average


@pytest.mark.parametrize("decay", [-0.1, 1.0])
def test_an_impossible_decay_is_refused(decay):
    with pytest.raises(ValueError, match=r"decay=.*must be at least 0 and less than 1"):
        WarmupEMA(decay)
