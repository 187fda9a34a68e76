"""The finished runs as one file, and as README's table: each difference from the base beside the noise of the seeds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from scipy.stats import t

from petseg.upkeep.ablation.plan import Plan, Run
from petseg.upkeep.ablation.runs import read_summary

README_MARKS = ("<!-- ablation: written by make ablation -->", "<!-- end of ablation -->")


def collected(plan: Plan, records: Path) -> dict[str, Any]:
    """All that is on record, as `figures/ablation.json` holds it.

    Returns:
        `data`, in words; `base`: the summaries of its seeds; `noise`: see `noise`; `variants`: summaries in the plan's
        order, each with `weights` and the `score` (mean IoU) that count, `points` of mean IoU above the base, and the
        `limit` up to which chance explains them. What is not on record is left out, and so are `points` where the base
        is; `noise` and `limit` are None where there are fewer than two seeds of it.

    Raises:
        DataError: a record is damaged.
    """
    base = [found for run in plan.base if (found := read_summary(run, records))]
    scores = [_score(found) for found in base]
    chance = noise(scores)
    variants = []
    for run in plan.variants:
        if run.weights == "raw":
            variants += [_raw_row(run, base)] if base else []
        elif found := read_summary(run, records):
            variants.append(_row(run, found, scores, chance["limit"] if chance else None))
    return {
        "data": "validation split of Oxford-IIIT Pet at 128x128, pooled over all pixels; the test split is not scored",
        "base": base,
        "noise": chance,
        "variants": variants,
    }


def noise(scores: Sequence[float]) -> dict[str, float] | None:
    """How much of a difference chance alone makes.

    Args:
        scores: mean IoU of runs that differ in their seed alone.

    Returns:
        `mean` of the scores; `seeds`: their standard deviation, in points (hundredths); `difference`: that of one run's
        score less the mean, in points, sqrt(1 + 1/n) times as large; and `limit`: what 95 % of such differences stay
        within, by Student's t with n - 1 degrees of freedom. None for fewer than two scores.
    """
    if len(scores) < 2:
        return None
    spread = 100 * stdev(scores)
    difference = spread * math.sqrt(1 + 1 / len(scores))
    found = {"mean": mean(scores), "seeds": spread, "difference": difference, "limit": _within(difference, len(scores))}
    return {key: round(value, 5) for key, value in found.items()}


def ablation_table(found: Mapping[str, Any]) -> str:
    """README's table in Markdown: a row a run, the base first, and a sentence on the noise.

    Args:
        found: as `collected` gives it.
    """
    if not found["base"]:
        return "No run is on record yet."
    first = found["base"][0]
    score = mean(map(_score, found["base"]))
    lines = [
        "What each choice is worth, in points of mean IoU on validation, by short runs that differ in one thing:",
        "",
        "| what is changed | mean IoU | points | parameters | multiply-adds | ms an image | training |",
        "|---|--:|--:|--:|--:|--:|--:|",
        _line("nothing: the base", score, "", first, ""),
    ]
    marks = {host: _mark(number) for number, host in enumerate([first["host"], *_others(found)])}
    for run in found["variants"]:
        lines.append(_line(run["change"], run["score"], _points(run), run, marks[run["host"]]))
    return "\n".join([*lines, "", *_sentences(found)])


def _score(found: Mapping[str, Any]) -> float:
    return float(found["val"]["averaged"]["mean_iou"])


def _row(run: Run, found: Mapping[str, Any], base: Sequence[float], limit: float | None) -> dict[str, Any]:
    """A variant that was trained, against the mean of the base's seeds."""
    row = {**found, "name": run.name, "change": run.change, "weights": run.weights, "score": _score(found)}
    if base:
        row |= {"points": round(100 * (_score(found) - mean(base)), 3), "limit": limit}
    return row


def _raw_row(run: Run, base: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The base's raw weights against its averaged ones, in pairs: both are of one run, so luck mostly cancels out."""
    raw = [found["val"]["raw"]["mean_iou"] for found in base]
    gains = [100 * (one - _score(found)) for one, found in zip(raw, base, strict=True)]
    limit = round(_within(stdev(gains) / math.sqrt(len(gains)), len(gains)), 5) if len(gains) > 1 else None
    row = {**base[0], "name": run.name, "change": run.change, "weights": run.weights}
    return {**row, "score": round(mean(raw), 5), "points": round(mean(gains), 3), "limit": limit}


def _within(deviation: float, samples: int) -> float:
    """What 95 % stay within, either side, of a standard deviation that is known from so many samples alone."""
    return float(t.ppf(0.975, samples - 1)) * deviation


def _line(change: str, score: float, points: str, run: Mapping[str, Any], mark: str) -> str:
    cost = run["cost"]
    size = f"{cost['parameters']:,} | {cost['multiply_adds'] / 1e9:.2f} G | {cost['milliseconds']:.1f}"
    return f"| {change} | {score:.4f} | {points} | {size} | {run['seconds'] / 60:.1f} min{mark} |"


def _points(run: Mapping[str, Any]) -> str:
    """The difference in points; bold where chance does not explain it."""
    if "points" not in run:
        return ""
    text = f"{run['points']:+.2f}"
    return f"**{text}**" if run["limit"] is not None and abs(run["points"]) > run["limit"] else text


def _sentences(found: Mapping[str, Any]) -> list[str]:
    base, noise = found["base"], found["noise"]
    machines = sorted({run["cost"]["machine"] for run in (*base, *found["variants"])})
    seeds = "The base was trained with one seed alone, so that nothing is known of chance."
    if noise:
        seeds = (
            f"The base is the mean of {len(base)} seeds, whose standard deviation is {noise['seeds']:.2f} points. "
            f"One more seed would lie within {noise['limit']:.2f} points of it, with 95 % (Student's t); **bold**: "
            "further away."
        )
        for run in found["variants"]:
            if run["weights"] == "raw":
                seeds += f" Less counts in “{run['change']}”, which compares two sets of weights of the same runs."
    return [
        f"{seeds} Mean IoU: {found['data']}. Every run has {base[0]['epochs']} epochs; the variants have the base's "
        f"first seed, whose minutes and milliseconds stand in its row. {_hosts(found)} Timed one image at a time on "
        f"{', '.join(machines)}."
    ]


def _others(found: Mapping[str, Any]) -> list[str]:
    """The machines of runs that were not trained where the base was: their minutes cannot be compared with its."""
    runs = (*found["base"], *found["variants"])
    return list(dict.fromkeys(run["host"] for run in runs if run["host"] != found["base"][0]["host"]))


def _hosts(found: Mapping[str, Any]) -> str:
    """Where the runs were trained, each machine but the base's with its mark and what the base takes there."""
    text = f"Trained on {found['base'][0]['host']}"
    for number, host in enumerate(_others(found), start=1):
        minutes = [run["seconds"] / 60 for run in found["base"] if run["host"] == host]
        base = f", where the base takes {mean(minutes):.1f} min" if minutes else ""
        text += f"; {_mark(number)} on {host}{base}"
    return f"{text}."


def _mark(number: int) -> str:
    """A superscript digit: the mark of a machine; nothing for 0."""
    return ("", *"¹²³⁴⁵⁶⁷⁸⁹")[number]
