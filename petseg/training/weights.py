"""Released weights as the start of a training, and the card of what was trained."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from petseg.data.datamodule import PetDataModule
from petseg.errors import SettingsError
from petseg.models import zoo
from petseg.models.zoo import ModelCard
from petseg.training.task import SegmentationTask


def start_from(task: SegmentationTask, name: str | Path) -> ModelCard:
    """Loads the weights of a model into a task's network; returns the model's card.

    The task keeps its network and its normalisation, by which its checkpoints are read again. The network's settings
    may differ from the model's where they have no weights, as in `input_scale`.

    Raises:
        ModelError: the model cannot be read.
        SettingsError: its weights do not fit the network, or it normalises its images in another way.
    """
    segmenter, card = zoo.load(name)
    weights = segmenter.network.state_dict()
    ours, theirs = ({key: value.shape for key, value in w.items()} for w in (task.network.state_dict(), weights))
    if ours != theirs:
        raise SettingsError(
            f"{card.name}: its weights are of {card.architecture} with {card.settings}; this training's network is "
            f"{type(task.network).__name__} with {getattr(task.network, 'settings', {})}. Choose the network of the "
            "weights with --model.network and its settings, or start from other weights."
        )
    if not np.allclose(task.segmenter.statistics, segmenter.statistics):
        raise SettingsError(
            f"{card.name}: normalises its images with {segmenter.statistics}; the network of this training with "
            f"{task.segmenter.statistics}. Start from other weights."
        )
    task.network.load_state_dict(weights)
    return card


def model_card(
    name: str,
    task: SegmentationTask,
    data: PetDataModule,
    recipe: Mapping[str, Any],
    source: Mapping[str, Any],
    scores: Mapping[str, Mapping[str, float]],
) -> ModelCard:
    """The card of a task's network; `source` describes the data, beside the number of examples in each split."""
    return ModelCard.of(
        task.segmenter,
        name=name,
        size=(data.image_size, data.image_size),
        recipe=dict(recipe),
        data={**source, "examples": {split: len(examples) for split, examples in data.examples.items()}},
        scores={split: dict(values) for split, values in scores.items()},
    )
