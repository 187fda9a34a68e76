"""What is inside a network: shapes, counts, what a pixel sees, feature maps, and the network with skips cut."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from petseg.models.unet import UNet


@dataclass(frozen=True)
class Step:
    """One call of a module during a forward pass.

    Attributes:
        name: of the module in its network, for instance `encoder.0`; one that is called twice has two steps.
        module: itself.
        input: shape of its first argument.
        output: shape of what it returns.
    """

    name: str
    module: nn.Module
    input: tuple[int, ...]
    output: tuple[int, ...]

    @property
    def parameters(self) -> int:
        """How many numbers of the module training finds; BatchNorm's running averages are not among them."""
        return sum(parameter.numel() for parameter in self.module.parameters())

    @property
    def multiply_adds(self) -> int:
        """Products of a weight and a value that a convolution or BatchNorm layer takes; 0 for any other module.

        A convolution's weight meets every place of the output, a transposed convolution's every place of the input;
        BatchNorm in eval mode is one product a value. A bias only adds and is not counted.
        """
        if isinstance(self.module, nn.ConvTranspose2d):
            return self.module.weight.numel() * _places(self.input)
        if isinstance(self.module, nn.Conv2d):
            return self.module.weight.numel() * _places(self.output)
        return _places(self.output) * self.output[1] if isinstance(self.module, nn.BatchNorm2d) else 0


def trace(network: nn.Module, shape: tuple[int, ...], stages: bool = False) -> list[Step]:
    """The steps of a forward pass in eval mode, in the order in which they were taken.

    Args:
        network: stays as it is.
        shape: (B, C, H, W) of the image to pass.
        stages: stop at the blocks of a U-Net, instead of going down to the layers they are made of.
    """
    named = dict(network.named_modules())
    chosen = _blocks(network) if stages else [name for name, module in named.items() if not list(module.children())]
    steps: list[Step] = []

    def note(name: str, module: nn.Module, arguments: Any, result: Tensor) -> None:
        steps.append(Step(name, module, tuple(arguments[0].shape), tuple(result.shape)))

    with torch.no_grad(), in_eval_mode(network), _hooks(network, chosen, note):
        network(torch.zeros(shape, device=next(network.parameters()).device))
    return steps


def feature_maps(network: UNet, image: Tensor) -> dict[str, Tensor]:
    """What each stage of a U-Net says of an image.

    Args:
        network: is run in eval mode.
        image: float (B, 3, H, W), normalised.

    Returns:
        float (B, c, h, w) on the CPU, by `encoder 1` (the finest) to `encoder n`, `bottleneck`, `decoder n` to
        `decoder 1`.
    """
    n = len(network.encoder)
    names = {f"encoder.{i}": f"encoder {i + 1}" for i in range(n)} | {"bottleneck": "bottleneck"}
    names |= {f"decoder.{i}": f"decoder {n - i}" for i in range(n)}
    maps: dict[str, Tensor] = {}

    def keep(name: str, module: nn.Module, arguments: Any, result: Tensor) -> None:
        maps[names[name]] = result.cpu()

    with torch.no_grad(), in_eval_mode(network), _hooks(network, names, keep):
        network(image)
    return maps


@contextmanager
def skips_cut(network: UNet, cut: Collection[int]) -> Iterator[UNet]:
    """Lets the named skips of a U-Net carry zeros, for as long as the `with` block lasts.

    Args:
        network: is whole again afterwards.
        cut: numbers of the skips: 1 is the finest, at the image's own size.

    Raises:
        ValueError: there is no such skip.
    """
    n = len(network.encoder)
    if not set(cut) <= set(range(1, n + 1)):
        raise ValueError(f"cut={sorted(cut)}: this network has the skips 1 to {n}.")

    def zeros(decoder: nn.Module, arguments: tuple[Tensor]) -> tuple[Tensor]:
        skip, up = arguments[0].chunk(2, dim=1)  # (B, c, h, w) each, in the order of UNet.forward
        return (torch.cat([torch.zeros_like(skip), up], dim=1),)

    hooks = [network.decoder[n - number].register_forward_pre_hook(zeros) for number in set(cut)]
    try:
        yield network
    finally:
        for hook in hooks:
            hook.remove()


def receptive_field(position: int, stages: int = 5) -> tuple[int, int]:
    """First and last row (or column) of the image that can change a U-Net's logits at a row (or column).

    The image is taken to be large enough; at its border the field ends. Each step of the deepest path is undone,
    from the logits back to the image; the skips see no further than that path does.

    Args:
        position: of the logits.
        stages: of the encoder.
    """
    first = last = position
    for _ in range(stages):
        first, last = first - 2, last + 2  # two 3x3 convolutions
        first, last = first // 2, last // 2  # up-convolution: each pixel comes from one
    first, last = first - 2, last + 2
    for _ in range(stages):
        first, last = 2 * first, 2 * last + 1  # pooling: each pixel comes from two
        first, last = first - 2, last + 2
    return first, last


def input_gradient(network: nn.Module, image: Tensor, position: tuple[int, int], label: int = 0) -> Tensor:
    """How much each pixel of an image moves one logit: the gradient's magnitude, summed over the colours.

    Args:
        network: is run in eval mode, for in train mode BatchNorm ties every pixel to every other.
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
    """The smallest r for which the square of 2 r + 1 pixels a side around a position holds half of a gradient.

    Args:
        gradient: (H, W), magnitudes.
        position: row and column of the centre.
    """
    H, W = gradient.shape
    row, column = torch.arange(H) - position[0], torch.arange(W) - position[1]
    ring = torch.maximum(row.abs().unsqueeze(1), column.abs().unsqueeze(0))  # (H, W)
    inside = torch.bincount(ring.flatten(), gradient.flatten().double()).cumsum(0)
    return int((inside < inside[-1] / 2).sum())


def with_open_paths(network: nn.Module) -> nn.Module:
    """A float64 copy through which every input pixel that can reach an output does: no path is shut or cancelled.

    Weights become equal and positive, pooling takes the mean instead of the maximum, and BatchNorm does nothing, so
    that with a positive image the gradient is above zero exactly in the receptive field.
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


def kept_for_backward(network: nn.Module, image: Tensor) -> int:
    """Bytes of the intermediate results that a forward pass in train mode keeps for its backward pass.

    Each piece of memory counts once; parameters and the image do not count. The network's running averages stay.

    Args:
        network: is run as a copy.
        image: float (B, C, H, W).
    """
    network = deepcopy(network).train()
    own = {tensor.untyped_storage().data_ptr() for tensor in (*network.parameters(), *network.buffers(), image)}
    kept: dict[int, Tensor] = {}  # the tensors themselves, lest their memory be given to others meanwhile

    def note(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        logits = network(image)
    del logits
    return sum(tensor.untyped_storage().nbytes() for place, tensor in kept.items() if place not in own)


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


@contextmanager
def _hooks(network: nn.Module, names: Collection[str], call: Any) -> Iterator[None]:
    def hook(name: str) -> Any:
        return lambda module, arguments, result: call(name, module, arguments, result)

    handles = [network.get_submodule(name).register_forward_hook(hook(name)) for name in names]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _blocks(network: nn.Module) -> list[str]:
    """Names of a U-Net's blocks: its children, and for a list of modules those in the list."""
    names = []
    for name, child in network.named_children():
        names += [f"{name}.{i}" for i in range(len(child))] if isinstance(child, nn.ModuleList) else [name]
    return names


def _places(shape: tuple[int, ...]) -> int:
    B, _, H, W = shape
    return B * H * W
