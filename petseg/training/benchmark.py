"""`petseg bench`: how long a training step, its parts and a prediction take on this machine, in each precision."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from statistics import median
from types import SimpleNamespace
from typing import Any, cast

import lightning as L
import torch
from torch import Tensor

from petseg.errors import SettingsError
from petseg.models.device import best_device, best_precision, machine
from petseg.models.unet import UNet
from petseg.training.ema import WarmupEMA
from petseg.training.optimizer import one_cycle, parameter_groups
from petseg.training.recipes import read_recipe
from petseg.training.task import SegmentationTask


@dataclass(frozen=True)
class Timing:
    """Median seconds of a training step and of a prediction.

    `memory_format`: `contiguous` or `channels_last`; `precision`: `float32`, `bfloat16` or `float16`.
    """

    memory_format: str
    precision: str
    train: float
    predict: float


def timings(steps: int = 5, batch: int = 32, size: int = 128) -> Iterator[Timing]:
    """Times a training step and a prediction of the default U-Net in each memory format and precision.

    The precisions are fp32 and the half that the hardware may have: fp16 on GPUs without bf16, else bf16.

    Args:
        steps: timed steps each, after one that is not.
        batch: images in a step.
        size: height and width of the images, in pixels.

    Raises:
        SettingsError: fewer than one step is asked for.
    """
    if steps < 1:
        raise SettingsError(f"--steps {steps}: at least 1 is needed.")
    device = torch.device(best_device())
    half = torch.float16 if best_precision() == "16-mixed" else torch.bfloat16
    for memory_format in (torch.contiguous_format, torch.channels_last):
        for dtype in (torch.float32, half):
            train, predict = _step_times(device, memory_format, dtype, steps, batch, size)
            layout = str(memory_format).removeprefix("torch.").removesuffix("_format")
            yield Timing(layout, str(dtype).removeprefix("torch."), train, predict)


def speed_table(steps: int = 5, batch: int = 32, size: int = 128) -> Iterator[str]:
    """Lines of a table of median seconds a training step, one row per memory format and precision.

    Args and errors as those of `timings`.
    """
    rows = timings(steps, batch, size)
    first = next(rows)  # asks for what cannot be timed are refused before anything is printed
    yield f"U-Net, {batch} images of {size}x{size} a step; PyTorch {torch.__version__} on {machine()}"
    yield f"{'memory format':<16}{'precision':<12}{'train, s/step':>14}{'predict, s/step':>17}"
    for row in (first, *rows):
        yield f"{row.memory_format:<16}{row.precision:<12}{row.train:>14.3f}{row.predict:>17.3f}"


def step_parts(recipe: Mapping[str, Any] | None = None, steps: int = 5) -> dict[str, float]:
    """Median seconds of each part of a training step of a recipe on this machine, at the data's own size.

    Args:
        recipe: as `recipes.read_recipe` gives it; default: the course's.
        steps: timed steps, after one that is not.
    """
    recipe = recipe or read_recipe()
    batch, size = recipe["data"]["batch_size"], recipe["data"]["image_size"]
    device = torch.device(best_device())
    task = SegmentationTask.from_recipe(recipe).to(device)
    image = torch.rand(batch, 3, size, size, device=device).contiguous(memory_format=torch.channels_last)
    target = torch.randint(0, 3, (batch, size, size), device=device, dtype=torch.uint8)
    model = recipe["model"]
    groups = parameter_groups(task.network, model["learning_rate"], model.get("encoder_lr_scale", 1.0))
    optimizer = torch.optim.AdamW(groups, weight_decay=model["weight_decay"])
    schedule = one_cycle(optimizer, steps + 1, model["warmup"])
    average, trainer = WarmupEMA(**recipe["average"]), cast(L.Trainer, SimpleNamespace(global_step=0))
    average.setup(trainer, task, "fit")
    losses: list[Tensor] = []

    def update() -> None:
        trainer.global_step += 1  # type: ignore[misc]
        average.on_train_batch_end(trainer, task, None, None, 0)

    parts: dict[str, Callable[[], object]] = {
        "augmentation": lambda: task.augment(image, target),
        "network forward, loss": lambda: losses.append(task.loss(_logits(task, image, _half()), target)),
        "backward": lambda: losses.pop().backward(),
        "AdamW": optimizer.step,
        "gradients to zero": optimizer.zero_grad,
        "one-cycle schedule": schedule.step,
        "weight averaging": update,
    }
    seconds: dict[str, list[float]] = {name: [] for name in parts}
    for _ in range(steps + 1):
        for name, part in parts.items():
            seconds[name].append(_seconds(part, device))
    return {name: median(found[1:]) for name, found in seconds.items()}


def _half() -> torch.dtype:
    """What the recipe's precision computes convolutions in."""
    return {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16, "32-true": torch.float32}[best_precision()]


def _logits(network: Callable[[Tensor], Tensor], image: Tensor, dtype: torch.dtype) -> Tensor:
    with torch.autocast(image.device.type, dtype, enabled=dtype is not torch.float32):
        return network(image).float()


def _step_times(
    device: torch.device,
    memory_format: torch.memory_format,
    dtype: torch.dtype,
    steps: int,
    batch: int,
    size: int,
) -> tuple[float, float]:
    task = SegmentationTask().to(device)
    network = UNet().to(device).to(memory_format=memory_format)
    image = torch.rand(batch, 3, size, size, device=device).to(memory_format=memory_format)
    target = torch.randint(0, 3, (batch, size, size), device=device)
    optimizer = torch.optim.AdamW(network.parameters())

    def train() -> None:
        task.loss(_logits(network, image, dtype), target).backward()
        optimizer.step()
        optimizer.zero_grad()

    def predict() -> None:
        with torch.inference_mode():
            _logits(network, image, dtype)

    # the first step also chooses kernels and takes memory
    found = [[_seconds(step, device) for _ in range(steps + 1)][1:] for step in (train, predict)]
    return median(found[0]), median(found[1])


def _seconds(step: Callable[[], object], device: torch.device) -> float:
    """Seconds that a call takes, until the GPU has done what it was told."""
    start = time.perf_counter()
    step()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start
