"""A training step of our way: against the plain one, and part by part."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from statistics import median
from typing import Any

import torch

from petseg.data.datamodule import PixelDataset
from petseg.models.unet import UNet
from petseg.training.benchmark.clock import alternate, rates, seconds
from petseg.training.benchmark.ours import TrainingStep
from petseg.training.benchmark.plain import BATCH, LEARNING_RATE, plain_step
from petseg.training.benchmark.row import Row, Spread, compared
from petseg.training.benchmark.settings import Settings
from petseg.training.recipes import read_recipe


def step_parts(recipe: Mapping[str, Any] | None = None, steps: int = 5) -> dict[str, float]:
    """Median seconds of each part of a training step of a recipe on this machine, at the data's own size.

    Args:
        recipe: as `recipes.read_recipe` gives it; default: the course's.
        steps: timed steps, after one that is not.
    """
    return {name: median(measured) for name, measured in part_seconds(recipe or read_recipe(), steps).items()}


def part_seconds(recipe: Mapping[str, Any], steps: int, dataset: PixelDataset | None = None) -> dict[str, list[float]]:
    """Seconds of each part of a training step, one value per step.

    Args:
        recipe: as `recipes.read_recipe` gives it.
        steps: timed steps, after one that is not.
        dataset: where batches are loaded from, which is then a part as well; noise takes their place when None.
    """
    batch, size = recipe["data"]["batch_size"], recipe["data"]["image_size"]
    step = TrainingStep(recipe)
    noise = step.random_batch(batch, size)

    def load() -> None:
        if dataset is None:
            step.load(*noise)
        else:
            found = dataset.__getitems__(torch.randint(len(dataset), (batch,)).tolist())
            step.load(found.image, found.mask)

    ways = {"loading": load, **step.parts}
    measured = alternate({name: partial(seconds, part, step.device) for name, part in ways.items()}, steps)
    if dataset is None:
        del measured["loading"]
    return measured


def parts_row(settings: Settings) -> Row:
    """Every part of a training step, loading included."""
    data = settings.data()
    data.prepare_data()
    data.setup()
    measured = part_seconds(settings.recipe, settings.rounds, data.datasets["train"])
    values = {name: Spread.of([1e3 * value for value in times]) for name, times in measured.items()}
    return Row(f"parts of a training step, {settings.batch} images of {settings.size} px", "ms", values)


def step_row(settings: Settings) -> Row:
    """Images per second of a step: ours on a batch of bytes, the plain one on a batch that is decoded already."""
    ours = TrainingStep(settings.recipe)
    batch = ours.random_batch(settings.batch, settings.size)
    network = UNet(channels=settings.recipe["model"]["network"]["init_args"]["channels"]).to(ours.device)
    optimizer = torch.optim.Adam(network.parameters(), LEARNING_RATE)
    image = torch.rand(BATCH, 3, settings.size, settings.size, device=ours.device)
    mask = torch.randint(0, 3, (BATCH, settings.size, settings.size), device=ours.device)

    def several(call: Any, *arguments: Any) -> float:
        def steps() -> None:
            for _ in range(settings.steps):
                call(*arguments)

        return seconds(steps, ours.device)

    measured = alternate(
        {
            "ours": lambda: several(ours, *batch),
            "plain": lambda: several(plain_step, network, optimizer, image, mask),
        },
        settings.rounds,
    )
    images = {"ours": settings.steps * settings.batch, "plain": settings.steps * BATCH}
    title = f"a training step at {settings.size} px, without loading"
    note = "ours: augmentation, loss, clipping, AdamW and weight averaging included"
    return compared(title, "images/s", rates(measured, images), "ours", "plain", note)
