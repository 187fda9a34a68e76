"""`make reproduce`: trains every released model anew, scores it, and lays the numbers beside the released ones.

Works in `build/reproduce/`, one folder a model, and goes on where it was stopped; what is released stays as it is.
"""

from __future__ import annotations

import argparse
import csv
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import yaml

from petseg import lesson, zoo
from petseg.cache import DataError
from petseg.data import PetDataModule
from petseg.training import RECIPES

CHECKOUT = Path(__file__).resolve().parents[1]
RUNS = CHECKOUT / "figures" / "runs"

#: Each model's recipe, in the order of training: what a model starts from, and its teacher, come before it.
MODELS = {
    "unet-lite0-first": "unet-lite0-first",
    "unet-lite0-second": "unet-lite0-second",
    "unet-lite0": "unet-lite0",
    "unet-first": "course",
    "unet": "unet",
    "unet-separable": "unet-separable",
}

#: Those that are made for others alone: not released, and never scored on the test split.
STEPS = ("unet-lite0-first", "unet-lite0-second", "unet-first")


class ReproduceError(RuntimeError):
    """A step failed; the message says which, and how to go on."""


def recipe_of(name: str) -> Path:
    """The file of a model's recipe."""
    return RECIPES / f"{MODELS[name]}.yaml"


def teacher_of(recipe: Path) -> str | None:
    """The model that a recipe's `Distil` asks; None where none teaches."""
    callbacks = yaml.safe_load(recipe.read_text())["trainer"].get("callbacks", [])
    for callback in callbacks:
        if callback["class_path"] == "petseg.distil.Distil":
            return Path(callback["init_args"]["teacher"]).stem
    return None


def start_of(recipe: Path) -> str | None:
    """The model whose weights a recipe starts from; None where it starts from random ones, or from ImageNet's."""
    weights = yaml.safe_load(recipe.read_text()).get("weights")
    return Path(weights).stem if weights and weights != "random" else None


def with_steps(names: Sequence[str]) -> list[str]:
    """Models in the order of training, with the `STEPS` that they need; a released teacher is ready as it is."""
    chosen: list[str] = []
    for name in reversed(MODELS):  # from the last trained to the first, so that a step's own steps are found
        used = {other for one in chosen for other in (start_of(recipe_of(one)), teacher_of(recipe_of(one)))}
        if name in names or (name in STEPS and name in used):
            chosen.insert(0, name)
    return chosen


def training_seconds(log: Path) -> float | None:
    """What the training steps of a run took together, by its `metrics.csv`; None where it does not say."""
    if not log.is_file():
        return None
    with log.open(newline="") as file:
        seconds = [float(row["train/seconds"]) for row in csv.DictReader(file) if row.get("train/seconds")]
    return sum(seconds) or None


def commands(name: str, folder: Path, weights: Path, extra: Sequence[str] = ()) -> list[list[str]]:
    """Arguments of `petseg` that train a model and release it into a folder; empty where it is there already.

    Args:
        name: one of `MODELS`.
        folder: of this model; the unfinished run in it is gone on with.
        weights: folder of the models that were trained before, for a teacher among them.
        extra: flags of `petseg fit`, for instance for other data.
    """
    out = weights / f"{name}.safetensors"
    if out.is_file():
        return []
    recipe = recipe_of(name)
    steps = []
    last, done = lesson.last_epoch(folder / "runs")
    if done < epochs_of(recipe, extra):
        fit = ["fit", "--config", str(recipe), *extra]
        if teacher := teacher_of(recipe):
            fit += ["--trainer.callbacks.init_args.teacher", _trained(teacher, weights)]
        if start := start_of(recipe):
            fit += ["--weights", _trained(start, weights)]
        steps.append(fit + (["--ckpt_path", str(last.resolve())] if last else []))
    no_test = ["--no-test"] if name in STEPS else []
    steps.append(["release", "best.ckpt", "--out", str(out), "--log", str(folder / "log"), *no_test])
    return steps


def _trained(name: str, weights: Path) -> str:
    """The file of a model that was trained before, or the name of the released one where it was not."""
    found = weights / f"{name}.safetensors"
    return str(found) if found.is_file() or name in STEPS else name


def epochs_of(recipe: Path, extra: Sequence[str]) -> int:
    """How many epochs a recipe asks for, unless the flags say otherwise."""
    if "--trainer.max_epochs" in extra:
        return int(extra[list(extra).index("--trainer.max_epochs") + 1])
    return int(yaml.safe_load(recipe.read_text())["trainer"]["max_epochs"])


def reproduce(names: Sequence[str], folder: Path, extra: Sequence[str] = ()) -> dict[str, zoo.ModelCard]:
    """Trains and releases models below a folder, in processes of their own, and says how long each took.

    Args:
        names: some of `MODELS`; those of `STEPS` that they need are trained as well.
        folder: for runs, logs and weights.
        extra: flags of `petseg fit`.

    Returns:
        The new models' cards.

    Raises:
        ReproduceError: a step failed.
    """
    weights = folder / "weights"
    for name in with_steps(names):
        own = folder / name
        own.mkdir(parents=True, exist_ok=True)
        for step in commands(name, own, weights, extra):
            if step[0] == "release":
                last, _ = lesson.last_epoch(own / "runs")
                if last is None:
                    raise ReproduceError(
                        f"{name}: its run left no checkpoint in {own}. Remove the folder, start again."
                    )
                step[1] = str(last.with_name("best.ckpt").resolve())
            start = time.monotonic()
            print(f"{name}: petseg {step[0]}", flush=True)
            status = subprocess.run([sys.executable, "-m", "petseg.cli", *step], cwd=own, check=False).returncode
            if status != 0:
                raise ReproduceError(
                    f"{name}: petseg {step[0]} ended with status {status}, see above. Call it again, and it goes on."
                )
            print(f"{name}: petseg {step[0]} took {(time.monotonic() - start) / 60:.1f} minutes", flush=True)
    return {name: zoo.card(weights / f"{name}.safetensors") for name in names}


def comparison(cards: dict[str, zoo.ModelCard]) -> str:
    """Test mean IoU of the new models beside that of the released ones, a line each; of `STEPS` there is none."""
    lines = [f"{'model':<16}{'released':>10}{'again':>10}{'difference':>12}"]
    for name, card in cards.items():
        if "test" not in card.scores:
            continue
        again = card.scores["test"]["mean_iou"]
        known = zoo.card(name).scores["test"]["mean_iou"] if name in zoo.available() else float("nan")
        lines.append(f"{name:<16}{known:>10.4f}{again:>10.4f}{again - known:>+12.4f}")
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Trains what is named, everything by default."""
    parser = argparse.ArgumentParser(prog="make reproduce", description=__doc__)
    parser.add_argument("models", metavar="MODEL", nargs="*", help=f"of {', '.join(MODELS)}; default: all")
    parser.add_argument("--folder", type=Path, default=CHECKOUT / "build" / "reproduce")
    arguments, extra = parser.parse_known_args(argv)
    names = arguments.models or list(MODELS)
    if unknown := [name for name in names if name not in MODELS]:
        print(f"petseg: {', '.join(unknown)}: no recipe of this name; choose of {', '.join(MODELS)}.", file=sys.stderr)
        return 2
    for name in with_steps(names):
        seconds = training_seconds(RUNS / name / "metrics.csv")
        took = f"{seconds / 60:.0f} minutes" if seconds else "a time that its log does not say"
        print(f"{name}: the training that made the released weights took {took}")
    try:
        PetDataModule().prepare_data()  # before the hours begin
        print(comparison(reproduce(names, arguments.folder, extra)))
    except (DataError, ReproduceError, zoo.ModelError) as error:
        print(f"petseg: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
