"""`make reproduce`: trains the released models again, scores them, and compares the scores with the released ones.

Works in `runs/reproduce/` and continues where it was stopped; the released files stay as they are.
"""

import argparse
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, cast

import yaml

from petseg.errors import DataError, exit_with_sentence
from petseg.files import home_folder, write_text
from petseg.models import zoo
from petseg.models.zoo import ModelCard
from petseg.training.recipes import distillation, read_recipe
from petseg.training.runs import find_checkpoint, last_epoch, read_log

CHECKOUT: Final = home_folder()
RUNS: Final = CHECKOUT / "figures" / "runs"

#: Runs whose weights the released models start from or are taught by; they are not released themselves.
CHAIN: Final[Mapping[str, Any]] = yaml.safe_load(Path(__file__).with_name("chain.yaml").read_text(encoding="utf-8"))[
    "runs"
]

#: Models of which `petseg release` also tries the mean of the weights before and after the run.
MEAN_WITH_START: Final = ("unet-lite0",)


def recipe_of(name: str) -> dict[str, Any]:
    """The recipe of a released model or of a run in `CHAIN`."""
    return dict(CHAIN[name]) if name in CHAIN else read_recipe(name)


def needs(recipe: Mapping[str, Any]) -> list[str]:
    """The runs whose weights a recipe starts from or is taught by, each once."""
    start = [Path(recipe["weights"]).stem] if recipe.get("weights") else []
    return list(dict.fromkeys([*start, *distillation(recipe).get("teacher", [])]))


def in_order(names: Sequence[str]) -> list[str]:
    """Models and all runs that they need, in the order of training."""
    order: list[str] = []
    for name in names:
        order += [run for run in (*in_order(needs(recipe_of(name))), name) if run not in order]
    return order


def minutes(name: str) -> float | None:
    """How long the training steps of a released model or of a run in `CHAIN` took; None where it is not recorded."""
    log = RUNS / name / "metrics.csv"
    points = read_log(log).get("train/seconds", []) if log.is_file() else []
    return sum(seconds for _, seconds in points) / 60 or None


def make(name: str, folder: Path, flags: Sequence[str] = ()) -> ModelCard:
    """Trains a model or a run of `CHAIN` in `folder`/`name` and releases it there, unless that is done already.

    The runs that it needs must be in `folder`; `flags` are further ones of `petseg fit`.
    """
    place, recipe = folder / name, _with_paths(recipe_of(name), folder)
    train(place, recipe, flags)
    out = place / f"{name}.safetensors"
    if not out.is_file():
        options = ["--mean-with", recipe["weights"]] if name in MEAN_WITH_START else []
        options += [] if name in zoo.available() else ["--no-test"]
        checkpoint = str(find_checkpoint("best", place / "runs"))
        petseg(name, "release", checkpoint, "--out", str(out), "--log", str(place / "log"), *options)
    return zoo.card(out)


def train(folder: Path, recipe: Mapping[str, Any], flags: Sequence[str] = ()) -> None:
    """Trains a recipe in a folder, or resumes its training, until all epochs are done.

    Raises:
        DataError: the training failed, or the folder holds a run with another recipe or other flags.
    """
    file = folder / "recipe.yaml"
    text = f"# flags: {shlex.join(flags)}\n{yaml.safe_dump(dict(recipe), sort_keys=False)}"
    if file.is_file() and file.read_text(encoding="utf-8") != text:
        raise DataError(
            f"{folder}: holds a run with another recipe or other flags. Remove it, or choose another folder."
        )
    if not file.is_file():
        write_text(file, text)
    last, done = last_epoch(folder / "runs")
    if done < _epochs(recipe, flags):
        resume = ["--ckpt_path", str(last)] if last else []
        place = ["--trainer.logger.init_args.save_dir", str(folder)]
        petseg(folder.name, "fit", "--config", str(file), *place, *flags, *resume)


def _with_paths(recipe: dict[str, Any], folder: Path) -> dict[str, Any]:
    """A recipe whose start and teachers are the files that were trained in `folder`."""

    def file(name: str) -> str:
        return str(folder / Path(name).stem / f"{Path(name).stem}.safetensors")

    recipe = yaml.safe_load(yaml.safe_dump(recipe))  # a copy
    if recipe.get("weights"):
        recipe["weights"] = file(recipe["weights"])
    for callback in recipe["trainer"].get("callbacks") or []:
        if teachers := callback.get("init_args", {}).get("teacher"):
            callback["init_args"]["teacher"] = [file(teacher) for teacher in teachers]
    return recipe


def _epochs(recipe: Mapping[str, Any], flags: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--trainer.max_epochs", dest="epochs", type=int, default=recipe["trainer"]["max_epochs"])
    return cast(int, parser.parse_known_args(flags)[0].epochs)


def petseg(name: str, *arguments: str) -> None:
    """Runs a `petseg` command for a run, in a process that has nothing of another run in memory."""
    print(f"{name}: petseg {arguments[0]}", flush=True)
    if subprocess.run([sys.executable, "-m", "petseg.cli", *arguments], check=False).returncode != 0:
        raise DataError(f"{name}: petseg {arguments[0]} failed, see above. Repeat the command to continue.")


def comparison(cards: Mapping[str, ModelCard]) -> str:
    """Test mean IoU of the new models beside that of the released ones, one line per model."""
    lines = [f"{'model':<16}{'released':>10}{'again':>10}{'difference':>12}"]
    for name, card in cards.items():
        again, released = (c.scores["test"]["mean_iou"] for c in (card, zoo.card(name)))
        lines.append(f"{name:<16}{released:>10.4f}{again:>10.4f}{again - released:>+12.4f}")
    return "\n".join(lines)


def _arguments(argv: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    """Our arguments, and the flags of `petseg fit`, which follow `--`."""
    parser = argparse.ArgumentParser(
        prog="make reproduce",
        usage="%(prog)s [--folder FOLDER] [MODEL ...] [-- FLAGS OF PETSEG FIT]",
        description=__doc__,
    )
    parser.add_argument("models", metavar="MODEL", nargs="*", help=f"of {', '.join(zoo.available())}; default: all")
    parser.add_argument("--folder", type=Path, default=CHECKOUT / "runs" / "reproduce", help="default: runs/reproduce")
    end = argv.index("--") if "--" in argv else len(argv)
    arguments = parser.parse_args(argv[:end])
    if unknown := [name for name in arguments.models if name not in zoo.available()]:
        parser.error(f"{', '.join(unknown)}: no released model; choose of {', '.join(zoo.available())}")
    return arguments, list(argv[end + 1 :])


@exit_with_sentence(stopped="stopped; repeat the command to continue")
def main(argv: Sequence[str] | None = None) -> int:
    """Trains models and what they need; 0, 1 after an error, or 130 after Ctrl-C."""
    arguments, flags = _arguments(sys.argv[1:] if argv is None else argv)
    names = arguments.models or zoo.available()
    order = in_order(names)
    for name in order:
        took = minutes(name)
        print(f"{name}: training took {took:.0f} minutes" if took else f"{name}: time not recorded", flush=True)
    print("where the released weights were trained; validation and scoring come on top", flush=True)
    if not any(flag.startswith(("--data.source", "--data.data_dir")) for flag in flags):
        petseg("data", "data", "oxford")  # fetches what is missing before hours are spent
    cards = {name: make(name, arguments.folder.resolve(), flags) for name in order}
    print(comparison({name: cards[name] for name in names}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
