"""Checks of the gaps of notebook 08: timing, Amdahl's law, operators, the roofline, batches by index, waits."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from statistics import mean, median
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from petseg.course import gaps_08_runs  # noqa: F401 (registers the gaps from 08.i on)
from petseg.course.checks import NotYetError, Wrong, as_number, ask, close, exercise, gap, hint_for
from petseg.models.device import finish

Times = Sequence[float]


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
    call: Callable[[], object], repeats: int = 5, clock: Callable[[], float] = time.perf_counter, finish: Any = finish
) -> float:
    """Median time of a call, without the first; the device's work is waited for before each reading of the clock."""
    call()
    times = []
    for _ in range(repeats):
        finish()
        start = clock()
        call()
        finish()
        times.append(clock() - start)
    return median(times)


@exercise("08.a", "a timer", median_seconds)
def timer(answer: Any) -> str:
    """The timer leaves out the first call, waits for the device, and takes the median."""
    device = _Device()
    result = as_number(ask(answer, device.call, 4, device.clock, device.finish))
    if not device.readings:
        raise NotYetError("it reads another clock. Call `clock()`, which is `time.perf_counter` unless told otherwise.")
    first, *work = device.WORK
    if not close(result, 1 + median(work)):
        mistakes = {
            "the device is still working when you read the clock. Call `finish()` before each reading.": 1.0,
            "the work of the warm-up falls into the first time. Call `finish()` before the first reading, too.": 1
            + median([first + work[0], *work[1:]]),
            "the first call counts, though it is a warm-up.": 1 + median(device.WORK),
            "there is no warm-up: one call before the loop.": 1 + median(device.WORK[:-1]),
            "that is the mean. The median ignores a single slow call.": 1 + mean(work),
            "that is the shortest time.": 1 + min(work),
            "that is the sum of all calls.": len(work) + sum(work),
        }
        otherwise = f"on a device whose calls take {1 + first:g}, then {', '.join(f'{1 + w:g}' for w in work)} it "
        raise hint_for(result, mistakes, f"{otherwise}says {result:g}; expected {1 + median(work):g}.")
    return "The first call is left out, and one slow call changes little."


def _gain(before: Times, after: Times) -> tuple[float, float, float]:
    ratios = [a / b for a, b in zip(before, after, strict=True)]
    return median(ratios), min(ratios), max(ratios)


ROUNDS = [10.0, 40.0, 12.0, 11.0, 10.5], [8.0, 30.0, 10.0, 11.0, 5.0]


@gap("08.b", "a paired comparison", _gain, [ROUNDS], "A slow minute slows both sides of a ratio.")
def _gain_mistakes(before: Times, after: Times) -> Wrong:
    middle, low, high = _gain(before, after)
    inverse, least, most = _gain(after, before)
    return {
        "the ratio is upside down: before / after is above 1 where the second way is faster.": (inverse, least, most),
        "that divides the medians. Divide within each round, then take the median.": (
            median(before) / median(after),
            low,
            high,
        ),
        "the order is: median, smallest, largest.": (low, middle, high),
        "that is the mean of the ratios, not their median.": (
            mean(a / b for a, b in zip(before, after, strict=True)),
            low,
            high,
        ),
    }


def _whole(fraction: float, factor: float) -> float:
    return 1 / ((1 - fraction) + fraction / factor)


@gap("08.c", "Amdahl's law", _whole, [(0.8, 4.0), (0.1, 10.0), (0.5, 1.0)], "What stays slow sets the limit.")
def _whole_mistakes(fraction: float, factor: float) -> Wrong:
    return {
        "that is the new time, as a fraction of the old one. How many times as fast is that?": 1
        / _whole(fraction, factor),
        "the part that becomes faster and the one that stays are exchanged.": _whole(1 - fraction, factor),
        "the rest of the step is missing: 1 - fraction of the time stays as it is.": factor / fraction,
        "that averages the two speeds. Add up times instead: that of the rest, and that of the faster part.": (
            1 - fraction + fraction * factor
        ),
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
        expected = (numbers * 2 + 1).sum(dim=0, keepdim=True)
    try:
        with counter:
            result = (numbers * 2 + 1).sum(dim=0, keepdim=True)
    except (AttributeError, TypeError) as error:
        raise NotYetError(
            f"an operator failed: {error}. Return its result, and give it its kwargs, which may be None."
        ) from error
    if not close(result, expected):
        raise NotYetError("the operators give other results. Return operator(*args, **(kwargs or {})).")
    if dict(counter.counts) != dict(reference.counts):
        came = dict(counter.counts) or "nothing"
        raise NotYetError(f"of (x * 2 + 1).sum() it counts {came}, expected {dict(reference.counts)}.")
    return "Each count is one call from Python or from the backward pass to a kernel."


def _cost(B: int, i: int, o: int, k: int, H: int, W: int) -> tuple[int, int]:
    return B * i * o * k * k * H * W, 4 * (B * i * H * W + B * o * H * W + i * o * k * k)


@gap("08.e", "what a convolution computes and moves", _cost, [(2, 3, 5, 3, 6, 7)], "Both depend on the layer alone.")
def _cost_mistakes(B: int, i: int, o: int, k: int, H: int, W: int) -> Wrong:
    products, moved = _cost(B, i, o, k, H, W)
    return {
        "the multiply-adds are those of one image; there are B.": (products // B, moved),
        "a kernel has k * k positions.": (products // k, moved),
        "the multiply-adds are right; a float32 number has 4 bytes.": (products, moved // 4),
        "the multiply-adds are right; the weights, i * o * k * k numbers, are read too.": (
            products,
            moved - 4 * i * o * k * k,
        ),
        "the multiply-adds are right; the output is written, B * o * H * W numbers.": (
            products,
            moved - 4 * B * o * H * W,
        ),
        "these are operations. A product that is added to a sum counts once here.": (2 * products, moved),
    }


def _attainable(intensity: float, peak: float, bandwidth: float) -> float:
    return min(peak, intensity * bandwidth)


@gap("08.f", "the roofline", _attainable, [(2.0, 100.0, 10.0), (50.0, 100.0, 10.0)], "Whichever limit is lower.")
def _roofline_mistakes(intensity: float, peak: float, bandwidth: float) -> Wrong:
    return {
        "that is the higher of the two limits. The lower one decides.": max(peak, intensity * bandwidth),
        "operations per second are operations per byte times bytes per second.": min(peak, bandwidth / intensity),
        "no layer computes faster than the peak.": intensity * bandwidth,
    }


def _gather(images: Tensor, masks: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
    return images[index].permute(0, 3, 1, 2), masks[index]


PIXELS = torch.arange(120).view(5, 2, 4, 3).to(torch.uint8), torch.arange(40).view(5, 2, 4).to(torch.uint8)


@gap("08.g", "a batch by its index", _gather, [(*PIXELS, torch.tensor([3, 0, 4]))], "One copy for the whole batch.")
def _gather_mistakes(images: Tensor, masks: Tensor, index: Tensor) -> Wrong:
    image, mask = _gather(images, masks, index)
    B, H, W, C = images[index].shape
    return {
        "the images are still (B, H, W, 3). Which axis goes where?": (images[index], mask),
        "reshape mixes pixels and channels. `permute` exchanges the axes.": (images[index].reshape(B, C, H, W), mask),
        "rows and columns of the images are exchanged.": (image.transpose(2, 3), mask),
        "the images have been chosen, but not the masks.": (image, masks),
        "these are the first images of the split, not those of the index.": (
            images[:B].permute(0, 3, 1, 2),
            masks[:B],
        ),
    }


def _finished(launch: float, compute: float, steps: int, wait: bool) -> float:
    cpu = device = 0.0
    for _ in range(steps):
        cpu += launch
        device = max(cpu, device) + compute
        if wait:
            cpu = device
    return device


TIMES = [(1.0, 3.0, 4, False), (3.0, 1.0, 4, False), (1.0, 3.0, 4, True), (2.0, 2.0, 3, True)]


@gap("08.h", "CPU and device side by side", _finished, TIMES, "Without waits, the slower of the two sets the pace.")
def _waiting_mistakes(launch: float, compute: float, steps: int, wait: bool) -> Wrong:
    cpu = steps * launch
    return {
        "CPU and device never overlap here. Without wait, the CPU goes on at once.": _finished(
            launch, compute, steps, True
        ),
        "the device cannot begin before the CPU has queued the step.": steps * compute,
        "the device may still be busy with the step before.": cpu + compute,
        "that is when the CPU is done; the device finishes later.": cpu,
        "with wait, the CPU goes on when the device is done.": _finished(launch, compute, steps, False),
    }
