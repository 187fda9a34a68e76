import pytest
import torch

from petseg.models import receptive_field
from petseg.models.unet import UNet


@pytest.fixture
def network():
    torch.manual_seed(0)
    return UNet(channels=(4, 8, 16))


@pytest.mark.parametrize("stages", [1, 2, 3])
@pytest.mark.parametrize("separable", [False, True])
def test_the_receptive_field_is_exactly_where_open_paths_lead(stages, separable):
    network = receptive_field.with_open_paths(UNet(in_channels=1, channels=(1,) * stages, separable=separable))
    image = torch.ones(1, 1, 128, 128, dtype=torch.float64)
    for position in (0, 57, 60, 63, 64, 127):
        first, last = receptive_field.receptive_field(position, stages)
        wanted = torch.zeros(128, dtype=torch.bool)
        wanted[max(first, 0) : last + 1] = True
        seen = receptive_field.input_gradient(network, image, (position, 64)) > 0
        assert torch.equal(seen.any(dim=1), wanted)


def test_one_stage_sees_what_paper_and_pencil_say():
    # decoder 4..8 around row 6; raised from 2..4; bottleneck 0..6; pooled from 0..13; encoder -2..15
    assert receptive_field.receptive_field(6, stages=1) == (-2, 15)


def test_a_real_network_sees_nothing_outside_its_field_in_eval_mode_only(network):
    image = torch.randn(1, 3, 128, 128)
    first, last = receptive_field.receptive_field(64, stages=3)
    outside = torch.ones(128, 128, dtype=torch.bool)
    outside[first : last + 1, first : last + 1] = False
    assert outside.any()
    network.train()
    seen = receptive_field.input_gradient(network, image, (64, 64))
    assert network.training
    assert seen[64, 64] > 0
    assert not seen[outside].any()
    tied = image.clone().requires_grad_()
    network(tied)[0, 0, 64, 64].backward()
    assert tied.grad[0].abs().sum(dim=0)[outside].any()


def test_half_a_gradient_lies_within_the_radius_counted_on_paper():
    gradient = torch.zeros(7, 7)
    gradient[3, 3], gradient[3, 5], gradient[0, 0] = 2, 3, 4
    assert receptive_field.half_radius(gradient, (3, 3)) == 2  # 2 of 9 within 0 and 1, 5 of 9 within 2
    assert receptive_field.half_radius(gradient, (3, 5)) == 2
    assert receptive_field.half_radius(gradient, (0, 0)) == 3
