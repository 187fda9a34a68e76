"""Released weights in a task, and the card of a task's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from petseg.data.datamodule import PetDataModule
from petseg.errors import SettingsError
from petseg.models import zoo
from petseg.models.segmenter import Segmenter
from petseg.models.zoo import ModelCard
from petseg.training.task import SegmentationTask


def use_weights(task: SegmentationTask, name: str | Path | None = None, own_network: bool = False) -> ModelCard:
    """Gives a task the weights and the normalisation of a released model, and its network where that differs.

    Args:
        task: changed in place.
        name: as `zoo.load` takes it.
        own_network: keep the task's network and normalisation, as what is trained on must: a checkpoint tells its
            task's settings and nothing else. The network's settings may differ in what has no weights, as in the size
            to which it enlarges its image.

    Raises:
        ModelError: the model cannot be read.
        SettingsError: with `own_network`, the model does not fit the task.
    """
    segmenter, card = zoo.load(name)
    if own_network:
        _check_fit(task, segmenter, card)
        task.network.load_state_dict(segmenter.network.state_dict())  # stays compiled, if it was
    else:
        task.segmenter = segmenter.to(task.device).to(memory_format=torch.channels_last)
    return card


def _check_fit(task: SegmentationTask, segmenter: Segmenter, card: ModelCard) -> None:
    """Raises SettingsError where a model's weights or its normalisation are not those of a task."""
    shapes = [{key: value.shape for key, value in one.state_dict().items()} for one in (task.segmenter, segmenter)]
    if shapes[0] != shapes[1]:
        raise SettingsError(
            f"{card.name}: its weights are of a network with {_listed(card.settings)}; this training's has "
            f"{_listed(task.network.settings)}. Set --model.encoder, or else --model.channels, --model.separable and "
            "--model.skips, to those of the weights, or start from others."
        )
    used = task.segmenter.statistics
    for word, constant, wanted in (("mean", used.mean, card.mean), ("std", used.std, card.std)):
        if not torch.allclose(torch.tensor(constant), torch.tensor(wanted)):
            raise SettingsError(
                f"{card.name}: normalises its images with {word} {_numbers(wanted)}; this training does with "
                f"{_numbers(constant)}, as --model.encoder has it. Start from other weights."
            )


def _listed(settings: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in settings.items())


def _numbers(values: Sequence[float]) -> str:
    return "/".join(f"{value:.3g}" for value in values)


def model_card(
    name: str,
    task: SegmentationTask,
    data: PetDataModule,
    recipe: Mapping[str, Any],
    source: Mapping[str, Any],
    scores: Mapping[str, Mapping[str, float]],
) -> ModelCard:
    """The card of a task's network.

    Args:
        name: of the model.
        task: what was trained.
        data: what it was trained on, set up.
        recipe: how.
        source: what the card says of the data, beside the size of each split.
        scores: by split.
    """
    return ModelCard.of(
        task.segmenter,
        name=name,
        size=(data.image_size, data.image_size),
        recipe=dict(recipe),
        data={**source, "examples": {split: len(examples) for split, examples in data.examples.items()}},
        scores={split: dict(found) for split, found in scores.items()},
    )
