"""Checks of notebook 08: timing, Amdahl's law, operators, the roofline, batches by index, waits."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from statistics import mean, median
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from petseg.course.checks import exercise, gap, trial
from petseg.course.comparison import close, other_kind
from petseg.course.hints import NotYetError, as_number, ask
from petseg.models.device import finish

Times = Sequence[float]

ROUNDS = [10.0, 40.0, 12.0, 11.0, 10.5], [8.0, 30.0, 10.0, 11.0, 5.0]
PIXELS = torch.arange(120).view(5, 2, 4, 3).to(torch.uint8), torch.arange(40).view(5, 2, 4).to(torch.uint8)
ROWS = [(*PIXELS, torch.tensor([3, 0, 4]))]
TIMES = [(1.0, 3.0, 4, False), (3.0, 1.0, 4, False), (1.0, 3.0, 4, True), (2.0, 2.0, 3, True)]


class _Device:
    """A device with its own clock: a call takes 1 to start, and its work is done only when somebody waits for it."""

    WORK = (90.0, 10.0, 12.0, 30.0, 16.0)  # of the calls in turn; the first one is much longer

    def __init__(self) -> None:
        self.now = self.pending = 0.0
        self.calls = self.readings = 0

    def call(self) -> None:
        self.now += 1
        self.pending += self.WORK[self.calls % len(self.WORK)]
        self.calls += 1

    def finish(self) -> None:
        self.now, self.pending = self.now + self.pending, 0.0

    def clock(self) -> float:
        self.readings += 1
        return self.now


def median_seconds(
    call: Callable[[], object],
    repeats: int = 5,
    clock: Callable[[], float] = time.perf_counter,
    finish: Any = finish,
    *,
    bug: str = "",
) -> float:
    """Median time of a call, without the first; the device's work is waited for before each reading of the clock."""
    if bug not in ("cold", "first"):
        call()
    times = []
    for _ in range(repeats + (bug == "first")):
        if bug != "before":
            finish()
        start = clock()
        call()
        if bug != "after":
            finish()
        times.append(clock() - start)
    reduce: Any = {"mean": mean, "min": min}.get(bug, median)
    return float(reduce(times))


@trial(
    "08.a",
    "a timer",
    median_seconds,
    {
        "the device is still working when you read the clock. Call `finish()` before each reading.": "after",
        "the warm-up's work falls into the first time: `finish()` before it.": "before",
        "the first call counts, though it is a warm-up.": "first",
        "there is no warm-up: one call before the loop.": "cold",
        "that is the mean. The median ignores a single slow call.": "mean",
        "that is the shortest time.": "min",
    },
    "The first call is left out, and one slow call changes little.",
    f"on a device whose calls take {', then '.join(f'{1 + work:g}' for work in _Device.WORK)} "
    "it says {result}; expected {expected}.",
)
def _timed(timer: Any) -> float:
    device = _Device()
    result = as_number(ask(timer, device.call, 4, device.clock, device.finish))
    if not device.readings:
        raise NotYetError("it reads another clock. Call `clock()`, which is `time.perf_counter` by default.")
    return result


@gap("08.b", "a paired comparison", [ROUNDS], "A slow minute slows both sides of a ratio.")
def gain(before: Times, after: Times) -> Iterator[Any]:
    """Median, smallest and largest ratio of the rounds."""
    ratios = [a / b for a, b in zip(before, after, strict=True)]
    middle, low, high = median(ratios), min(ratios), max(ratios)
    yield middle, low, high
    yield {
        "the ratio is upside down: before / after is above 1 where the second way is faster.": gain(after, before),
        "divide within each round, then take the median.": (median(before) / median(after), low, high),
        "the order is: median, smallest, largest.": (low, middle, high),
        "that is the mean of the ratios, not their median.": (mean(ratios), low, high),
    }


@gap("08.c", "Amdahl's law", [(0.8, 4.0), (0.1, 10.0), (0.5, 1.0)], "What stays slow sets the limit.")
def _whole(fraction: float, factor: float) -> Iterator[Any]:
    time = (1 - fraction) + fraction / factor
    yield 1 / time
    yield {
        "that is the new time, as a fraction of the old one. How many times as fast is that?": time,
        "the part that becomes faster and the one that stays are exchanged.": _whole(1 - fraction, factor),
        "the rest of the step is missing: 1 - fraction of the time stays as it is.": factor / fraction,
        "that averages two speeds. Add up the times of the two parts.": 1 - fraction + fraction * factor,
    }


class Operators(TorchDispatchMode):
    """Counts the operators that PyTorch dispatches within it, by name."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()

    def __torch_dispatch__(self, operator: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Counts and calls an operator."""
        self.counts[str(operator)] += 1
        return operator(*args, **(kwargs or {}))


@exercise("08.d", "counting operators", Operators)
def operators(answer: Any) -> str:
    """`Operators` counts each operator and returns its result."""
    numbers, counter, reference = torch.tensor([1.0, 2.0]), ask(answer), Operators()
    with reference:
        expected = (numbers * 2 + 1).sum(dim=0, keepdim=True).to(torch.float64)
    try:
        with counter:
            result = (numbers * 2 + 1).sum(dim=0, keepdim=True).to(torch.float64)
    except Exception as error:
        raise NotYetError(f"an operator failed: {error}. Return its result; its kwargs may be None.") from error
    if not close(result, expected) or result.dtype != expected.dtype:
        raise NotYetError("the operators give other results. Return operator(*args, **(kwargs or {})).")
    if dict(counter.counts) != dict(reference.counts):
        came = dict(counter.counts) or "nothing"
        raise NotYetError(f"of (x * 2 + 1).sum().double() it counts {came}, expected {dict(reference.counts)}.")
    return "Each count is one operator, called from Python or by the backward pass."


@gap("08.e", "what a convolution computes and moves", [(2, 3, 5, 7, 11, 13)], "Neither depends on the machine.")
def _cost(B: int, i: int, o: int, k: int, H: int, W: int) -> Iterator[Any]:
    weights, read, written = i * o * k * k, B * i * H * W, B * o * H * W
    products, moved = B * H * W * weights, 4 * (read + written + weights)
    yield products, moved
    yield {
        "the multiply-adds are those of one image; there are B.": (products // B, moved),
        "a kernel has k * k positions.": (products // k, moved),
        "the multiply-adds are right; a float32 number has 4 bytes.": (products, moved // 4),
        "the multiply-adds are right; the weights, i * o * k * k, are read too.": (products, 4 * (read + written)),
        "the multiply-adds are right; the output, B * o * H * W, is written.": (products, 4 * (read + weights)),
        "the weights are read once per batch, not once per image.": (products, 4 * (read + written + B * weights)),
        "these are operations. A product that is added to a sum counts once here.": (2 * products, moved),
    }


@gap("08.f", "the roofline", [(2.0, 100.0, 10.0), (50.0, 100.0, 10.0)], "Whichever limit is lower.")
def _attainable(intensity: float, peak: float, bandwidth: float) -> Iterator[Any]:
    slope = intensity * bandwidth
    yield min(peak, slope)
    yield {
        "that is the higher of the two limits. The lower one decides.": max(peak, slope),
        "operations per second are operations per byte times bytes per second.": min(peak, bandwidth / intensity),
        "no layer computes faster than the peak.": slope,
    }


def _copied(result: Any, expected: Any) -> str:
    """What is wrong with a batch whose channels do not lie side by side in memory."""
    last = torch.channels_last
    another = "the numbers are right, but their order in memory is another: after `permute`, copy nothing."
    return other_kind(result, expected) or ("" if result[0].is_contiguous(memory_format=last) else another)


@gap("08.g", "a batch by its index", ROWS, "One copy for the whole batch.", kind=_copied)
def _gather(images: Tensor, masks: Tensor, index: Tensor) -> Iterator[Any]:
    chosen, mask = images[index], masks[index]
    image = chosen.permute(0, 3, 1, 2)
    yield image, mask
    yield {
        "the images are still (B, H, W, 3). Which axis goes where?": (chosen, mask),
        "reshape mixes pixels and channels. `permute` exchanges the axes.": (chosen.reshape(image.shape), mask),
        "rows and columns of the images are exchanged.": (image.transpose(2, 3), mask),
        "the images have been chosen, but not the masks.": (image, masks),
    }


@gap("08.h", "CPU and device side by side", TIMES, "Without waits, the slower of the two sets the pace.")
def _finished(launch: float, compute: float, steps: int, wait: bool) -> Iterator[Any]:
    cpu = device = 0.0
    for _ in range(steps):
        cpu += launch
        device = max(cpu, device) + compute
        cpu = device if wait else cpu
    yield device
    yield {
        "here they never overlap. Without wait, the CPU goes on at once.": _finished(launch, compute, steps, True),
        "the device cannot begin before the CPU has queued the step.": steps * compute,
        "the device may still be busy with the step before.": _finished(launch, compute, steps, True)
        if wait
        else steps * launch + compute,
        "that is when the CPU is done; the device finishes later.": steps * launch,
        "with wait, the CPU goes on when the device is done.": _finished(launch, compute, steps, False),
    }
