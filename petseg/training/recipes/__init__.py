"""Recipes: all settings of a training, as YAML files for `petseg fit --config`, and how they are read."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

RECIPES: Final = Path(__file__).parent


def read_recipe(name: str = "course") -> dict[str, Any]:
    """The settings of a run, section by section: `trainer`, `data`, `model`, `average`.

    Args:
        name: `course`, what notebook 03 trains, or a released model.
    """
    return yaml_file(RECIPES / f"{name}.yaml")


def yaml_file(path: Path) -> dict[str, Any]:
    """The sections of a recipe, or of the configuration that `petseg fit` writes beside its log."""
    sections: dict[str, Any] = yaml.safe_load(path.read_text())
    return sections


def stages(recipe: Mapping[str, Any]) -> list[tuple[int, int]]:
    """(first epoch, height and width in pixels) of each of a recipe's sizes; epochs count from 1."""
    model, epochs, full = recipe["model"], recipe["trainer"]["max_epochs"], recipe["data"]["image_size"]
    starts = [math.ceil(fraction * epochs) + 1 for fraction in model["size_starts"]]
    return [(start, round(size * full)) for start, size in zip(starts, model["sizes"], strict=True)]


def distillation(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of the `Distillation` of a recipe, or of the configuration that `petseg fit` writes.

    `teacher` is a list of names without folder and ending. Empty where nothing teaches.
    """
    callbacks = recipe["trainer"].get("callbacks") or []
    for callback in callbacks if isinstance(callbacks, list) else [callbacks]:
        if callback["class_path"] == "petseg.training.distillation.Distillation":
            teacher = callback["init_args"]["teacher"]
            names = [teacher] if isinstance(teacher, str) else teacher
            return {**callback["init_args"], "teacher": [Path(name).stem for name in names]}
    return {}


def fingerprint(recipe: Mapping[str, Any]) -> str:
    """Eight letters that differ where recipes differ, so that none resumes what another began."""
    return hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()[:8]
