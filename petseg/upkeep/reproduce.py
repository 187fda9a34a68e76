"""`make reproduce`: trains every released model anew, scores it, and lays the numbers beside the released ones.

Works in `build/reproduce/` and goes on where it was stopped; what is released stays as it is. Each model has a folder,
whose name changes with its recipe, with the flags, and with the models that it is made from.
"""

from __future__ import annotations

import argparse
import csv
import os
import pickle
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import torch
import yaml

from petseg.data.datamodule import PetDataModule, Source
from petseg.data.download import fetch_oxford
from petseg.errors import DataError, ModelError
from petseg.files import cache_folder, checkout, data_folder
from petseg.models import zoo
from petseg.models.card import ModelCard
from petseg.training.recipes import RECIPES, fingerprint
from petseg.training.release import attempts
from petseg.training.runs import last_epoch

CHECKOUT = checkout() or Path.cwd()
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

#: Those that are made for others alone; `make reproduce` does not score them on the test split. `unet-lite0-first` and
#: `unet-first` were once released, as the first `unet-lite0` and the first `unet`, and scored then (figures/runs/).
STEPS = ("unet-lite0-first", "unet-lite0-second", "unet-first")

#: Estimated seconds of the two trainings whose logs are older than `train/seconds`. unet-first: the 25.9 minutes that
#: notebook 03 says it took for the same recipe. unet-lite0-first: 9 epochs at 96x96 pixels and 9 at 128x128; its
#: network takes 300 s for an epoch at 128x128 (logs of unet-lite0 and unet-lite0-second), and for fewer pixels less in
#: proportion.
ESTIMATED = {"unet-first": 60 * 25.9, "unet-lite0-first": 9 * 300 * (0.75**2 + 1)}


def recipe_of(name: str) -> Path:
    """The file of a model's recipe."""
    return RECIPES / f"{MODELS[name]}.yaml"


def teacher_of(recipe: Path) -> str | None:
    """The model that a recipe's `Distillation` asks; None where none teaches."""
    callbacks = yaml.safe_load(recipe.read_text())["trainer"].get("callbacks", [])
    for callback in callbacks:
        if callback["class_path"] == "petseg.training.distillation.Distillation":
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


def times(names: Sequence[str]) -> str:
    """How long the trainings of the released weights took, a line each, and together."""
    lines, total = [], 0.0
    for name in names:
        logged = training_seconds(RUNS / name / "metrics.csv")
        seconds = logged or ESTIMATED.get(name, 0.0)
        took = f"{seconds / 60:.0f} minutes" + ("" if logged else ", estimated") if seconds else "unknown"
        lines.append(f"{name}: training took {took}")
        total += seconds
    lines.append(
        f"together {total / 3600:.1f} hours on two CPU cores that compute in bfloat16, where the released weights were "
        "trained; validation and scoring come on top, and other machines take longer or shorter"
    )
    return "\n".join(lines)


def weights_of(name: str, folder: Path, extra: Sequence[str] = ()) -> Path:
    """Where a model goes, below a folder of its own that is named after the model and a fingerprint of its making.

    Args:
        name: one of `MODELS`.
        folder: holds the folders of all models.
        extra: flags of `petseg fit`, for instance for other data.
    """
    recipes = [yaml.safe_load(path.read_text()) for path in (RECIPES / "course.yaml", recipe_of(name))]
    others = {other: Path(file).parent.name for other, file in used(name, folder, extra).items()}
    made = {"defaults": recipes[0], "recipe": recipes[1], "flags": list(extra), "others": others}
    return folder / f"{name}-{fingerprint(made)}" / f"{name}.safetensors"


def used(name: str, folder: Path, extra: Sequence[str] = ()) -> dict[str, str]:
    """What a model starts from and its teacher: the file where it is trained anew, else the released one's name."""
    found = {}
    for other in (start_of(recipe_of(name)), teacher_of(recipe_of(name))):
        if other:
            file = weights_of(other, folder, extra)
            found[other] = str(file) if other in STEPS or file.is_file() else other
    return found


def fit(name: str, folder: Path, extra: Sequence[str] = ()) -> list[str]:
    """Arguments of `petseg` that train a model, or go on with its training; empty where that is done.

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
    if teacher := teacher_of(recipe):
        flags += ["--trainer.callbacks.init_args.teacher", others[teacher]]
    if start := start_of(recipe):
        flags += ["--weights", others[start]]
    return flags + (["--ckpt_path", str(last.resolve())] if last else [])


def release(name: str, folder: Path, extra: Sequence[str] = ()) -> list[str]:
    """Arguments of `petseg` that make a model of the best checkpoint of a training that is done.

    Raises:
        DataError: no checkpoint can be read.
    """
    out = weights_of(name, folder, extra)
    best = best_checkpoint(out.parent / "runs")
    if best is None:
        raise DataError(f"{name}: its run left no checkpoint in {out.parent}. Remove the folder, start again.")
    flags = ["release", str(best), "--out", str(out), "--log", str(out.parent / "log")]
    return flags + (["--no-test"] if name in STEPS else [])


def best_checkpoint(runs: Path) -> Path | None:
    """The `best.ckpt` that scored highest on validation, of all attempts at the run that was gone on with last.

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
    told: int | None = parser.parse_known_args(extra)[0].epochs
    return int(yaml.safe_load(recipe.read_text())["trainer"]["max_epochs"]) if told is None else told


def reproduce(names: Sequence[str], folder: Path, extra: Sequence[str] = ()) -> dict[str, ModelCard]:
    """Trains and releases models below a folder, in processes of their own, and says how long each took.

    Args:
        names: some of `MODELS`; those of `STEPS` that they need are trained as well.
        folder: for runs, logs and weights; what is there of the same recipes and flags is not made again.
        extra: flags of `petseg fit`.

    Returns:
        The new models' cards.

    Raises:
        DataError: a step failed.
    """
    folder = folder.resolve()  # the processes run elsewhere
    made = {}
    for name in with_steps(names):
        made[name] = weights_of(name, folder, extra)
        if made[name].is_file():
            continue
        made[name].parent.mkdir(parents=True, exist_ok=True)
        if flags := fit(name, folder, extra):
            _petseg(name, flags, made[name].parent)
        _petseg(name, release(name, folder, extra), made[name].parent)
    return {name: zoo.card(made[name]) for name in names}


def _petseg(name: str, arguments: Sequence[str], folder: Path) -> None:
    """Runs `petseg` for a model in a folder, and says how long it took."""
    start = time.monotonic()
    print(f"{name}: petseg {arguments[0]}", flush=True)
    whole = {"PETSEG_DATA_DIR": str(data_folder().resolve()), "PETSEG_CACHE_DIR": str(cache_folder().resolve())}
    command = [sys.executable, "-m", "petseg.cli", *arguments]
    status = subprocess.run(command, cwd=folder, env={**os.environ, **whole}, check=False).returncode
    if status != 0:
        raise DataError(
            f"{name}: petseg {arguments[0]} ended with status {status}, see above. Call it again, and it goes on."
        )
    print(f"{name}: petseg {arguments[0]} took {(time.monotonic() - start) / 60:.1f} minutes", flush=True)


def comparison(cards: dict[str, ModelCard]) -> str:
    """Test mean IoU of the new models beside that of the released ones, a line each; of `STEPS` there is none."""
    lines = [f"{'model':<16}{'released':>10}{'again':>10}{'difference':>12}"]
    for name, card in cards.items():
        if "test" not in card.scores:
            continue
        again = card.scores["test"]["mean_iou"]
        known = zoo.card(name).scores["test"]["mean_iou"] if name in zoo.available() else float("nan")
        lines.append(f"{name:<16}{known:>10.4f}{again:>10.4f}{again - known:>+12.4f}")
    return "\n".join(lines)


def fetched(extra: Sequence[str]) -> list[str]:
    """Fetches (Oxford-IIIT Pet) or draws (the cartoons) what is missing of the data, and decodes them.

    Args:
        extra: flags of `petseg fit`, which may choose the data.

    Returns:
        The flags, with the whole path of the data folder where they name one: training runs elsewhere.

    Raises:
        DataError: the data cannot be read.
        DataError: they cannot be fetched.
    """
    parser = argparse.ArgumentParser(prog="make reproduce", add_help=False, allow_abbrev=False)
    parser.add_argument("--data.source", dest="source", choices=get_args(Source), default="oxford")
    parser.add_argument("--data.data_dir", dest="folder", type=Path)
    parser.add_argument("--data.image_size", dest="size", type=int, default=128)
    told, _ = parser.parse_known_args(extra)
    module = PetDataModule(told.source, told.folder, told.size)
    if told.source == "oxford":
        fetch_oxford(module.root)
    module.prepare_data()
    return [*extra, "--data.data_dir", str(told.folder.resolve())] if told.folder else list(extra)


def _arguments(argv: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    """Ours, and the flags of `petseg fit`: from the first flag that is not ours on, or after `--`."""
    parser = argparse.ArgumentParser(
        prog="make reproduce",
        usage="%(prog)s [--folder FOLDER] [MODEL ...] [flags of petseg fit ...]",
        description=__doc__,
        allow_abbrev=False,
    )
    parser.add_argument("models", metavar="MODEL", nargs="*", help=f"of {', '.join(MODELS)}; default: all")
    parser.add_argument("--folder", type=Path, default=CHECKOUT / "build" / "reproduce")
    ours = ("--folder", "--help")
    others = (i for i, word in enumerate(argv) if word.startswith("--") and word.partition("=")[0] not in ours)
    end = next(others, len(argv))
    extra = list(argv[end:])
    return parser.parse_intermixed_args(argv[:end]), extra[1:] if extra[:1] == ["--"] else extra


def main(argv: Sequence[str] | None = None) -> int:
    """Trains what is named, everything by default.

    Args:
        argv: the arguments without the program's name; those of the process when None.

    Returns:
        0; 1 when something could not be done and 2 for a model without a recipe, said on stderr; 130 when stopped.
    """
    arguments, extra = _arguments(sys.argv[1:] if argv is None else argv)
    names = arguments.models or list(MODELS)
    if unknown := [name for name in names if name not in MODELS]:
        print(f"petseg: {', '.join(unknown)}: no recipe of this name; choose of {', '.join(MODELS)}.", file=sys.stderr)
        return 2
    print(times(with_steps(names)), flush=True)
    try:
        extra = fetched(extra)  # before the hours begin
        print(comparison(reproduce(names, arguments.folder, extra)))
    except (DataError, ModelError) as error:
        print(f"petseg: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("petseg: stopped; the next call goes on from here", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
