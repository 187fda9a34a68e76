"""Checks of the exercises of notebook 07: how many runs a comparison needs, and confidence on damaged images."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from scipy import stats

from petseg.course.checks import NotYetError, as_number, ask, exercise
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
        seen = f"power({effect:g}, {deviation:g}, {runs}) is {result:.2f}, expected {right:.2f}"
        if abs(result - (1 - right)) < 0.03:
            raise NotYetError(f"{seen}: that is the probability of missing it.")
        if effect == 0 and result < 0.03:
            raise NotYetError(f"{seen}. Without an effect, the rule still finds one in 5 % of all experiments.")
        if abs(result - found(effect, deviation, runs, normal=True)) < 0.03:
            raise NotYetError(f"{seen}. 1.96 is the factor for many runs. The rule has the quantile of t.")
        if abs(result - found(effect, deviation, runs, one=True)) < 0.03:
            raise NotYetError(f"{seen}. Both means come from `runs` runs: sqrt(2 / runs).")
        raise NotYetError(f"{seen}. In a simulation, draw both groups, and apply the rule of the text to each pair.")
    enough = next(n for n in range(2, 50) if found(1.0, 0.42, n) > 0.8)
    return f"To find 1 point with a deviation of 0.42 in 80 % of experiments takes {enough} runs of each recipe."


@exercise("07.2", "experiment: confidence on damaged images")
def damaged_confidence(guess: Any, overconfidence: Any) -> str:
    """A guess, and a function that measures mean confidence minus accuracy on changed images."""
    if guess not in DAMAGES:
        raise NotYetError(f"predict first: expected one of {', '.join(map(repr, DAMAGES))}, but got {guess!r}.")
    unchanged = as_number(ask(overconfidence, lambda image, mask: (image, mask)))
    wrong = as_number(ask(overconfidence, lambda image, mask: (image, ((mask.int() + 1) % 3).to(mask.dtype))))
    if wrong < unchanged:
        raise NotYetError("with wrong masks it falls. Take confidence minus accuracy, not the other way round.")
    if not -1 <= unchanged < wrong <= 1:
        raise NotYetError(
            f"it is {unchanged:.3f}, and {wrong:.3f} with wrong masks. Both must lie between -1 and 1, and wrong masks "
            "lower the accuracy: score the masks that `change` returns."
        )
    black = as_number(ask(overconfidence, lambda image, mask: (torch.zeros_like(image), mask)))
    if black == unchanged:
        raise NotYetError("black images change nothing. Give the changed images to the network.")
    values = {name: as_number(ask(overconfidence, _medium(CORRUPTIONS[name]))) for name in DAMAGES}
    most = max(values, key=lambda name: values[name])
    measured = ", ".join(f"{name} {value:+.3f}" for name, value in values.items())
    verdict = "as you predicted" if most == guess else f"you predicted {guess}"
    return f"Undamaged {unchanged:+.3f}; {measured}. Most overconfident: {most}, {verdict}."


def _medium(corruption: Corruption) -> Any:
    return lambda image, mask: corruption(image, mask, "medium", seed=0)
