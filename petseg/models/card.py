"""The model card: what a file of weights says about itself, for the program that loads it and for people."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields
from typing import Any, Final

from torch import Tensor, nn

from petseg import __version__
from petseg.errors import ModelError
from petseg.labels import CLASSES
from petseg.models.architectures import architecture_of
from petseg.models.normalisation import RGB, Normalisation, as_rgb

#: Names in cards of earlier releases, in their settings and recipes, and today's.
RENAMED: Final = {
    "enlarge": "input_scale",
    "encoder_rate": "encoder_lr_scale",
    "size_from": "size_starts",
    "val_share": "val_fraction",
    "train_share": "train_fraction",
}


@dataclass(frozen=True)
class ModelCard:
    """What a weights file says about itself.

    Attributes:
        name: the released name, as `zoo.load` takes it.
        architecture: a key of `ARCHITECTURES`.
        settings: what the architecture is called with, as in `UNet.settings`.
        mean: RGB of the normalisation `(x - mean) / std` of pixels x in 0..1.
        std: RGB, as `mean`.
        size: (height, width) in pixels to which photos are resized.
        parameters: number of trainable parameters.
        classes: names of the logits' channels, in order.
        recipe: how the network was trained.
        data: on what the network was trained.
        scores: by split, as `petseg release` measured them.
        licence: under which the weights are released.
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
    def of(cls, network: nn.Module, **details: Any) -> ModelCard:
        """The card of a network.

        Args:
            network: of a kind in `ARCHITECTURES`, which gives architecture, settings and number of parameters.
            details: the other fields: `name` and `size` at least; `mean` and `std` are the network's own by default.
        """
        statistics: Any = network.statistics
        known: dict[str, Any] = {
            "architecture": architecture_of(network),
            "settings": network.settings,
            "parameters": sum(parameter.numel() for parameter in network.parameters()),
            "mean": statistics.mean,
            "std": statistics.std,
        }
        return cls(**(known | details))

    def normalise(self, image: Tensor) -> Tensor:
        """What the network reads of images uint8, or float in 0..1, (B, 3, H, W) or (3, H, W): float, same shape."""
        normalised: Tensor = Normalisation(self.mean, self.std).to(image.device)(image)
        return normalised

    def to_header(self) -> dict[str, str]:
        """The card as safetensors metadata: one JSON text per field, and `format`, as other readers ask."""
        return {"format": "pt", **{key: json.dumps(value) for key, value in asdict(self).items()}}

    @classmethod
    def from_header(cls, header: Mapping[str, str] | None, name: str = "model") -> ModelCard:
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
            return cls(**_checked({key: json.loads(header[key]) for key in known}))
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
            f"{_listed(self.settings)}.",
        ]
        for title, content in (("Data", self.data), ("Recipe", self.recipe)):
            if content:
                entries = content.items() if isinstance(content, dict) else [("name", content)]
                lines += ["", f"## {title}", "", *(f"- {key}: {_text(value)}" for key, value in entries)]
        lines += _scores(self.scores)
        if self.limits:
            lines += ["", "## Limits", "", self.limits]
        return "\n".join(lines)


def _checked(values: dict[str, Any]) -> dict[str, Any]:
    """A header's values in today's names and types; a wrong one raises TypeError, ValueError or AttributeError."""
    for part in ("settings", "recipe"):
        if part in values:
            values[part] = {RENAMED.get(key, key): value for key, value in values[part].items()}
    values |= {key: as_rgb(values[key]) for key in ("mean", "std")}
    height, width = values["size"]
    values["size"] = (_positive(height), _positive(width))
    if "classes" in values:
        values["classes"] = tuple(values["classes"])
    return values


def _positive(value: Any) -> int:
    if not isinstance(value, int) or value < 1:
        raise ValueError(f"size {value!r} is not a whole number from 1")
    return value


def _scores(scores: dict[str, Any]) -> list[str]:
    """Lines of Markdown: a table of the splits, then breeds and calibration where they are there."""
    lines = []
    splits = {split: found for split, found in scores.items() if isinstance(found, dict) and "mean_iou" in found}
    if splits:
        names = list(next(iter(splits.values())))
        lines += ["", "## Scores", "", "Pooled over all pixels of the split, one pass, float16 weights.", ""]
        lines += [f"| split | {' | '.join(names)} |", f"|---|{'--:|' * len(names)}"]
        lines += [f"| {key} | {' | '.join(f'{found[name]:.4f}' for name in names)} |" for key, found in splits.items()]
    for key, text in (
        ("breeds", "Mean IoU on the test split by breed, of the best and the worst"),
        ("calibration", "Expected calibration error on the test split, 15 bins, 0 is calibrated"),
    ):
        if key in scores:
            lines += ["", f"{text}: {', '.join(f'{name} {value:.3f}' for name, value in scores[key].items())}."]
    return lines


def _listed(settings: dict[str, Any]) -> str:
    return ", ".join(f"{key} {_text(value)}" for key, value in settings.items())


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return _listed(value)
    if isinstance(value, list):
        return "/".join(_text(entry) for entry in value)
    return f"{value:g}" if isinstance(value, float) else str(value)
