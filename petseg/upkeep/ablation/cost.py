"""What a network costs: parameters, multiply-adds, and milliseconds per image on this machine's CPU."""

from __future__ import annotations

import time
from statistics import median
from typing import Any

import torch
from torch import nn

from petseg.models.device import best_precision, machine, processor
from petseg.models.inspection import in_eval_mode, trace


def measure_cost(network: nn.Module, size: int = 128, repeats: int = 30, threads: int = 2) -> dict[str, Any]:
    """Counts and times a network on one image, on the CPU and in fp32.

    Multiply-adds are those of `petseg.models.inspection.trace`, which counts a transposed convolution at the pixels of
    its input; torchinfo counts it at those of its output, four times as many.

    Args:
        network: is on the CPU, and stays as it is.
        size: height and width of the image, in pixels.
        repeats: timed passes, after a fifth as many that are not; the median counts.
        threads: of PyTorch, while it is timed.

    Returns:
        `parameters`, `multiply_adds`, `milliseconds`, and `machine`, on which it was timed.
    """
    shape = (1, 3, size, size)
    return {
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "multiply_adds": sum(step.multiply_adds for step in trace(network, shape)),
        "milliseconds": round(1000 * _seconds(network, shape, repeats, threads), 2),
        "machine": f"{processor()}, {threads} CPU threads, fp32, PyTorch {torch.__version__}",
    }


def host() -> str:
    """What trains here, in a few words: the processor and its threads, or the GPU, and the precision."""
    return f"{machine()}, {best_precision()}"


def _seconds(network: nn.Module, shape: tuple[int, ...], repeats: int, threads: int) -> float:
    """Median seconds of a forward pass; PyTorch has its own number of threads again afterwards."""
    before = torch.get_num_threads()
    image = torch.rand(shape, generator=torch.Generator().manual_seed(0)).contiguous(memory_format=torch.channels_last)
    torch.set_num_threads(threads)
    try:
        with torch.inference_mode(), in_eval_mode(network):
            for _ in range(max(1, repeats // 5)):  # the first passes choose kernels and take memory
                network(image)
            return median(_once(network, image) for _ in range(repeats))
    finally:
        torch.set_num_threads(before)


def _once(network: nn.Module, image: torch.Tensor) -> float:
    start = time.perf_counter()
    network(image)
    return time.perf_counter() - start
