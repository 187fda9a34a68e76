"""Checks of the exercises of notebook 07: how many runs a comparison needs, and confidence on damaged images."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from scipy import stats

from petseg.course.checks import exercise
from petseg.course.hints import NotYetError, as_number, ask, one_of, verdict
from petseg.evaluation.corruptions import CORRUPTIONS, Corruption

#: Corruptions of the experiment: those that leave the mask as it is.
DAMAGES = ("blur", "noise", "JPEG", "darkness", "low contrast")


def found(effect: float, deviation: float, runs: int, normal: bool = False, one: bool = False) -> float:
    """Probability that a t-test finds an effect; wrong versions: a `normal` quantile, the limit of `one` more run."""
    freedom = 2 * runs - 2
    error = deviation * np.sqrt((1 + 1 / runs) if one else 2 / runs)
    limit = 1.959964 if normal else float(stats.t.ppf(0.975, freedom))
    shift = effect / error
    return float(stats.nct.sf(limit, freedom, shift) + stats.nct.cdf(-limit, freedom, shift))


@exercise("07.1", "how many runs?")
def power(answer: Any) -> str:
    """The probability that an experiment finds an effect, within 0.03, for several effects and numbers of runs."""
    for effect, deviation, runs in ((0.0, 0.4, 4), (1.0, 0.4, 3), (0.5, 0.42, 8), (2.0, 0.5, 2)):
        result = as_number(ask(answer, effect, deviation, runs))
        right = found(effect, deviation, runs)
        if abs(result - right) < 0.03:
            continue
        mistakes = {
            "That is the probability of missing it.": 1 - right,
            "Without an effect, the rule still finds one in 5 % of all experiments.": 0.0 if effect == 0 else -1,
            "1.96 is the factor for many runs. The rule has the quantile of t.": found(effect, deviation, runs, True),
            "Both means come from `runs` runs: sqrt(2 / runs).": found(effect, deviation, runs, one=True),
        }
        hint = next((hint for hint, value in mistakes.items() if abs(result - value) < 0.03), "Draw both groups.")
        raise NotYetError(f"power({effect:g}, {deviation:g}, {runs}) is {result:.2f}, expected {right:.2f}. {hint}")
    enough = next(n for n in range(2, 50) if found(1.0, 0.42, n) > 0.8)
    return f"To find 1 point with a deviation of 0.42 in 80 % of experiments takes {enough} runs of each recipe."


@exercise("07.2", "experiment: confidence on damaged images")
def damaged_confidence(guess: Any, overconfidence: Any) -> str:
    """A guess, and a function that measures mean confidence minus accuracy on changed images."""
    one_of(guess, DAMAGES)
    unchanged = as_number(ask(overconfidence, lambda image, mask: (image, mask)))
    wrong = as_number(ask(overconfidence, lambda image, mask: (image, ((mask.int() + 1) % 3).to(mask.dtype))))
    if wrong < unchanged:
        raise NotYetError("with wrong masks it falls. Take confidence minus accuracy, not the other way round.")
    if not -1 <= unchanged < wrong <= 1:
        seen = f"it is {unchanged:.3f}, and {wrong:.3f} with wrong masks; both must lie between -1 and 1"
        raise NotYetError(f"{seen}. Wrong masks lower the accuracy: score the masks that `change` returns.")
    black = as_number(ask(overconfidence, lambda image, mask: (torch.zeros_like(image), mask)))
    if black == unchanged:
        raise NotYetError("black images change nothing. Give the changed images to the network.")
    values = {name: as_number(ask(overconfidence, _medium(CORRUPTIONS[name]))) for name in DAMAGES}
    return f"Undamaged {unchanged:+.3f}; {verdict(guess, values)}"


def _medium(corruption: Corruption) -> Any:
    return lambda image, mask: corruption(image, mask, "medium", seed=0)
