"""How long a training step and a prediction take in each memory format and precision."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from statistics import median

import torch

from petseg.errors import SettingsError
from petseg.models.device import best_precision
from petseg.models.segmenter import best_device
from petseg.models.unet import UNet
from petseg.training.benchmark.clock import alternate, seconds
from petseg.training.benchmark.row import Row, Spread
from petseg.training.benchmark.settings import Settings
from petseg.training.task import SegmentationTask


@dataclass(frozen=True)
class Timing:
    """Median seconds of a training step and of a prediction.

    `memory_format`: `contiguous` or `channels_last`; `precision`: `float32`, `bfloat16` or `float16`;
    `train_seconds`: those of each training step.
    """

    memory_format: str
    precision: str
    train: float
    predict: float
    train_seconds: tuple[float, ...]


def timings(
    steps: int = 5, batch: int = 32, size: int = 128, channels: tuple[int, ...] = (16, 32, 64, 128, 256)
) -> Iterator[Timing]:
    """Times a training step and a prediction of a U-Net in each memory format and precision.

    The precisions are fp32 and the half that the hardware may have: fp16 on GPUs without bf16, else bf16.

    Args:
        steps: timed steps each, after one that is not.
        batch: images in a step.
        size: height and width of the images, in pixels.
        channels: of the U-Net.

    Raises:
        SettingsError: fewer than one step is asked for.
    """
    if steps < 1:
        raise SettingsError(f"steps={steps}: at least 1 is needed.")
    half = torch.float16 if best_precision() == "16-mixed" else torch.bfloat16
    for memory_format in (torch.contiguous_format, torch.channels_last):
        for dtype in (torch.float32, half):
            train, predict = _step_times(memory_format, dtype, steps, (batch, 3, size, size), channels)
            layout = str(memory_format).removeprefix("torch.").removesuffix("_format")
            yield Timing(layout, str(dtype).removeprefix("torch."), median(train), median(predict), tuple(train))


def formats_row(settings: Settings) -> Row:
    """A training step without augmentation in each memory format and precision."""
    channels = tuple(settings.recipe["model"]["network"]["init_args"]["channels"])
    rows = timings(settings.rounds, settings.batch, settings.size, channels)
    values = {
        f"{row.memory_format}, {row.precision}": Spread.of([1e3 * value for value in row.train_seconds]) for row in rows
    }
    return Row("a training step in each memory format and precision", "ms", values)


def _step_times(
    memory_format: torch.memory_format,
    dtype: torch.dtype,
    steps: int,
    shape: tuple[int, int, int, int],
    channels: tuple[int, ...],
) -> tuple[list[float], list[float]]:
    device = torch.device(best_device())
    task = SegmentationTask(UNet(channels=(4, 8))).to(device)  # for its loss
    network = UNet(channels=channels).to(device).to(memory_format=memory_format)
    image = torch.rand(shape, device=device).to(memory_format=memory_format)
    target = torch.randint(0, 3, (shape[0], *shape[2:]), device=device)
    optimizer = torch.optim.AdamW(network.parameters())

    def logits() -> torch.Tensor:
        with torch.autocast(device.type, dtype, enabled=dtype is not torch.float32):
            return network(image).float()

    def train() -> None:
        task.loss(logits(), target).backward()
        optimizer.step()
        optimizer.zero_grad()

    predict = torch.inference_mode()(logits)
    measured = [alternate({"": partial(seconds, call, device)}, steps)[""] for call in (train, predict)]
    return measured[0], measured[1]
