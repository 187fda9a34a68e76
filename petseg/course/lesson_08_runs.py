"""Checks of notebook 08 about runs: batch size, gradients, sizes, checkpoints, loading, what a network saves."""

import io
from collections.abc import Iterator, Sequence
from copy import deepcopy
from itertools import pairwise
from pickle import UnpicklingError
from queue import Empty, Queue
from threading import Event, Thread, current_thread
from typing import Any, Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer
from torch.optim.lr_scheduler import LRScheduler, OneCycleLR

from petseg.course.checks import exercise, gap
from petseg.course.comparison import close, shown
from petseg.course.hints import NotYetError, UnfilledError, as_numbers, ask, call, hint_for
from petseg.course.lesson_08 import gain
from petseg.models.inspection import trace
from petseg.models.unet import UNet

RATES = [(0.1, 8, 32, False), (0.2, 16, 64, True), (0.3, 64, 16, True)]
STAGES = [([0.5, 0.75, 1.0], [0.0, 0.42, 0.68]), ([0.5, 1.0], [0.0, 0.5]), ([0.5], [0.0]), ([1.0], [0.0])]


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


@gap("08.k", "cost of progressive resizing", STAGES, "The course's recipe costs a little more than half.")
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
    if not torch.is_tensor(state["random"]) or not torch.equal(state["random"], random):
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


PATIENCE: Final = 3.0  # seconds that an answer may take for what is done at once


@exercise("08.1", "build: batches that are loaded ahead")
def loaded_ahead(answer: Any) -> str:
    """`prefetch(batches)` gives the same batches, and loads the next one while the last one is used."""
    result = _within(lambda: list(ask(answer, iter([torch.tensor(0), torch.tensor(1), torch.tensor(2)]))))
    if not close(tuple(result), (0, 1, 2)):
        raise NotYetError(f"of the batches 0, 1, 2 it gives {shown(tuple(result))}.")
    if _within(lambda: list(ask(answer, iter([])))):
        raise NotYetError("for an empty iterator it still gives batches.")
    asked, loaded_by = [Event() for _ in range(60)], [current_thread()] * 60

    def source() -> Iterator[int]:
        for number, event in enumerate(asked):
            loaded_by[number] = current_thread()
            event.set()
            yield number

    batches = iter(ask(answer, source()))
    first, user = _within(lambda: (next(batches), current_thread()))
    if first != 0:
        raise NotYetError("the first batch is lost.")
    if not asked[1].wait(PATIENCE) or loaded_by[1] is user:
        raise NotYetError(
            "while the first batch is used, nothing is loaded. Let a thread load the next one: start it before the "
            "`yield`, where a generator stands still."
        )
    if asked[4].wait(0.3):  # a queue of two is full, and the thread holds one more
        raise NotYetError("it loads four batches ahead or more, which fills the memory. One or two are enough.")
    if _within(lambda: list(batches)) != list(range(1, 60)):
        raise NotYetError("batches are lost, or come in another order.")

    def broken() -> Iterator[int]:
        yield 0
        raise OSError("a file that cannot be read")

    try:
        _within(lambda: list(ask(answer, broken())))
    except NotYetError as error:
        if "it hangs" in str(error):
            raise
        return "Loading and training now overlap; a step takes as long as the slower of the two."
    raise NotYetError("an error while loading is lost, and the epoch just ends early. Pass it on.")


def _within(task: Any) -> Any:
    """The result of a task that could hang; an error in it becomes a hint."""
    results: Queue[Any] = Queue()

    def work() -> None:
        try:
            results.put(task())
        except NotYetError as hint:
            results.put(hint)
        except Exception as error:
            results.put(NotYetError(f"prefetch failed with {type(error).__name__}: {error}"))

    Thread(target=work, daemon=True).start()
    try:
        result = results.get(timeout=PATIENCE)
    except Empty:
        raise NotYetError("it hangs. What tells the reader that the last batch came, or that loading failed?") from None
    if isinstance(result, NotYetError):
        raise result
    return result


@exercise("08.2", "experiment: what do fewer multiply-adds save?")
def separable_step(prediction: Any, default: Any, separable: Any) -> str:
    """How many times as fast a training step is with depthwise-separable convolutions: predicted and measured."""
    if isinstance(prediction, bool) or not isinstance(prediction, int | float) or not 0 < prediction < 100:
        raise NotYetError(f"expected a factor such as 2.5 as your prediction, but got {prediction!r}.")
    expected = "expected the seconds of at least 3 rounds for each network."
    before, after = (as_numbers(x, lambda t: len(t) >= 3 and min(t) > 0, expected) for x in (default, separable))
    if len(before) != len(after):
        raise NotYetError(f"{len(before)} and {len(after)} times. Measure both in every round, with `alternate`.")
    if before == after:
        raise NotYetError("both have the same times. Is one of the networks built with separable=True?")
    middle, low, high = gain(before, after)
    products = [sum(step.multiply_adds for step in trace(UNet(separable=s), (1, 3, 64, 64))) for s in (False, True)]
    fewer = products[0] / products[1]
    return (
        f"Made separable, the default U-Net has {fewer:.1f} times fewer multiply-adds; a narrower one saves less. Your "
        f"step is {middle:.2f} times as fast ({low:.2f} to {high:.2f}); you predicted {prediction:g}."
    )
