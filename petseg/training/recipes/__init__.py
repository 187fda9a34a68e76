"""Recipes: all settings of a training, as YAML files for `petseg fit --config`, and how they are read."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import torch
import yaml

from petseg.training.optimizer import size_at

RECIPES: Final = Path(__file__).parent


def read_recipe(name: str = "course") -> dict[str, Any]:
    """The sections of a recipe: `trainer`, `data`, `model`, `average`; on an NVIDIA GPU with those of `on_gpu`.

    Args:
        name: `course`, which notebook 03 trains, `fast`, a released model, or the `teacher` of one.
    """
    path = RECIPES / f"{name}.yaml"
    recipe: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    recipe.pop("gpu", None)
    for section, settings in on_gpu(path).items():
        recipe[section] |= settings
    return recipe


def on_gpu(path: Path) -> dict[str, Any]:
    """What section `gpu` of a recipe's file changes in its other sections; empty where there is no NVIDIA GPU.

    A GPU needs larger batches to be busy, and they a higher learning rate and, since fewer steps are averaged, a lower
    decay of the average.
    """
    if not torch.cuda.is_available() or not path.is_file():
        return {}
    try:
        recipe = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError:
        return {}  # jsonargparse, which reads the file as well, says what is wrong
    return (recipe.get("gpu") if isinstance(recipe, dict) else None) or {}


def stages(recipe: Mapping[str, Any]) -> list[tuple[int, int]]:
    """(first epoch, height and width in pixels) of each image size of a recipe; epochs count from 1."""
    model, epochs, full = recipe["model"], recipe["trainer"]["max_epochs"], recipe["data"]["image_size"]
    sizes = [round(full * size_at(epoch, epochs, model["sizes"], model["size_starts"])) for epoch in range(epochs)]
    return [(epoch + 1, size) for epoch, size in enumerate(sizes) if epoch == 0 or size != sizes[epoch - 1]]


def distillation(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a recipe's `Distillation`, or of that in a `config.yaml` of `petseg fit`; empty without teacher.

    `teacher` becomes a list of names without folder and ending.
    """
    callbacks = recipe["trainer"].get("callbacks") or []
    for callback in callbacks if isinstance(callbacks, list) else [callbacks]:
        if callback["class_path"] == "petseg.training.distillation.Distillation":
            teacher = callback["init_args"]["teacher"]
            names = [teacher] if isinstance(teacher, str) else teacher
            return {**callback["init_args"], "teacher": [Path(name).stem for name in names]}
    return {}
