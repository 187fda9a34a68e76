"""What training still builds by a name from a recipe, until it takes a network."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from torch import nn

from petseg.errors import SettingsError
from petseg.models.pretrained import PretrainedUNet, load_imagenet
from petseg.models.zoo import NETWORKS


def build_network(name: str, shared: Mapping[str, Any], own: Mapping[str, Any] | None = None) -> Any:
    """The network of a key of `NETWORKS`, with those of the shared settings that its class knows, and with its own."""
    if name not in NETWORKS:
        raise SettingsError(f"architecture={name}: petseg knows {', '.join(NETWORKS)}. Choose one of them.")
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
