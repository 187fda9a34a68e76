"""What each released model is made from, and the commands of `petseg` that make it again.

Each model has a folder whose name changes with its recipe, with the flags, and with the models that it is made from.
"""

from __future__ import annotations

import argparse
import json
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import torch
import yaml

from petseg.errors import DataError
from petseg.training.checkpoints import last_epoch
from petseg.training.recipes import RECIPES, distillation, fingerprint, yaml_file
from petseg.training.runs import attempts

#: Models in the order of training: what a model starts from, and its teachers, come before it. Each has a recipe of its
#: name.
MODELS: Final = (
    "unet-lite0-first",
    "unet-lite0-second",
    "unet-lite0-third",
    "unet-lite2",
    "unet-lite0-fourth",
    "unet-lite0",
    "unet-first",
    "unet-second",
    "unet-third",
    "unet-fourth",
    "unet",
    "unet-separable-first",
    "unet-separable-second",
    "unet-separable-third",
    "unet-separable",
)

#: Those that are made for others alone; they are not released and not scored on the test split.
STEPS: Final = (
    "unet-lite0-first",
    "unet-lite0-second",
    "unet-lite0-third",
    "unet-lite2",
    "unet-lite0-fourth",
    "unet-first",
    "unet-second",
    "unet-third",
    "unet-fourth",
    "unet-separable-first",
    "unet-separable-second",
    "unet-separable-third",
)

#: Models of which `petseg release` may take the mean of the weights before and after the run.
MEAN_WITH_START: Final = ("unet-lite0",)

#: Steps that were once released, and scored then, by the name that they had: cards and logs of that time name them so.
ONCE_RELEASED: Final = {
    "unet-lite0-first": "unet-lite0",
    "unet-lite0-third": "unet-lite0",
    "unet-lite0-fourth": "unet-lite0",
    "unet-first": "unet",
    "unet-second": "unet",
    "unet-separable-first": "unet-separable",
    "unet-separable-third": "unet-separable",
    "unet-third": "unet",
}


def recipe_of(name: str) -> Path:
    """The file of a model's recipe."""
    return RECIPES / f"{name}.yaml"


def teachers_of(recipe: Path) -> list[str]:
    """The models whose probabilities a recipe's `Distillation` averages, in its order; none where nothing teaches."""
    names: list[str] = distillation(yaml_file(recipe)).get("teacher", [])
    return names


def start_of(recipe: Path) -> str | None:
    """The model whose weights a recipe starts from; None where it starts from random ones, or from ImageNet's."""
    weights = yaml.safe_load(recipe.read_text()).get("weights")
    return Path(weights).stem if weights and weights != "random" else None


def made_from(recipe: Path) -> list[str]:
    """The models that a recipe needs: what it starts from and its teachers, each once."""
    start = start_of(recipe)
    return list(dict.fromkeys([*([start] if start else []), *teachers_of(recipe)]))


def with_steps(names: Sequence[str]) -> list[str]:
    """Models in the order of training, with the `STEPS` that they need; a released model is used as it is."""
    chosen: list[str] = []
    for name in reversed(MODELS):  # from the last trained to the first, so that a step's own steps are found
        needed = {other for later in chosen for other in made_from(recipe_of(later))}
        if name in names or (name in STEPS and name in needed):
            chosen.insert(0, name)
    return chosen


def weights_of(name: str, folder: Path, extra: Sequence[str] = ()) -> Path:
    """Where a model goes, below a folder of its own that is named after the model and a fingerprint of its making.

    Args:
        name: one of `MODELS`.
        folder: holds the folders of all models.
        extra: flags of `petseg fit`, for instance for other data.
    """
    recipe = yaml.safe_load(recipe_of(name).read_text())
    others = {other: Path(file).parent.name for other, file in used(name, folder, extra).items()}
    made = {"recipe": recipe, "flags": list(extra), "others": others}
    if name in MEAN_WITH_START:
        made["mean_with_start"] = True
    return folder / f"{name}-{fingerprint(made)}" / f"{name}.safetensors"


def used(name: str, folder: Path, extra: Sequence[str] = ()) -> dict[str, str]:
    """What a model starts from and its teachers: the file where it is trained again, else the released one's name."""
    files = {other: weights_of(other, folder, extra) for other in made_from(recipe_of(name))}
    return {other: str(file) if other in STEPS or file.is_file() else other for other, file in files.items()}


def fit_arguments(name: str, folder: Path, extra: Sequence[str] = ()) -> list[str]:
    """Arguments of `petseg` that train a model, or resume its training; empty where that is done.

    Args:
        name: one of `MODELS`.
        folder: holds the folders of all models.
        extra: flags of `petseg fit`.
    """
    recipe, others = recipe_of(name), used(name, folder, extra)
    last, done = last_epoch(weights_of(name, folder, extra).parent / "runs")
    if done >= epochs_of(recipe, extra):
        return []
    flags = ["fit", "--config", str(recipe), *extra]
    if teachers := [others[teacher] for teacher in teachers_of(recipe)]:
        value = teachers[0] if len(teachers) == 1 else json.dumps(teachers)
        flags += ["--trainer.callbacks.init_args.teacher", value]
    if start := start_of(recipe):
        flags += ["--weights", others[start]]
    return flags + (["--ckpt_path", str(last.resolve())] if last else [])


def release_arguments(name: str, folder: Path, extra: Sequence[str] = ()) -> list[str]:
    """Arguments of `petseg` that make a model of the best checkpoint of a training that is done.

    Raises:
        DataError: no checkpoint can be read.
    """
    out = weights_of(name, folder, extra)
    best = best_checkpoint(out.parent / "runs")
    if best is None:
        raise DataError(f"{name}: its run left no checkpoint in {out.parent}. Remove the folder, start again.")
    flags = ["release", str(best), "--out", str(out), "--log", str(out.parent / "log")]
    if name in MEAN_WITH_START and (start := start_of(recipe_of(name))):
        flags += ["--mean-with", used(name, folder, extra)[start]]
    return flags + (["--no-test"] if name in STEPS else [])


def best_checkpoint(runs: Path) -> Path | None:
    """The `best.ckpt` that scored highest on validation, of all attempts at the run that was resumed last.

    Lightning finds the best of each attempt alone. None where no checkpoint can be read.
    """
    last, _ = last_epoch(runs)
    scores: dict[Path, float] = {}
    for run in attempts(last.parents[1]) if last else []:
        path = run / "checkpoints" / "best.ckpt"
        try:
            callbacks = torch.load(path, map_location="cpu", weights_only=True, mmap=True)["callbacks"]
            (kept,) = (state for key, state in callbacks.items() if key.startswith("BestCheckpoint"))
            scores[path] = float(kept["best_model_score"])
        except (OSError, EOFError, KeyError, RuntimeError, ValueError, pickle.UnpicklingError):
            if path.is_file():  # otherwise the attempt was stopped before its first validation
                print(f"{path}: was cut off while it was written, and does not count")
    return max(scores, key=lambda path: scores[path], default=None)


def epochs_of(recipe: Path, extra: Sequence[str]) -> int:
    """How many epochs a recipe asks for, unless the flags say otherwise."""
    parser = argparse.ArgumentParser(prog="make reproduce", add_help=False, allow_abbrev=False)
    parser.add_argument("--trainer.max_epochs", dest="epochs", type=int)
    chosen: int | None = parser.parse_known_args(extra)[0].epochs
    return int(yaml.safe_load(recipe.read_text())["trainer"]["max_epochs"]) if chosen is None else chosen
