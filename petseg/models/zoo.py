"""Released models: safetensors files whose header is a *card*, which rebuilds, feeds and describes the network."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import MISSING, asdict, dataclass, field, fields
from importlib import import_module
from pathlib import Path
from typing import Any, Final, Self

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as serialised
from torch import Tensor, nn

from petseg import __version__
from petseg.errors import NO_TEMPORARY_FOLDER, TEMPORARY_FOLDER_REMEDY, MissingError, ModelError
from petseg.files import atomic_write
from petseg.labels import CLASSES
from petseg.models.segmenter import RGB, Segmenter

#: The released models are `<name>.safetensors` in this folder.
WEIGHTS: Final = Path(__file__).with_name("weights")

#: The networks that a card can name; no file makes petseg build another class. To release a new kind of network, add
#: its class here, which keeps the arguments of its constructor in the attribute `settings`.
NETWORKS: Final = {"unet": "petseg.models.unet.UNet", "pretrained-unet": "petseg.models.pretrained.PretrainedUNet"}

#: The largest height and width in pixels that a card can ask for: more would only fill the memory.
LARGEST: Final = 4096


@dataclass(frozen=True)
class ModelCard:
    """What a weights file says about itself."""

    name: str  # as `load` takes it
    architecture: str  # a key of NETWORKS
    settings: dict[str, Any]  # arguments of the network's class
    mean: RGB  # of pixels from 0 to 1, as Segmenter takes it
    std: RGB
    size: tuple[int, int]  # height and width in pixels to which photos are resized
    parameters: int  # number of trainable ones
    classes: tuple[str, ...] = CLASSES  # names of the logits' channels, in order
    recipe: dict[str, Any] = field(default_factory=dict)
    data: dict[str, Any] | str = ""  # what it was trained on
    scores: dict[str, Any] = field(default_factory=dict)  # by split, and `breeds` and `calibration`
    licence: str = "MIT"
    limits: str = ""  # what the model cannot do, in sentences
    version: str = __version__  # of the petseg that saved it

    @classmethod
    def of(cls, segmenter: Segmenter, **details: Any) -> Self:
        """The card of a segmenter, whose network is one of `NETWORKS`; `details` are at least `name` and `size`."""
        network: Any = segmenter.network
        path = f"{type(network).__module__}.{type(network).__qualname__}"
        shipped = {shipped: name for name, shipped in NETWORKS.items()}
        if path not in shipped:
            raise ModelError(
                f"{type(network).__name__}: only networks that petseg ships can be released ({', '.join(NETWORKS)}). "
                "Use yours from its checkpoint, with --ckpt_path."
            )
        return cls(
            architecture=shipped[path],
            settings=network.settings,
            parameters=sum(parameter.numel() for parameter in network.parameters()),
            mean=segmenter.statistics.mean,
            std=segmenter.statistics.std,
            **details,
        )

    def to_header(self) -> dict[str, str]:
        """The card as safetensors metadata: one JSON text per field, and `format`, which other readers ask for."""
        return {"format": "pt", **{key: json.dumps(value) for key, value in asdict(self).items()}}

    @classmethod
    def from_header(cls, header: Mapping[str, str] | None, name: str = "model") -> Self:
        """The inverse of `to_header`; ignores unknown keys, which a later version may have written.

        Raises ModelError if a field is missing or damaged; the message calls the file `name`.
        """
        header = header or {}
        missing = [f.name for f in fields(cls) if f.default is f.default_factory is MISSING and f.name not in header]
        if missing:
            raise ModelError(
                f"{name}: the header lacks {', '.join(missing)}; expected a model card. Save the network with zoo.save."
            )
        try:
            values = {f.name: json.loads(header[f.name]) for f in fields(cls) if f.name in header}
            _check_fields(values)
            frozen: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
            return cls(**frozen)
        except (TypeError, ValueError, RecursionError) as error:
            raise ModelError(
                f"{name}: the header's model card is damaged ({error}). Download the file again."
            ) from error

    def markdown(self) -> str:
        """The card for people."""
        height, width = self.size
        text = f"# {self.name}\n\nFinds {', '.join(self.classes)} in photos, at {height}x{width} pixels. "
        text += f"{self.parameters:,} parameters; weights under the {self.licence} licence; "
        text += f"architecture `{self.architecture}` with {_text(self.settings)}."
        for title, content in (("Data", self.data), ("Recipe", self.recipe), ("Scores", self.scores)):
            if content:
                entries = content.items() if isinstance(content, dict) else [("name", content)]
                text += f"\n\n## {title}\n\n" + "\n".join(f"- {key}: {_text(value)}" for key, value in entries)
        if self.scores:
            text += (
                "\n\nA split's scores are pooled over all its pixels: one pass, float16 weights. `breeds` is the mean "
                "IoU of the best and worst breeds on the test split; `calibration` is the expected calibration error."
            )
        return text + (f"\n\n## Limits\n\n{self.limits}" if self.limits else "")


def available() -> list[str]:
    """Names of the released models, in alphabetical order."""
    # a hidden file is still being written
    return sorted(path.stem for path in WEIGHTS.glob("*.safetensors") if not path.name.startswith("."))


def runnable(card: ModelCard) -> bool:
    """Whether this installation knows the model's architecture and has the packages that it needs."""
    if card.architecture == "pretrained-unet":
        from petseg.models.pretrained import installed

        return installed()
    return card.architecture in NETWORKS


def best() -> str:
    """The released model that this installation can run and that scored highest on the validation split."""
    candidates = [card for card in cards() if runnable(card)]
    if not candidates:
        raise ModelError("no released model can be run by this installation. Install petseg again.")
    return max(candidates, key=lambda card: card.scores.get("val", {}).get("mean_iou", 0.0)).name


def cards() -> list[ModelCard]:
    """The cards of all released models, in the order of `available`."""
    return [card(name) for name in available()]


def card(name_or_path: str | Path | None = None) -> ModelCard:
    """The card of a model, named as for `load` and with its errors; reads no weights."""
    path = _path(name_or_path)
    with _reading(path) as file:
        return ModelCard.from_header(file.metadata(), path.name)


def load(name_or_path: str | Path | None = None) -> tuple[Segmenter, ModelCard]:
    """A model with its weights, ready to predict: on the CPU, float32, in eval mode.

    Args:
        name_or_path: a name of `available()`, or a path that ends in `.safetensors`; default: `best()`.

    Raises:
        ModelError: there is no such model, it has other classes, a package that it needs is not installed, or the file
            is damaged: its tensors do not fit its card, a weight is not finite, or a variance below 0.
    """
    path = _path(name_or_path)
    with _reading(path) as file:
        header, tensors = file.metadata(), {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    card = ModelCard.from_header(header, path.name)
    if card.classes != CLASSES:
        raise ModelError(f"{card.name}: finds {', '.join(card.classes) or 'nothing'}; expected {', '.join(CLASSES)}.")
    network = _rebuilt(card, tensors, path.name)
    # copies: Windows replaces no file that a tensor still maps
    types = {key: torch.float32 if tensor.is_floating_point() else tensor.dtype for key, tensor in tensors.items()}
    floats = {key: tensor.to(types[key], copy=True) for key, tensor in tensors.items()}
    _check_finite(floats, path.name, "Download the file again")
    network.load_state_dict(floats, assign=True)
    return Segmenter(network, card.mean, card.std).eval(), card


def save(path: str | Path, segmenter: Segmenter, card: ModelCard) -> Path:
    """Writes the network's weights, as `stored` has them, and card into one `.safetensors` file, whole or not at all.

    Raises ModelError if the card does not rebuild this network, or a weight is infinite or not a number.
    """
    path = model_file(path)
    if (card.mean, card.std) != segmenter.statistics:
        raise ValueError("mean and std of the card are not those of the segmenter")
    tensors = {key: value.detach().cpu() for key, value in segmenter.network.state_dict().items()}
    _rebuilt(card, tensors, path.name)
    _check_finite(tensors, path.name, "Train again with a smaller learning rate")
    tensors = {key: stored(value) for key, value in tensors.items()}
    with atomic_write(path) as partial:
        partial.write_bytes(serialised(tensors, metadata=card.to_header()))  # save_file locks others out: mode 0600
    return path


def stored(tensor: Tensor) -> Tensor:
    """A weight as a file holds it: float16, or float32 if a value exceeds float16's largest, 65504.

    The running variance of a BatchNorm can: it divides the result of the weights before it, which are free to grow.
    """
    if not tensor.is_floating_point():
        return tensor.contiguous()  # the batch counters of BatchNorm
    half = tensor.half()
    return (half if half.isfinite().all() else tensor.float()).contiguous()


def model_file(path: str | Path) -> Path:
    """The path of a file to save a model to; raises ModelError unless its name ends in `.safetensors`."""
    path = Path(path)
    if path.suffix != ".safetensors":
        raise ModelError(f"{path.name}: a model's file ends in .safetensors. Rename it.")
    return path


def _path(name_or_path: str | Path | None) -> Path:
    path = Path(best() if name_or_path is None else name_or_path)
    if path.suffix != ".safetensors":
        if str(path) not in available():
            raise ModelError(
                f"{path}: no released model has this name; available: {', '.join(available()) or 'none'}. "
                "Choose one of them or give the path of a .safetensors file."
            )
        path = WEIGHTS / f"{path}.safetensors"
    if not os.path.isfile(path):  # noqa: PTH113 - `Path` may raise
        raise ModelError(f"{path.name}: no such file in {path.absolute().parent}. Check the path.")
    return path


@contextmanager
def _reading(path: Path) -> Iterator[Any]:
    try:
        with safe_open(path, framework="pt") as file:
            yield file
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path.name}: not a safetensors file, or damaged ({error}). Download it again.") from error


def _check_fields(values: Mapping[str, Any]) -> None:
    """Raises ValueError if a field of a card has an impossible value."""
    kinds: dict[type, str] = {str: "name architecture licence limits version", dict: "settings recipe scores"}
    for kind, keys in (kinds | {list: "classes", int: "parameters"}).items():
        for key in keys.split():
            if not isinstance(values.get(key, kind()), kind):
                raise ValueError(f"{key} {values[key]!r:.100}")
    if not all(isinstance(name, str) for name in values.get("classes", [])):
        raise ValueError(f"classes {values['classes']!r:.100}")
    if (length := len(str(values["settings"]))) > 1000:  # a network of a thousand stages takes minutes to build
        raise ValueError(f"settings of {length} characters")
    ranges: dict[str, Any] = {"mean": (3, float, 0, 1), "std": (3, float, 1e-6, 1), "size": (2, int, 1, LARGEST)}
    for key, (length, kind, least, most) in ranges.items():
        numbers = values[key]
        if len(numbers) != length or not all(isinstance(n, kind | int) and least <= n <= most for n in numbers):
            raise ValueError(f"{key} {numbers!r:.100}")


def _check_finite(tensors: Mapping[str, Tensor], name: str, remedy: str) -> None:
    for key, value in tensors.items():
        if not value.isfinite().all():
            raise ModelError(f"{name}: {key} holds values that are not finite. {remedy}.")
        if key.endswith("running_var") and (value < 0).any():  # BatchNorm's, whose root would be no number
            raise ModelError(f"{name}: {key} holds a variance below 0. {remedy}.")


def _rebuilt(card: ModelCard, tensors: Mapping[str, Tensor], name: str) -> nn.Module:
    """The card's network, which these tensors must fit; still without memory, time and random numbers."""
    if card.architecture not in NETWORKS:
        known = ", ".join(NETWORKS)
        raise ModelError(f"{name}: architecture {card.architecture!r} came; this petseg knows {known}. Update petseg.")
    module, _, kind = NETWORKS[card.architecture].rpartition(".")
    try:
        with torch.device("meta"):
            network: nn.Module = getattr(import_module(module), kind)(**card.settings)
    except ModelError as error:
        raise ModelError(f"{name}: {error}") from error
    except OSError as error:
        if NO_TEMPORARY_FOLDER not in str(error):
            raise
        raise MissingError(f"{name}: {TEMPORARY_FOLDER_REMEDY}") from error
    except Exception as error:  # whatever a damaged header makes of the settings
        raise ModelError(
            f"{name}: {card.architecture} cannot be built from its settings ({error}). Download the file again."
        ) from error
    expected, came = _kinds(network.state_dict()), _kinds(tensors)
    wrong = sorted(key for key in expected | came if expected.get(key) != came.get(key))
    if wrong:
        key = wrong[0]
        raise ModelError(
            f"{name}: {len(wrong)} tensors do not fit the card's settings, first {key}: {came.get(key, 'nothing')} "
            f"came, {expected.get(key, 'nothing')} expected. Save it again with the settings of its network."
        )
    settings: Any = network.settings
    parameters = sum(parameter.numel() for parameter in network.parameters())
    classes = settings.get("num_classes", len(card.classes))  # a network may have a fixed number
    if (parameters, classes) != (card.parameters, len(card.classes)):
        raise ModelError(
            f"{name}: the card says {card.parameters:,} parameters and {len(card.classes)} classes, the network has "
            f"{parameters:,} and {classes}. Save it again with the card of its network."
        )
    return network


def _kinds(tensors: Mapping[str, Tensor]) -> dict[str, str]:
    """Type and shape of each tensor, as text; all floating-point types are one."""
    return {
        key: f"{'float' if tensor.is_floating_point() else tensor.dtype} {tuple(tensor.shape)}"
        for key, tensor in tensors.items()
    }


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_text(entry)}" for key, entry in value.items())
    if isinstance(value, list):
        return "/".join(_text(entry) for entry in value)
    return f"{value:.4g}" if isinstance(value, float) else str(value)
