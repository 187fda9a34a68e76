"""How long each notebook takes from top to bottom: `make notebooks` records it, the site's first page shows it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from petseg.errors import DataError
from petseg.files import read_json, write_json
from petseg.models.device import best_device, machine
from petseg.upkeep.site.markdown import table

RECORD: Final = Path("figures/minutes.json")

#: The two profiles that a notebook has, and the command that measures in each.
PROFILES: Final = {"quick": "python -m petseg.upkeep.notebooks minutes", "full": "make notebooks"}

#: The key of the record for profile `full` on a GPU, beside that on a CPU.
ON_GPU: Final = "full on a GPU"


def keep(name: str, profile: str, seconds: float, record: Path = RECORD) -> None:
    """Records how long a notebook took on this machine.

    Args:
        name: of the notebook, without its ending.
        profile: one of `PROFILES`.
        seconds: from the start of its kernel to the end.
        record: the file, which keeps what it holds of other notebooks and profiles; of `full` also what it holds of
            the other kind of machine, with or without a GPU.
    """
    times = read_json(record) if record.is_file() else {}
    key = ON_GPU if profile == "full" and best_device() != "cpu" else profile
    times[name] = times.get(name, {}) | {key: {"seconds": round(seconds), "machine": machine()}}
    write_json(record, dict(sorted(times.items())))


def sentences(times: Mapping[str, Any]) -> dict[str, str]:
    """By `minutes_NN`, how long the notebook of that number takes, in words that follow a verb."""
    return {f"minutes_{name[:2]}": _sentence(name, profiles) for name, profiles in times.items()}


def _sentence(name: str, profiles: Mapping[str, Any]) -> str:
    said = [f"{duration(profiles[key]['seconds'])} in profile `{key}`" for key in PROFILES if key in profiles]
    if not said:
        raise DataError(f"{name}: {RECORD} has no time of it. Run {PROFILES['quick']}.")
    on_gpu = f" ({duration(profiles[ON_GPU]['seconds'])} on a GPU)" if ON_GPU in profiles else ""
    return " or ".join(said) + on_gpu


def duration(seconds: float) -> str:
    """Seconds below a minute, else whole minutes."""
    return f"{seconds:.0f} seconds" if seconds < 60 else f"{seconds / 60:.0f} min"


def minutes_table(titles: Mapping[str, str], times: Mapping[str, Any]) -> str:
    """A Markdown table of the notebooks with their times.

    Args:
        titles: by the notebook's name, without its ending.
        times: the record.

    Raises:
        DataError: a notebook was never measured.
    """
    missing = [name for name in titles if name not in times]
    if missing:
        raise DataError(f"{missing[0]}: {RECORD} has no time of it. Run {PROFILES['quick']}.")
    columns = {key: f"profile `{key}`" for key in PROFILES} | {ON_GPU: "profile `full` on a GPU"}
    rows = [[_linked(name, title), *(_cell(times[name], key) for key in columns)] for name, title in titles.items()]
    measured = "; ".join(_machines(times[name] for name in titles))
    return table(["notebook", *columns.values()], rows) + f"\n\nMeasured on: {measured}."


def _linked(name: str, title: str) -> str:
    return f"[{name[:2]} {title}]({name}.ipynb)"


def _cell(profiles: Mapping[str, Any], key: str) -> str:
    return duration(profiles[key]["seconds"]) if key in profiles else "not measured"


def _machines(entries: Iterable[Mapping[str, Any]]) -> list[str]:
    return sorted({measured["machine"] for profiles in entries for measured in profiles.values()})
