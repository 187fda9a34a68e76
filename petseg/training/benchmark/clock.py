"""How the benchmark measures time: rounds in which the ways alternate, and a stopwatch that can pause."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

import torch

#: Returns seconds that only rise; tests pass one that they set.
Clock = Callable[[], float]


def finish(device: torch.device) -> None:
    """Waits until a GPU has done what it was told; a CPU always has."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def seconds(call: Callable[[], object], device: torch.device, clock: Clock = time.perf_counter) -> float:
    """Seconds that a call takes, until the GPU has finished."""
    finish(device)
    start = clock()
    call()
    finish(device)
    return clock() - start


def alternate(ways: Mapping[str, Callable[[], float]], rounds: int, skip: int = 1) -> dict[str, list[float]]:
    """Measures each way once per round, one after the other, so that a busy minute touches all of them.

    Args:
        ways: each returns what it measured, for instance its seconds.
        rounds: that count.
        skip: rounds before those, which do not count: the first one also chooses kernels and takes memory.

    Returns:
        by way, one measurement per round.
    """
    measured: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(skip + rounds):
        for name, way in ways.items():
            measured[name].append(way())
    return {name: values[skip:] for name, values in measured.items()}


def rates(measured: Mapping[str, Sequence[float]], images: Mapping[str, int]) -> dict[str, list[float]]:
    """Images per second from seconds, by way; `images` says how many each way passed in one measurement."""
    return {name: [images[name] / value for value in values] for name, values in measured.items()}


class Stopwatch:
    """Runs from its making on; what happens between `pause` and `resume` does not count."""

    def __init__(self, clock: Clock = time.perf_counter) -> None:
        self.clock = clock
        self.total = 0.0
        self.since: float | None = clock()

    @property
    def seconds(self) -> float:
        """Counted so far."""
        return self.total + (0.0 if self.since is None else self.clock() - self.since)

    def pause(self) -> None:
        """Stops counting."""
        self.total, self.since = self.seconds, None

    def resume(self) -> None:
        """Counts on."""
        self.since = self.clock()
