"""What is inside a network: counts as on paper, and what a logit depends on."""

import pytest
import torch
import torchinfo
from torch import nn

from petseg.models import inspection
from petseg.models.unet import UNet


@pytest.fixture
def network():
    torch.manual_seed(0)
    return UNet(channels=(4, 8, 16))


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_layers_of_a_trace_hold_all_parameters_and_each_call_is_a_step(network):
    steps = inspection.trace(network, (2, 3, 32, 32))
    assert sum(count(step.module) for step in steps) == count(network)
    assert [step.output[1:] for step in steps if step.name == "pool"] == [(4, 16, 16), (8, 8, 8), (16, 4, 4)]


def test_stages_of_a_trace_are_the_blocks_in_the_order_of_the_u(network):
    steps = inspection.trace(network, (1, 3, 32, 32), stages=True)
    assert [step.name for step in steps] == [
        *("encoder.0", "pool", "encoder.1", "pool", "encoder.2", "pool", "bottleneck"),
        *("up.0", "decoder.0", "up.1", "decoder.1", "up.2", "decoder.2", "head"),
    ]
    assert steps[8].input == (1, 32, 8, 8)  # 16 channels of the skip, 16 upsampled
    assert steps[8].output == (1, 16, 8, 8)


def test_a_trace_leaves_modes_and_running_averages_as_they_were(network):
    network.train()
    network.bottleneck.eval()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    inspection.trace(network, (2, 3, 32, 32))
    assert network.training
    assert not network.bottleneck.training
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    assert not any(module._forward_hooks for module in network.modules())


@pytest.mark.parametrize(
    ("layer", "products"),
    [
        (nn.Conv2d(3, 5, 3, padding=1), 2 * 5 * 8 * 6 * 27),  # 27 products for each value that comes out
        (nn.Conv2d(4, 4, 3, padding=1, groups=4), 2 * 4 * 8 * 6 * 9),
        (nn.ConvTranspose2d(3, 5, 2, stride=2), 2 * 5 * 16 * 12 * 3),  # each output pixel comes from one input pixel
        (nn.BatchNorm2d(3), 2 * 3 * 8 * 6),
        (nn.ReLU(), 0),
    ],
)
def test_products_of_a_layer_are_those_on_paper(layer, products):
    channels = getattr(layer, "in_channels", 3)
    step = inspection.trace(nn.Sequential(nn.Conv2d(channels, channels, 1), layer), (2, channels, 8, 6))[1]
    assert step.multiply_adds == products


def test_torchinfo_counts_more_products_where_notebook_02_says(network):
    steps = inspection.trace(network, (2, 3, 32, 32))
    ups = sum(step.multiply_adds for step in steps if isinstance(step.module, nn.ConvTranspose2d))
    norms = [step for step in steps if isinstance(step.module, nn.BatchNorm2d)]
    biases = [step for step in steps if getattr(step.module, "bias", None) is not None and step not in norms]
    expected = sum(step.multiply_adds for step in steps) + 3 * ups
    expected += sum(len(step.module.bias) * step.output[2] * step.output[3] * 2 for step in biases)
    expected += sum(2 * count(step.module) - step.multiply_adds for step in norms)
    assert torchinfo.summary(network, (2, 3, 32, 32), verbose=0).total_mult_adds == expected


def receptive_field(position: int, stages: int) -> tuple[int, int]:
    """First and last row of a large image that can change a U-Net's logits at a row, along the deepest path."""
    first = last = position
    for _ in range(stages):
        first, last = (first - 2) // 2, (last + 2) // 2  # two 3x3 convolutions, a transposed convolution
    first, last = first - 2, last + 2  # the bottleneck
    for _ in range(stages):
        first, last = 2 * first - 2, 2 * last + 3  # pooling, two convolutions
    return first, last


@pytest.mark.parametrize("stages", [1, 2, 3])
@pytest.mark.parametrize("separable", [False, True])
def test_the_receptive_field_is_exactly_where_open_paths_lead(stages, separable):
    network = inspection.with_open_paths(UNet(in_channels=1, channels=(1,) * stages, separable=separable))
    image = torch.ones(1, 1, 128, 128, dtype=torch.float64)
    for position in (0, 57, 60, 63, 64, 127):
        first, last = receptive_field(position, stages)
        wanted = torch.zeros(128, dtype=torch.bool)
        wanted[max(first, 0) : last + 1] = True
        seen = inspection.input_gradient(network, image, (position, 64)) > 0
        assert torch.equal(seen.any(dim=1), wanted)


def test_a_real_network_sees_nothing_outside_its_field_in_eval_mode_only(network):
    image = torch.randn(1, 3, 128, 128)
    first, last = receptive_field(64, stages=3)
    outside = torch.ones(128, 128, dtype=torch.bool)
    outside[first : last + 1, first : last + 1] = False
    assert outside.any()
    network.train()
    seen = inspection.input_gradient(network, image, (64, 64))
    assert network.training
    assert seen[64, 64] > 0
    assert not seen[outside].any()
    tied = image.clone().requires_grad_()
    network(tied)[0, 0, 64, 64].backward()
    assert tied.grad[0].abs().sum(dim=0)[outside].any()


def test_half_a_gradient_lies_within_the_radius_counted_on_paper():
    gradient = torch.zeros(7, 7)
    gradient[3, 3], gradient[3, 5], gradient[0, 0] = 2, 3, 4
    assert inspection.half_radius(gradient, (3, 3)) == 2  # 2 of 9 within 0 and 1, 5 of 9 within 2
    assert inspection.half_radius(gradient, (3, 5)) == 2
    assert inspection.half_radius(gradient, (0, 0)) == 3
