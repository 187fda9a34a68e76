"""Checks of the gaps of notebook 02: each layer by hand, the blocks of the U-Net and the whole, and what it can see."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from petseg.course.checks import NotYetError, Wrong, ask, exercise, gap
from petseg.models import unet, zoo

Layers = list[tuple[int, int]]

IMAGE, KERNEL = torch.arange(20.0).view(4, 5).sin(), torch.tensor([[1.0, 0, 2], [0, -1, 0], [3, 0, 0]])
FEATURES = torch.arange(96.0).view(2, 3, 4, 4).sin() * torch.tensor([1.0, 5, 2]).view(3, 1, 1) + 3

POOLED = torch.arange(288.0).view(2, 3, 6, 8).sin()


def _convolved(image: Tensor, kernel: Tensor) -> Tensor:
    return F.conv2d(image[None, None], kernel[None, None])[0, 0]


@gap("02.a", "a convolution by hand", _convolved, [(IMAGE, KERNEL)], "PyTorch's layers compute the same, faster.")
def _convolution_mistakes(image: Tensor, kernel: Tensor) -> Wrong:
    return {
        "you flip the kernel, as mathematics does. The layers of a network do not.": _convolved(
            image, kernel.flip(0, 1)
        ),
        "rows and columns of the kernel are exchanged.": _convolved(image, kernel.T),
        "the products have to be added up, not averaged.": _convolved(image, kernel / 9),
    }


def _batchnorm(x: Tensor, eps: float) -> Tensor:
    return F.batch_norm(x, None, None, training=True, eps=eps)


@gap("02.b", "BatchNorm in train mode", _batchnorm, [(FEATURES, 0.1)], "One mean and one variance per channel.")
def _batchnorm_mistakes(x: Tensor, eps: float) -> Wrong:
    centred = x - x.mean(dim=(0, 2, 3), keepdim=True)
    variance = centred.square().mean(dim=(0, 2, 3), keepdim=True)
    return {
        "you take mean and variance of each image alone. Axis 0, the batch, belongs to them too.": F.instance_norm(
            x, eps=eps
        ),
        "height and width belong to the mean, too.": (x - x.mean(0, keepdim=True))
        / (x.var(0, keepdim=True, correction=0) + eps).sqrt(),
        "you take one mean over everything. Each channel, axis 1, has its own.": (x - x.mean())
        / (x.var(correction=0) + eps).sqrt(),
        "you divide by the variance. What is its root?": centred / (variance + eps),
        "eps is added to the variance, before the root.": centred / (variance.sqrt() + eps),
        "PyTorch divides by n here, not by n - 1: `correction=0`.": centred
        / (x.var(dim=(0, 2, 3), keepdim=True) + eps).sqrt(),
        "that is only the difference from the mean. Divide it.": centred,
    }


@exercise("02.c", "a depthwise-separable convolution", unet.conv)
def separable_convolution(answer: Any) -> str:
    """`conv(i, o, separable=True)` returns two layers: 3x3 within each channel, then 1x1 across channels."""
    for i, o in ((6, 4), (3, 3)):
        layers = ask(answer, i, o, True)
        if not isinstance(layers, list | tuple) or not all(isinstance(layer, nn.Conv2d) for layer in layers):
            raise NotYetError("return a list of nn.Conv2d layers.")
        _compare("conv", nn.Sequential(*layers), nn.Sequential(*unet.conv(i, o, True)), torch.randn(1, i, 8, 8))
    return "For 64 to 128 channels it has 8,768 weights instead of 73,728."


@exercise("02.d", "DoubleConv", unet.DoubleConv)
def double_convolution(answer: Any) -> str:
    """`DoubleConv(i, o)` is twice: a 3x3 convolution, BatchNorm, ReLU."""
    for i, o, separable in ((3, 4, False), (5, 5, False), (3, 4, True)):
        block = ask(answer, i, o, *([True] if separable else []))
        if isinstance(block, nn.Module) and not any(isinstance(layer, nn.ReLU) for layer in block.modules()):
            raise NotYetError("without ReLU the two convolutions are no more than one. It follows each BatchNorm.")
        name = f"DoubleConv({i}, {o}, separable={separable})"
        _compare(name, block, unet.DoubleConv(i, o, separable), torch.randn(2, i, 8, 8))
    return "This block is used at every size of the U-Net."


def _compare(name: str, made: Any, reference: nn.Module, x: Tensor) -> None:
    """Raises a hint unless two modules have equal parameters and, with the same weights, equal results."""
    if not isinstance(made, nn.Module):
        raise NotYetError(f"expected an nn.Module, but got {type(made).__name__}.")
    wanted, state = reference.state_dict(), made.state_dict()
    have, need = (sum(p.numel() for p in module.parameters()) for module in (made, reference))
    if extra := sorted(set(state) - set(wanted)):
        hint = "Do its convolutions have a bias? BatchNorm has one." if extra[0].endswith("bias") else ""
        raise NotYetError(f"{name} has {have:,} parameters, expected {need:,}; {extra[0]} is not needed. {hint}")
    if missing := sorted(set(wanted) - set(state)):
        raise NotYetError(f"{name} has {have:,} parameters, expected {need:,}; there is no {missing[0]}.")
    for key, value in wanted.items():
        if state[key].shape != value.shape:
            raise NotYetError(f"{name}: {key} has the shape {tuple(state[key].shape)}, expected {tuple(value.shape)}.")
    made.load_state_dict(wanted)
    result, expected = ask(made.eval(), x.clone()), reference.eval()(x.clone())
    if not torch.is_tensor(result) or result.shape != expected.shape:
        came = tuple(result.shape) if torch.is_tensor(result) else type(result).__name__
        raise NotYetError(f"{name} makes {came} of {tuple(x.shape)}; expected {tuple(expected.shape)}. Padding?")
    if not torch.equal(result, expected):
        raise NotYetError(f"{name} has the right weights, but other results. In which order are its layers called?")


def _max_pool(x: Tensor) -> Tensor:
    return F.max_pool2d(x, 2)


@gap("02.e", "max pooling by hand", _max_pool, [(POOLED,)], "It has no parameters.")
def _pooling_mistakes(x: Tensor) -> Wrong:
    B, C, H, W = x.shape
    return {
        "that is the mean of each block. Keep the largest value.": F.avg_pool2d(x, 2),
        "you keep the first pixel of each block, not the largest.": x[..., ::2, ::2],
        "these blocks are no neighbours: view rows as (H // 2, 2), not as (2, H // 2).": (
            x.view(B, C, 2, H // 2, 2, W // 2).amax(dim=(2, 4))
        ),
        "your view is right, but the two axes within a block are 3 and 5.": (
            x.view(B, C, H // 2, 2, W // 2, 2).amax(dim=(2, 4))
        ),
    }


def _transposed(image: Tensor, kernel: Tensor) -> Tensor:
    return F.conv_transpose2d(image[None, None], kernel[None, None], stride=2)[0, 0]


@gap("02.f", "a transposed convolution by hand", _transposed, [(IMAGE, KERNEL[1:, :2])], "Each pixel becomes a block.")
def _transposed_mistakes(image: Tensor, kernel: Tensor) -> Wrong:
    tiles = kernel.repeat(*image.shape) * image.repeat(2, 2)
    return {
        "the image is repeated, not each of its pixels.": tiles,
        "rows and columns of the kernel are exchanged.": _transposed(image, kernel.T),
    }


@exercise("02.g", "the U-Net", unet.UNet)
def whole_network(answer: Any) -> str:
    """The class `UNet` has the names, weights and results of petseg's."""
    reference = unet.UNet(channels=(4, 8))
    made = ask(answer, 3, 3, (4, 8))
    try:
        _compare("UNet(channels=(4, 8))", made, reference, torch.randn(1, 3, 16, 16))
    except NotYetError as hint:
        swapped = [stage.register_forward_pre_hook(_skip_last) for stage in reference.decoder]
        with torch.no_grad():
            x = torch.randn(1, 3, 16, 16)
            if "other results" in str(hint) and torch.equal(made(x), reference.eval()(x)):
                raise NotYetError("concatenate the skip first, then the upsampled features.") from None
        for hook in swapped:
            hook.remove()
        raise
    separable, x = unet.UNet(channels=(4, 8), separable=True), torch.randn(1, 3, 16, 16)
    _compare("UNet(channels=(4, 8), separable=True)", ask(answer, 3, 3, (4, 8), True), separable, x)
    released, _ = zoo.load("unet")
    full = ask(answer).eval()
    full.load_state_dict(released.network.state_dict())
    image = torch.randn(1, 3, 128, 128, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        if not torch.equal(full(image), released.network(image)):
            raise NotYetError("with the released weights, the default network gives other logits.")
    return "With the released weights, your network equals the released one, bit for bit."


def _skip_last(stage: nn.Module, inputs: tuple[Tensor]) -> Tensor:
    skip, upsampled = inputs[0].chunk(2, dim=1)
    return torch.cat([upsampled, skip], dim=1)


def _double(i: int, o: int) -> int:
    return 9 * i * o + 9 * o * o + 4 * o


@gap("02.h", "parameters of a DoubleConv", _double, [(3, 16), (32, 32)], "Its size does not depend on the image.")
def _parameter_mistakes(i: int, o: int) -> Wrong:
    return {
        "BatchNorm has parameters too: a scale and a shift per channel.": _double(i, o) - 4 * o,
        "there are two BatchNorms.": _double(i, o) - 2 * o,
        "these convolutions have no bias.": _double(i, o) + 2 * o,
        "the second convolution goes from o to o channels.": 18 * i * o + 4 * o,
        "a kernel has 3 x 3 weights.": 3 * i * o + 3 * o * o + 4 * o,
    }


def _field_size(layers: Layers) -> int:
    size, step = 1, 1
    for kernel, stride in layers:
        size += (kernel - 1) * step
        step *= stride
    return size


@gap(
    "02.i",
    "receptive field of a sequence of layers",
    _field_size,
    [([(3, 1), (3, 1)],), ([(2, 2), (3, 1)],), ([(3, 2), (3, 2), (3, 1)],), ([(5, 1), (2, 2), (7, 3)],), ([],)],
    "The bottleneck of the default U-Net sees 284 x 284 pixels.",
)
def _field_mistakes(layers: Layers) -> Wrong:
    size, step = 1, 1
    for kernel, stride in layers:
        step *= stride
        size += (kernel - 1) * step
    return {
        "that is one too few: without any layer a pixel sees itself.": _field_size(layers) - 1,
        "a kernel of k widens the field by k - 1, not by k.": 1 + sum(kernel for kernel, _ in layers),
        "after a stride of 2, neighbours lie 2 pixels apart: keep track of this distance.": (
            1 + sum(kernel - 1 for kernel, _ in layers)
        ),
        "a stride widens the steps of the layers after it, not of its own kernel.": size,
    }
