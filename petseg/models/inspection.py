"""What is inside a network: shapes, counts, feature maps, and memory."""

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
        """Number of trainable parameters; BatchNorm's running averages are not among them."""
        return sum(parameter.numel() for parameter in self.module.parameters())

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
    """The steps of a forward pass in eval mode, in the order in which they were taken.

    Args:
        network: stays as it is.
        shape: (B, C, H, W) of the image to pass.
        stages: list the blocks of a U-Net instead of the layers that they are made of.
    """
    layers = [name for name, module in network.named_modules() if not list(module.children())]
    chosen = _blocks(network) if stages else layers
    steps: list[Step] = []

    def note(name: str, module: nn.Module, arguments: Any, result: Tensor) -> None:
        steps.append(Step(name, module, tuple(arguments[0].shape), tuple(result.shape)))

    with torch.no_grad(), in_eval_mode(network), _hooks(network, chosen, note):
        network(torch.zeros(shape, device=next(network.parameters()).device))
    return steps


def feature_maps(network: UNet, image: Tensor) -> dict[str, Tensor]:
    """The output of each stage of a U-Net for an image, caught by forward hooks.

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


def kept_for_backward(network: nn.Module, image: Tensor) -> int:
    """Bytes of the activations that a forward pass in train mode keeps for its backward pass.

    Each piece of memory counts once; parameters and the image do not count. The network's running averages stay.

    Args:
        network: is run as a copy.
        image: float (B, C, H, W).
    """
    network = deepcopy(network).train()
    own = {tensor.untyped_storage().data_ptr() for tensor in (*network.parameters(), *network.buffers(), image)}
    # by address; the tensors themselves are held so that their memory is not used again meanwhile
    kept: dict[int, Tensor] = {}

    def note(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        logits = network(image)
    del logits
    return sum(tensor.untyped_storage().nbytes() for address, tensor in kept.items() if address not in own)


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
        # returns None, so that the hook does not change the result
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


def _pixels(shape: tuple[int, ...]) -> int:
    """Height times width of all feature maps of a batch."""
    B, _, H, W = shape
    return B * H * W
