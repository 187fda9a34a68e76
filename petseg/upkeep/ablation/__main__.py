"""`python -m petseg.upkeep.ablation [NAME ...]`: trains and records what is not on record yet."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from petseg.errors import PetsegError, exit_with_sentence
from petseg.files import home_folder
from petseg.upkeep.ablation import runs
from petseg.upkeep.ablation.compare import averaged_score
from petseg.upkeep.ablation.plan import LONG, PLAN, Run, read_plan
from petseg.upkeep.ablation.records import Records


@exit_with_sentence(stopped="stopped; the next call goes on from here")
def main(argv: Sequence[str] | None = None) -> int:
    """Runs the ablation.

    Args:
        argv: the arguments without the program's name; those of the process when None.

    Returns:
        0; 1 when a run failed or something could not be read, printed on stderr.
    """
    args = _parser().parse_args(argv)
    record, figures = "ablation-long" if args.long else "ablation", home_folder() / "figures"
    plan = read_plan(args.plan or (LONG if args.long else PLAN))
    curves = args.curves or (args.out.with_suffix(".csv") if args.out else figures / "runs" / f"{record}.csv")
    records = Records(plan, args.out or figures / f"{record}.json", curves)
    chosen = plan.chosen(args.names)
    if args.list:
        known = records.summaries()
        print("\n".join(_listed(run, run.name in known) for run in chosen))
        return 0
    return 1 if _work(chosen, records, args.work, args.time) else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m petseg.upkeep.ablation",
        description="Train short variants of the recipe and record what each change does. Goes on after a break.",
    )
    parser.add_argument("names", metavar="NAME", nargs="*", help="runs to train (default: all that are not on record)")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--list", action="store_true", help="list the runs, and which are on record")
    what.add_argument("--time", action="store_true", help="train nothing; time the networks of what is on record again")
    parser.add_argument("--long", action="store_true", help="the longer runs of long.yaml, which have their own record")
    work = home_folder() / "runs" / "ablations"
    parser.add_argument("--work", type=Path, default=work, help="where runs keep their checkpoints until they are done")
    for flag, text in (
        ("--plan", "the file that lists the runs (default: plan.yaml or long.yaml)"),
        ("--out", "where the results are kept (default: figures/ablation.json or ablation-long.json)"),
        ("--curves", "where the curves are kept (default: beside --out, else in figures/runs)"),
    ):
        parser.add_argument(flag, type=Path, help=text)
    return parser


def _work(chosen: Sequence[Run], records: Records, work: Path, time_only: bool) -> int:
    """Trains or times the chosen runs, one after the other; returns how many failed."""
    failed = 0
    for number, run in enumerate(chosen, start=1):
        where = f"{run.name} ({number} of {len(chosen)}): {run.change}"
        if not run.possible:
            print(f'{where}; left out: it needs {run.needs}. Install it: pip install "petseg[pretrained]".', flush=True)
            continue
        print(where, flush=True)
        try:
            summary = runs.time_again(run, records) if time_only else runs.train(run, work, records)
        except PetsegError as error:
            failed += 1
            print(f"petseg: {error}", file=sys.stderr)
            continue
        if summary:
            speed = f"{summary['cost']['milliseconds']} ms per image"
            print(f"    mean IoU {averaged_score(summary):.4f} after {summary['seconds']} s; {speed}", flush=True)
    return failed


def _listed(run: Run, recorded: bool) -> str:
    state = "on record" if recorded else "to be trained"
    return f"{run.name:<26}{state if run.possible else f'needs {run.needs}':<16}{run.change}"


if __name__ == "__main__":
    sys.exit(main())
