"""`python -m petseg.upkeep.ablation [NAME ...]`: trains and records what is not on record yet."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from petseg.errors import DataError
from petseg.files import atomic_write, checkout, write_json
from petseg.upkeep.ablation import runs
from petseg.upkeep.ablation.plan import PLAN, Plan, Run, read_plan
from petseg.upkeep.ablation.table import README_MARKS, ablation_table, collected
from petseg.upkeep.results import between_marks

CHECKOUT = checkout() or Path.cwd()


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the ablation.

    Args:
        argv: the arguments without the program's name; those of the process when None.

    Returns:
        0; 1 when a run failed or something could not be read, said on stderr.
    """
    args = _parser().parse_args(argv)
    try:
        plan = read_plan(args.plan)
        chosen = plan.chosen(args.names)
        if args.list:
            print("\n".join(_listed(run, args.records) for run in chosen))
            return 0
        failed = 0 if args.table else _work(chosen, args)
        _write(plan, args)
    except DataError as error:
        print(f"petseg: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("petseg: stopped; the next call goes on from here", file=sys.stderr)
        return 130
    return 1 if failed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m petseg.upkeep.ablation",
        description="Train short variants of the recipe, and tell what each change is worth. Goes on after a break.",
    )
    parser.add_argument("names", metavar="NAME", nargs="*", help="runs to train (default: all that are not on record)")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--list", action="store_true", help="list the runs, and which are on record")
    what.add_argument("--table", action="store_true", help="train nothing; write the table of what is on record")
    what.add_argument("--time", action="store_true", help="train nothing; time the networks of what is on record again")
    figures = CHECKOUT / "figures"
    for flag, default, text in (
        ("--plan", PLAN, "the file that lists the runs"),
        ("--work", CHECKOUT / "runs" / "ablations", "where runs keep their checkpoints until they are done"),
        ("--records", figures / "runs" / "ablations", "where records are kept"),
        ("--out", figures / "ablation.json", "where all of them are collected"),
        ("--readme", CHECKOUT / "README.md", "where the table goes, between its marks"),
    ):
        parser.add_argument(flag, type=Path, default=default, help=text)
    return parser


def _work(chosen: Sequence[Run], args: argparse.Namespace) -> int:
    """Trains or times the chosen runs, one after the other; returns how many failed."""
    failed = 0
    for number, run in enumerate(chosen, start=1):
        where = f"{run.name} ({number} of {len(chosen)}): {run.change}"
        if not run.possible:
            print(f'{where}; left out: it needs {run.needs}. Install it: pip install "petseg[pretrained]".', flush=True)
            continue
        print(where, flush=True)
        try:
            summary = runs.measured_anew(run, args.records) if args.time else runs.train(run, args.work, args.records)
        except DataError as error:
            failed += 1
            print(f"petseg: {error}", file=sys.stderr)
            continue
        if summary:
            score, cost = summary["val"]["averaged"]["mean_iou"], summary["cost"]
            print(
                f"    mean IoU {score:.4f} after {summary['seconds']} s; {cost['milliseconds']} ms an image", flush=True
            )
    return failed


def _write(plan: Plan, args: argparse.Namespace) -> None:
    found = collected(plan, args.records)
    write_json(args.out, found)
    table = ablation_table(found)
    print(table)
    text = between_marks(args.readme.read_text(), README_MARKS, table, args.readme.name)
    with atomic_write(args.readme) as draft:
        draft.write_text(text)


def _listed(run: Run, records: Path) -> str:
    state = "on record" if runs.read_summary(run, records) else "to be trained"
    return f"{run.name:<26}{state if run.possible else f'needs {run.needs}':<16}{run.change}"


if __name__ == "__main__":
    sys.exit(main())
