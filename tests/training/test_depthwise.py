"""Depthwise convolutions in bfloat16: the gradients that are computed in float32."""

import pytest
import torch
from torch import Tensor, nn

from petseg.training import depthwise
from petseg.training.depthwise import FastDepthwise


def gradients(conv: nn.Conv2d, image: Tensor, *modes: object) -> list[Tensor]:
    """Of the sum of squares of a convolution: those of its weights and of the image."""
    image = image.clone().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16, enabled=bool(modes)):
        if FastDepthwise in modes:
            with FastDepthwise():
                output = conv(image)
        else:
            output = conv(image)
    return list(torch.autograd.grad(output.float().square().sum(), [conv.weight, image]))


@pytest.mark.parametrize(("kernel", "stride", "padding"), [(3, 2, 1), (5, 1, 2), (5, 2, (0, 2)), ((3, 7), (1, 2), 0)])
def test_gradients_are_nearer_to_those_in_float32(kernel: int, stride: int, padding: int) -> None:
    torch.manual_seed(0)
    conv = nn.Conv2d(16, 16, kernel, stride, padding, groups=16, bias=False)
    image = torch.randn(2, 16, 21, 20)
    exact, slow, fast = gradients(conv, image), gradients(conv, image, "bf16"), gradients(conv, image, FastDepthwise)
    for one, other, truth in zip(fast, slow, exact, strict=True):
        assert one.dtype == truth.dtype
        error, usual = ((value - truth).norm() / truth.norm() for value in (one, other))
        assert error < 0.005
        assert error <= usual


@pytest.mark.parametrize(
    ("conv", "replaced"),
    [
        (nn.Conv2d(4, 4, 5, padding=2, groups=4, bias=False), True),
        (nn.Conv2d(4, 4, 3, stride=2, groups=4, bias=False), True),
        (nn.Conv2d(4, 4, 3, padding=1, groups=4, bias=False), False),  # its own gradients are as fast
        (nn.Conv2d(4, 4, 5, padding=2, groups=2, bias=False), False),
        (nn.Conv2d(4, 4, 5, groups=4), False),
        (nn.Conv2d(4, 4, 5, padding="same", groups=4, bias=False), False),
        (nn.Conv2d(1, 4, 5, groups=1, bias=False), False),
    ],
)
def test_only_slow_gradients_are_replaced(conv: nn.Conv2d, replaced: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    apply = depthwise._Float32Gradients.apply
    monkeypatch.setattr(depthwise._Float32Gradients, "apply", lambda *args: (calls.append(args), apply(*args))[1])
    image = torch.randn(1, conv.in_channels, 9, 9)
    with FastDepthwise():
        conv(image)  # float32
        assert not calls
        with torch.autocast("cpu", torch.bfloat16):
            conv(image)
    assert bool(calls) == replaced
