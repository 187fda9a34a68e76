"""EfficientNet-Lite0, the classifier whose encoder `unet-lite0` starts from: which of ImageNet's 1,000 classes is it?

Tan and Le: EfficientNet, ICML 2019, table 1; the Lite variant has ReLU6 and no squeeze-and-excitation. The network is
timm's `tf_efficientnet_lite0`, with BatchNorm merged into the convolutions, so that PyTorch alone runs it. The file of
its weights is made by `figures/elsewhere.py`.
"""

from functools import lru_cache
from pathlib import Path
from typing import Final

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

from petseg.models.segmenter import EFFICIENTNET_LITE, Segmenter

#: The weights of Google's EfficientNet-Lite0 (Apache License 2.0; see the file's header), as integers of 8 bits.
WEIGHTS: Final = Path(__file__).with_name("efficientnet-lite0.safetensors")

SIZE: Final = (224, 224)  # height and width of the images that it was trained on

#: ImageNet's cats and dogs: 118 breeds of dogs, five of cats, and the lynx, which striped cats are taken for.
PETS: Final = [*range(151, 269), *range(281, 286), 287]

#: Other animals, big cats among them; without wild dogs, foxes, the hyena and the cougar, which pets are taken for.
OTHER_ANIMALS: Final = [*range(151), *range(288, 398)]

#: Beyond ImageNet's 1,000 classes: above 0 for a drawing. Fitted to the cartoons, against photos of Oxford-IIIT Pet.
DRAWN: Final = 1000

#: Of each stage: kernel size, stride, expansion, output channels and number of blocks.
STAGES: Final = (
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 2),
    (5, 2, 6, 40, 2),
    (3, 2, 6, 80, 3),
    (5, 1, 6, 112, 3),
    (5, 2, 6, 192, 4),
    (3, 1, 6, 320, 1),
)


class Convolution(nn.Conv2d):
    """A convolution that gives 1 / stride of an even height and width, padded as in TensorFlow."""

    def forward(self, x: Tensor) -> Tensor:
        """Features (B, out, H / stride, W / stride) of (B, in, H, W)."""
        missing = self.kernel_size[0] - self.stride[0]
        before, after = missing // 2, missing - missing // 2  # the odd pixel comes last
        return super().forward(F.pad(x, (before, after, before, after)))


class InvertedResidual(nn.Module):
    """More channels by a 1x1 convolution, a convolution of each of them alone, fewer channels; and a shortcut."""

    def __init__(self, narrow: int, out: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = expansion * narrow
        widen = [Convolution(narrow, wide, 1), nn.ReLU6()] if expansion > 1 else []
        depthwise = Convolution(wide, wide, kernel, stride, groups=wide)
        self.layers = nn.Sequential(*widen, depthwise, nn.ReLU6(), Convolution(wide, out, 1))
        self.has_shortcut = stride == 1 and narrow == out

    def forward(self, x: Tensor) -> Tensor:
        """Features (B, out, H / stride, W / stride) of (B, narrow, H, W)."""
        y: Tensor = self.layers(x)
        return x + y if self.has_shortcut else y


class EfficientNetLite0(nn.Module):
    """ImageNet's classes, and last the `DRAWN` one, of images normalised with `EFFICIENTNET_LITE`."""

    def __init__(self) -> None:
        super().__init__()
        channels, blocks = 32, []
        for kernel, stride, expansion, out, count in STAGES:
            for number in range(count):  # the first block of a stage may halve the size and changes the channels
                blocks.append(InvertedResidual(channels, out, kernel, 1 if number else stride, expansion))
                channels = out
        self.encoder = nn.Sequential(Convolution(3, 32, 3, 2), nn.ReLU6(), *blocks)
        self.top = nn.Sequential(Convolution(channels, 1280, 1), nn.ReLU6(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.classifier = nn.Linear(1280, 1001)

    def forward(self, image: Tensor) -> Tensor:
        """Logits (B, 1001) of images (B, 3, H, W); H and W are multiples of 32."""
        logits: Tensor = self.classifier(self.top(self.encoder(image)))
        return logits


class PetClassifier(nn.Module):
    """How probably a picture shows a cat or a dog, in one number."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.classifier = Segmenter(network, *EFFICIENTNET_LITE)

    def forward(self, image: Tensor) -> Tensor:
        """P(cat or dog), float32 (B,), of images (B, 3, h, w), uint8 or float from 0 to 1.

        It is 0 where other animals together are more than twice as probable, and NaN for a drawing: ImageNet has photos
        alone.
        """
        logits: Tensor = self.classifier(image)  # (B, 1001)
        probabilities = logits[:, :DRAWN].softmax(dim=1)
        pet, other = probabilities[:, PETS].sum(dim=1), probabilities[:, OTHER_ANIMALS].sum(dim=1)
        pet = pet.masked_fill(other > 2 * pet, 0.0)
        return pet.masked_fill(logits[:, DRAWN] > 0, float("nan"))


@lru_cache(maxsize=1)
def load_classifier() -> PetClassifier:
    """The classifier with its weights, on the CPU; the file is read once."""
    with torch.device("meta"):
        network = EfficientNetLite0()
    network.load_state_dict(restored(load_file(WEIGHTS)), assign=True)
    return PetClassifier(network).eval()


def restored(stored: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weights in float32 of the integers in a file and their scales, one for each output channel."""
    floats = {name: tensor.float() for name, tensor in stored.items() if not name.endswith(".scale")}
    for name, tensor in floats.items():
        if name.endswith(".weight"):
            tensor *= stored[f"{name}.scale"].view(-1, *[1] * (tensor.ndim - 1))
    return floats
