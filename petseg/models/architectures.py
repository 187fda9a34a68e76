"""The kinds of network that petseg can train, and rebuild from a model card.

To add a kind of network:

1. Write its module beside `unet.py`: an `nn.Module` from normalised images (B, 3, H, W) to logits (B, 3, H, W), with
   the attributes `settings` (what its constructor is called with) and `statistics` (how its images are normalised).
2. Add one entry to `ARCHITECTURES` below. `petseg fit --model.architecture NAME` trains it.

To release a model of any kind, put the file that `petseg release` writes into `petseg/models/weights/`: `petseg
models`, the panel and the web app list what is there.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from torch import nn

from petseg.errors import SettingsError
from petseg.models import pretrained
from petseg.models.pretrained import PretrainedUNet, load_imagenet
from petseg.models.unet import UNet


@dataclass(frozen=True)
class Architecture:
    """One kind of network.

    Attributes:
        build: its class; called with a card's settings.
        installed: whether this installation has the packages that it needs.
        remedy: what to install where it has not.
        load_encoder: puts pretrained weights into the network's `encoder`; None where all starts from random weights.
    """

    build: Callable[..., nn.Module]
    installed: Callable[[], bool] = lambda: True
    remedy: str = ""
    load_encoder: Callable[[Any], None] | None = None


#: By the name that a card's `architecture` gives.
ARCHITECTURES: Final[dict[str, Architecture]] = {
    "unet": Architecture(UNet),
    "pretrained-unet": Architecture(
        PretrainedUNet, pretrained.installed, 'pip install "petseg[pretrained]"', load_imagenet
    ),
}


def build_network(name: str, shared: Mapping[str, Any], own: Mapping[str, Any] | None = None) -> Any:
    """A network of some kind, with random weights.

    Args:
        name: a key of `ARCHITECTURES`.
        shared: settings of several kinds: those that are not None and that this kind's constructor knows are used.
        own: settings of this kind alone.

    Returns:
        `nn.Module` with the attributes `settings` and `statistics`.

    Raises:
        SettingsError: there is no such kind, or it has no such setting.
        ModelError: this installation lacks what it needs.
    """
    if name not in ARCHITECTURES:
        raise SettingsError(f"architecture={name}: petseg knows {', '.join(ARCHITECTURES)}. Choose one of them.")
    build = ARCHITECTURES[name].build
    known = inspect.signature(build).parameters
    if unknown := [key for key in own or {} if key not in known]:
        raise SettingsError(f"{name} has no setting {unknown[0]!r}; it has {', '.join(known)}. Choose among them.")
    settings = {key: value for key, value in shared.items() if key in known and value is not None}
    return build(**settings | dict(own or {}))


def has_pretrained_encoder(network: nn.Module) -> bool:
    """Whether a network's `encoder` is made to start from pretrained weights."""
    return any(type(network) is kind.build and kind.load_encoder is not None for kind in ARCHITECTURES.values())


def load_pretrained_encoder(network: nn.Module) -> None:
    """Puts pretrained weights into a network's encoder where its kind has any.

    Raises:
        ModelError: they cannot be found.
    """
    load = ARCHITECTURES[architecture_of(network)].load_encoder
    if load is not None:
        load(network)


def architecture_of(network: nn.Module) -> str:
    """The name of a network's kind in `ARCHITECTURES`.

    Raises:
        ValueError: the network is of none of them.
    """
    for name, architecture in ARCHITECTURES.items():
        if type(network) is architecture.build:
            return name
    raise ValueError(f"{type(network).__name__} is not in ARCHITECTURES. Add it to petseg/models/architectures.py.")
