"""The parts of a training step, timed within Lightning's own loop."""

import time
from collections import defaultdict
from typing import Final

from lightning.pytorch.profilers import Profiler
from torch import nn

from petseg.models.device import finish


class StepProfiler(Profiler):
    """Seconds of each part of a training step, without those of the parts within it; `steps` has one entry per step."""

    #: Parts by the end of Lightning's name of an action, or of a hook of ours; the last one is everything else.
    PARTS: Final = {
        "train_dataloader_next": "loading",
        "batch_to_device": "copy to the device",
        "augmentation": "augmentation",
        "network forward": "network forward",
        ".training_step": "loss and training scores",
        ".backward": "backward",
        "configure_gradient_clipping": "gradient clipping",
        "SegmentationTask.optimizer_step": "AdamW",
        "optimizer_zero_grad": "gradients to zero",
        "lr_scheduler_step": "one-cycle schedule",
        "WarmupEMA.on_train_batch_end": "weight averaging",
        "": "Lightning's loop",
    }

    def __init__(self) -> None:
        super().__init__()
        self.steps: list[dict[str, float]] = []
        self._step: dict[str, float] = defaultdict(float)
        self._running, self._since = [self.PARTS[""]], time.perf_counter()

    def start(self, action_name: str) -> None:
        """Interrupts the part that is running for another one."""
        self._account()
        self._running.append(next(part for end, part in self.PARTS.items() if action_name.endswith(end)))

    def stop(self, action_name: str) -> None:
        """Returns to the interrupted part."""
        self._account()
        self._running.pop()
        if action_name.endswith("SegmentationTask.on_train_batch_end"):  # a step's last action
            self.steps.append(self._step)
            self._step = defaultdict(float)

    def _account(self) -> None:
        finish()
        now = time.perf_counter()
        self._step[self._running[-1]] += now - self._since
        self._since = now

    def watch(self, module: nn.Module, part: str) -> None:
        """Times a module's forward pass as a part; Lightning has no action for it."""
        module.register_forward_pre_hook(lambda *_: self.start(part))
        module.register_forward_hook(lambda *_: self.stop(part))
