"""What is inside a network: shapes and counts, and what a logit depends on."""

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Step:
    """One call of a module during a forward pass, with the shapes of its first argument and of its result."""

    name: str  # of the module in its network, for instance `encoder.0`; a module that is called twice has two steps
    module: nn.Module
    input: tuple[int, ...]
    output: tuple[int, ...]

    @property
    def multiply_adds(self) -> int:
        """Products of a weight and a value in a convolution or BatchNorm layer; 0 for any other module.

        A bias only adds and is not counted.
        """
        if isinstance(self.module, nn.ConvTranspose2d):
            return self.module.weight.numel() * _pixels(self.input)  # each weight is used at every input pixel
        if isinstance(self.module, nn.Conv2d):
            return self.module.weight.numel() * _pixels(self.output)  # each weight is used at every output pixel
        # BatchNorm in eval mode is one product per value
        return _pixels(self.output) * self.output[1] if isinstance(self.module, nn.BatchNorm2d) else 0


def trace(network: nn.Module, shape: tuple[int, ...], stages: bool = False) -> list[Step]:
    """The steps of a forward pass in eval mode, of an image of this shape (B, C, H, W), in their order.

    With `stages`, they are the blocks of a U-Net instead of the layers that these are made of. The network stays as it
    is.
    """
    layers = [name for name, module in network.named_modules() if not list(module.children())]
    steps: list[Step] = []

    def append_step(name: str, module: nn.Module, arguments: tuple[Tensor, ...], result: Tensor) -> None:
        steps.append(Step(name, module, tuple(arguments[0].shape), tuple(result.shape)))

    with torch.no_grad(), in_eval_mode(network):
        hooks = [
            network.get_submodule(name).register_forward_hook(partial(append_step, name))
            for name in (_blocks(network) if stages else layers)
        ]
        try:
            network(torch.zeros(shape, device=next(network.parameters()).device))
        finally:
            for hook in hooks:
                hook.remove()
    return steps


def input_gradient(network: nn.Module, image: Tensor, position: tuple[int, int], label: int = 0) -> Tensor:
    """How strongly each pixel of an image changes one logit: the gradient's magnitude, summed over the channels.

    The network runs in eval mode: in train mode BatchNorm's statistics make every pixel depend on every other. Takes a
    normalised image (1, C, H, W), the row and column of the logit, and its class; returns (H, W) on the CPU.
    """
    image = image.detach().clone().requires_grad_()
    with in_eval_mode(network):
        logit = network(image)[0, label, position[0], position[1]]
    (gradient,) = torch.autograd.grad(logit, image)
    return gradient[0].abs().sum(dim=0).cpu()


def half_radius(gradient: Tensor, position: tuple[int, int]) -> int:
    """The smallest r for which the square of side 2 r + 1 around a position holds half of a gradient's sum."""
    H, W = gradient.shape
    row, column = torch.arange(H) - position[0], torch.arange(W) - position[1]
    ring = torch.maximum(row.abs().unsqueeze(1), column.abs().unsqueeze(0))  # (H, W): distance from the centre
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


@contextmanager
def in_eval_mode(network: nn.Module) -> Iterator[None]:
    """Eval mode for a while; afterwards every module is in its own mode again."""
    modes = {module: module.training for module in network.modules()}
    network.eval()
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode


def _blocks(network: nn.Module) -> list[str]:
    """Names of a U-Net's blocks: its children, and the members of a child that is a list of modules."""
    names = []
    for name, child in network.named_children():
        names += [f"{name}.{i}" for i in range(len(child))] if isinstance(child, nn.ModuleList) else [name]
    return names


def _pixels(shape: tuple[int, ...]) -> int:
    """Height times width of all feature maps of a batch."""
    B, _, H, W = shape
    return B * H * W
