"""Copies the finished runs of notebook 06 into one record: `python figures/transfer.py runs/notebook-06-full`.

Writes `figures/runs/transfer/runs.json`, without weights. Runs that it already holds stay, unless the folder has a run
of the same settings.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from petseg.files import read_json, write_json


def merged(folder: Path, out: Path) -> list[dict[str, Any]]:
    """The runs of a folder and of an earlier record, sorted by steps, images and method."""
    runs = [read_json(path) for path in sorted(folder.glob("*.json"))]
    if out.is_file():
        settings = [run["settings"] for run in runs]
        runs += [run for run in read_json(out) if run["settings"] not in settings]
    return sorted(runs, key=lambda run: (run["run"]["steps"], run["run"]["images"], run["run"]["method"]))


def rounded(value: Any) -> Any:
    """The value with floats of six digits; further digits differ between machines."""
    return json.loads(json.dumps(value), parse_float=lambda text: float(f"{float(text):.6g}"))


def main() -> None:
    """Writes the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("runs") / "transfer" / "runs.json")
    args = parser.parse_args()
    write_json(args.out, rounded(merged(args.folder, args.out)))


if __name__ == "__main__":
    main()
