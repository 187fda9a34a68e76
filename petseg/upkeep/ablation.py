"""`make ablation`: short runs that differ from one recipe in one setting, to measure what each setting contributes.

`ablation.yaml` lists the runs. None of this scores the test split.
"""

import argparse
import math
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean, median, stdev
from typing import Any, Final, NamedTuple

import torch
import yaml
from scipy.stats import t
from torch import Tensor, nn

from petseg.data.datamodule import PetDataModule
from petseg.errors import DataError, PetsegError, exit_with_sentence
from petseg.files import home_folder, read_json, write_json
from petseg.metrics.confusion import SCORES, pooled_scores
from petseg.models.device import best_precision, machine, processor
from petseg.models.inspection import in_eval_mode, trace
from petseg.models.unet import DoubleConv, UNet
from petseg.training.benchmark import seconds
from petseg.training.runs import Log, joined, last_epoch, logs_of, read_checkpoint, read_log, read_logs, write_logs
from petseg.training.scoring import evaluate
from petseg.training.task import SegmentationTask
from petseg.upkeep.reproduce import train

PLANS: Final = Path(__file__).with_suffix(".yaml")


class NoSkips(UNet):
    """A U-Net without skip connections: its decoder sees only what came through the bottleneck."""

    def __init__(self, channels: Sequence[int] = (16, 32, 64, 128, 256)) -> None:
        super().__init__(channels=channels)
        self.decoder = nn.ModuleList(DoubleConv(c, c) for c in reversed(channels))

    def forward(self, image: Tensor) -> Tensor:
        """Logits float (B, 3, H, W) of images (B, 3, H, W); every stage must halve H and W exactly."""
        x = image
        for stage in self.encoder:
            x = self.pool(stage(x))
        x = self.bottleneck(x)
        for up, stage in zip(self.up, self.decoder, strict=True):
            x = stage(up(x))
        logits: Tensor = self.head(x)
        return logits


class Run(NamedTuple):
    """A run of a plan: what it changes in words, and the flags of `petseg fit` that change it."""

    name: str
    change: str
    flags: str


class Plan(NamedTuple):
    """A recipe, its runs with each seed (the base), and its runs with one change."""

    recipe: Mapping[str, Any]
    base: tuple[Run, ...]
    changes: tuple[Run, ...]


def read_plan(name: str, path: Path = PLANS) -> Plan:
    """The plan `short` or `long`; the file explains its entries."""
    plan = yaml.safe_load(path.read_text(encoding="utf-8"))[name]
    first, *further = (f"--seed_everything {seed}" for seed in plan["seeds"])
    base = [Run("base", "nothing", first)]
    base += [Run(f"base-seed-{number}", "nothing", flags) for number, flags in enumerate(further, start=2)]
    changes = [Run(name, change, f"{first} {flags}") for name, change, flags in plan["changes"]]
    return Plan(plan["recipe"], tuple(base), tuple(changes))


def on_record(plan: Plan, record: Path) -> dict[str, dict[str, Any]]:
    """The finished runs of a plan by name, as `collected` recorded them."""
    if not record.is_file():
        return {}
    content = read_json(record)
    if content["recipe"] != plan.recipe:
        raise DataError(f"{record}: holds runs of another recipe. Move it away, or set --out.")
    flags = {run.name: run.flags for run in (*plan.base, *plan.changes)}
    entries = (*content["base"], *content["variants"])
    return {entry["name"]: entry for entry in entries if flags.get(entry["name"]) == entry["settings"]}


def trained(run: Run, plan: Plan, folder: Path) -> tuple[dict[str, Any], Log]:
    """Trains a run in a folder, or continues its training; returns its summary and its log."""
    train(folder, plan.recipe, ["--trainer.enable_progress_bar", "false", *shlex.split(run.flags)])
    checkpoint, epochs = last_epoch(folder / "runs")
    if checkpoint is None:
        raise DataError(f"{folder}: holds no checkpoint. Remove it to train the run again.")
    log = joined([read_log(path) for path in logs_of(checkpoint.parents[1])])
    task = SegmentationTask.load_from_checkpoint(checkpoint, map_location="cpu", weights_only=True)
    state = read_checkpoint(checkpoint)
    task.load_state_dict(state.get("current_model_state", state["state_dict"]))
    raw = pooled_scores(evaluate(task, PetDataModule(**plan.recipe["data"]), "val"))
    averaged = {score: dict(log[f"val/{score}"])[epochs] for score in SCORES}
    summary = {
        "name": run.name,
        "change": run.change,
        "settings": run.flags,
        "epochs": epochs,
        "seconds": round(sum(seconds for _, seconds in log["train/seconds"])),
        "host": f"{machine()}, {best_precision()}",
        "val": {
            name: {score: round(scores[score], 5) for score in SCORES}
            for name, scores in (("averaged", averaged), ("raw", raw))
        },
        "cost": cost(task.network, plan.recipe["data"]["image_size"]),
    }
    return summary, {column: log[column] for column in log if not column.startswith("lr-")}


def cost(network: nn.Module, size: int, repeats: int = 30) -> dict[str, Any]:
    """Parameters of a network, and its multiply-adds and median milliseconds for one image on the CPU, in fp32."""
    image = torch.rand(1, 3, size, size).contiguous(memory_format=torch.channels_last)
    with torch.inference_mode(), in_eval_mode(network):
        times = [seconds(lambda: network(image)) for _ in range(repeats + 5)][5:]  # the first passes choose kernels
    return {
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "multiply_adds": sum(step.multiply_adds for step in trace(network, (1, 3, size, size))),
        "milliseconds": round(1000 * median(times), 2),
        "machine": f"{processor()}, {torch.get_num_threads()} CPU threads, fp32, PyTorch {torch.__version__}",
    }


def noise(scores: Sequence[float]) -> dict[str, float]:
    """How far chance alone moves a score, from at least two runs that differ only in their seed.

    Returns:
        `mean` of the scores; in points (hundredths) `seeds`, their standard deviation; `difference`, that of one more
        run's distance from the mean, sqrt(1 + 1/n) times as large; and `limit`, within which 95 % of such distances lie
        by Student's t with n - 1 degrees of freedom.
    """
    n, spread = len(scores), 100 * stdev(scores)
    difference = spread * math.sqrt(1 + 1 / n)
    limit = float(t.ppf(0.975, n - 1)) * difference
    values = {"mean": mean(scores), "seeds": spread, "difference": difference, "limit": limit}
    return {key: round(value, 5) for key, value in values.items()}


def collected(plan: Plan, summaries: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """The record: the base, its noise, and each change with its `points` of mean IoU above the base's mean."""
    base = [summaries[run.name] for run in plan.base if run.name in summaries]
    scores = [entry["val"]["averaged"]["mean_iou"] for entry in base]
    chance = noise(scores) if len(scores) > 1 else None
    variants = []
    for entry in (summaries[run.name] for run in plan.changes if run.name in summaries):
        if entry.get("paired"):  # raw against averaged weights of the base's runs: its limit is that of the pairs
            variants.append(entry)
            continue
        score = entry["val"]["averaged"]["mean_iou"]
        points = round(100 * (score - mean(scores)), 3) if scores else None
        variants.append({**entry, "score": score, "points": points, "limit": chance and chance["limit"]})
    data = "validation split of Oxford-IIIT Pet at 128x128, pooled over all pixels; the test split is not scored"
    return {"data": data, "recipe": plan.recipe, "base": base, "noise": chance, "variants": variants}


def work(runs: Sequence[Run], plan: Plan, record: Path, curves: Path, folder: Path) -> int:
    """Trains the runs that are not on record; each joins the record when it is done. Returns how many failed."""
    failed = 0
    for run in runs:
        summaries = on_record(plan, record)
        if run.name in summaries:
            continue
        print(f"{run.name}: {run.change}", flush=True)
        try:
            summary, log = trained(run, plan, folder / run.name)
        except PetsegError as error:
            failed += 1
            print(f"petseg: {error}", file=sys.stderr)
            continue
        logs = read_logs(curves) if summaries and curves.is_file() else {}
        write_logs(curves, logs | {run.name: log})  # first, so that no summary lacks its curves
        write_json(record, collected(plan, summaries | {run.name: summary}))
        for checkpoint in (folder / run.name).glob("runs/*/checkpoints/*.ckpt"):
            checkpoint.unlink()  # 100 MB each
        print(f"{run.name}: mean IoU {summary['val']['averaged']['mean_iou']:.4f}", flush=True)
    return failed


@exit_with_sentence(stopped="stopped; repeat the command to continue")
def main(argv: Sequence[str] | None = None) -> int:
    """Runs the ablation; 0, or 1 when a run failed or the record cannot be continued."""
    parser = argparse.ArgumentParser(prog="python -m petseg.upkeep.ablation", description=__doc__)
    parser.add_argument("names", metavar="NAME", nargs="*", help="runs to train (default: all that are not on record)")
    parser.add_argument("--long", action="store_true", help="the longer runs, which have their own record")
    parser.add_argument("--out", type=Path, help="the record (default: figures/ablation.json or ablation-long.json)")
    args = parser.parse_args(argv)
    title = "ablation-long" if args.long else "ablation"
    record = args.out or home_folder() / "figures" / f"{title}.json"
    curves = record.with_suffix(".csv") if args.out else home_folder() / "figures" / "runs" / f"{title}.csv"
    plan = read_plan("long" if args.long else "short")
    runs = {run.name: run for run in (*plan.base, *plan.changes)}
    if unknown := [name for name in args.names if name not in runs]:
        raise DataError(f"{unknown[0]}: no run has this name. There are {', '.join(runs)}.")
    chosen = [runs[name] for name in args.names] or list(runs.values())
    return 1 if work(chosen, plan, record, curves, home_folder() / "runs" / title) else 0


if __name__ == "__main__":
    sys.exit(main())
