"""How much of the machine's own peak the network's forward and backward pass reach."""

from __future__ import annotations

from functools import partial

import torch
from torch import nn

from petseg.models.inspection import trace
from petseg.training.benchmark.clock import alternate, seconds
from petseg.training.benchmark.ours import TrainingStep, autocast, native_dtype
from petseg.training.benchmark.row import Row, compared
from petseg.training.benchmark.settings import Settings

#: Names of the two values.
PRODUCT, PASSES = "matrix multiplication", "forward and backward"


def peak_row(settings: Settings) -> Row:
    """Trillions of operations per second: of the network's two passes, and of a large matrix multiplication.

    The matrix multiplication in the same precision stands for the machine's peak: data sheets give that for other clock
    rates and core counts.
    """
    step = TrainingStep(settings.recipe)
    image = step.random_batch(settings.batch, settings.size)[0].float() / 255
    network, dtype = step.task.network, native_dtype()
    n = settings.matrix * (4 if step.device.type == "cuda" else 1)  # a GPU needs more work to be busy
    left, right = (torch.rand(n, n, device=step.device).to(dtype) for _ in range(2))
    gradient = torch.rand(settings.batch, 3, settings.size, settings.size, device=step.device)

    def passes() -> None:
        with autocast(step.device):
            logits = network(image)
        logits.backward(gradient.to(logits.dtype))
        step.optimizer.zero_grad()

    def product() -> None:
        for _ in range(10):  # one alone would be too short to time
            left @ right

    network.train()
    calls = {PASSES: passes, PRODUCT: product}
    measured = alternate({name: partial(seconds, call, step.device) for name, call in calls.items()}, settings.rounds)
    work = {PASSES: operations(network, tuple(image.shape)), PRODUCT: 10 * 2 * n**3}
    tera = {name: [work[name] / time / 1e12 for time in times] for name, times in measured.items()}
    note = f"{str(dtype).removeprefix('torch.')}; the product is of two matrices of {n} x {n}"
    return compared("operations per second", "TFLOP/s", tera, PASSES, PRODUCT, note)


def operations(network: nn.Module, shape: tuple[int, ...]) -> int:
    """Operations of a forward and a backward pass: two for each multiply-add of a convolution or BatchNorm layer.

    A backward pass takes two multiply-adds for each one of the forward pass: one for the gradient of the weight and one
    for that of the input.

    Args:
        network: stays as it is.
        shape: (B, C, H, W) of the images.
    """
    multiply_adds = shape[0] * sum(layer.multiply_adds for layer in trace(network, (1, *shape[1:])))
    return 3 * 2 * multiply_adds
