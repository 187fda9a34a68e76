"""Checks of the exercises of notebook 06: freezing an encoder, two learning rates, and images saved by pretraining."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from petseg.course.checks import NotYetError, ask, exercise


@exercise("06.1")
def freeze(answer: Callable[..., Any]) -> str:
    """A training step must leave the encoder's weights and BatchNorm's running averages as they were."""
    torch.manual_seed(0)
    encoder = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU())
    head = nn.Conv2d(4, 3, 1)
    before = copy.deepcopy(encoder.state_dict())
    result = ask(answer, encoder)
    if not isinstance(result, nn.Module):
        raise NotYetError(f"expected the encoder, but got {type(result).__name__}. Return the encoder.")
    if any(not torch.equal(value, before[key]) for key, value in result.state_dict().items()):
        raise NotYetError("the encoder's weights have changed before any step was taken. Do not change them.")
    optimizer = torch.optim.AdamW([*result.parameters(), *head.parameters()], 0.1)
    head(result(torch.rand(4, 3, 8, 8))).square().mean().backward()
    with_gradient = sorted(name for name, weight in result.named_parameters() if weight.grad is not None)
    if with_gradient:
        raise NotYetError(f"{with_gradient[0]} still gets a gradient: eval mode does not prevent that.")
    optimizer.step()
    changed = [name for name, value in result.state_dict().items() if not torch.equal(value, before[name])]
    if changed:
        raise NotYetError(
            f"the weights stay, but {changed[0]} has changed: BatchNorm in train mode updates its averages without "
            "a gradient."
        )
    return "`PretrainedUNet.freeze` does both, and its `train` method keeps Lightning from undoing the second."


@exercise("06.2")
def two_rates(answer: Callable[..., Any]) -> str:
    """Parameter groups: the encoder at a scaled learning rate, the rest at the full rate, frozen weights in none."""
    torch.manual_seed(0)
    network = nn.Module()
    network.encoder = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 3))
    network.decoder, network.head = nn.Conv2d(4, 4, 3), nn.Conv2d(4, 3, 1)
    network.encoder[0].requires_grad_(False)
    names = {id(weight): name for name, weight in network.named_parameters()}
    frozen = {name for name, weight in network.named_parameters() if not weight.requires_grad}
    result = _rates(ask(answer, network, 1e-3, 0.1), names)
    if frozen & result.keys():
        raise NotYetError(f"{min(frozen & result.keys())} is frozen (requires_grad is False) and belongs in no group.")
    missing = set(names.values()) - frozen - result.keys()
    if missing:
        raise NotYetError(f"{min(missing)} is in no group, so it would never be trained.")
    for name, rate in result.items():
        wanted = 1e-4 if name.startswith("encoder.") else 1e-3
        if not math.isclose(rate, wanted, rel_tol=1e-6):
            raise NotYetError(f"rate 0.001, scale 0.1: {name} gets {rate:g} instead of {wanted:g}.")
    return "`SegmentationTask(encoder_lr_scale=...)` does the same."


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


@exercise("06.3")
def images_needed(answer: Callable[..., Any]) -> str:
    """Interpolation of a learning curve on a logarithmic axis of sizes."""
    sizes, scores = [100, 200, 400, 1600], [0.40, 0.50, 0.56, 0.60]
    cases = {0.53: 200 * 2**0.5, 0.40: 100.0, 0.59: 400 * 4**0.75, 0.60: 1600.0, 0.30: 100.0, 0.61: math.inf}
    for wanted, right in cases.items():
        result = float(ask(answer, list(sizes), list(scores), wanted))
        if result == right or math.isclose(result, right, rel_tol=1e-4):
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
