"""How the speed of training changes with the images' side, the batch and the number of images."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from petseg.training.benchmark.clock import alternate, rates, seconds
from petseg.training.benchmark.epoch import opened
from petseg.training.benchmark.ours import Epochs, TrainingStep
from petseg.training.benchmark.row import Row, Spread
from petseg.training.benchmark.settings import Settings


def side_row(settings: Settings) -> Row:
    """Images per second of our step at several sizes of the images."""
    shapes = {f"{side} px": (settings.batch, side) for side in settings.sides}
    return Row(f"a step of {settings.batch} images by their side", "images/s", _steps(settings, shapes))


def batch_row(settings: Settings) -> Row:
    """Images per second of our step at several batch sizes."""
    shapes = {f"batch {batch}": (batch, settings.size) for batch in settings.batches}
    return Row(f"a step at {settings.size} px by its batch", "images/s", _steps(settings, shapes))


def images_row(settings: Settings) -> Row:
    """Images per second of our epochs with several numbers of images: constant where an epoch costs in proportion."""
    epochs = Epochs(settings.recipe, opened(settings))
    epochs.seconds(2 * settings.batch)  # chooses kernels and takes memory
    ways = {f"{count:,} images": partial(epochs.rate, count) for count in settings.counts}
    measured = alternate(ways, settings.rounds, skip=0)
    return Row(f"an epoch at {settings.size} px by its length", "images/s", _spreads(measured))


def _steps(settings: Settings, shapes: Mapping[str, tuple[int, int]]) -> dict[str, Spread | None]:
    """Images per second by name of a (batch, side)."""
    step = TrainingStep(settings.recipe)
    batches = {name: step.random_batch(*shape) for name, shape in shapes.items()}
    measured = alternate(
        {name: partial(seconds, partial(step, *batch), step.device) for name, batch in batches.items()},
        settings.rounds,
    )
    return _spreads(rates(measured, {name: batch for name, (batch, _) in shapes.items()}))


def _spreads(measured: Mapping[str, list[float]]) -> dict[str, Spread | None]:
    return {name: Spread.of(values) for name, values in measured.items()}
