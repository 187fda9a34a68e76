"""Released models: safetensors files whose header holds the card that rebuilds, feeds and judges the network."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as serialised
from torch import Tensor, nn

from petseg.errors import ModelError
from petseg.files import atomic_write
from petseg.models.architectures import ARCHITECTURES
from petseg.models.card import ModelCard

#: Where the released models lie, `<name>.safetensors` each.
WEIGHTS: Final = Path(__file__).with_name("weights")


def available() -> list[str]:
    """Names of the released models, in alphabetical order; a file that is still being written is hidden, and none."""
    return sorted(path.stem for path in WEIGHTS.glob("*.safetensors") if not path.name.startswith("."))


def runnable(card: ModelCard) -> bool:
    """Whether this installation knows a model's architecture and has the packages that it needs."""
    architecture = ARCHITECTURES.get(card.architecture)
    return architecture is not None and architecture.installed()


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
    """Writes a network's weights, as `stored` has them, and its card into one file, whole or not at all.

    Args:
        path: where to, ending in `.safetensors`; a file that is there is replaced.
        network: weights of any float type on any device; stays as it is.
        card: what `load` rebuilds the network from.

    Returns:
        The path.

    Raises:
        ModelError: the card does not rebuild this network, or a weight is infinite or not a number.
    """
    path = model_file(path)
    tensors = {key: value.detach().cpu() for key, value in network.state_dict().items()}
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
    architecture = ARCHITECTURES[card.architecture]
    if not architecture.installed():
        raise ModelError(f"{name}: cannot be run by this installation. Add what it needs: {architecture.remedy}.")
    try:
        with torch.device("meta"):
            return architecture.build(**card.settings)
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
