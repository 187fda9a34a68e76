"""`python -m tests.torture [KIND ...] [--short]`: prints the table that figures/torture.json keeps."""

import argparse
import importlib
import os
import pkgutil
import sys
import time
from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # as in the tests; before PyTorch is imported
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # for servers.py, as pytest does it

from petseg.files import read_json, write_json
from petseg.models.device import processor

from . import Skipped

RECORD = Path(__file__).resolve().parents[2] / "figures" / "torture.json"


def kinds() -> dict[str, Callable[[str], dict[str, Any]]]:
    """`run` of each module of this folder by its `NAME`."""
    names = [info.name for info in pkgutil.iter_modules([str(Path(__file__).parent)])]
    modules = [importlib.import_module(f".{name}", __package__) for name in names if name != "__main__"]
    return {module.NAME: module.run for module in modules if hasattr(module, "NAME")}


def attempt(run: Callable[[str], dict[str, Any]], scale: str) -> dict[str, Any]:
    """The row of a kind; a kind that fails as a whole is a lost case."""
    start = time.perf_counter()
    try:
        row = dict(run(scale))
    except Skipped:
        raise
    except Exception as error:
        row = {"tried": 1, "lost": 1, "slowest_seconds": 0.0, "lost_cases": [f"{type(error).__name__}: {error}"]}
    for case in row.pop("lost_cases"):
        print(f"  lost: {case}", flush=True)
    for reason in row.get("skipped", ()):
        print(f"  some cases skipped: {reason}", flush=True)
    return row | {"minutes": round((time.perf_counter() - start) / 60, 1)}


def table(rows: Mapping[str, Mapping[str, Any]]) -> str:
    """The rows as text."""
    lines = [f"{'kind':<22}{'tried':>8}{'lost':>6}{'slowest':>10}{'minutes':>9}"]
    for name, row in rows.items():
        lines.append(f"{name:<22}{row['tried']:>8,}{row['lost']:>6}{row['slowest_seconds']:>8.2f} s{row['minutes']:>9}")
    return "\n".join(lines)


def main() -> int:
    """Returns 0 if no case was lost, else 1."""
    known = kinds()
    parser = argparse.ArgumentParser(prog="python -m tests.torture", description=__doc__)
    parser.add_argument("kinds", metavar="KIND", nargs="*", help=f"default: all of {', '.join(known)}")
    parser.add_argument("--short", action="store_true", help="few cases, as in `make test`; the record stays as it is")
    args = parser.parse_args()
    if unknown := [name for name in args.kinds if name not in known]:
        parser.error(f"unknown: {', '.join(unknown)}. There are {', '.join(known)}.")
    rows = {}
    for name in args.kinds or known:
        print(f"{name} ...", flush=True)
        try:
            rows[name] = attempt(known[name], "short" if args.short else "full")
        except Skipped as reason:
            print(f"  skipped: {reason}", flush=True)
            continue
        if not args.short:  # row by row: a run that is stopped keeps what it has
            row = rows[name] | {"machine": f"{processor()}, {os.cpu_count()} CPU threads", "date": f"{date.today()}"}
            write_json(RECORD, (read_json(RECORD) if RECORD.is_file() else {}) | {name: row})
    print(table(rows))
    return int(any(row["lost"] for row in rows.values()))


if __name__ == "__main__":
    sys.exit(main())
