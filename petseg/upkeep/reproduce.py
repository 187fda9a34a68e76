"""`make reproduce`: trains every released model again, scores it, and compares the scores with the released ones.

Works in `build/reproduce/` and goes on where it was stopped; what is released stays as it is.
"""

from __future__ import annotations

import argparse
import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from petseg.data.datamodule import PetDataModule, Source
from petseg.data.download import fetch_oxford
from petseg.errors import DataError, exit_with_sentence
from petseg.files import home_folder
from petseg.models import zoo
from petseg.models.zoo import ModelCard
from petseg.training.command import run_command
from petseg.training.runs import read_log
from petseg.upkeep.lineage import MODELS, STEPS, fit_arguments, release_arguments, weights_of, with_steps

CHECKOUT = home_folder()
RUNS = CHECKOUT / "figures" / "runs"


def times(names: Sequence[str]) -> str:
    """How long the training steps of the released weights took, a line for each model, and together."""
    lines, total, unknown = [], 0.0, False
    for name in names:
        seconds = training_seconds(RUNS / name / "metrics.csv")
        lines.append(f"{name}: training took {seconds / 60:.0f} minutes" if seconds else f"{name}: time not recorded")
        total, unknown = total + (seconds or 0), unknown or not seconds
    lines.append(
        f"together {'more than ' if unknown else ''}{total / 3600:.1f} hours where the released weights were trained; "
        "validation and scoring come on top"
    )
    return "\n".join(lines)


def training_seconds(log: Path) -> float | None:
    """The duration of a run's training steps by its `metrics.csv`; None where it is not recorded."""
    points = read_log(log).get("train/seconds", []) if log.is_file() else []
    return sum(seconds for _, seconds in points) or None


def reproduce(names: Sequence[str], folder: Path, extra: Sequence[str] = ()) -> dict[str, ModelCard]:
    """Trains and releases models below a folder, in separate processes, and says how long each took.

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
        if arguments := fit_arguments(name, folder, extra):
            _petseg(name, arguments, made[name].parent)
        _petseg(name, release_arguments(name, folder, extra), made[name].parent)
    return {name: zoo.card(made[name]) for name in names}


def _petseg(name: str, arguments: Sequence[str], folder: Path) -> None:
    """Runs `petseg` for a model in a folder, and prints how long it took."""
    start = time.monotonic()
    print(f"{name}: petseg {arguments[0]}", flush=True)
    try:
        run_command(shlex.join(["petseg", *arguments]), folder, threads=None, show=True, timeout=None)
    except RuntimeError as error:
        raise DataError(f"{name}: petseg {arguments[0]} failed, see above. Call it again, and it goes on.") from error
    print(f"{name}: petseg {arguments[0]} took {(time.monotonic() - start) / 60:.1f} minutes", flush=True)


def comparison(cards: dict[str, ModelCard]) -> str:
    """Test mean IoU of the new models beside that of the released ones, a line each; of `STEPS` there is none."""
    lines = [f"{'model':<16}{'released':>10}{'again':>10}{'difference':>12}"]
    for name, card in cards.items():
        if "test" not in card.scores:
            continue
        again = card.scores["test"]["mean_iou"]
        released = zoo.card(name).scores["test"]["mean_iou"] if name in zoo.available() else float("nan")
        lines.append(f"{name:<16}{released:>10.4f}{again:>10.4f}{again - released:>+12.4f}")
    return "\n".join(lines)


def fetched(extra: Sequence[str]) -> list[str]:
    """Fetches (Oxford-IIIT Pet) or draws (the cartoons) what is missing of the data, and decodes them.

    Args:
        extra: flags of `petseg fit`, which may name other data.

    Returns:
        The flags, with the whole path of the data folder where they name one: training runs elsewhere.

    Raises:
        DataError: the data cannot be read or fetched.
    """
    parser = argparse.ArgumentParser(prog="make reproduce", add_help=False, allow_abbrev=False)
    parser.add_argument("--data.source", dest="source", choices=get_args(Source), default="oxford")
    parser.add_argument("--data.data_dir", dest="folder", type=Path)
    parser.add_argument("--data.image_size", dest="size", type=int, default=128)
    chosen, _ = parser.parse_known_args(extra)
    module = PetDataModule(chosen.source, chosen.folder, chosen.size)
    if chosen.source == "oxford":
        fetch_oxford(module.root)
    module.prepare_data()
    return [*extra, "--data.data_dir", str(chosen.folder.resolve())] if chosen.folder else list(extra)


def _arguments(argv: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    """Ours, and the flags of `petseg fit`: from the first flag that is not ours on, or after `--`."""
    parser = argparse.ArgumentParser(
        prog="make reproduce",
        usage="%(prog)s [--folder FOLDER] [MODEL ...] [flags of petseg fit ...]",
        description=__doc__,
        allow_abbrev=False,
    )
    parser.add_argument("models", metavar="MODEL", nargs="*", help=f"of {', '.join(MODELS)}; default: all released")
    parser.add_argument("--folder", type=Path, default=CHECKOUT / "build" / "reproduce")
    ours = ("--folder", "--help")
    others = (i for i, word in enumerate(argv) if word.startswith("--") and word.partition("=")[0] not in ours)
    end = next(others, len(argv))
    extra = list(argv[end:])
    return parser.parse_intermixed_args(argv[:end]), extra[1:] if extra[:1] == ["--"] else extra


@exit_with_sentence(stopped="stopped; the next call goes on from here")
def main(argv: Sequence[str] | None = None) -> int:
    """Trains what is named, by default every released model, and the steps that it needs.

    Args:
        argv: the arguments without the program's name; those of the process when None.

    Returns:
        0; 1 when something could not be done and 2 for a model without a recipe, printed on stderr; 130 when stopped.
    """
    arguments, extra = _arguments(sys.argv[1:] if argv is None else argv)
    names = arguments.models or [name for name in MODELS if name not in STEPS]
    if unknown := [name for name in names if name not in MODELS]:
        print(f"petseg: {', '.join(unknown)}: no recipe of this name; choose of {', '.join(MODELS)}.", file=sys.stderr)
        return 2
    print(times(with_steps(names)), flush=True)
    extra = fetched(extra)  # before the hours begin
    print(comparison(reproduce(names, arguments.folder, extra)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
