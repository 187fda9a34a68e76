"""The exponential moving average of the weights."""

import pytest
import torch
from torch.optim.swa_utils import AveragedModel

from petseg.training.ema import WarmupEMA, keep


def test_the_first_update_copies_and_the_others_keep_more_and_more_up_to_the_decay():
    assert [keep(n, 0.9) for n in (0, 1, 2, 1000)] == [0, 2 / 11, 3 / 12, 0.9]
    assert keep(5, 0.1) == 0.1


def test_an_average_follows_the_schedule():
    network = torch.nn.BatchNorm1d(1)
    averaged = AveragedModel(network, multi_avg_fn=WarmupEMA(decay=0.25)._average, use_buffers=True)
    expected = 0.0
    for step in range(5):
        network.weight.data.fill_(float(step))
        network.num_batches_tracked.fill_(step)
        averaged.update_parameters(network)
        expected = keep(step, 0.25) * expected + (1 - keep(step, 0.25)) * step
        assert float(averaged.module.weight) == pytest.approx(expected)
        assert int(averaged.module.num_batches_tracked) == step  # a count has no average


@pytest.mark.parametrize("decay", [-0.1, 1.0])
def test_an_impossible_decay_is_refused(decay):
    with pytest.raises(ValueError, match=r"decay=.*must be at least 0 and less than 1"):
        WarmupEMA(decay)
