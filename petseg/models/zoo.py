"""Released models: safetensors files whose header is a *card*, which rebuilds, feeds and describes the network."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
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
from petseg.models.segmenter import RGB, Segmenter
from petseg.models.unet import UNet

#: The released models are `<name>.safetensors` in this folder.
WEIGHTS: Final = Path(__file__).with_name("weights")

#: The networks that a card can name; a file cannot make petseg build any other class. To release a new network, add
#: its class, which keeps its constructor's arguments in the attribute `settings`.
NETWORKS: Final[dict[str, type[nn.Module]]] = {"unet": UNet, "pretrained-unet": PretrainedUNet}


@dataclass(frozen=True)
class ModelCard:
    """What a weights file says about itself.

    Attributes:
        name: the released name, as `load` takes it.
        architecture: a key of `NETWORKS`.
        settings: keyword arguments of the network's class.
        mean: RGB, of pixels from 0 to 1; see `Segmenter`.
        std: RGB, as `mean`.
        size: (height, width) in pixels to which photos are resized.
        parameters: number of trainable parameters.
        classes: names of the logits' channels, in order.
        recipe: how the network was trained.
        data: what it was trained on.
        scores: by split, as `petseg release` measured them; also `breeds` and `calibration`.
        licence: of the weights.
        limits: what the model cannot do, in sentences.
        version: of the petseg that saved it.
    """

    name: str
    architecture: str
    settings: dict[str, Any]
    mean: RGB
    std: RGB
    size: tuple[int, int]
    parameters: int
    classes: tuple[str, ...] = CLASSES
    recipe: dict[str, Any] = field(default_factory=dict)
    data: dict[str, Any] | str = ""
    scores: dict[str, Any] = field(default_factory=dict)
    licence: str = "MIT"
    limits: str = ""
    version: str = __version__

    @classmethod
    def of(cls, segmenter: Segmenter, **details: Any) -> ModelCard:
        """The card of a segmenter; `details` are the other fields, at least `name` and `size`.

        Raises:
            ModelError: `NETWORKS` does not list the network's class.
        """
        network: Any = segmenter.network
        mean, std = segmenter.statistics
        return cls(
            architecture=_architecture(network),
            settings=network.settings,
            parameters=sum(parameter.numel() for parameter in network.parameters()),
            mean=mean,
            std=std,
            **details,
        )

    def to_header(self) -> dict[str, str]:
        """The card as safetensors metadata: one JSON text per field, and `format`, which other readers ask for."""
        return {"format": "pt", **{key: json.dumps(value) for key, value in asdict(self).items()}}

    @classmethod
    def from_header(cls, header: Mapping[str, str] | None, name: str = "model") -> ModelCard:
        """The inverse of `to_header`; ignores unknown keys, which a later version may have written.

        Raises:
            ModelError: a field is missing or damaged; the message calls the file `name`.
        """
        header = header or {}
        missing = [f.name for f in fields(cls) if f.default is f.default_factory is MISSING and f.name not in header]
        if missing:
            raise ModelError(
                f"{name}: the header lacks {', '.join(missing)}; expected a model card. Save the network with zoo.save."
            )
        try:
            return cls(**_checked({f.name: json.loads(header[f.name]) for f in fields(cls) if f.name in header}))
        except (TypeError, ValueError, AttributeError) as error:
            raise ModelError(
                f"{name}: the header's model card is damaged ({error}). Download the file again."
            ) from error

    def markdown(self) -> str:
        """The card for people: recipe, data, scores, best and worst breeds, calibration, licence, limits."""
        height, width = self.size
        lines = [
            f"# {self.name}",
            "",
            f"Finds {', '.join(self.classes)} in photos, at {height}x{width} pixels. {self.parameters:,} parameters; "
            f"weights under the {self.licence} licence; architecture `{self.architecture}` with "
            f"{_text(self.settings)}.",
        ]
        for title, content in (("Data", self.data), ("Recipe", self.recipe)):
            if content:
                entries = content.items() if isinstance(content, dict) else [("name", content)]
                lines += ["", f"## {title}", "", *(f"- {key}: {_text(value)}" for key, value in entries)]
        lines += _score_lines(self.scores)
        if self.limits:
            lines += ["", "## Limits", "", self.limits]
        return "\n".join(lines)


def available() -> list[str]:
    """Names of the released models, in alphabetical order."""
    # a hidden file is still being written
    return sorted(path.stem for path in WEIGHTS.glob("*.safetensors") if not path.name.startswith("."))


def runnable(card: ModelCard) -> bool:
    """Whether this installation knows the model's architecture and has the packages that it needs."""
    return card.architecture in NETWORKS and (card.architecture != "pretrained-unet" or pretrained.installed())


def best() -> str:
    """The released model that this installation can run and that scored highest on the validation split.

    Raises:
        ModelError: there is none.
    """
    candidates = [card for card in cards() if runnable(card)]
    if not candidates:
        raise ModelError("no released model can be run by this installation. Install petseg again.")
    return max(candidates, key=lambda card: card.scores.get("val", {}).get("mean_iou", 0.0)).name


def card(name_or_path: str | Path | None = None) -> ModelCard:
    """The card of a model, named as for `load`, and read without its weights.

    Raises:
        ModelError: as `load`.
    """
    path = _path(name_or_path)
    with _reading(path) as file:
        return ModelCard.from_header(file.metadata(), path.name)


def cards() -> list[ModelCard]:
    """The cards of all released models, in the order of `available`."""
    return [card(name) for name in available()]


def load(name_or_path: str | Path | None = None) -> tuple[Segmenter, ModelCard]:
    """A model with its weights, ready to predict: on the CPU, float32, in eval mode.

    Args:
        name_or_path: a name of `available()`, or a path that ends in `.safetensors`; default: `best()`.

    Raises:
        ModelError: there is no such model, a package that it needs is not installed, the file is damaged, or its
            tensors do not fit its card.
    """
    path = _path(name_or_path)
    with _reading(path) as file:
        card = ModelCard.from_header(file.metadata(), path.name)
        network = _rebuild(card, path.name)
        shapes = {key: tuple(file.get_slice(key).get_shape()) for key in file.keys()}  # noqa: SIM118
        _check_shapes(network, shapes, path.name)
        tensors = {key: _as_float32(file.get_tensor(key)) for key in shapes}
    network.load_state_dict(tensors, assign=True)
    return Segmenter(network, card.mean, card.std).eval(), card


def save(path: str | Path, segmenter: Segmenter, card: ModelCard) -> Path:
    """Writes weights, as `stored` has them, and card into one file, whole or not at all.

    Args:
        path: ends in `.safetensors`; an existing file is replaced.
        segmenter: stays as it is; only the tensors of its network are saved.
        card: as `ModelCard.of` makes it.

    Raises:
        ModelError: the card does not rebuild this network, or a weight is infinite or not a number.
    """
    path = model_file(path)
    if (card.mean, card.std) != segmenter.statistics:
        raise ValueError("mean and std of the card are not those of the segmenter")
    tensors = {key: value.detach().cpu() for key, value in segmenter.network.state_dict().items()}
    shapes = {key: tuple(value.shape) for key, value in tensors.items()}
    _check_shapes(_rebuild(card, path.name), shapes, path.name)
    for key, value in tensors.items():
        if not value.isfinite().all():
            raise ModelError(
                f"{path.name}: {key} holds values that are not finite. Train again with a smaller learning rate."
            )
    tensors = {key: stored(value) for key, value in tensors.items()}
    with atomic_write(path) as partial:
        partial.write_bytes(serialised(tensors, metadata=card.to_header()))  # save_file locks others out: mode 0600
    return path


def stored(tensor: Tensor) -> Tensor:
    """A weight as a file holds it: float16, or float32 where a value exceeds float16's largest, 65504.

    The running variance of a BatchNorm can: what it divides by leaves the weights before it free to grow.
    """
    if not tensor.is_floating_point():
        return tensor.contiguous()  # the batch counters of BatchNorm
    half = tensor.half()
    return (half if half.isfinite().all() else tensor.float()).contiguous()


def model_file(path: str | Path) -> Path:
    """The path of a file that a model can be saved to.

    Raises:
        ModelError: its name does not end in `.safetensors`.
    """
    path = Path(path)
    if path.suffix != ".safetensors":
        raise ModelError(f"{path.name}: a model's file ends in .safetensors. Rename it.")
    return path


def _architecture(network: nn.Module) -> str:
    for name, kind in NETWORKS.items():
        if type(network) is kind:
            return name
    raise ModelError(
        f"{type(network).__name__}: only networks that petseg ships can be released ({', '.join(NETWORKS)}). "
        "Use yours from its checkpoint, with --ckpt_path."
    )


def _checked(values: dict[str, Any]) -> dict[str, Any]:
    """A header's values with the types of the fields; a wrong one raises TypeError, ValueError or AttributeError."""
    for key in ("mean", "std"):
        red, green, blue = values[key]
        values[key] = (float(red), float(green), float(blue))
    height, width = values["size"]
    values["size"] = (_positive(height), _positive(width))
    if "classes" in values:
        values["classes"] = tuple(values["classes"])
    return values


def _positive(value: Any) -> int:
    if not isinstance(value, int) or value < 1:
        raise ValueError(f"size {value!r} is not a whole number from 1")
    return value


def _score_lines(scores: dict[str, Any]) -> list[str]:
    """Lines of Markdown: a table of the splits, then breeds and calibration if the scores have them."""
    lines = []
    splits = {split: values for split, values in scores.items() if isinstance(values, dict) and "mean_iou" in values}
    if splits:
        names = list(next(iter(splits.values())))
        lines += ["", "## Scores", "", "Pooled over all pixels of the split, one pass, float16 weights.", ""]
        lines += [f"| split | {' | '.join(names)} |", f"|---|{'--:|' * len(names)}"]
        lines += [f"| {key} | {' | '.join(f'{split[name]:.4f}' for name in names)} |" for key, split in splits.items()]
    for key, text in (
        ("breeds", "Mean IoU on the test split by breed, of the best and the worst"),
        ("calibration", "Expected calibration error on the test split, 15 bins, 0 is calibrated"),
    ):
        if key in scores:
            lines += ["", f"{text}: {', '.join(f'{name} {value:.3f}' for name, value in scores[key].items())}."]
    return lines


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_text(entry)}" for key, entry in value.items())
    if isinstance(value, list):
        return "/".join(_text(entry) for entry in value)
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
    if card.architecture not in NETWORKS:
        known = ", ".join(NETWORKS)
        raise ModelError(f"{name}: architecture {card.architecture!r} came; this petseg knows {known}. Update petseg.")
    if not runnable(card):
        raise ModelError(f"{name}: cannot be run by this installation. {pretrained.REMEDY}.")
    try:
        with torch.device("meta"):
            return NETWORKS[card.architecture](**card.settings)
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
