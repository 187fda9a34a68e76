"""Released models: safetensors files whose header tells how to rebuild, feed and judge the network."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import MISSING, asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Final

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as serialised
from torch import Tensor, nn

from petseg import __version__
from petseg.errors import ModelError
from petseg.files import atomic_write
from petseg.labels import CLASSES
from petseg.models import pretrained
from petseg.models.pretrained import PretrainedUNet
from petseg.models.unet import UNet

WEIGHTS: Final = Path(__file__).with_name("weights")

#: How a card's `architecture` and `settings` become a network: the value is called with the settings.
ARCHITECTURES: Final[dict[str, Callable[..., nn.Module]]] = {"unet": UNet, "pretrained-unet": PretrainedUNet}

#: Settings that older cards spell differently: the old name and today's.
RENAMED: Final = {"enlarge": "input_scale"}

#: What an architecture needs beside the core installation: whether it is there, and what to install.
NEEDS: Final[dict[str, tuple[Callable[[], bool], str]]] = {
    "pretrained-unet": (pretrained.installed, 'pip install "petseg[pretrained]"')
}


@dataclass(frozen=True)
class ModelCard:
    """What a weights file says about itself.

    Attributes:
        name: the released name, as `load` takes it.
        architecture: a key of `ARCHITECTURES`.
        settings: what the architecture is called with, as in `UNet.settings`.
        mean: RGB of the normalisation `(x - mean) / std` of pixels x in 0..1.
        std: RGB, as `mean`.
        size: (height, width) in pixels to which photos are resized.
        parameters: how many numbers training has found.
        classes: names of the logits' channels, in order.
        recipe: how the network was trained.
        data: on what the network was trained.
        scores: what it reached there.
        licence: under which the weights are released.
        limits: what the model cannot do, in sentences.
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
    limits: str = ""
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
        known = [entry.name for entry in fields(cls) if entry.name in (header or {})]
        needed = [entry.name for entry in fields(cls) if entry.default is entry.default_factory is MISSING]
        missing = [name for name in needed if name not in known]
        if header is None or missing:
            raise ModelError(
                f"{name}: the header lacks {', '.join(missing)}; expected a model card. Save the network with zoo.save."
            )
        try:
            values = {key: json.loads(header[key]) for key in known}
            values["settings"] = {RENAMED.get(key, key): value for key, value in values["settings"].items()}
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
    """Names of the released models, in alphabetical order; a file that is still being written is hidden, and none."""
    return sorted(path.stem for path in WEIGHTS.glob("*.safetensors") if not path.name.startswith("."))


def runnable(card: ModelCard) -> bool:
    """Whether this installation has what a model needs."""
    there, _ = NEEDS.get(card.architecture, (lambda: True, ""))
    return there()


def best() -> str:
    """The released model that this installation can run and that scored highest on the validation split.

    Raises:
        ModelError: no model can be run.
    """
    found = [card for card in cards() if runnable(card)]
    if not found:
        raise ModelError("no released model is there that can be run. Install petseg again.")
    return max(found, key=lambda card: card.scores.get("val", {}).get("mean_iou", 0.0)).name


def card(name_or_path: str | Path | None = None) -> ModelCard:
    """The card of a released model or of a file; reads the header alone, whatever the size of the weights.

    Args:
        name_or_path: as for `load`.

    Raises:
        ModelError: as `load`.
    """
    path = _path(name_or_path)
    with _reading(path) as file:
        return ModelCard.from_header(file.metadata(), path.name)


def cards() -> list[ModelCard]:
    """The cards of all released models, in the order of `available`."""
    return [card(name) for name in available()]


def load(name_or_path: str | Path | None = None) -> tuple[nn.Module, ModelCard]:
    """A network with its weights, ready to predict.

    Args:
        name_or_path: a name of `available()`, or a path that ends in `.safetensors`; default: `best()`.

    Returns:
        The network on the CPU, float32, in eval mode; and its card.

    Raises:
        ModelError: there is no such model, it needs what is not installed, the file is damaged, or its tensors do not
            fit its card.
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
    path = model_file(path)
    tensors = {key: value.detach().cpu() for key, value in network.state_dict().items()}
    shapes = {key: tuple(value.shape) for key, value in tensors.items()}
    _check_shapes(_rebuild(card, path.name), shapes, path.name)
    tensors = {key: _as_float16(value, f"{path.name}: {key}") for key, value in tensors.items()}
    with atomic_write(path) as partial:
        partial.write_bytes(serialised(tensors, metadata=card.to_header()))  # save_file locks others out: mode 0600
    return path


def model_file(path: str | Path) -> Path:
    """The path of a file that a model can be saved to.

    Raises:
        ModelError: its name does not end in `.safetensors`.
    """
    path = Path(path)
    if path.suffix != ".safetensors":
        raise ModelError(f"{path.name}: a model's file ends in .safetensors. Rename it.")
    return path


def markdown(card: ModelCard) -> str:
    """A card for people: recipe, data, scores, the breeds it knows best and worst, calibration, licence, limits."""
    height, width = card.size
    lines = [
        f"# {card.name}",
        "",
        f"Finds {', '.join(card.classes)} in photos, at {height}x{width} pixels. {card.parameters:,} parameters; "
        f"weights under the {card.licence} licence; architecture `{card.architecture}` with {_listed(card.settings)}.",
    ]
    for title, found in (("Data", card.data), ("Recipe", card.recipe)):
        if found:
            entries = found.items() if isinstance(found, dict) else [("name", found)]
            lines += ["", f"## {title}", "", *(f"- {key}: {_shown(value)}" for key, value in entries)]
    splits = {split: found for split, found in card.scores.items() if isinstance(found, dict) and "mean_iou" in found}
    if splits:
        names = list(next(iter(splits.values())))
        lines += ["", "## Scores", "", "Pooled over all pixels of the split, one pass, float16 weights.", ""]
        lines += [f"| split | {' | '.join(names)} |", f"|---|{'--:|' * len(names)}"]
        lines += [f"| {key} | {' | '.join(f'{found[name]:.4f}' for name in names)} |" for key, found in splits.items()]
    for key, text in (
        ("breeds", "Mean IoU on the test split by breed, of the best and the worst"),
        ("calibration", "Expected calibration error on the test split, 15 bins, 0 is calibrated"),
    ):
        if key in card.scores:
            lines += ["", f"{text}: {', '.join(f'{name} {value:.3f}' for name, value in card.scores[key].items())}."]
    if card.limits:
        lines += ["", "## Limits", "", card.limits]
    return "\n".join(lines)


def _listed(settings: dict[str, Any]) -> str:
    return ", ".join(f"{key} {_shown(value)}" for key, value in settings.items())


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return _listed(value)
    if isinstance(value, list):
        return "/".join(_shown(one) for one in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def _path(name_or_path: str | Path | None) -> Path:
    name_or_path = best() if name_or_path is None else name_or_path
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
    if not runnable(card):
        remedy = NEEDS[card.architecture][1]
        raise ModelError(f"{name}: cannot be run by this installation. Add what it needs: {remedy}.")
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
