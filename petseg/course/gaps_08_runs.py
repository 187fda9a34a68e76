"""Checks of the gaps of notebook 08 about whole runs: batch size, accumulated gradients, image sizes, checkpoints."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from copy import deepcopy
from itertools import pairwise
from pickle import UnpicklingError
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer
from torch.optim.lr_scheduler import LRScheduler, OneCycleLR

from petseg.course.checks import exercise, gap
from petseg.course.comparison import close
from petseg.course.hints import NotYetError, UnfilledError, ask, call, hint_for

RATES = [(0.1, 8, 32, False), (0.2, 16, 64, True), (0.3, 64, 16, True)]


@gap("08.i", "the learning rate of a larger batch", RATES, "A rule of thumb: try values around it.")
def _scaled_rate(rate: float, batch: int, larger: int, adam: bool) -> Iterator[Any]:
    yield rate * ((larger / batch) ** 0.5 if adam else larger / batch)
    yield {
        "the larger batch has the larger rate.": _scaled_rate(rate, larger, batch, adam),
        "the two rules are exchanged: the root belongs to Adam.": _scaled_rate(rate, batch, larger, not adam),
    }


def accumulate(network: nn.Module, image: Tensor, mask: Tensor, parts: int) -> None:
    """Leaves the gradient of the batch's mean cross-entropy in the weights, computed in parts."""
    for x, y in zip(image.chunk(parts), mask.chunk(parts), strict=True):
        (F.cross_entropy(network(x), y) * len(x) / len(image)).backward()


@exercise("08.j", "gradient accumulation", accumulate)
def accumulation(answer: Any) -> str:
    """The parts of a batch leave the same gradient as the whole."""
    torch.manual_seed(1)
    image, mask = torch.randn(7, 3, 4, 4), torch.randint(0, 3, (7, 4, 4))  # parts of 4 and 3 images
    network = nn.Conv2d(3, 3, 3, padding=1)  # without BatchNorm an image does not depend on the others
    reference = deepcopy(network)
    call(answer, network, image, mask, 2)
    F.cross_entropy(reference(image), mask).backward()
    result, whole = network.weight.grad, reference.weight.grad
    if result is None:
        raise UnfilledError(missing="the weights hold no gradient: `backward` fills it, and `zero_grad` empties it.")
    each = []
    for x, y in zip(image.chunk(2), mask.chunk(2), strict=True):
        each.append(torch.autograd.grad(F.cross_entropy(reference(x), y), reference.weight)[0])
    if not close(result, whole):
        mistakes = {
            "the gradients of the parts add up to too much. Which fraction of the batch is each part?": sum(each),
            "the parts are not equally large: weigh each with its fraction of the images.": sum(each) / 2,
            "only the last part counts. The gradients must not be set to zero in between.": each[-1],
            "only the last part counts, and with its fraction. Do not set gradients to zero.": each[-1] * 3 / 7,
        }
        raise hint_for(result, mistakes, "the gradient differs from that of the whole batch in one step.")
    return "The gradient equals that of the whole batch, which never was in memory at once."


STAGES = [([0.5, 0.75, 1.0], [0.0, 0.42, 0.68]), ([0.5, 1.0], [0.0, 0.5]), ([0.5], [0.0]), ([1.0], [0.0])]


@gap("08.k", "cost of progressive resizing", STAGES, "The steps of the course's recipe: about half.")
def _relative_cost(sizes: Sequence[float], size_starts: Sequence[float]) -> Iterator[Any]:
    stages = [(end - start, size) for size, (start, end) in zip(sizes, pairwise([*size_starts, 1.0]), strict=True)]
    right = sum(span * size**2 for span, size in stages)
    yield right
    begins = sum(start * size**2 for start, size in zip(size_starts, sizes, strict=True))
    span, last = stages[-1]
    yield {
        "half the height and half the width: which fraction of the pixels is left?": sum(
            s * size for s, size in stages
        ),
        "the last stage is missing. It ends where the run ends, at 1.": right - span * last**2,
        "`size_starts` says when a stage begins. Its length is the distance to the next beginning.": begins,
        "that is how many times cheaper the run is.": 1 / right,
        "the stages are not equally long.": sum(size**2 for size in sizes) / len(sizes),
    }


def checkpoint(network: nn.Module, optimizer: Optimizer, schedule: LRScheduler, epoch: int) -> dict[str, Any]:
    """All that a training needs to go on after an epoch."""
    return {
        "network": network.state_dict(),
        "optimizer": optimizer.state_dict(),
        "schedule": schedule.state_dict(),
        "epoch": epoch,
        "random": torch.get_rng_state(),
    }


#: Why a checkpoint needs each of its entries.
ENTRIES = {
    "network": "the weights and BatchNorm's running statistics",
    "optimizer": "without Adam's running means the next steps have another size",
    "schedule": "without it the learning rate starts its cycle again",
    "epoch": "without it nobody knows how many epochs are left",
    "random": "without the generator's state the order and the augmentation are others: torch.get_rng_state()",
}


@exercise("08.l", "what a checkpoint holds", checkpoint)
def complete_checkpoint(answer: Any) -> str:
    """A checkpoint holds all five entries, as plain data."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
    optimizer = AdamW(network.parameters())
    schedule = OneCycleLR(optimizer, 0.1, 10)
    network(torch.randn(2, 3, 4, 4)).sum().backward()
    optimizer.step()
    schedule.step()
    random = torch.get_rng_state()
    state = ask(answer, network, optimizer, schedule, 3)
    if not isinstance(state, dict):
        raise NotYetError(f"expected a dictionary, but got {type(state).__name__}.")
    for name, reason in ENTRIES.items():
        if name not in state:
            raise NotYetError(f"the entry {name!r} is missing: {reason}.")
    if not torch.equal(torch.as_tensor(state["random"]), random):
        raise NotYetError("'random' is not the state of PyTorch's generator: torch.get_rng_state().")
    file = io.BytesIO()
    try:
        torch.save(state, file)
        file.seek(0)
        read = torch.load(file, weights_only=True)
    except (AttributeError, TypeError, UnpicklingError) as error:
        raise NotYetError("an entry is an object, which a file should not hold: save its `state_dict()`.") from error
    owners: dict[str, Any] = {"network": network, "optimizer": optimizer, "schedule": schedule}
    for name, owner in owners.items():
        if not isinstance(read[name], dict) or read[name].keys() != owner.state_dict().keys():
            raise NotYetError(f"{name!r} is not the `state_dict()` of the {name}.")
    if read["epoch"] != 3:
        raise NotYetError(f"'epoch' is {read['epoch']!r}, expected 3, the number that was given.")
    return "A run that goes on from it takes the same steps as one that was never interrupted."
