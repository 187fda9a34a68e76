"""Right answers to the exercises of notebook 02, and usual mistakes with words of their hints."""

import torch
import torch.nn.functional as F
from torch import nn

from petseg.models.unet import DoubleConv


def scale(norm):
    return norm.weight / (norm.running_var + norm.eps).sqrt()


def folded(conv, norm):
    a = scale(norm)
    return scaled(conv, a), norm.bias - norm.running_mean * a


def folded_another_way(conv, norm):
    a = scale(norm)
    return [torch.einsum("oikl,o->oikl", conv.weight, a), norm(torch.zeros(1, len(a), 1, 1)).flatten()]


def scaled(conv, factor):
    return conv.weight * factor.view(-1, 1, 1, 1)


WRONG_FOLDS = {
    "bias is not": lambda conv, norm: (scaled(conv, scale(norm)), norm.bias),
    "norm.eps": lambda conv, norm: (scaled(conv, norm.weight / norm.running_var.sqrt()), norm.bias),
    "square root": lambda conv, norm: (scaled(conv, norm.weight / (norm.running_var + norm.eps)), norm.bias),
    "what is a?": lambda conv, norm: (conv.weight, norm.bias),
    "two tensors": lambda conv, norm: conv.weight,
    "counts output channels": lambda conv, norm: (conv.weight[:1], norm.bias),
    "failed with RuntimeError": lambda conv, norm: (conv.weight * scale(norm), norm.bias),
}


def scaled_inputs(conv, norm):
    a = scale(norm)
    if len(a) == conv.in_channels:
        return conv.weight * a.view(1, -1, 1, 1), folded(conv, norm)[1]
    return folded(conv, norm)


def field_size(layers):
    size, step = 1, 1
    for kernel, stride in layers:
        size += (kernel - 1) * step
        step *= stride
    return size


def backwards(layers):
    size = 1
    for kernel, stride in reversed(layers):
        size = (size - 1) * stride + kernel
    return size


WRONG_FIELDS = {
    "Keep track of this distance": lambda layers: 1 + sum(kernel - 1 for kernel, _ in layers),
    "not of its own kernel": lambda layers: field_size([each for k, s in layers for each in ((1, s), (k, 1))]),
    "sees only itself": lambda layers: 0 if not layers else field_size(layers),
    "One too few": lambda layers: field_size(layers) - bool(layers),
    "by k - 1 pixels": lambda layers: 1 + sum(kernel for kernel, _ in layers),
    "Keep two numbers": lambda layers: field_size(layers) if len(layers) < 4 else 300,
}


class Stage(nn.Module):
    """A right answer; the wrong ones below each change one thing."""

    mode = "bilinear"

    def __init__(self, below, out):
        super().__init__()
        self.narrow = self.narrowing(below, out)
        self.convolutions = DoubleConv(2 * out, out)

    def narrowing(self, below, out):
        return nn.Conv2d(below, out, kernel_size=1)

    def raised(self, x):
        return self.narrow(F.interpolate(x, scale_factor=2, mode=self.mode))

    def forward(self, x, skip):
        return self.convolutions(torch.cat([skip, self.raised(x)], dim=1))


class Transposed(Stage):
    def narrowing(self, below, out):
        return nn.ConvTranspose2d(below, out, 2, stride=2)

    def raised(self, x):
        return self.narrow(x)


class Wide(Stage):
    def narrowing(self, below, out):
        return nn.Conv2d(below, out, kernel_size=3, padding=1)


class Nearest(Stage):
    mode = "nearest"


class Unfilled(Stage):
    def forward(self, x, skip): ...


def changed(forward):
    return type("Changed", (Stage,), {"forward": forward})


def narrow_first(self, x, skip):
    x = F.interpolate(self.narrow(x), scale_factor=2, mode="bilinear")
    return self.convolutions(torch.cat([skip, x], dim=1))


def aligned(self, x, skip):
    x = F.interpolate(self.narrow(x), scale_factor=2, mode="bilinear", align_corners=True)
    return self.convolutions(torch.cat([x, skip], dim=1))


def without_skip(self, x, skip):
    return self.convolutions(torch.cat([0 * skip, self.raised(x)], dim=1))


def without_below(self, x, skip):
    return self.convolutions(torch.cat([skip, 0 * skip], dim=1))


WRONG_STAGES = {
    "transposed convolution": Transposed,
    "kernels of [3, 3, 3]": Wide,
    "mode='bilinear'": Nearest,
    "still to do": Unfilled,
    "does not depend on the skip": changed(without_skip),
    "does not depend on x": changed(without_below),
    "the result has the shape": changed(lambda self, x, skip: self.narrow(x)),
    "negative values": changed(lambda self, x, skip: Stage.forward(self, x, skip) - 1),
    "expected an nn.Module": lambda below, out: [below, out],
    "failed with RuntimeError": changed(lambda self, x, skip: self.convolutions(torch.cat([skip, x], dim=1))),
}


SCORES = ([0.8, 0.9, 0.5], torch.tensor([0.7, 0.85, 0.2]))
LOST = "right. Lost without skips: pet +0.100, background +0.050, boundary +0.300. Most: boundary,"

CASES = [
    *(("02.1", answer, "right.") for answer in (folded, folded_another_way)),
    *(("02.1", answer, hint) for hint, answer in WRONG_FOLDS.items()),
    ("02.1", scaled_inputs, "axis 0"),
    *(("02.2", answer, "right.") for answer in (field_size, backwards)),
    *(("02.2", answer, hint) for hint, answer in WRONG_FIELDS.items()),
    *(("02.3", answer, "right.") for answer in (Stage, changed(narrow_first), changed(aligned))),
    *(("02.3", answer, hint) for hint, answer in WRONG_STAGES.items()),
    *((number, lambda *arguments: ..., "still to do") for number in ("02.1", "02.2", "02.3")),
    ("02.4", ("boundary", *SCORES), f"{LOST} as you predicted. One short"),
    ("02.4", ("pet", *SCORES), f"{LOST} you predicted pet. One short"),
    ("02.4", ("fur", *SCORES), "expected one of pet, background, boundary"),
    ("02.4", ("pet", 0.7, SCORES[1]), "with skips: expected the IoU of the three classes"),
    ("02.4", ("pet", SCORES[0], [0.7, 0.8]), "without skips: expected the IoU of the three classes"),
    ("02.4", ("pet", [80, 90, 50], SCORES[1]), "three numbers from 0 to 1"),
    ("02.4", ("pet", SCORES[0], SCORES[0]), "the same scores"),
    ("02.4", ("pet", ..., ...), "still to do"),
]
