import pytest
import torch
import torchinfo
from torch import nn

from petseg.models import inspection
from petseg.models.unet import DoubleConv, UNet


@pytest.fixture
def network():
    torch.manual_seed(0)
    return UNet(channels=(4, 8, 16))


def test_layers_of_a_trace_hold_all_parameters_and_each_call_is_a_step(network):
    steps = inspection.trace(network, (2, 3, 32, 32))
    assert sum(step.parameters for step in steps) == sum(p.numel() for p in network.parameters())
    assert [step.output[1:] for step in steps if step.name == "pool"] == [(4, 16, 16), (8, 8, 8), (16, 4, 4)]


def test_stages_of_a_trace_are_the_blocks_in_the_order_of_the_u(network):
    steps = inspection.trace(network, (1, 3, 32, 32), stages=True)
    assert [step.name for step in steps] == [
        *("encoder.0", "pool", "encoder.1", "pool", "encoder.2", "pool", "bottleneck"),
        *("up.0", "decoder.0", "up.1", "decoder.1", "up.2", "decoder.2", "head"),
    ]
    assert steps[8].input == (1, 32, 8, 8)  # 16 channels of the skip, 16 raised
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


def test_torchinfo_differs_from_the_products_taken_where_notebook_02_says(network):
    steps = inspection.trace(network, (2, 3, 32, 32))
    ups = sum(step.multiply_adds for step in steps if isinstance(step.module, nn.ConvTranspose2d))
    norms = [step for step in steps if isinstance(step.module, nn.BatchNorm2d)]
    biases = [step for step in steps if getattr(step.module, "bias", None) is not None and step not in norms]
    expected = sum(step.multiply_adds for step in steps) + 3 * ups
    expected += sum(len(step.module.bias) * step.output[2] * step.output[3] * 2 for step in biases)
    expected += sum(2 * step.parameters - step.multiply_adds for step in norms)
    assert torchinfo.summary(network, (2, 3, 32, 32), verbose=0).total_mult_adds == expected


def test_feature_maps_are_what_the_stages_give(network):
    image = torch.randn(1, 3, 32, 32)
    maps = inspection.feature_maps(network, image)
    assert list(maps) == [
        *("encoder 1", "encoder 2", "encoder 3", "bottleneck", "decoder 3", "decoder 2", "decoder 1"),
    ]
    network.eval()
    with torch.no_grad():
        torch.testing.assert_close(maps["encoder 1"], network.encoder[0](image))
        torch.testing.assert_close(network.head(maps["decoder 1"]), network(image))


def test_a_convolution_and_a_batchnorm_keep_what_paper_says():
    block = nn.Sequential(*list(DoubleConv(3, 4))[:2])
    kept = inspection.kept_for_backward(block, torch.randn(2, 3, 8, 8))
    values = 2 * 4 * 8 * 8 * 4  # what the convolution gives; BatchNorm keeps its input
    assert values <= kept <= values + 2 * 4 * 4  # and a mean and a deviation a channel
    assert int(block[1].num_batches_tracked) == 0


def test_twice_the_images_keep_twice_the_memory(network):
    one, two = (inspection.kept_for_backward(network, torch.randn(n, 3, 64, 64)) for n in (2, 4))
    assert two / one == pytest.approx(2, rel=0.02)
