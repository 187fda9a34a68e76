"""Checks of the exercises of notebook 02: a decoder stage with bilinear upsampling, and a U-Net without skips."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from petseg.course.checks import exercise
from petseg.course.hints import NotYetError, as_numbers, ask, one_of, same_shape, verdict
from petseg.labels import CLASSES


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
    kernels = sorted(m.kernel_size[0] for m in stage.modules() if isinstance(m, nn.Conv2d))
    if kernels != [1, 3, 3]:
        raise NotYetError(f"its convolutions have kernels of {kernels}; expected one of 1x1, and a DoubleConv.")
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
