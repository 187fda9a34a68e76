"""The progress of a training in a notebook: a table of epochs and a figure that is redrawn."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, cast

import lightning as L
import torch
from IPython.display import display

from petseg.course.live_text import LiveText
from petseg.training.runs import Log
from petseg.training.task import SegmentationTask


def peak_memory() -> float:
    """Peak memory in MB: of PyTorch on the GPU since the count was last reset; without a GPU, of the whole process."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 1e6
    try:
        import resource  # Unix only
    except ImportError:
        return math.nan
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)


class Progress(L.Callback):
    """A table of epochs and a line on the current step, updated while a notebook trains; with `draw`, also a figure.

    The numbers are saved in checkpoints, so that a resumed run shows the earlier epochs as well.

    Args:
        draw: makes a figure of the log so far, after each validation.
        every: seconds between two updates of the line.
    """

    def __init__(self, draw: Callable[[Log], Any] | None = None, every: float = 1.0) -> None:
        self.draw = draw
        self.every = every
        #: The logged values, and `size` (pixels), `seconds` and `memory` (MB) of each epoch.
        self.history: Log = {}
        self._table: LiveText | None = None
        self._figure: Any = None
        self._epoch_start = self._last_update = 0.0

    def state_dict(self) -> dict[str, Any]:
        """The state that a checkpoint saves."""
        return {"log": {name: [list(pair) for pair in pairs] for name, pairs in self.history.items()}}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restores the state from a checkpoint."""
        self.history = {name: [(int(e), float(v)) for e, v in pairs] for name, pairs in state_dict["log"].items()}

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Shows the table."""
        self._table = LiveText(self.table("the first steps are the slowest"))

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Starts measuring time and memory."""
        self._epoch_start = time.perf_counter()
        if torch.cuda.is_available():
            torch.cuda.reset_peak_memory_stats()

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Updates the line, at most every `every` seconds."""
        now = time.perf_counter()
        if now - self._last_update < self.every:
            return
        self._last_update = now
        pace = (now - self._epoch_start) / (batch_idx + 1)
        where = f"epoch {trainer.current_epoch + 1} of {trainer.max_epochs}"
        step = f"step {batch_idx + 1} of {trainer.num_training_batches}"
        self._show(f"{where}, {step}: loss {float(outputs['loss']):.3f}, {pace:.2f} s per step")

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Records the scores; a checkpoint is written after this."""
        if not trainer.sanity_checking:
            scores = {k: v for k, v in trainer.callback_metrics.items() if k.startswith(("val/", "val_raw/"))}
            self._record(trainer.current_epoch + 1, {name: float(value) for name, value in scores.items()})

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Records loss, time and memory, and redraws."""
        if "train/loss" not in trainer.callback_metrics:
            return  # a resumed run first ends the epoch in which it was stopped, and that has no training step left
        task = cast(SegmentationTask, pl_module)
        epoch = trainer.current_epoch + 1
        size = round(task.train_size * trainer.datamodule.image_size)  # type: ignore[attr-defined]
        seconds = time.perf_counter() - self._epoch_start
        loss = float(trainer.callback_metrics["train/loss"])
        self._record(epoch, {"train/loss": loss, "size": size, "seconds": seconds, "memory": peak_memory()})
        self._show(f"epoch {epoch} of {trainer.max_epochs} took {seconds:.1f} s")
        if self.draw and self.history.get("val/mean_iou", [(0, 0)])[-1][0] == epoch:
            data, metadata = self.draw(self.history).bundle()
            if self._figure is None:
                self._figure = display(data, metadata=metadata, raw=True, display_id=True)
            else:
                self._figure.update(data, metadata=metadata, raw=True)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Shows the summary under the table."""
        self._show(self.summary())

    def summary(self) -> str:
        """Epochs, their time and the peak memory, in one line."""
        seconds, memory = ([value for _, value in self.history.get(name, [])] for name in ("seconds", "memory"))
        if not seconds:
            return "no epoch has ended"
        slowest = f"{sum(seconds) / len(seconds):.1f} s per epoch on average, {max(seconds):.1f} s the slowest"
        return f"{len(seconds)} epochs in {sum(seconds) / 60:.1f} minutes: {slowest}; peak memory {max(memory):,.0f} MB"

    def table(self, last: str = "") -> str:
        """The validated epochs, one per line, and `last` below them."""
        columns = {name: dict(pairs) for name, pairs in self.history.items()}
        heads = ("epoch", "pixels", "train loss", "val loss", "val mean IoU", "raw weights", "seconds", "peak MB")
        keys = ("size", "train/loss", "val/loss", "val/mean_iou", "val_raw/mean_iou", "seconds", "memory")
        forms = (".0f", ".3f", ".3f", ".3f", ".3f", ".1f", ",.0f")
        lines = ["  ".join(heads)]
        for epoch in columns.get("val/mean_iou", {}):
            values = [columns.get(key, {}).get(epoch) for key in keys]
            cells = ["-" if v is None else format(v, form) for v, form in zip(values, forms, strict=True)]
            lines.append("  ".join(f"{c:>{len(head)}}" for c, head in zip([str(epoch), *cells], heads, strict=True)))
        return "\n".join([*lines, last])

    def _record(self, epoch: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self.history.setdefault(name, []).append((epoch, value))

    def _show(self, last: str) -> None:
        if self._table is not None:
            self._table.show(self.table(last))
