"""Checks of notebook 02: each layer by hand, the blocks of the U-Net and the whole, and what it can see."""

from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from petseg.course.checks import exercise, gap
from petseg.course.comparison import close
from petseg.course.hints import NotYetError, as_numbers, ask, one_of, same_shape, same_weights, verdict
from petseg.labels import CLASSES
from petseg.models import unet, zoo

Layers = list[tuple[int, int]]

IMAGE, KERNEL = torch.arange(20.0).view(4, 5).sin(), torch.tensor([[1.0, 0, 2], [0, -1, 0], [3, 0, 0]])
BLOCK = torch.tensor([[2.0, -1], [3, 1]])  # neither symmetric nor the same when turned round
FEATURES = torch.arange(96.0).view(2, 3, 4, 4).sin() * torch.tensor([1.0, 5, 2]).view(3, 1, 1) + 3
STACKS = [[(3, 1), (3, 1)], [(2, 2), (3, 1)], [(3, 2), (3, 2), (3, 1)], [(5, 1), (2, 2), (7, 3)], []]
SEEN = "The bottleneck of the default U-Net sees 284 x 284 pixels."


@gap(
    "02.a",
    "a convolution by hand",
    [(IMAGE, KERNEL), (IMAGE, KERNEL[:2])],
    "PyTorch's layers compute the same, faster.",
)
def _convolved(image: Tensor, kernel: Tensor) -> Iterator[Any]:
    yield F.conv2d(image[None, None], kernel[None, None])[0, 0]
    yield {
        "you flip the kernel, as mathematics does. Networks do not.": _convolved(image, kernel.flip(0, 1)),
        "rows and columns of the kernel are exchanged.": _convolved(image, kernel.T),
    }


@gap("02.b", "BatchNorm in train mode", [(FEATURES, 0.1)], "One mean and one variance per channel.")
def _batchnorm(x: Tensor, eps: float, axes: tuple[int, ...] = (0, 2, 3), correction: int = 0) -> Iterator[Any]:
    centred, variance = x - x.mean(axes, keepdim=True), x.var(axes, keepdim=True, correction=correction)
    yield centred / (variance + eps).sqrt()
    yield {
        "each image has a separate mean and variance here. Average over axis 0, the batch, as well.": _batchnorm(
            x, eps, (2, 3)
        ),
        "average over height and width, too.": _batchnorm(x, eps, (0,)),
        "you take one mean over everything. Each channel, axis 1, has its own.": _batchnorm(x, eps, (0, 1, 2, 3)),
        "you divide by the variance. What is its root?": centred / (variance + eps),
        "eps is added to the variance, before the root.": centred / (variance.sqrt() + eps),
        "PyTorch divides by n here, not by n - 1: `correction=0`.": _batchnorm(x, eps, correction=1),
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
        if separable and _sizes(block) == _sizes(unet.DoubleConv(i, o)):
            raise NotYetError(f"{name} is the same as with separable=False. Pass `separable` on to both convolutions.")
        _compare(name, block, unet.DoubleConv(i, o, separable), torch.randn(2, i, 8, 8))
    return "This block is used at every size of the U-Net."


def _compare(name: str, made: Any, reference: nn.Module, x: Tensor) -> None:
    """A hint unless two modules have equal parameters and, with the same weights, equal results."""
    result, expected = ask(same_weights(name, made, reference), x.clone()), reference(x.clone())
    same_shape(f"{name} of {tuple(x.shape)}", result, expected)
    if not torch.equal(result, expected):
        hint = "In which order are its layers called?"
        if torch.equal(result.relu(), expected):
            hint = "Its last layer is a ReLU."
        raise NotYetError(f"{name} has the right weights, but other results. {hint}")


def _sizes(module: Any) -> list[torch.Size]:
    return [p.shape for p in module.parameters()] if isinstance(module, nn.Module) else []


@gap("02.e", "max pooling by hand", [(torch.arange(288.0).view(2, 3, 6, 8).sin(),)], "It has no parameters.")
def _max_pool(x: Tensor) -> Iterator[Any]:
    yield F.max_pool2d(x, 2)
    B, C, H, W = x.shape
    rows_last, split = x.view(B, C, 2, H // 2, 2, W // 2), x.view(B, C, H // 2, 2, W // 2, 2)
    yield {
        "that is the mean of each block. Keep the largest value.": F.avg_pool2d(x, 2),
        "you keep the first pixel of each block, not the largest.": x[..., ::2, ::2],
        "these blocks are no neighbours: view rows as (H // 2, 2), not as (2, H // 2).": rows_last.amax(dim=(2, 4)),
        "your view is right, but the two axes within a block are 3 and 5.": split.amax(dim=(2, 4)),
    }


@gap("02.f", "a transposed convolution by hand", [(IMAGE, BLOCK)], "Each pixel becomes a block.")
def _transposed(image: Tensor, kernel: Tensor) -> Iterator[Any]:
    yield F.conv_transpose2d(image[None, None], kernel[None, None], stride=2)[0, 0]
    yield {
        "the image is repeated, not each of its pixels.": kernel.repeat(*image.shape) * image.repeat(2, 2),
        "rows and columns of the kernel are exchanged.": _transposed(image, kernel.T),
    }


@exercise("02.g", "the U-Net", unet.UNet)
def whole_network(answer: Any) -> str:
    """The class `UNet` has the names, weights and results of petseg's."""
    x, released = torch.randn(1, 3, 32, 32), zoo.load("unet")[0].network
    reference, made = unet.UNet(channels=(4, 8)), ask(answer, 3, 3, (4, 8))
    swapped = same_weights("UNet(channels=(4, 8))", made, reference)
    with torch.no_grad():
        hooks = [stage.register_forward_pre_hook(_skip_last) for stage in reference.decoder]
        skip_last = reference(x)
        for hook in hooks:
            hook.remove()
        if close(ask(swapped, x), skip_last):
            raise NotYetError("concatenate the skip first, then the upsampled features.")
        _compare("UNet(channels=(4, 8))", made, reference, x)
        _compare("UNet(num_classes=2, channels=(4, 8))", ask(answer, 3, 2, (4, 8)), unet.UNet(3, 2, (4, 8)), x)
        separable = unet.UNet(channels=(4, 8), separable=True)
        _compare("UNet(channels=(4, 8), separable=True)", ask(answer, 3, 3, (4, 8), True), separable, x)
        _compare("with the released weights, UNet()", ask(answer), released, torch.randn(1, 3, 128, 128))
    return "With the released weights, your network equals the released one, bit for bit."


def _skip_last(stage: nn.Module, inputs: tuple[Tensor]) -> Tensor:
    skip, upsampled = inputs[0].chunk(2, dim=1)
    return torch.cat([upsampled, skip], dim=1)


@gap("02.h", "parameters of a DoubleConv", [(3, 16), (32, 32)], "Its size does not depend on the image.")
def _double(i: int, o: int) -> Iterator[Any]:
    right = 9 * i * o + 9 * o * o + 4 * o
    yield right
    yield {
        "BatchNorm has parameters too: a scale and a shift per channel.": right - 4 * o,
        "there are two BatchNorms.": right - 2 * o,
        "these convolutions have no bias.": right + 2 * o,
        "the second convolution goes from o to o channels.": 18 * i * o + 4 * o,
        "a kernel has 3 x 3 weights.": 3 * i * o + 3 * o * o + 4 * o,
    }


@gap("02.i", "receptive field of a sequence of layers", [(stack,) for stack in STACKS], SEEN)
def _field_size(layers: Layers, stride_first: bool = False) -> Iterator[Any]:
    size, step = 1, 1
    for kernel, stride in layers:
        size += (kernel - 1) * step * (stride if stride_first else 1)
        step *= stride
    yield size
    yield {
        "that is one too few: without any layer a pixel sees itself.": size - 1,
        "a kernel of k widens the field by k - 1, not by k.": _field_size([(kernel + 1, s) for kernel, s in layers]),
        "after a stride of 2, neighbours lie 2 pixels apart: keep track of this distance.": (
            1 + sum(kernel - 1 for kernel, _ in layers)
        ),
        "a stride widens the steps of the layers after it, not of its own kernel.": _field_size(layers, True),
    }


@exercise("02.1", "build: a decoder stage with bilinear upsampling")
def decoder_stage(answer: Any) -> str:
    """`DecoderStage(below, out)` upsamples bilinearly, concatenates the skip, and convolves twice."""
    generator = torch.Generator().manual_seed(0)
    for below, out, h, w in ((6, 3, 6, 7), (8, 8, 8, 8)):
        stage = ask(answer, below, out)
        if not isinstance(stage, nn.Module):
            raise NotYetError(f"expected an nn.Module, but got {type(stage).__name__}.")
        x = torch.randn(2, below, h, w, generator=generator)
        skip = torch.randn(2, out, 2 * h, 2 * w, generator=generator)
        result = ask(stage.eval(), x, skip)
        same_shape(f"x {tuple(x.shape)} with skip {tuple(skip.shape)}", result, skip)
        _check_stage(stage, x, skip, result)
    return "Such a stage has fewer parameters than one with a transposed convolution, and no 2x2 pattern of its own."


def _check_stage(stage: nn.Module, x: Tensor, skip: Tensor, result: Tensor) -> None:
    if any(isinstance(layer, nn.ConvTranspose2d) for layer in stage.modules()):
        raise NotYetError("this stage has a transposed convolution. Use bilinear upsampling and a 1x1 convolution.")
    if torch.allclose(ask(stage, x, skip + 1), result):
        raise NotYetError("the result does not depend on the skip. Concatenate it along the channels, `dim=1`.")
    if torch.allclose(ask(stage, x + 1, skip), result):
        raise NotYetError("the result does not depend on x, the features from below.")
    layers = sorted((m.kernel_size[0], m.in_channels) for m in stage.modules() if isinstance(m, nn.Conv2d))
    if [kernel for kernel, _ in layers] != [1, 3, 3]:
        kernels = [kernel for kernel, _ in layers]
        raise NotYetError(f"its convolutions have kernels of {kernels}; expected one of 1x1, and a DoubleConv.")
    if layers[0][1] != x.shape[1]:
        raise NotYetError("put the 1x1 convolution before the concatenation: its input is x alone.")
    impulse = torch.zeros_like(x)
    impulse[..., x.shape[2] // 2, x.shape[3] // 2] = 1
    changed = (ask(stage, impulse, skip) - ask(stage, 0 * x, skip)).abs().sum(dim=(0, 1)) > 1e-7
    if int(changed.any(dim=1).sum()) <= 6:  # 2 rows by nearest neighbour, 4 bilinearly; the convolutions add 2 each
        raise NotYetError("upsampling copies pixels. Ask for mode='bilinear'.")


@exercise("02.2", "experiment: a U-Net without skips")
def without_skips(prediction: Any, with_skips: Any, without: Any) -> str:
    """Which class loses most IoU when a small U-Net is trained without its skips."""
    one_of(prediction, CLASSES)
    scores = []
    for name, values in (("with", with_skips), ("without", without)):
        expected = f"{name} skips: expected the IoU of the three classes, three numbers from 0 to 1."
        scores.append(as_numbers(values, lambda x: len(x) == len(CLASSES) and 0 <= min(x) <= max(x) <= 1, expected))
    loss = {name: scores[0][i] - scores[1][i] for i, name in enumerate(CLASSES)}
    if not any(loss.values()):
        raise NotYetError("both networks have the same scores. Is one without skips, and are both trained?")
    return f"Lost without skips: {verdict(prediction, loss)} One short run each, so another seed may differ."
