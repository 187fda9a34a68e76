"""Checks of the exercises of notebook 08: batches that are loaded ahead, and what fewer multiply-adds save."""

from __future__ import annotations

from collections.abc import Iterator
from queue import Empty, Queue
from threading import Event, Thread
from typing import Any, Final

import torch

from petseg.course.checks import exercise
from petseg.course.gaps_08 import gain
from petseg.course.hints import NotYetError, as_numbers, ask
from petseg.models.inspection import trace
from petseg.models.unet import UNet

PATIENCE: Final = 3.0  # seconds that an answer may take for what is done at once


@exercise("08.1", "build: batches that are loaded ahead")
def loaded_ahead(answer: Any) -> str:
    """`prefetch(batches)` gives the same batches, and loads the next one while the last one is used."""
    result = _within(lambda: list(ask(answer, iter([torch.tensor(0), torch.tensor(1), torch.tensor(2)]))))
    if [int(batch) for batch in result] != [0, 1, 2]:
        raise NotYetError(f"of the batches 0, 1, 2 it gives {[int(batch) for batch in result]}.")
    if _within(lambda: list(ask(answer, iter([])))):
        raise NotYetError("of no batches it gives some.")
    asked = [Event() for _ in range(60)]

    def source() -> Iterator[int]:
        for number, event in enumerate(asked):
            event.set()
            yield number

    batches = iter(ask(answer, source()))
    if _within(lambda: next(batches)) != 0:
        raise NotYetError("the first batch is lost.")
    if not asked[1].wait(PATIENCE):
        raise NotYetError("while the first batch is used, nothing is loaded. Let a thread load the next one.")
    if asked[40].wait(0.3):
        raise NotYetError("it loads ahead without a limit, until the memory is full. One or two batches are enough.")
    if _within(lambda: list(batches)) != list(range(1, 60)):
        raise NotYetError("batches are lost, or come in another order.")

    def broken() -> Iterator[int]:
        yield 0
        raise OSError("a file that cannot be read")

    try:
        _within(lambda: list(ask(answer, broken())))
    except NotYetError as error:
        if "cannot be read" not in str(error):
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
        f"The default U-Net's separable version has {fewer:.1f} times fewer multiply-adds; your step is {middle:.2f} "
        f"times as fast ({low:.2f} to {high:.2f}); you predicted {prediction:g}."
    )
