"""The finished runs as one file, and as README's table: each difference from the base beside the noise of the seeds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from petseg.ablation.plan import Plan, Run
from petseg.ablation.runs import read_summary

README_MARKS = ("<!-- ablation: written by make ablation -->", "<!-- end of ablation -->")


def collected(plan: Plan, records: Path) -> dict[str, Any]:
    """All that is on record, as `figures/ablation.json` holds it.

    Returns:
        `data`, in words; `base`: the summaries of its seeds; `noise`: see `noise`; `variants`: summaries in the plan's
        order, each with `weights` that count and `points` of mean IoU above the base's mean. What is not on record is
        left out, and so are `points` and `noise` where the base is.

    Raises:
        AblationError: a record is damaged.
    """
    base = [found for run in plan.base if (found := read_summary(run, records))]
    scores = [found["val"]["averaged"]["mean_iou"] for found in base]
    variants = []
    for run in plan.variants:
        found = read_summary(run if run.weights == "averaged" else plan.base[0], records)
        if found:
            variants.append(_row(run, found, scores))
    return {
        "data": "validation split of Oxford-IIIT Pet at 128x128, pooled over all pixels; the test split is not scored",
        "base": base,
        "noise": noise(scores),
        "variants": variants,
    }


def noise(scores: Sequence[float]) -> dict[str, float] | None:
    """How much of a difference chance alone makes.

    Args:
        scores: mean IoU of runs that differ in their seed alone.

    Returns:
        `mean` of the scores; `seeds`: their standard deviation, in points (hundredths); and `difference`: that of one
        run's score less the mean, in points, sqrt(1 + 1/n) times as large. None for fewer than two scores.
    """
    if len(scores) < 2:
        return None
    spread = 100 * stdev(scores)
    found = {"mean": mean(scores), "seeds": spread, "difference": spread * math.sqrt(1 + 1 / len(scores))}
    return {key: round(value, 5) for key, value in found.items()}


def ablation_table(found: Mapping[str, Any]) -> str:
    """README's table in Markdown: a row a run, the base first, and a sentence on the noise.

    Args:
        found: as `collected` gives it.
    """
    if not found["base"]:
        return "No run is on record yet."
    first = found["base"][0]
    score = mean(run["val"]["averaged"]["mean_iou"] for run in found["base"])
    lines = [
        "What each choice is worth, in points of mean IoU on validation, by short runs that differ in one thing:",
        "",
        "| what is changed | mean IoU | points | parameters | multiply-adds | ms an image | training |",
        "|---|--:|--:|--:|--:|--:|--:|",
        _line("nothing: the base", score, "", first),
    ]
    for run in found["variants"]:
        lines.append(_line(run["change"], run["val"][run["weights"]]["mean_iou"], _points(run, found["noise"]), run))
    return "\n".join([*lines, "", *_sentences(found)])


def _row(run: Run, found: Mapping[str, Any], base: Sequence[float]) -> dict[str, Any]:
    row = {**found, "name": run.name, "change": run.change, "weights": run.weights}
    if base:
        row["points"] = round(100 * (found["val"][run.weights]["mean_iou"] - mean(base)), 3)
    return row


def _line(change: str, score: float, points: str, run: Mapping[str, Any]) -> str:
    cost = run["cost"]
    size = f"{cost['parameters']:,} | {cost['multiply_adds'] / 1e9:.2f} G | {cost['milliseconds']:.1f}"
    return f"| {change} | {score:.4f} | {points} | {size} | {run['seconds'] / 60:.1f} min |"


def _points(run: Mapping[str, Any], noise: Mapping[str, float] | None) -> str:
    """The difference in points; bold where it is more than twice its noise."""
    text = f"{run['points']:+.2f}"
    return f"**{text}**" if noise and abs(run["points"]) > 2 * noise["difference"] else text


def _sentences(found: Mapping[str, Any]) -> list[str]:
    base, noise = found["base"], found["noise"]
    hosts = sorted({run["host"] for run in (*base, *found["variants"])})
    machines = sorted({run["cost"]["machine"] for run in (*base, *found["variants"])})
    seeds = (
        f"The base is the mean of {len(base)} seeds, whose standard deviation is {noise['seeds']:.2f} points; one run "
        f"against it is uncertain by {noise['difference']:.2f} points. **Bold**: more than twice that. "
        if noise
        else "The base was trained with one seed alone, so that nothing is known of chance. "
    )
    return [
        f"{seeds}Mean IoU: {found['data']}. Every run has {base[0]['epochs']} epochs unless it says otherwise, and the "
        f"same seed. Trained on {', '.join(hosts)}; timed one image at a time on {', '.join(machines)}."
    ]
