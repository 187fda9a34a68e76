"""The receptive field: which pixels of an image can change a logit, and which do."""

from __future__ import annotations

from copy import deepcopy

import torch
from torch import Tensor, nn

from petseg.models.inspection import in_eval_mode


def receptive_field(position: int, stages: int = 5) -> tuple[int, int]:
    """First and last row (or column) of the image that can change a U-Net's logits at a row (or column).

    The image is assumed to be large enough; at its border the field ends. Each step of the deepest path is undone, from
    the logits back to the image; the skip connections see no further than that path does.

    Args:
        position: of the logits.
        stages: of the encoder.
    """
    first = last = position
    for _ in range(stages):
        first, last = first - 2, last + 2  # two 3x3 convolutions
        first, last = first // 2, last // 2  # transposed convolution: each pixel comes from one
    first, last = first - 2, last + 2  # the bottleneck's two convolutions
    for _ in range(stages):
        first, last = 2 * first, 2 * last + 1  # pooling: each row comes from two
        first, last = first - 2, last + 2  # the encoder's two convolutions
    return first, last


def input_gradient(network: nn.Module, image: Tensor, position: tuple[int, int], label: int = 0) -> Tensor:
    """How strongly each pixel of an image changes one logit: the gradient's magnitude, summed over the channels.

    Args:
        network: is run in eval mode; in train mode BatchNorm's statistics make every pixel depend on every other.
        image: float (1, C, H, W), normalised.
        position: row and column of the logit.
        label: its class.

    Returns:
        (H, W) on the CPU, of the image's type.
    """
    image = image.detach().clone().requires_grad_()
    with in_eval_mode(network):
        logit = network(image)[0, label, position[0], position[1]]
    (gradient,) = torch.autograd.grad(logit, image)
    return gradient[0].abs().sum(dim=0).cpu()


def half_radius(gradient: Tensor, position: tuple[int, int]) -> int:
    """The smallest r for which the square of side 2 r + 1 around a position holds half of a gradient's sum.

    Args:
        gradient: (H, W), magnitudes.
        position: row and column of the centre.
    """
    H, W = gradient.shape
    row, column = torch.arange(H) - position[0], torch.arange(W) - position[1]
    ring = torch.maximum(row.abs().unsqueeze(1), column.abs().unsqueeze(0))  # (H, W)
    inside = torch.bincount(ring.flatten(), gradient.flatten().double()).cumsum(0)  # sum within each radius
    return int((inside < inside[-1] / 2).sum())


def with_open_paths(network: nn.Module) -> nn.Module:
    """A float64 copy whose gradient, for a positive image, is above zero exactly in the receptive field.

    Weights become equal and positive, so that no two paths cancel; pooling takes the mean instead of the maximum, so
    that all its pixels pass; and BatchNorm does nothing.
    """
    copy = deepcopy(network).cpu().double().eval()
    for module in copy.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.constant_(module.weight, 1 / module.weight[0].numel())
        elif isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()
            module.reset_parameters()
    for name, module in list(copy.named_modules()):
        if isinstance(module, nn.MaxPool2d):
            copy.set_submodule(name, nn.AvgPool2d(module.kernel_size, module.stride, module.padding))
    return copy
