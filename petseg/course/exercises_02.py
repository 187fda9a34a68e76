"""Checks of the exercises of notebook 02: folding BatchNorm, the receptive field, the cost of concatenation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from petseg.course.checks import NotYetError, ask, exercise
from petseg.models.unet import UNet

Layers = list[tuple[int, int]]


@exercise("02.1")
def folded_batchnorm(answer: Callable[..., Any]) -> str:
    """`fold(conv, norm)` gives the weight and bias of one convolution that does what both do in eval mode."""
    generator = torch.Generator().manual_seed(0)
    for c_in, c_out in ((3, 5), (4, 4), (2, 1)):  # with equal widths, a scale on the wrong axis has the right shape
        conv, norm = _random_layers(c_in, c_out, generator)
        image = torch.randn(2, c_in, 6, 6, generator=generator)
        result = ask(answer, conv, norm)
        weight, bias = _pair(result, conv, c_out)
        with torch.no_grad():
            expected = norm(conv(image))
            got = nn.functional.conv2d(image, weight, bias, padding=1)
        if not torch.allclose(got, expected, atol=1e-4):
            raise NotYetError(_fold_hint(weight, bias, conv, norm))
    return "Export tools do the same, so BatchNorm costs nothing in inference."


@exercise("02.2")
def field_of_layers(answer: Callable[..., Any]) -> str:
    """`field_size(layers)` gives the side of the receptive field of a sequence of (kernel, stride) pairs."""
    cases: list[tuple[Layers, int]] = [
        ([(3, 1)], 3),
        ([(3, 1), (3, 1)], 5),
        ([(2, 2), (3, 1)], 6),
        ([(3, 2), (3, 2), (3, 1)], 15),
        ([(5, 1), (1, 1), (2, 2), (7, 3)], 18),
        ([(3, 1), (3, 1), (2, 2)] * 5 + [(3, 1)] * 2, 284),
        ([], 1),
    ]
    for layers, expected in cases:
        result = ask(answer, list(layers))
        if result != expected:
            raise NotYetError(
                f"for layers {layers} your function returns {result!r}. {_field_hint(layers, result, expected)}"
            )
    return "One of the cases is the path from the image to the bottleneck of the default U-Net: 284 x 284 pixels."


@exercise("02.3")
def cost_of_concatenation(answer: Callable[..., Any]) -> str:
    """`saved(channels)` gives the parameters that a U-Net saves when its skips are added, not concatenated."""
    for channels in ((4,), (8, 24), (16, 32, 64, 128, 256)):
        result, expected = ask(answer, channels), _saved(channels)
        if result != expected:
            raise NotYetError(
                f"for channels {channels} your function returns {result!r}. {_saved_hint(channels, result)}"
            )
    fraction = _saved((16, 32, 64, 128, 256)) / sum(p.numel() for p in UNet().parameters())
    return f"That is {fraction:.0%} of the default network. LinkNet (2017) adds its skips."


def _random_layers(c_in: int, c_out: int, generator: torch.Generator) -> tuple[nn.Conv2d, nn.BatchNorm2d]:
    """A convolution, and a BatchNorm in eval mode whose values all differ from their defaults."""
    conv = nn.Conv2d(c_in, c_out, 3, padding=1, bias=False)
    norm = nn.BatchNorm2d(c_out, eps=0.1).eval()  # large, so that forgetting it is noticed
    with torch.no_grad():
        conv.weight.copy_(torch.randn(conv.weight.shape, generator=generator))
        for values in (norm.weight, norm.bias, norm.running_mean):
            values.copy_(torch.randn(c_out, generator=generator))  # type: ignore[union-attr]
        norm.running_var.copy_(0.5 + torch.rand(c_out, generator=generator))  # type: ignore[union-attr]
    return conv, norm


def _pair(result: Any, conv: nn.Conv2d, c_out: int) -> tuple[torch.Tensor, torch.Tensor]:
    if not isinstance(result, tuple | list) or len(result) != 2 or not all(torch.is_tensor(part) for part in result):
        raise NotYetError(f"expected two tensors, `weight, bias`, but got {type(result).__name__}.")
    weight, bias = (part.detach() for part in result)
    if weight.shape != conv.weight.shape or bias.shape != (c_out,):
        raise NotYetError(
            f"your weight has the shape {tuple(weight.shape)} and your bias {tuple(bias.shape)}; the convolution needs "
            f"{tuple(conv.weight.shape)} and {(c_out,)}. Which axis of the weight counts output channels?"
        )
    return weight, bias


def _fold_hint(weight: torch.Tensor, bias: torch.Tensor, conv: nn.Conv2d, norm: nn.BatchNorm2d) -> str:
    mean, var = norm.running_mean, norm.running_var
    if mean is None or var is None:
        raise TypeError("a BatchNorm without running averages cannot be folded.")
    with torch.no_grad():
        scale = norm.weight / (var + norm.eps).sqrt()
        if torch.allclose(weight, conv.weight * scale.view(-1, 1, 1, 1), atol=1e-5):
            return "the weight is right, the bias is not. What does BatchNorm return for a convolution output of 0?"
        if torch.allclose(weight, conv.weight * (norm.weight / var.sqrt()).view(-1, 1, 1, 1), atol=1e-5):
            return "almost: BatchNorm divides by the square root of the variance plus `norm.eps`."
        if torch.allclose(weight, conv.weight * (norm.weight / (var + norm.eps)).view(-1, 1, 1, 1), atol=1e-5):
            return "you divide by the variance; BatchNorm divides by its square root."
        if weight.shape[0] == weight.shape[1] and torch.allclose(weight, conv.weight * scale.view(1, -1, 1, 1)):
            return "you scale the input channels; BatchNorm scales the output channels, axis 0 of the weight."
    return "the weight is wrong. BatchNorm in eval mode computes a * x + b per channel: what is a?"


def _field_hint(layers: Layers, result: Any, expected: int) -> str:
    if result == expected - 1 and expected > 1:
        return "One too few: a single output pixel is 1 wide before any layer widens it."
    if not layers:
        return "Without a layer, a pixel sees only itself."
    if result == 1 + sum(kernel - 1 for kernel, _ in layers):
        return "After a stride of 2, neighbours are 2 pixels of the image apart. Keep track of this distance."
    size, step = 1, 1
    for kernel, stride in layers:
        step *= stride
        size += (kernel - 1) * step
    if result == size:
        return "A layer's stride widens the steps of the layers after it, not of its own kernel."
    if all(stride == 1 for _, stride in layers):
        return "A kernel of k widens the field by k - 1 pixels."
    return "Keep two numbers: the side of the field, and the distance of neighbours in image pixels."


def _saved(channels: tuple[int, ...]) -> int:
    return 9 * sum(width * width for width in channels)


def _saved_hint(channels: tuple[int, ...], result: Any) -> str:
    expected = _saved(channels)
    if result == 2 * expected:
        return "Only the first convolution of a decoder stage gets the skip; the second gets the output of the first."
    if result == expected // 9:
        return "Each pair of an input and an output channel has a kernel of 3x3 weights."
    if isinstance(result, int) and result == expected + 2 * sum(channels):
        return "BatchNorm comes after the convolution, on its output channels, and their number stays the same."
    if result == -expected:
        return "The value is right, the sign is not: return a positive number."
    return "How many input channels has a decoder's first convolution in each case, and what does each channel cost?"
