"""Each finished variant against the mean of the base's seeds, and how much of the difference chance explains."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import mean, stdev
from typing import Any

from scipy.stats import t

from petseg.upkeep.ablation.plan import Plan, Run

#: What is measured of each run, as a record holds it.
Summary = dict[str, Any]


def collected(plan: Plan, summaries: Mapping[str, Summary]) -> dict[str, Any]:
    """All that is on record, as `figures/ablation.json` holds it.

    Args:
        plan: names the runs and their order.
        summaries: by name of the run; what is not on record is left out.

    Returns:
        `data`, in words; `recipe` of the base; `base`: the summaries of its seeds; `noise`: see `noise`; `variants`:
        summaries in the plan's order, each with `weights` and the `score` (mean IoU) that count, `points` of mean IoU
        above the base, and the `limit` up to which chance explains them. `points` are missing where the base is;
        `noise` and `limit` are None where there are fewer than two seeds of it.
    """
    base = [summaries[run.name] for run in plan.base if run.name in summaries]
    scores = [averaged_score(summary) for summary in base]
    chance = noise(scores)
    variants = []
    for run in plan.variants:
        if run.weights == "raw":
            variants += [_raw_row(run, base)] if base else []
        elif run.name in summaries:
            variants.append(_row(run, summaries[run.name], scores, chance["limit"] if chance else None))
    return {
        "data": "validation split of Oxford-IIIT Pet at 128x128, pooled over all pixels; the test split is not scored",
        "recipe": dict(plan.recipe),
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
    values = {
        "mean": mean(scores),
        "seeds": spread,
        "difference": difference,
        "limit": _limit(difference, len(scores)),
    }
    return {key: round(value, 5) for key, value in values.items()}


def averaged_score(summary: Mapping[str, Any]) -> float:
    """Mean IoU of a run's averaged weights, 0 to 1."""
    return float(summary["val"]["averaged"]["mean_iou"])


def _row(run: Run, summary: Summary, base: Sequence[float], limit: float | None) -> Summary:
    """A variant that was trained, against the mean of the base's seeds."""
    score = averaged_score(summary)
    row = {**summary, "name": run.name, "change": run.change, "weights": run.weights, "score": score}
    if base:
        row |= {"points": round(100 * (score - mean(base)), 3), "limit": limit}
    return row


def _raw_row(run: Run, base: Sequence[Summary]) -> Summary:
    """The base's raw weights against its averaged ones, in pairs: both are of one run, so luck mostly cancels out."""
    raw = [summary["val"]["raw"]["mean_iou"] for summary in base]
    gains = [100 * (score - averaged_score(summary)) for score, summary in zip(raw, base, strict=True)]
    limit = round(_limit(stdev(gains) / math.sqrt(len(gains)), len(gains)), 5) if len(gains) > 1 else None
    row = {**base[0], "name": run.name, "change": run.change, "weights": run.weights}
    return {**row, "score": round(mean(raw), 5), "points": round(mean(gains), 3), "limit": limit}


def _limit(deviation: float, samples: int) -> float:
    """What 95 % stay within, either side, of a standard deviation that is known from so many samples alone."""
    return float(t.ppf(0.975, samples - 1)) * deviation
