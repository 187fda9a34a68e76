"""`python -m petseg.upkeep.transfer FOLDER`: copies the runs of notebook 06 to `figures/runs/transfer/runs.json`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from petseg.errors import exit_with_sentence
from petseg.training.transfer_runs import publish_runs

OUT = Path("figures/runs/transfer/runs.json")


@exit_with_sentence()
def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; 1 where there is nothing to copy."""
    parser = argparse.ArgumentParser(prog="python -m petseg.upkeep.transfer", description=__doc__)
    parser.add_argument("folder", type=Path, help="the runs of notebook 06, for instance runs/notebook-06-full")
    parser.add_argument("--out", type=Path, default=OUT, help=f"file to write (default: {OUT})")
    chosen = parser.parse_args(argv)
    print(f"{chosen.out}: {publish_runs(chosen.folder, chosen.out)} runs")
    return 0


if __name__ == "__main__":
    sys.exit(main())
