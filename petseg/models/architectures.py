"""What training still builds by a name from a recipe, until it takes a network."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from petseg.errors import SettingsError
from petseg.models.pretrained import PretrainedUNet, load_imagenet
from petseg.models.unet import DoubleConv, UNet

NETWORKS: dict[str, type[nn.Module]] = {"unet": UNet, "pretrained-unet": PretrainedUNet}


def build_network(name: str, shared: Mapping[str, Any], own: Mapping[str, Any] | None = None) -> Any:
    """The network of a key of `NETWORKS`, with those of the shared settings that its class knows, and with its own."""
    if name not in NETWORKS:
        raise SettingsError(f"architecture={name}: petseg knows {', '.join(NETWORKS)}. Choose one of them.")
    if name == "unet" and shared.get("skips") is False:
        return UNetWithoutSkips(shared["channels"], shared["separable"])
    known = inspect.signature(NETWORKS[name]).parameters
    if unknown := [key for key in own or {} if key not in known]:
        raise SettingsError(f"{name} has no setting {unknown[0]!r}; it has {', '.join(known)}. Choose among them.")
    settings = {key: value for key, value in shared.items() if key in known and value is not None}
    return NETWORKS[name](**settings | dict(own or {}))


def has_pretrained_encoder(network: nn.Module) -> bool:
    """Whether a network's `encoder` is made to start from pretrained weights."""
    return isinstance(network, PretrainedUNet)


def load_pretrained_encoder(network: nn.Module) -> None:
    """Puts ImageNet's weights into a network's encoder if it is made for them."""
    if isinstance(network, PretrainedUNet):
        load_imagenet(network)


class UNetWithoutSkips(UNet):
    """A U-Net whose decoder sees only what came through the bottleneck, for the ablation."""

    def __init__(self, channels: Sequence[int] = (16, 32, 64, 128, 256), separable: bool = False) -> None:
        super().__init__(channels=channels, separable=separable)
        self.decoder = nn.ModuleList(DoubleConv(c, c, separable) for c in channels[::-1])

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B, 3, H, W); H and W are multiples of 2 to the number of stages."""
        for stage in self.encoder:
            x = self.pool(stage(x))
        x = self.bottleneck(x)
        for up, stage in zip(self.up, self.decoder, strict=True):
            x = stage(up(x))
        logits: Tensor = self.head(x)
        return logits
