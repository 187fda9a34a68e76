"""Time to accuracy: how long each way trains until it reaches a score on validation.

The clock runs from the making of network and data, decoding included: our way begins without a cache. It stands still
while validation runs, after every epoch of either way, on the same split and with pooled pixels. Our way is scored with
its averaged weights, which are those that it would keep.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory

import lightning as L

from petseg.training.benchmark.clock import Clock, Stopwatch
from petseg.training.benchmark.ours import lightning_trainer
from petseg.training.benchmark.plain import PlainTraining
from petseg.training.benchmark.row import Row, Spread
from petseg.training.benchmark.settings import Settings
from petseg.training.scoring import quiet
from petseg.training.task import SegmentationTask


class Attempt:
    """One training that is timed up to a score.

    Args:
        target: the score that ends it.
        limit: seconds of training that end it without.
        clock: tells seconds.
    """

    def __init__(self, target: float, limit: float, clock: Clock = time.perf_counter) -> None:
        self.target, self.limit = target, limit
        self.watch = Stopwatch(clock)
        #: (seconds of training, score) of each epoch.
        self.points: list[tuple[float, float]] = []

    def record(self, score: float) -> bool:
        """Notes the score of an epoch, for which the watch was paused; tells whether the training shall end."""
        self.points.append((self.watch.seconds, score))
        self.watch.resume()
        return score >= self.target or self.points[-1][0] >= self.limit

    @property
    def seconds(self) -> float | None:
        """Seconds until the target; None where it was not reached."""
        return next((seconds for seconds, score in self.points if score >= self.target), None)


class EndAtTarget(L.Callback):
    """Tells an `Attempt` of each validation and ends the training when it is over."""

    def __init__(self, attempt: Attempt) -> None:
        self.attempt = attempt

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Pauses the watch."""
        self.attempt.watch.pause()

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Notes the score."""
        trainer.should_stop |= self.attempt.record(float(trainer.callback_metrics["val/mean_iou"]))


def accuracy_row(settings: Settings) -> Row:
    """Seconds that our fastest recipe and the plain way train until the target; `ratio` is plain / fast."""
    ways: dict[str, Callable[[Settings, int], Attempt]] = {"fast": train_fast, "plain": train_plain}
    attempts: dict[str, list[Attempt]] = {name: [] for name in ways}
    for run in range(settings.runs):
        for name, train in ways.items():
            attempts[name].append(train(settings, run))
    return row_of(attempts, settings)


def row_of(attempts: dict[str, list[Attempt]], settings: Settings) -> Row:
    """The row of some attempts by way; a way has no time, and the row no ratio, unless all its attempts got there."""
    spreads: dict[str, Spread | None] = {}
    notes = [f"validation of each epoch excluded for both, limit {settings.limit:.0f} s"]
    for name, tries in attempts.items():
        times = [attempt.seconds for attempt in tries if attempt.seconds is not None]
        spreads[name] = Spread.of(times) if len(times) == len(tries) else None
        if len(times) < len(tries):
            best = max(score for attempt in tries for _, score in attempt.points)
            notes.append(
                f"{name}: {len(times)} of {len(tries)} trainings reached the target, the best score was {best:.3f}"
            )
    ratio = None
    if all(spreads.values()):
        pairs = zip(attempts["plain"], attempts["fast"], strict=True)
        ratio = Spread.of([(plain.seconds or 0) / (fast.seconds or 1) for plain, fast in pairs])
    curves = {
        name: [[[round(seconds, 2), round(score, 4)] for seconds, score in attempt.points] for attempt in tries]
        for name, tries in attempts.items()
    }
    title = f"training until a mean IoU of {settings.target:g} on validation"
    details = {"target": settings.target, "curves": curves}
    return Row(title, "s", spreads, "plain / fast", ratio, "; ".join(notes), details)


def train_fast(settings: Settings, run: int) -> Attempt:
    """Trains with the fast recipe, from files that are not decoded yet."""
    recipe = {**settings.fast, "seed_everything": int(settings.fast["seed_everything"]) + 1000 * run}
    with quiet(), _empty_cache():
        L.seed_everything(recipe["seed_everything"], verbose=False)
        attempt = Attempt(settings.target, settings.limit)
        trainer = lightning_trainer(recipe, EndAtTarget(attempt), check_val_every_n_epoch=1)
        trainer.fit(SegmentationTask.from_recipe(recipe), datamodule=settings.data(recipe))
    return attempt


def train_plain(settings: Settings, run: int) -> Attempt:
    """Trains the plain way for as many epochs as it takes."""
    data = settings.data(settings.fast)
    data.prepare_data()  # for validation alone: the training decodes its own images
    data.setup()
    L.seed_everything(1000 * run, verbose=False)
    attempt = Attempt(settings.target, settings.limit)
    plain = PlainTraining(settings.fast, data)
    ended = False
    while not ended:
        plain.epoch()
        attempt.watch.pause()
        ended = attempt.record(plain.score())
    return attempt


@contextmanager
def _empty_cache() -> Iterator[None]:
    """Has images decoded again, into a folder that is removed afterwards."""
    before = os.environ.get("PETSEG_CACHE_DIR")
    with TemporaryDirectory(prefix="petseg-cache-") as folder:
        os.environ["PETSEG_CACHE_DIR"] = folder
        try:
            yield
        finally:
            if before is None:
                del os.environ["PETSEG_CACHE_DIR"]
            else:
                os.environ["PETSEG_CACHE_DIR"] = before
