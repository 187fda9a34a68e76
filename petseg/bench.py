"""`petseg bench`: how long a training step and a prediction take on this machine, in each precision."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from statistics import median

import torch
from torch import Tensor

from petseg.course import best_device
from petseg.task import SegmentationTask
from petseg.unet import UNet


class BenchError(ValueError):
    """A benchmark that cannot be run as asked."""


def speed_table(steps: int = 5, batch: int = 32, size: int = 128) -> Iterator[str]:
    """Lines of a table of median seconds a training step, one row per memory format and precision.

    Args:
        steps: timed steps a row, after one that is not.
        batch: images in a step.
        size: height and width of the images, in pixels.

    Raises:
        BenchError: fewer than one step is asked for.
    """
    if steps < 1:
        raise BenchError(f"--steps {steps}: at least 1 is needed.")
    device = torch.device(best_device())
    name = torch.cuda.get_device_name() if device.type == "cuda" else f"{torch.get_num_threads()} CPU threads"
    yield f"U-Net, {batch} images of {size}x{size} a step; PyTorch {torch.__version__} on {name}"
    yield f"{'memory format':<16}{'precision':<12}{'train, s/step':>14}{'predict, s/step':>17}"
    for memory_format in (torch.contiguous_format, torch.channels_last):
        for dtype in (torch.float32, torch.bfloat16):
            train, predict = _step_times(device, memory_format, dtype, steps, batch, size)
            label = str(memory_format).removeprefix("torch.").removesuffix("_format")
            yield f"{label:<16}{str(dtype).removeprefix('torch.'):<12}{train:>14.3f}{predict:>17.3f}"


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

    def logits() -> Tensor:
        with torch.autocast(device.type, dtype, enabled=dtype is not torch.float32):
            scores: Tensor = network(image)
        return scores.float()

    def train() -> None:
        task.loss(logits(), target).backward()
        optimizer.step()
        optimizer.zero_grad()

    def predict() -> None:
        with torch.inference_mode():
            logits()

    return _median_seconds(train, steps, device), _median_seconds(predict, steps, device)


def _median_seconds(step: Callable[[], None], steps: int, device: torch.device) -> float:
    seconds = []
    for _ in range(steps + 1):
        start = time.perf_counter()
        step()
        if device.type == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - start)
    return median(seconds[1:])  # the first also chooses kernels and takes memory
