"""The runs of notebook 06. Each is saved, so that a comparison that was interrupted continues with the missing runs."""

from __future__ import annotations

import time
import warnings
from dataclasses import asdict
from pathlib import Path
from statistics import fmean, median
from typing import Any, cast

import lightning as L
import numpy as np
import torch
from torch import Tensor

from petseg.course.live import LiveText
from petseg.course.transfer import TransferPlan, task_for
from petseg.data.datamodule import PetDataModule
from petseg.files import atomic_write, write_json
from petseg.metrics.confusion import mean_iou, pooled_scores
from petseg.metrics.intervals import bootstrap
from petseg.models.device import best_precision
from petseg.models.pretrained import PretrainedUNet
from petseg.models.zoo import save
from petseg.training.callbacks import EpochSeeds
from petseg.training.recipes import fingerprint
from petseg.training.scoring import evaluate, quiet
from petseg.training.task import SegmentationTask
from petseg.training.transfer_runs import TransferRun, read_run
from petseg.training.weights import model_card

#: Points that a run's log has of its training loss, each a mean over equally many steps.
LOSS_POINTS = 50


def train_run(plan: TransferPlan, method: str, fraction: float, folder: Path) -> TransferRun:
    """Trains by one method on a fraction of the data, or reads the run if it is saved already; shows it in a line.

    Args:
        plan: the settings that all runs share.
        method: one of `METHODS`.
        fraction: of each breed's training examples, above 0, up to 1.
        folder: for the weights (.safetensors), the confusion matrices of the validation images (.npy) and, written
            last, scores and log (.json).

    Raises:
        SettingsError: there is no such method.
        ModelError: the method needs ImageNet's weights, and they are not available.
    """
    settings = {**asdict(plan), "method": method, "fraction": fraction}
    name = f"{method}-{round(100 * fraction):03d}-{fingerprint(settings)}"
    record = folder / f"{name}.json"
    title = f"{method}, {fraction:.0%} of the data, learning rate {plan.learning_rate:g}"
    line = LiveText(f"{title}: begins")
    if not record.is_file():
        L.seed_everything(plan.seed, verbose=False)
        task = task_for(plan, method)  # right after the seed, so that all decoders start equal
        _train_and_save(plan, task, settings, folder / name, line)
    run = read_run(record)
    took = f"{run.minutes:.1f} min" if run.minutes >= 1 else f"{60 * run.minutes:.1f} s"
    line.show(f"{title}: {run.steps:,} steps in {took}")
    return run


def matrices(run: TransferRun, folder: Path) -> Tensor:
    """Confusion matrices of a run on the validation split: int64 (N, 3, 3), in the split's order."""
    return torch.from_numpy(np.load(folder / f"{run.name}.npy"))


def encoder_stages(network: PretrainedUNet) -> dict[str, Tensor]:
    """All weights of each stage of an EfficientNet in one vector: float (n,) on the CPU, the finest stage first."""
    stages: dict[str, list[Tensor]] = {}
    for name, weight in network.encoder.model.named_parameters():
        first, second, *_ = name.split(".")  # for instance blocks.0.0.conv_dw.weight
        stage = f"block {int(second) + 1}" if first == "blocks" else "stem"
        stages.setdefault(stage, []).append(weight.detach().cpu().flatten().clone())
    return {stage: torch.cat(weights) for stage, weights in stages.items()}


def _train_and_save(
    plan: TransferPlan, task: SegmentationTask, settings: dict[str, Any], path: Path, line: LiveText
) -> None:
    """Trains, scores and writes the files of a run, whose names begin with `path`."""
    network = cast(PretrainedUNet, task.network)
    data = PetDataModule(
        plan.source, None, plan.image_size, plan.batch_size, train_fraction=settings["fraction"], progress=False
    )
    before = encoder_stages(network)
    log = _StepLog(line)
    trainer = _fit(plan, task, data, log)
    after = encoder_stages(network)
    val = evaluate(task, data).cpu()  # (N, 3, 3)
    interval = bootstrap(val, mean_iou)
    run = TransferRun(
        name=path.name,
        method=settings["method"],
        fraction=settings["fraction"],
        images=len(data.examples["train"]),
        steps=trainer.global_step,
        trainable_parameters=sum(weight.numel() for weight in network.parameters() if weight.requires_grad),
        scores=pooled_scores(val),
        low=float(interval.low),
        high=float(interval.high),
        confusion=val.sum(dim=0).tolist(),
        step_seconds=median(log.seconds),
        minutes=log.minutes,
        precision=str(trainer.precision),
        device=trainer.strategy.root_device.type,
        loss=log.mean_losses(),
        val=log.val,
        weight_change={stage: float((after[stage] - start).norm() / start.norm()) for stage, start in before.items()},
    )
    card = model_card(path.name, task, data, {**settings, "weights": "raw"}, {"name": data.source}, {"val": run.scores})
    save(path.with_name(f"{path.name}.safetensors"), task.segmenter, card)
    with atomic_write(path.with_name(f"{path.name}.npy")) as draft:
        np.save(draft, val.numpy())
    write_json(path.with_name(f"{path.name}.json"), {"settings": settings, "run": asdict(run)})


def _fit(plan: TransferPlan, task: SegmentationTask, data: PetDataModule, log: L.Callback) -> L.Trainer:
    with quiet(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"Found \d+ module\(s\) in eval mode")  # the frozen encoder, on purpose
        trainer = L.Trainer(
            max_steps=plan.steps,
            max_epochs=-1,  # steps alone end a run
            check_val_every_n_epoch=None,
            val_check_interval=plan.steps // plan.validations,
            num_sanity_val_steps=0,
            gradient_clip_val=plan.clip,
            precision=best_precision(),
            accelerator="auto",
            devices=1,
            callbacks=[EpochSeeds(plan.seed), log],
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        trainer.fit(task, datamodule=data)
    return trainer


class _StepLog(L.Callback):
    """Records loss and time of each step and the score of each validation, and updates a line of text."""

    def __init__(self, line: LiveText, seconds_between_updates: float = 1.0) -> None:
        self.line, self.seconds_between_updates = line, seconds_between_updates
        self.losses: list[float] = []
        self.seconds: list[float] = []
        self.val: list[tuple[int, float]] = []
        self._run_start = self._step_start = self._last_update = 0.0

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._run_start = time.perf_counter()

    def on_train_batch_start(self, *_: Any) -> None:
        self._step_start = time.perf_counter()

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self.losses.append(float(outputs["loss"]))  # waits for the GPU, so the time is that of the whole step
        now = time.perf_counter()
        self.seconds.append(now - self._step_start)
        if now - self._last_update >= self.seconds_between_updates:
            self._last_update = now
            self.line.show(f"step {len(self.losses)} of {trainer.max_steps}: loss {self.losses[-1]:.3f}")

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.val.append((trainer.global_step, float(trainer.callback_metrics["val/mean_iou"])))

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.minutes = (time.perf_counter() - self._run_start) / 60

    def mean_losses(self) -> list[tuple[int, float]]:
        """(step, mean loss of the steps up to it), about `LOSS_POINTS` of them at most."""
        each = -(-len(self.losses) // LOSS_POINTS)
        starts = range(0, len(self.losses), each)
        return [(min(i + each, len(self.losses)), fmean(self.losses[i : i + each])) for i in starts]
