"""Which runs there are: the base with each of its seeds, and each variant, as `plan.yaml` lists them."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

import yaml

from petseg.errors import DataError
from petseg.training.recipes import fingerprint

PLAN: Final = Path(__file__).with_name("plan.yaml")

#: Fewer and longer runs, on record beside those of `PLAN`.
LONG: Final = Path(__file__).with_name("long.yaml")

Weights = Literal["averaged", "raw"]


@dataclass(frozen=True)
class Run:
    """A row of the table.

    Attributes:
        name: of the run.
        change: what is changed, in words.
        recipe: all settings, as `petseg fit --config` takes them.
        settings: those that differ from the base's.
        weights: whose scores count.
        needs: a package without which it cannot be trained; none where empty.
    """

    name: str
    change: str
    recipe: Mapping[str, Any]
    settings: Mapping[str, Any] = field(default_factory=dict)
    weights: Weights = "averaged"
    needs: str = ""

    @property
    def epochs(self) -> int:
        """How many epochs it trains."""
        return int(self.recipe["trainer"]["max_epochs"])

    @property
    def fingerprint(self) -> str:
        """Eight letters that change with the recipe, so that no run resumes what another recipe began."""
        return fingerprint(self.recipe)

    @property
    def possible(self) -> bool:
        """Whether what it needs is installed; imports nothing."""
        return not self.needs or importlib.util.find_spec(self.needs) is not None


@dataclass(frozen=True)
class Plan:
    """The base, once for each seed, and the variants of it.

    Attributes:
        recipe: of the base, without a seed.
        base: differ in their seed alone.
        variants: have the first seed.
    """

    recipe: Mapping[str, Any]
    base: tuple[Run, ...]
    variants: tuple[Run, ...]

    @property
    def trained(self) -> list[Run]:
        """The runs that are trained: a variant that only reads the base's raw weights is not."""
        return [*self.base, *(run for run in self.variants if run.weights == "averaged")]

    def chosen(self, names: list[str]) -> list[Run]:
        """The runs of these names, all of them where there is none.

        Raises:
            DataError: no run has such a name.
        """
        known = {run.name: run for run in self.trained}
        if unknown := [name for name in names if name not in known]:
            raise DataError(f"{unknown[0]}: no run has this name. There are {', '.join(known)}.")
        return [known[name] for name in names] or self.trained


def read_plan(path: Path = PLAN) -> Plan:
    """The runs that a file lists; the file itself says how it is written.

    Raises:
        DataError: the file is missing, is no YAML, or lacks what a run needs.
    """
    try:
        listed = yaml.safe_load(path.read_text())
        recipe, seeds = listed["recipe"], listed["seeds"]
        base = [
            Run("base" if i == 1 else f"base-seed-{i}", "nothing", {"seed_everything": seed, **recipe})
            for i, seed in enumerate(seeds, start=1)
        ]
        variants = [_variant(base[0], entry) for entry in listed["variants"] or []]
    except (OSError, yaml.YAMLError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise DataError(
            f"{path.name}: cannot be read as recipe, seeds and variants ({type(error).__name__}: {error}). "
            "See the comment at the top of petseg/upkeep/ablation/plan.yaml."
        ) from error
    _check([*base, *variants], path.name)
    return Plan(recipe, tuple(base), tuple(variants))


def merged(base: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with what `settings` says otherwise: sections are merged, anything else is replaced."""
    result = dict(base)
    for key, value in settings.items():
        both = isinstance(value, Mapping) and isinstance(result.get(key), Mapping)
        result[key] = merged(result[key], value) if both else value
    return result


def _variant(base: Run, entry: Mapping[str, Any]) -> Run:
    settings = entry.get("settings") or {}
    recipe = merged(base.recipe, settings)
    weights, needs = entry.get("weights", "averaged"), entry.get("needs", "")
    return Run(entry["name"], entry["change"], recipe, settings, weights, needs)


def _check(runs: list[Run], file: str) -> None:
    names = [run.name for run in runs]
    for run in runs:
        wrong = (
            (names.count(run.name) > 1, "two runs have this name"),
            (not all(part.isalnum() for part in str(run.name).split("-")), "a name is letters and digits, with dashes"),
            (run.weights not in ("averaged", "raw"), f"weights: {run.weights!r} must be averaged or raw"),
            (
                run.weights == "raw" and run.recipe != runs[0].recipe,
                "raw weights are read from the base's log, so it can have no settings of its own",
            ),
            (
                run.weights == "averaged" and run is not runs[0] and run.recipe == runs[0].recipe,
                "its recipe is that of the base",
            ),
            (run.epochs % run.recipe["trainer"].get("check_val_every_n_epoch", 1) != 0, "its last epoch is not scored"),
        )
        for is_wrong, sentence in wrong:
            if is_wrong:
                raise DataError(f"{file}: {run.name}: {sentence}. Change it there.")
