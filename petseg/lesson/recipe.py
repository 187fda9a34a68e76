"""The recipe of the released run, and what it makes: stages, an average, a card, scores on validation."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal, cast

import lightning as L
import torch
import yaml
from torch import Tensor, nn

from petseg import training
from petseg.averaging import WarmAverage
from petseg.data import PetDataModule
from petseg.lesson.progress import quiet
from petseg.task import SegmentationTask
from petseg.zoo import ModelCard


def read_recipe(name: str = "course") -> dict[str, Any]:
    """The settings of a run, section by section: `trainer`, `data`, `model`, `average`.

    Args:
        name: `course`, what notebook 03 trains, or a released model.
    """
    return yaml_file(training.RECIPES / f"{name}.yaml")


def yaml_file(path: Path) -> dict[str, Any]:
    """The sections of a recipe, or of the configuration that `petseg fit` writes beside its log."""
    sections: dict[str, Any] = yaml.safe_load(path.read_text())
    return sections


def stages(recipe: Mapping[str, Any]) -> list[tuple[int, int]]:
    """(first epoch, height and width in pixels) of each of a recipe's sizes; epochs count from 1."""
    model, epochs, full = recipe["model"], recipe["trainer"]["max_epochs"], recipe["data"]["image_size"]
    starts = [math.ceil(share * epochs) + 1 for share in model["size_from"]]
    return [(start, round(size * full)) for start, size in zip(starts, model["sizes"], strict=True)]


def fingerprint(recipe: Mapping[str, Any]) -> str:
    """Eight letters that differ where recipes differ, so that none resumes what another began."""
    return hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()[:8]


def warm_averages(values: Sequence[float], decay: float) -> list[float]:
    """What `WarmAverage` makes of one weight that takes these values, step by step."""
    module = L.LightningModule()
    module.weight = nn.Parameter(torch.zeros(()))
    callback, averages = WarmAverage(decay), []
    callback.setup(cast(L.Trainer, None), module, "fit")
    for step, value in enumerate(values, start=1):
        module.weight.data.fill_(value)
        trainer = cast(L.Trainer, SimpleNamespace(global_step=step))
        callback.on_train_batch_end(trainer, module, None, None, step - 1)
        callback.on_train_end(trainer, module)  # puts the average in the weight's place
        averages.append(module.weight.item())
    return averages


def val_matrices(task: SegmentationTask, data: PetDataModule, accelerator: str = "auto") -> Tensor:
    """Confusion matrices of a task on the validation split, in fp32: int64 (N, 3, 3), in the split's order."""
    silent: Any = dict.fromkeys(
        ("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False
    )
    with quiet():
        trainer = L.Trainer(accelerator=accelerator, devices=1, **silent)
        trainer.validate(task, datamodule=data, verbose=False)
    return task.matrices


def model_card(
    name: str,
    task: SegmentationTask,
    data: PetDataModule,
    recipe: Mapping[str, Any],
    scores: Mapping[str, float],
    weights: Literal["averaged", "raw"] = "averaged",
) -> ModelCard:
    """The card of a network that was trained with a recipe; its scores are those of these weights on validation."""
    return training.model_card(name, task, data, {**recipe, "weights": weights}, {"name": data.source}, {"val": scores})
