"""Checks of the exercises of notebook 06: a learning rate for each stage, and how many stages to freeze."""

from __future__ import annotations

from typing import Any

from petseg.course.checks import exercise
from petseg.course.gaps_06_network import Small, compare_rates, rates_of
from petseg.course.hints import NotYetError, ask, one_of, verdict


@exercise("06.1", "build: a learning rate for each stage")
def stage_groups(answer: Any) -> str:
    """The first stages are frozen; the rates of the others fall by a factor from the decoder to the stem."""
    for frozen in (0, 2, 1, 3):
        network, where = Small(), f"frozen={frozen}: "
        rates = rates_of(ask(answer, network, frozen, 1e-3, 0.5), network)
        expected = {name: 1e-3 * 0.5 ** _depth(name) for name, _ in network.named_parameters()}
        cold = {name for name in expected if _depth(name) > len(Small.STAGES) - frozen}
        for name, weight in network.named_parameters():
            if weight.requires_grad == (name in cold):
                state = "still gets a gradient" if name in cold else "gets no gradient, but is in no frozen stage"
                raise NotYetError(f"{where}{name} {state}.")
        trained = {name: rate for name, rate in expected.items() if name not in cold}
        compare_rates(rates, trained, f"{where}with rate 0.001 and decay 0.5, ")
    return "`train_mode` keeps the BatchNorm of the frozen stages still."


def _depth(name: str) -> int:
    """How many stages a parameter lies below the decoder: 0 in the decoder and the head."""
    stages = Small.STAGES[::-1]
    inner = name.removeprefix("encoder.")
    return next((i for i, stage in enumerate(stages, start=1) if name != inner and inner.startswith(stage)), 0)


@exercise("06.2", "experiment: how many stages to freeze?")
def frozen_stages(prediction: Any, scores: Any) -> str:
    """The number of frozen stages with the best score, predicted and measured."""
    one_of(prediction, range(9))
    if not isinstance(scores, dict) or len(scores) < 3 or not set(scores) <= set(range(9)):
        raise NotYetError("expected a dictionary with at least three numbers of frozen stages and their scores.")
    if not all(0 < float(score) <= 1 for score in scores.values()):
        raise NotYetError("expected a mean IoU between 0 and 1 for each number of frozen stages.")
    if len({float(score) for score in scores.values()}) == 1:
        raise NotYetError("all scores are equal. Does each run start with a new network and freeze its own stages?")
    said = verdict(prediction, {stages: float(score) for stages, score in sorted(scores.items())}, ".3f")
    return f"Mean IoU by frozen stages: {said} One run each: the order may be chance."
