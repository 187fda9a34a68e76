import pytest
import torch
import torchinfo
from torch import nn

from petseg.models.unet import DoubleConv, SeparableDoubleConv, UNet


def numbers(module: nn.Module) -> list[int]:
    """Parameters of each layer that has any, in order."""
    leaves = [layer for layer in module.modules() if not list(layer.children())]
    counts = [sum(p.numel() for p in layer.parameters()) for layer in leaves]
    return [count for count in counts if count]


@pytest.fixture(scope="module")
def network() -> UNet:
    torch.manual_seed(0)
    return UNet().eval()


def test_default_network_has_7_778_643_parameters(network):
    assert sum(p.numel() for p in network.parameters()) == 7_778_643


def test_separable_network_has_1_517_854_parameters():
    assert sum(p.numel() for p in UNet(separable=True).parameters()) == 1_517_854


def test_encoder_stages_hold_the_published_numbers(network):
    assert [numbers(stage) for stage in network.encoder] == [
        [432, 32, 2_304, 32],
        [4_608, 64, 9_216, 64],
        [18_432, 128, 36_864, 128],
        [73_728, 256, 147_456, 256],
        [294_912, 512, 589_824, 512],
    ]


def test_bottleneck_up_and_head_hold_the_published_numbers(network):
    assert numbers(network.bottleneck) == [1_179_648, 1_024, 2_359_296, 1_024]
    assert numbers(network.up) == [524_544, 131_200, 32_832, 8_224, 2_064]
    assert numbers(network.head) == [51]


def test_torchinfo_reports_the_published_totals(network):
    summary = torchinfo.summary(network, (16, 3, 128, 128), verbose=0)
    assert summary.total_params == 7_778_643
    assert f"{summary.total_mult_adds / 1e9:.2f}" == "17.01"
    text = str(summary)
    assert "Forward/backward pass size (MB): 595.59" in text
    assert "Params size (MB): 31.11" in text
    assert "Input size (MB): 3.15" in text


@pytest.mark.parametrize(("height", "width"), [(1, 1), (17, 5), (32, 64), (127, 129), (75, 31)])
def test_logits_have_the_size_of_the_image(network, height, width):
    assert network(torch.rand(2, 3, height, width)).shape == (2, 3, height, width)


def test_a_size_that_is_no_multiple_of_32_is_padded_with_its_own_edge(network):
    image = torch.rand(1, 3, 50, 64)
    padded = torch.cat([image, image[:, :, -1:].expand(-1, -1, 14, -1)], dim=2)
    with torch.no_grad():
        torch.testing.assert_close(network(image), network(padded)[:, :, :50])


def test_every_pixel_of_a_small_image_reaches_every_logit(network):
    image = torch.rand(1, 3, 32, 32, requires_grad=True)
    network(image)[0, :, 16, 16].sum().backward()
    assert image.grad is not None
    assert (image.grad.abs().sum(dim=1) > 0).all()


def test_every_parameter_gets_a_gradient():
    network = UNet(channels=(4, 8), separable=True)
    network(torch.rand(2, 3, 16, 16)).square().mean().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())


def test_cutting_a_skip_changes_the_logits(network):
    image = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        whole = network(image)
        first = network.decoder[-1].register_forward_pre_hook(
            lambda _, args: (torch.cat([torch.zeros_like(args[0][:, :16]), args[0][:, 16:]], dim=1),)
        )
        cut = network(image)
        first.remove()
    assert not torch.allclose(whole, cut)


def test_blocks_keep_height_and_width():
    image = torch.rand(1, 3, 7, 9)
    for block in (DoubleConv(3, 5), SeparableDoubleConv(3, 5)):
        assert block(image).shape == (1, 5, 7, 9)


def test_settings_rebuild_an_equal_network():
    network = UNet(channels=(4, 8, 16), separable=True, num_classes=2)
    again = UNet(**network.settings)
    again.load_state_dict(network.state_dict())
    image = torch.rand(1, 3, 20, 20)
    assert torch.equal(network.eval()(image), again.eval()(image))


@pytest.mark.parametrize("settings", [{"channels": ()}, {"channels": (16, 0)}, {"in_channels": 0}, {"num_classes": 0}])
def test_impossible_widths_are_refused_in_one_sentence(settings):
    with pytest.raises(ValueError, match="every number must be at least 1"):
        UNet(**settings)


def test_without_skips_the_decoder_sees_only_what_came_through_the_bottleneck():
    torch.manual_seed(0)
    network = UNet(channels=(4, 8), skips=False).eval()
    assert [stage[0].in_channels for stage in network.decoder] == [8, 4]
    image = torch.rand(1, 3, 16, 16)
    with torch.no_grad():
        whole = network(image)
        for stage in network.encoder:  # their outputs matter through pooling alone
            stage.register_forward_hook(lambda _, __, out: torch.nn.functional.interpolate(
                torch.nn.functional.max_pool2d(out, 2), scale_factor=2))  # fmt: skip
        torch.testing.assert_close(network(image), whole)


def test_without_skips_each_decoder_stage_saves_nine_weights_a_pair_of_channels():
    saved = sum(9 * c * c for c in (16, 32, 64, 128, 256))
    assert sum(p.numel() for p in UNet(skips=False).parameters()) == 7_778_643 - saved


@pytest.mark.parametrize("separable", [False, True])
def test_a_network_without_skips_is_rebuilt_by_its_settings_and_trained_whole(separable):
    network = UNet(channels=(4, 8), skips=False, separable=separable)
    UNet(**network.settings).load_state_dict(network.state_dict())
    logits = network(torch.rand(2, 3, 13, 18))
    assert logits.shape == (2, 3, 13, 18)
    logits.square().mean().backward()
    assert all(p.grad is not None for p in network.parameters())


def test_settings_name_the_skips_only_where_they_are_missing():
    assert "skips" not in UNet(channels=(4,)).settings  # so cards of released weights fit the default network
    assert UNet(channels=(4,), skips=False).settings["skips"] is False
