"""What the student writes in notebook 06: with it the notebook goes on until a gap is filled."""

import math
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

ENCODER = "tf_efficientnet_lite0"
Groups = list[dict[str, Any]]


class DecoderBlock(nn.Module):
    """Upsamples, concatenates with a skip, and convolves twice."""

    def __init__(self, below: int, skip: int, out: int) -> None:
        super().__init__()
        self.conv1 = _conv(below + skip, out)
        self.conv2 = _conv(out, out)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """Features (B, out, 2h, 2w) of (B, below, h, w) and (B, skip, 2h, 2w)."""
        x = F.interpolate(x, scale_factor=2, mode="nearest")
        result: Tensor = self.conv2(self.conv1(torch.cat([x, skip], dim=1)))
        return result


def _conv(i: int, o: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(i, o, 3, padding=1, bias=False), nn.BatchNorm2d(o), nn.ReLU(inplace=True))


class ReferenceUNet(nn.Module):
    """The network of notebook 06: an encoder of timm and four decoder blocks; logits (B, 3, H, W)."""

    encoder: Any

    def __init__(self, widths: tuple[int, ...] = (256, 128, 64, 32)) -> None:
        super().__init__()
        import timm

        self.encoder = timm.create_model(ENCODER, features_only=True)
        *skips, deepest = self.encoder.feature_info.channels()
        below = [deepest, *widths[:-1]]
        blocks = (DecoderBlock(*sizes) for sizes in zip(below, skips[::-1], widths, strict=True))
        self.decoder = nn.ModuleList(blocks)
        self.head = nn.Conv2d(widths[-1], 3, kernel_size=3, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        """Logits of normalised images (B, 3, H, W) whose sides are multiples of 32."""
        *skips, x = self.encoder(image)
        for block in self.decoder:
            x = block(x, skips.pop())
        return F.interpolate(self.head(x), image.shape[-2:], mode="bilinear")


def load_encoder(encoder: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Loads the entries of a classifier's weights that the encoder has."""
    encoder.load_state_dict({name: weights[name] for name in encoder.state_dict()})


def train_mode(network: nn.Module) -> None:
    """Train mode, except for BatchNorm layers that are frozen."""
    network.train()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d) and not module.weight.requires_grad:
            module.eval()


def groups(network: Any, rate: float, scale: float) -> Groups:
    """Parameter groups: the encoder at `rate * scale`, everything else at `rate`, nothing that is frozen."""
    encoder = [weight for weight in network.encoder.parameters() if weight.requires_grad]
    rest = [*network.decoder.parameters(), *network.head.parameters()]
    return [{"params": rest, "lr": rate}] + ([{"params": encoder, "lr": rate * scale}] if encoder else [])


def train_step(
    network: nn.Module, optimizer: Any, x: Tensor, y: Tensor, *, bug: str = "", clip: float = math.inf
) -> float:
    """One step on normalised images and their masks; returns the loss. `bug` names what is wrong, for the hints."""
    if bug == "modes":
        network.train()
    logits = network(x)
    loss = F.cross_entropy(logits.softmax(dim=1) if bug == "softmax" else logits, y)
    if bug != "kept":
        optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(network.parameters(), clip)
    if bug != "still":
        optimizer.step()
    return loss.item()
