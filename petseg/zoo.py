"""Released models: safetensors files whose header tells how to rebuild, feed and judge the network."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Final

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as serialised
from torch import Tensor, nn

from petseg import __version__
from petseg.labels import CLASSES
from petseg.unet import UNet

WEIGHTS: Final = Path(__file__).with_name("weights")

#: How a card's `architecture` and `settings` become a network: the value is called with the settings.
ARCHITECTURES: Final[dict[str, Callable[..., nn.Module]]] = {"unet": UNet}


class ModelError(ValueError):
    """A model that cannot be found, read or saved; the message names the remedy."""


@dataclass(frozen=True)
class ModelCard:
    """What a weights file says about itself.

    Attributes:
        name: the released name, as `load` takes it.
        architecture: a key of `ARCHITECTURES`.
        settings: what the architecture is called with, as in `UNet.settings`.
        mean: RGB of the normalisation `(x - mean) / std` of pixels x in 0..1.
        std: RGB, as `mean`.
        size: (height, width) in pixels to which photos are squeezed.
        parameters: how many numbers training has found.
        classes: names of the logits' channels, in order.
        recipe: how the network was trained.
        data: on what the network was trained.
        scores: what it reached there.
        licence: under which the weights are released.
        version: of the petseg that saved it.
    """

    name: str
    architecture: str
    settings: dict[str, Any]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    size: tuple[int, int]
    parameters: int
    classes: tuple[str, ...] = CLASSES
    recipe: dict[str, Any] = field(default_factory=dict)
    data: dict[str, Any] | str = ""
    scores: dict[str, Any] = field(default_factory=dict)
    licence: str = "MIT"
    version: str = __version__

    def to_header(self) -> dict[str, str]:
        """The card as safetensors metadata: one JSON text a field, and `format`, as other readers ask."""
        return {"format": "pt", **{key: json.dumps(value) for key, value in asdict(self).items()}}

    @classmethod
    def from_header(cls, header: dict[str, str] | None, name: str = "model") -> ModelCard:
        """The inverse of `to_header`; keys that this version does not know are left out.

        Args:
            header: metadata of a safetensors file.
            name: what the error message calls the file.

        Raises:
            ModelError: a field is missing, is no JSON, or holds what the field cannot.
        """
        known = [entry.name for entry in fields(cls)]
        missing = [key for key in known if key not in (header or {})]
        if header is None or missing:
            raise ModelError(
                f"{name}: the header lacks {', '.join(missing)}; expected a model card. Save the network with zoo.save."
            )
        try:
            values = {key: json.loads(header[key]) for key in known}
            values |= {key: _triple(values[key]) for key in ("mean", "std")}
            height, width = values["size"]
            values["size"] = (_positive(height), _positive(width))
            values["classes"] = tuple(values["classes"])
            return cls(**values)
        except (TypeError, ValueError) as error:
            raise ModelError(
                f"{name}: the header's model card is damaged ({error}). Download the file again."
            ) from error


def available() -> list[str]:
    """Names of the released models, in alphabetical order."""
    return sorted(path.stem for path in WEIGHTS.glob("*.safetensors"))


def card(name_or_path: str | Path) -> ModelCard:
    """The card of a released model or of a file; reads the header alone, whatever the size of the weights.

    Raises:
        ModelError: as `load`.
    """
    path = _path(name_or_path)
    with _reading(path) as file:
        return ModelCard.from_header(file.metadata(), path.name)


def cards() -> list[ModelCard]:
    """The cards of all released models, in the order of `available`."""
    return [card(name) for name in available()]


def load(name_or_path: str | Path) -> tuple[nn.Module, ModelCard]:
    """A network with its weights, ready to predict.

    Args:
        name_or_path: a name of `available()`, or a path that ends in `.safetensors`.

    Returns:
        The network on the CPU, float32, in eval mode; and its card.

    Raises:
        ModelError: there is no such model, the file is damaged, or its tensors do not fit its card.
    """
    path = _path(name_or_path)
    with _reading(path) as file:
        found = ModelCard.from_header(file.metadata(), path.name)
        network = _rebuild(found, path.name)
        shapes = {key: tuple(file.get_slice(key).get_shape()) for key in file.keys()}  # noqa: SIM118
        _check_shapes(network, shapes, path.name)
        tensors = {key: _as_float32(file.get_tensor(key)) for key in shapes}
    network.load_state_dict(tensors, assign=True)
    return network.eval(), found


def save(path: str | Path, network: nn.Module, card: ModelCard) -> Path:
    """Writes a network's weights in float16 and its card into one file, whole or not at all.

    Args:
        path: where to, ending in `.safetensors`; a file that is there is replaced.
        network: weights of any float type on any device; stays as it is.
        card: what `load` rebuilds the network from.

    Returns:
        The path.

    Raises:
        ModelError: the card does not rebuild this network, or a weight exceeds float16's largest, 65504.
    """
    path = Path(path)
    if path.suffix != ".safetensors":
        raise ModelError(f"{path.name}: a model's file ends in .safetensors. Rename it.")
    tensors = {key: value.detach().cpu() for key, value in network.state_dict().items()}
    shapes = {key: tuple(value.shape) for key, value in tensors.items()}
    _check_shapes(_rebuild(card, path.name), shapes, path.name)
    tensors = {key: _as_float16(value, f"{path.name}: {key}") for key, value in tensors.items()}
    with written_whole(path) as partial:
        partial.write_bytes(serialised(tensors, metadata=card.to_header()))  # save_file locks others out: mode 0600
    return path


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """A name beside `path` to write to, renamed to `path` at the end: nobody ever sees half a file.

    Makes the folder where it is missing; leaves nothing behind when the writing fails.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.stem}.{uuid.uuid4().hex}{path.suffix}")
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _path(name_or_path: str | Path) -> Path:
    path = Path(name_or_path)
    if path.suffix != ".safetensors":
        path = WEIGHTS / f"{name_or_path}.safetensors"
        if str(name_or_path) not in available():
            names = ", ".join(available()) or "none"
            raise ModelError(
                f"{name_or_path}: no released model has this name; available: {names}. "
                "Choose one of them or give the path of a .safetensors file."
            )
    if not path.is_file():
        raise ModelError(f"{path.name}: no such file in {path.absolute().parent}. Check the path.")
    return path


@contextmanager
def _reading(path: Path) -> Iterator[Any]:
    try:
        with safe_open(path, framework="pt") as file:
            yield file
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path.name}: not a safetensors file, or damaged ({error}). Get it again.") from error


def _rebuild(card: ModelCard, name: str) -> nn.Module:
    """The card's network without weights: no memory, no time and none of the caller's random numbers."""
    if card.architecture not in ARCHITECTURES:
        raise ModelError(
            f"{name}: architecture {card.architecture!r} came; this petseg knows {', '.join(ARCHITECTURES)}. "
            "Update petseg."
        )
    try:
        with torch.device("meta"):
            return ARCHITECTURES[card.architecture](**card.settings)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ModelError(
            f"{name}: {card.architecture} cannot be built from its settings ({error}). Get the file again."
        ) from error


def _check_shapes(network: nn.Module, shapes: dict[str, tuple[int, ...]], name: str) -> None:
    expected = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    wrong = sorted(key for key in expected | shapes if expected.get(key) != shapes.get(key))
    if wrong:
        key = wrong[0]
        raise ModelError(
            f"{name}: {len(wrong)} tensors do not fit the card's settings, first {key}: "
            f"{shapes.get(key, 'nothing')} came, {expected.get(key, 'nothing')} expected. "
            "Save it again with the settings of its network."
        )


def _as_float32(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.is_floating_point() else tensor


def _as_float16(tensor: Tensor, name: str) -> Tensor:
    if not tensor.is_floating_point():
        return tensor.contiguous()  # the batch counters of BatchNorm
    half = tensor.half().contiguous()
    if not half.isfinite().all():
        raise ModelError(
            f"{name} holds values that are not finite in float16, whose largest is 65504. "
            "Train again with a smaller learning rate."
        )
    return half


def _triple(values: Any) -> tuple[float, float, float]:
    red, green, blue = values
    return float(red), float(green), float(blue)


def _positive(value: Any) -> int:
    if not isinstance(value, int) or value < 1:
        raise ValueError(f"size {value!r} is not a whole number from 1")
    return value
