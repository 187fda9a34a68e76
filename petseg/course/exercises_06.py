"""Checks of the exercises of notebook 06: how far weights moved, images saved by pretraining, frozen stages."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from petseg.course.checks import NotYetError, as_number, ask, close, exercise, hint_for


@exercise("06.1", "how far the weights moved")
def weight_change(answer: Any) -> str:
    """`|after - before| / |before|` of all weights of a stage, taken as one vector."""
    before = [torch.tensor([[3.0, 0.0], [0.0, 4.0]]), torch.tensor([0.0, 12.0])]
    after = [torch.tensor([[3.0, 3.0], [0.0, 4.0]]), torch.tensor([4.0, 12.0])]
    result = as_number(ask(answer, [part.clone() for part in before], [part.clone() for part in after]))
    if not close(result, 5 / 13):
        raise _change_hint(result, before, after)
    return "It is 5 / 13 for the check's example: the change (3, 4) has the length 5, the weights (3, 4, 12) have 13."


def _change_hint(result: float, before: list[Tensor], after: list[Tensor]) -> NotYetError:
    ratios = [(new - old).norm() / old.norm() for old, new in zip(before, after, strict=True)]
    old, new = (torch.cat([part.flatten() for part in parts]) for parts in (before, after))
    change = new - old
    mistakes = {
        "you average over the tensors. Take all weights as one vector first.": sum(ratios) / len(ratios),
        "you divide by the length of the weights after the training.": change.norm() / new.norm(),
        "that is the length of the change. Divide it by the length of the weights before.": change.norm(),
        "that is a ratio of squared lengths. What is missing?": (5 / 13) ** 2,
        "you add absolute values. The length of a vector is the root of the sum of its squares.": (
            change.abs().sum() / old.abs().sum()
        ),
        "you compare two lengths. How long is the vector from one to the other?": new.norm() / old.norm() - 1,
    }
    return hint_for(
        result, mistakes, f"your function returns {result:.4f} for an example whose answer is {5 / 13:.4f}."
    )


@exercise("06.2", "images that pretraining saves")
def images_needed(answer: Any) -> str:
    """Interpolation of a learning curve on a logarithmic axis of sizes."""
    sizes, scores = [100, 200, 400, 1600], [0.40, 0.50, 0.56, 0.60]
    cases = {0.53: 200 * 2**0.5, 0.40: 100.0, 0.59: 400 * 4**0.75, 0.60: 1600.0, 0.30: 100.0, 0.61: math.inf}
    for wanted, right in cases.items():
        result = as_number(ask(answer, list(sizes), list(scores), wanted))
        if math.isclose(result, right, rel_tol=1e-4):
            continue
        where = f"sizes {sizes}, scores {scores}, wanted {wanted}: your function returns {result:.1f}; "
        if wanted == 0.61:
            raise NotYetError(where + "not even the largest data set reaches that, so the answer is infinity.")
        if wanted == 0.30:
            raise NotYetError(where + "the smallest data set reaches it already; smaller ones were not measured.")
        if any(math.isclose(result, size) for size in sizes):
            raise NotYetError(where + "the answer is between two of the sizes.")
        if math.isclose(result, {0.53: 300.0, 0.59: 1300.0}.get(wanted, 0.0)):
            raise NotYetError(
                where + "that is linear interpolation. On a logarithmic axis, the middle is the geometric mean."
            )
        raise NotYetError(where + f"{right:.1f} is right.")
    return "Divide by the images that the other method needs, and you know how many labelled images pretraining saves."


@exercise("06.3", "build: freezing with two learning rates")
def freeze_stages(answer: Any) -> str:
    """The first stages of an encoder frozen, the others at a scaled learning rate, the rest at the full one."""
    for stages in (2, 0, 1, 3):
        network = _Small()
        names = {id(weight): name for name, weight in network.named_parameters()}
        network.train()
        rates = _rates(ask(answer, network, stages, 1e-3, 0.1), names)
        frozen = tuple(f"encoder.model.{part}" for stage in _Small.STAGES[:stages] for part in stage)
        _check_frozen(network, frozen, f"stages={stages}: ")
        _check_rates(rates, set(names.values()), frozen, f"stages={stages}: ")
    return "`network.train()` would undo the eval mode, so call your function after it."


class _Small(nn.Module):
    """Modules with the names of `PretrainedUNet`: an encoder of three stages, a decoder and a head."""

    STAGES = (("conv_stem.", "bn1."), ("blocks.0.",), ("blocks.1.",))

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Module()
        self.encoder.model = model = nn.Module()
        model.conv_stem, model.bn1 = nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4)
        model.blocks = nn.Sequential(*(nn.Sequential(nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4)) for _ in range(2)))
        self.decoder, self.head = nn.Sequential(nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4)), nn.Conv2d(4, 3, 1)


def _check_frozen(network: nn.Module, frozen: tuple[str, ...], where: str) -> None:
    for name, weight in network.named_parameters():
        if weight.requires_grad == name.startswith(frozen or ("-",)):
            state = (
                "still gets a gradient" if weight.requires_grad else "gets no gradient, but belongs to no frozen stage"
            )
            raise NotYetError(f"{where}{name} {state}.")
    for name, module in network.named_modules():
        if isinstance(module, nn.BatchNorm2d) and module.training == f"{name}.".startswith(frozen or ("-",)):
            state = "still updates its running averages" if module.training else "is in eval mode, but is not frozen"
            raise NotYetError(f"{where}{name} {state}. Which stages need `eval()`?")


def _check_rates(rates: Mapping[str, float], names: set[str], frozen: tuple[str, ...], where: str) -> None:
    trained = {name for name in names if not name.startswith(frozen or ("-",))}
    if in_vain := sorted(rates.keys() - trained):
        raise NotYetError(f"{where}{in_vain[0]} is frozen and belongs in no group.")
    if missing := sorted(trained - rates.keys()):
        raise NotYetError(f"{where}{missing[0]} is in no group, so it would never be trained.")
    for name, rate in rates.items():
        wanted = 1e-4 if name.startswith("encoder.") else 1e-3
        if not math.isclose(rate, wanted, rel_tol=1e-6):
            raise NotYetError(f"{where}with rate 0.001 and scale 0.1, {name} gets {rate:g} instead of {wanted:g}.")


def _rates(groups: Any, names: dict[int, str]) -> dict[str, float]:
    """The learning rate of each parameter, by its name."""
    result: dict[str, float] = {}
    shape = "expected a list of dictionaries with `params`, parameters of the network, and `lr`"
    if not isinstance(groups, list | tuple) or not all(isinstance(group, dict) for group in groups):
        raise NotYetError(f"{shape}.")
    try:
        for group in groups:
            for weight in group["params"]:
                if names[id(weight)] in result:
                    raise NotYetError(f"{names[id(weight)]} is in two groups.")
                result[names[id(weight)]] = float(group["lr"])
    except (KeyError, TypeError, ValueError) as error:
        raise NotYetError(f"{shape} ({error!r}).") from error
    return result


@exercise("06.4", "experiment: how many stages to freeze?")
def frozen_stages(prediction: Any, scores: Any) -> str:
    """The number of frozen stages with the best score, predicted and measured."""
    if isinstance(prediction, bool) or prediction not in range(9):
        raise NotYetError(f"expected a number of stages from 0 to 8 as your prediction, but got {prediction!r}.")
    if not isinstance(scores, dict) or len(scores) < 3 or not set(scores) <= set(range(9)):
        raise NotYetError(
            "expected a dictionary with at least three numbers of frozen stages, 0 to 8, and their scores."
        )
    if not all(0 < float(score) <= 1 for score in scores.values()):
        raise NotYetError("expected a mean IoU between 0 and 1 for each number of frozen stages.")
    if len({float(score) for score in scores.values()}) == 1:
        raise NotYetError("all scores are equal. Does each run start with a new network and freeze its own stages?")
    best = max(scores, key=lambda stages: float(scores[stages]))
    listed = ", ".join(f"{stages}: {float(score):.3f}" for stages, score in sorted(scores.items()))
    return (
        f"Best with {best} frozen stages, you predicted {prediction} ({listed}). One run each: the order may be chance."
    )
