"""Outputs that change while a notebook runs: the progress of a training, and sliders that redraw a figure."""

import math
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, cast

import ipywidgets as widgets
import lightning as L
import torch
from IPython.display import display, update_display

from petseg.plots.style import DescribedFigure
from petseg.training.optimizer import plan
from petseg.training.runs import Log
from petseg.training.task import SegmentationTask

#: The columns of the table of epochs: heading, key of the log, format.
COLUMNS: Final = (
    ("pixels", "size", ".0f"),
    ("train loss", "train/loss", ".3f"),
    ("val loss", "val/loss", ".3f"),
    ("val mean IoU", "val/mean_iou", ".3f"),
    ("seconds", "seconds", ".1f"),
    ("peak MB", "memory", ",.0f"),
)


class LiveText:
    """Plain text in the output of the running cell; outside a notebook the first text is printed and then stays."""

    def __init__(self, text: str) -> None:
        self._handle: Any = display({"text/plain": text}, raw=True, display_id=True)

    def show(self, text: str) -> None:
        """Replaces the text."""
        if self._handle is not None:  # outside a notebook there is no output to replace
            self._handle.update({"text/plain": text}, raw=True)


class Progress(L.Callback):
    """A table of epochs and a line on the current step, updated every `every` seconds while a notebook trains.

    With `draw`, also the figure that it makes of the history after each validation. Checkpoints save `history`, the
    logged values and `size` (pixels), `seconds` and `memory` (MB) of each epoch, so a resumed run shows the earlier
    epochs as well.
    """

    def __init__(self, draw: Callable[[Log], DescribedFigure] | None = None, every: float = 1.0) -> None:
        self.draw = draw
        self.every = every
        self.history: Log = {}
        self._table: LiveText | None = None
        self._figure: Any = None
        self._epoch_start = self._last_update = 0.0

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint saves."""
        return {"log": {name: [list(pair) for pair in pairs] for name, pairs in self.history.items()}}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restores the history from a checkpoint."""
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
        where = f"epoch {trainer.current_epoch + 1} of {plan(trainer).epochs}"
        step = f"step {batch_idx + 1} of {trainer.num_training_batches}"
        self._show(f"{where}, {step}: loss {float(outputs['loss']):.3f}, {pace:.2f} s per step")

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Records the scores; a checkpoint is written after this."""
        if not trainer.sanity_checking:
            scores = {k: v for k, v in trainer.callback_metrics.items() if k.startswith("val/")}
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
        self._show(f"epoch {epoch} of {plan(trainer).epochs} took {seconds:.1f} s")
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
        logged = {name: dict(pairs) for name, pairs in self.history.items()}
        lines = ["  ".join(["epoch", *(heading for heading, _, _ in COLUMNS)])]
        for epoch in logged.get("val/mean_iou", {}):
            cells = [f"{epoch:>5}"]
            for heading, key, form in COLUMNS:
                value = logged.get(key, {}).get(epoch)
                cells.append(f"{'-' if value is None else format(value, form):>{len(heading)}}")
            lines.append("  ".join(cells))
        return "\n".join([*lines, last])

    def _record(self, epoch: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self.history.setdefault(name, []).append((epoch, value))

    def _show(self, last: str) -> None:
        if self._table is not None:
            self._table.show(self.table(last))


def peak_memory() -> float:
    """Peak memory in MB: of PyTorch on the GPU since the count was last reset; without a GPU, of the whole process."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 1e6
    try:
        import resource  # Unix only
    except ImportError:
        return math.nan
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)


def explore(draw: Callable[..., DescribedFigure], **choices: Sequence[Any]) -> None:
    """Shows a slider for each choice, and the figure that `draw` makes of their values, which it takes by name.

    The figure is an ordinary output of the cell, which the sliders replace. Without a kernel, for instance on GitHub,
    the figure of the first values stays, under a line that names the sliders.
    """
    if not choices or not all(len(values) for values in choices.values()):
        raise ValueError("explore: nothing to choose from; give at least one value for each argument of `draw`.")
    sliders = {name: _slider(name, values) for name, values in choices.items()}

    def drawn() -> tuple[dict[str, str], dict[str, Any]]:
        return draw(**{name: slider.value for name, slider in sliders.items()}).bundle()

    data, metadata = drawn()  # first, so that a `draw` that fails leaves no sliders without a figure
    listed = "; ".join(f"{name.replace('_', ' ')}, {values[0]} to {values[-1]}" for name, values in choices.items())
    view = {"version_major": 2, "version_minor": 0, "model_id": widgets.VBox(list(sliders.values())).model_id}
    text = f"Sliders, in a running notebook: {listed}."
    display({"application/vnd.jupyter.widget-view+json": view, "text/plain": text}, raw=True)
    figure = display(data, metadata=metadata, raw=True, display_id=True)

    def redraw(change: Any) -> None:
        data, metadata = drawn()
        update_display(data, metadata=metadata, raw=True, display_id=figure.display_id)

    for slider in sliders.values():
        slider.observe(redraw, names="value")


def _slider(name: str, values: Sequence[Any]) -> widgets.SelectionSlider:
    return widgets.SelectionSlider(
        options=[(str(value), value) for value in values],
        description=name.replace("_", " "),
        continuous_update=False,
        style={"description_width": "8em"},
        layout={"width": "28em", "max_width": "100%"},
    )
