"""The optimiser's parameter groups; learning rate and image size over a training."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import lightning as L
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import OneCycleLR

from petseg.errors import SettingsError
from petseg.models.pretrained import PretrainedUNet


def parameter_groups(network: nn.Module, learning_rate: float, encoder_lr_scale: float) -> list[dict[str, Any]]:
    """Parameter groups for AdamW; a pretrained encoder learns at `encoder_lr_scale` times the learning rate.

    Frozen parameters are left out. Loshchilov, Hutter: Decoupled Weight Decay Regularization (ICLR 2019),
    https://arxiv.org/abs/1711.05101.

    Returns:
        dictionaries with `params` and `lr`: those of the pretrained encoder, if there is one, are the last.
    """
    named = [(name, parameter) for name, parameter in network.named_parameters() if parameter.requires_grad]
    # the U-Net's own encoder starts from random weights and learns like the rest
    pretrained = isinstance(network, PretrainedUNet)
    encoder = [parameter for name, parameter in named if pretrained and name.startswith("encoder.")]
    rest = [parameter for name, parameter in named if not (pretrained and name.startswith("encoder."))]
    groups = [{"params": rest, "lr": learning_rate}, {"params": encoder, "lr": learning_rate * encoder_lr_scale}]
    return [group for group in groups if group["params"]]


def one_cycle(optimizer: Optimizer, steps: int, warmup: float) -> OneCycleLR:
    """Raises each group's learning rate to its `lr` in a fraction `warmup` of the steps, then lowers it nearly to 0.

    Smith, Topin: Super-Convergence (2018), https://arxiv.org/abs/1708.07120.
    """
    steps = max(3, steps)  # with fewer than two steps of warm-up and one after it, the schedule divides by zero
    highest = [group["lr"] for group in optimizer.param_groups]
    return OneCycleLR(optimizer, highest, steps, pct_start=min(max(warmup, 2 / steps), 1 - 1 / steps))


class Plan(NamedTuple):
    """How a whole training is divided, whatever ends it; the last epoch may be short."""

    epochs: int
    ends: list[int]  # the steps after which each cycle of the learning rate ends, the last one with the training

    def cycle(self, step: int) -> tuple[int, int]:
        """The cycle of the next step, counted from 0, and its length in steps; after the last step, the last cycle."""
        number = sum(end <= step for end in self.ends[:-1])
        return number, self.ends[number] - [0, *self.ends][number]


def plan(trainer: L.Trainer) -> Plan:
    """The plan of a training; known once it has started.

    The task's setting `restarts` has the fractions of all epochs after which a further cycle starts, with the next
    whole epoch. Raises SettingsError if the training has no end, or nothing to train on.
    """
    steps = trainer.estimated_stepping_batches
    if math.isinf(steps):
        raise SettingsError(
            f"trainer.max_epochs={trainer.max_epochs}: the one-cycle schedule needs to know where the training ends. "
            "Set --trainer.max_epochs to a number from 1."
        )
    if math.isinf(trainer.num_training_batches):  # as `estimated_stepping_batches` does it where it needs the number
        trainer.fit_loop.setup_data()
    if math.isinf(trainer.num_training_batches):
        raise SettingsError("trainer.limit_train_batches=0: leaves nothing to train on. Choose at least 1.")
    per_epoch = math.ceil(trainer.num_training_batches / trainer.accumulate_grad_batches)
    epochs = math.ceil(steps / per_epoch)
    restarts = trainer.lightning_module.hparams.get("restarts", ())
    due = [sum(start <= epoch / epochs for start in restarts) for epoch in range(epochs)]
    starts = [epoch for epoch in range(1, epochs) if due[epoch] > due[epoch - 1]]
    return Plan(epochs, [*(per_epoch * epoch for epoch in starts), int(steps)])


def size_at(epoch: int, epochs: int, sizes: Sequence[float], size_starts: Sequence[float]) -> float:
    """The entry of `sizes` at which an epoch trains; epochs count from 0."""
    stages = zip(sizes, size_starts, strict=True)
    return [size for size, start in stages if start <= epoch / epochs][-1]


def check_stages(sizes: Sequence[float], starts: Sequence[float]) -> None:
    """Refuses stages that do not fit each other."""
    if len(sizes) != len(starts) or not sizes or starts[0] != 0 or list(starts) != sorted(starts) or not starts[-1] < 1:
        raise SettingsError(
            f"sizes={list(sizes)}, size_starts={list(starts)}: must have the same length, and size_starts must rise "
            "from 0 and stay below 1, for instance sizes=[0.5, 1], size_starts=[0, 0.5]."
        )
    if not 0 < min(sizes) <= max(sizes) <= 4:
        raise SettingsError(f"sizes={list(sizes)}: every size must be above 0 and at most 4, for instance [0.5, 1].")


def check_cycles(restarts: Sequence[float], augments: int) -> None:
    """Refuses restarts outside the training, and a list of augmentation that is too long or too short for them."""
    if list(restarts) != sorted(set(restarts)) or not all(0 < start < 1 for start in restarts):
        raise SettingsError(f"restarts={list(restarts)}: must rise, each above 0 and below 1, for instance [0.7, 0.9].")
    if augments != (cycles := len(restarts) + 1):
        raise SettingsError(f"augment: lists {augments} settings; must be {cycles}, one for each cycle.")
