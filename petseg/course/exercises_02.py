"""Checks of the exercises of notebook 02: folding BatchNorm, the receptive field, a decoder stage, skips."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from petseg.course.checks import NotYetError, ask, exercise, hint_for
from petseg.labels import CLASSES

Layers = list[tuple[int, int]]


@exercise("02.1", "fold a BatchNorm into a convolution")
def folded_batchnorm(answer: Any) -> str:
    """`fold(conv, norm)` gives the weight and bias of one convolution that does what both do in eval mode."""
    generator = torch.Generator().manual_seed(0)
    for c_in, c_out in ((3, 5), (4, 4), (2, 1)):  # with equal widths, a scale on the wrong axis has the right shape
        conv, norm = _random_layers(c_in, c_out, generator)
        image = torch.randn(2, c_in, 6, 6, generator=generator)
        weight, bias = _pair(ask(answer, conv, norm), conv, c_out)
        with torch.no_grad():
            expected = norm(conv(image))
            result = nn.functional.conv2d(image, weight, bias, padding=1)
            if not torch.allclose(result, expected, atol=1e-4):
                raise _fold_hint(weight, conv, norm)
    return "Export tools do the same, so BatchNorm costs nothing in inference."


def _random_layers(c_in: int, c_out: int, generator: torch.Generator) -> tuple[nn.Conv2d, nn.BatchNorm2d]:
    """A convolution, and a BatchNorm in eval mode whose values all differ from their defaults."""
    conv = nn.Conv2d(c_in, c_out, 3, padding=1, bias=False)
    norm = nn.BatchNorm2d(c_out, eps=0.1).eval()  # large, so that forgetting it is noticed
    with torch.no_grad():
        for values in (conv.weight, norm.weight, norm.bias, norm.running_mean):
            values.copy_(torch.randn(values.shape, generator=generator))  # type: ignore[union-attr]
        norm.running_var.copy_(0.5 + torch.rand(c_out, generator=generator))  # type: ignore[union-attr]
    return conv, norm


def _pair(result: Any, conv: nn.Conv2d, c_out: int) -> tuple[Tensor, Tensor]:
    if not isinstance(result, tuple | list) or len(result) != 2 or not all(torch.is_tensor(part) for part in result):
        raise NotYetError(f"expected two tensors, `weight, bias`, but got {type(result).__name__}.")
    weight, bias = (part.detach() for part in result)
    if weight.shape != conv.weight.shape or bias.shape != (c_out,):
        raise NotYetError(
            f"your weight has the shape {tuple(weight.shape)} and your bias {tuple(bias.shape)}; the convolution needs "
            f"{tuple(conv.weight.shape)} and {(c_out,)}. Which axis of the weight counts output channels?"
        )
    return weight, bias


def _fold_hint(weight: Tensor, conv: nn.Conv2d, norm: nn.BatchNorm2d) -> NotYetError:
    var = norm.running_var if norm.running_var is not None else torch.ones(len(norm.weight))
    scale = norm.weight / (var + norm.eps).sqrt()
    mistakes = {
        "the weight is right, the bias is not. What does BatchNorm return for a convolution output of 0?": scale,
        "almost: BatchNorm divides by the square root of the variance plus `norm.eps`.": norm.weight / var.sqrt(),
        "you divide by the variance; BatchNorm divides by its square root.": norm.weight / (var + norm.eps),
    }
    scaled = {hint: conv.weight * factor.view(-1, 1, 1, 1) for hint, factor in mistakes.items()}
    if weight.shape[0] == weight.shape[1]:
        hint = "you scale the input channels; BatchNorm scales the output channels, axis 0 of the weight."
        scaled[hint] = conv.weight * scale.view(1, -1, 1, 1)
    return hint_for(
        weight, scaled, "the weight is wrong. BatchNorm in eval mode computes a * x + b per channel: what is a?"
    )


@exercise("02.2", "receptive field of a sequence of layers")
def field_of_layers(answer: Any) -> str:
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


@exercise("02.3", "build: a decoder stage with bilinear upsampling")
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
        if not torch.is_tensor(result) or result.shape != skip.shape:
            shape = tuple(getattr(result, "shape", ()))
            raise NotYetError(f"for x {tuple(x.shape)} and skip {tuple(skip.shape)} the result has the shape {shape}.")
        _check_stage(stage, x, skip, result)
    return "Such a stage has fewer parameters than one with a transposed convolution, and no 2x2 pattern of its own."


def _check_stage(stage: nn.Module, x: Tensor, skip: Tensor, result: Tensor) -> None:
    if any(isinstance(layer, nn.ConvTranspose2d) for layer in stage.modules()):
        raise NotYetError("this stage has a transposed convolution. Use bilinear upsampling and a 1x1 convolution.")
    if torch.allclose(ask(stage, x, skip + 1), result):
        raise NotYetError("the result does not depend on the skip. Concatenate it along the channels, `dim=1`.")
    if torch.allclose(ask(stage, x + 1, skip), result):
        raise NotYetError("the result does not depend on x, the features from below.")
    kernels = sorted(m.kernel_size[0] for m in stage.modules() if isinstance(m, nn.Conv2d))
    if kernels != [1, 3, 3]:
        raise NotYetError(
            f"its convolutions have kernels of {kernels}; expected one of 1x1 and two of 3x3 (DoubleConv)."
        )
    if result.min() < 0:
        raise NotYetError("the result has negative values; DoubleConv ends with ReLU.")
    impulse = torch.zeros_like(x)
    impulse[..., x.shape[2] // 2, x.shape[3] // 2] = 1
    changed = (ask(stage, impulse, skip) - ask(stage, 0 * x, skip)).abs().sum(dim=(0, 1)) > 1e-7
    if int(changed.any(dim=1).sum()) <= 6:  # 2 rows by nearest neighbour, 4 bilinearly; the convolutions add 2 each
        raise NotYetError("upsampling copies pixels. Ask for mode='bilinear'.")


@exercise("02.4", "experiment: a U-Net without skips")
def without_skips(prediction: Any, with_skips: Any, without: Any) -> str:
    """Which class loses most IoU when a small U-Net is trained without its skips."""
    if prediction not in CLASSES:
        raise NotYetError(f"your prediction is {prediction!r}; expected one of {', '.join(CLASSES)}.")
    scores = [_three_scores(with_skips, "with"), _three_scores(without, "without")]
    loss = {name: scores[0][i] - scores[1][i] for i, name in enumerate(CLASSES)}
    if not any(loss.values()):
        raise NotYetError(
            "both networks have the same scores. Is one of them built without skips, and are both trained?"
        )
    most = max(loss, key=lambda name: loss[name])
    verdict = "as you predicted" if most == prediction else f"you predicted {prediction}"
    listed = ", ".join(f"{name} {value:+.3f}" for name, value in loss.items())
    return f"Lost without skips: {listed}. Most: {most}, {verdict}. One short run each, so another seed may differ."


def _three_scores(values: Any, name: str) -> list[float]:
    try:
        numbers = [float(value) for value in values]
    except (TypeError, ValueError):
        numbers = []
    if len(numbers) != len(CLASSES) or not all(0 <= value <= 1 for value in numbers):
        raise NotYetError(f"{name} skips: expected the IoU of the three classes, three numbers from 0 to 1.")
    return numbers
