"""The kinds of network that petseg can rebuild from a model card.

To add a kind of network:

1. Write its module beside `unet.py`: an `nn.Module` from normalised images (B, 3, H, W) to logits (B, 3, H, W), with
   the attributes `settings` (what its constructor is called with) and `statistics` (how its images are normalised).
2. Add one entry to `ARCHITECTURES` below.

To release a model of any kind, put the file that `petseg release` writes into `petseg/models/weights/`: `petseg
models`, the panel and the web app list what is there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from torch import nn

from petseg.models import pretrained
from petseg.models.pretrained import PretrainedUNet
from petseg.models.unet import UNet


@dataclass(frozen=True)
class Architecture:
    """One kind of network.

    Attributes:
        build: its class; called with a card's settings.
        installed: whether this installation has the packages that it needs.
        remedy: what to install where it has not.
    """

    build: Callable[..., nn.Module]
    installed: Callable[[], bool] = lambda: True
    remedy: str = ""


#: By the name that a card's `architecture` gives.
ARCHITECTURES: Final[dict[str, Architecture]] = {
    "unet": Architecture(UNet),
    "pretrained-unet": Architecture(PretrainedUNet, pretrained.installed, 'pip install "petseg[pretrained]"'),
}


def architecture_of(network: nn.Module) -> str:
    """The name of a network's kind in `ARCHITECTURES`.

    Raises:
        ValueError: the network is of none of them.
    """
    for name, architecture in ARCHITECTURES.items():
        if type(network) is architecture.build:
            return name
    raise ValueError(f"{type(network).__name__} is not in ARCHITECTURES. Add it to petseg/models/architectures.py.")
