"""What keeps a GPU busy: few operators in a step, and none that waits for it."""

from collections import Counter
from contextlib import contextmanager

import lightning as L
import pytest
import torch
from lightning.pytorch.plugins import MixedPrecision
from torch.utils._python_dispatch import TorchDispatchMode

from petseg.training.benchmark import noise, quiet, trainer_of
from petseg.training.recipes import read_recipe
from petseg.training.task import SegmentationTask


class Operators(TorchDispatchMode):
    """Counts the operators that Python dispatches."""

    def __init__(self):
        super().__init__()
        self.names = Counter()

    def __torch_dispatch__(self, operator, types, args=(), kwargs=None):
        self.names[operator.name()] += 1
        return operator(*args, **(kwargs or {}))


class SecondStep(L.Callback):
    """Enters a context for the second step, from one batch's start to the next one's."""

    def __init__(self, context):
        self.context = context

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if batch_idx == 1:
            self.context.__enter__()
        elif batch_idx == 2:
            self.context.__exit__(None, None, None)

    def on_exception(self, trainer, pl_module, exception):
        if torch.cuda.is_available():
            torch.cuda.set_sync_debug_mode("default")  # else the clean-up fails and hides the cause


@contextmanager
def waiting_is_an_error():
    torch.cuda.set_sync_debug_mode("error")
    yield
    torch.cuda.set_sync_debug_mode("default")


def train_a_step_within(context, name, accelerator, precision):
    recipe = read_recipe(name)
    settings = {key: value for key, value in recipe["trainer"].items() if key != "callbacks"}
    task, size = SegmentationTask.from_recipe(recipe), 32
    soft = torch.full((16, 3, size, size), 85, dtype=torch.uint8)
    task.use_soft_labels(soft.cuda() if accelerator == "cuda" else soft, 0.5)
    settings |= {"max_epochs": 1, "accelerator": accelerator, "limit_val_batches": 0}
    how = {"precision": precision}
    if (accelerator, precision) == ("cpu", "16-mixed"):  # which Lightning refuses there
        how = {"precision": None, "plugins": [MixedPrecision(precision, "cpu", torch.amp.GradScaler("cpu"))]}
    with quiet():
        trainer_of({**recipe, "trainer": settings}, SecondStep(context), **how).fit(task, noise((16, size), 3))


@pytest.mark.parametrize(
    ("name", "precision"), [("course", "bf16-mixed"), ("course", "16-mixed"), ("unet", "bf16-mixed")]
)
def test_a_step_dispatches_at_most_700_operators_and_asks_for_no_number(name, precision):
    counted = Operators()
    train_a_step_within(counted, name, "cpu", precision)
    assert counted.names["aten::_local_scalar_dense"] == 0
    assert 400 < counted.names.total() <= 700


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no NVIDIA GPU that a step could wait for")
@pytest.mark.parametrize(
    ("name", "precision"), [("course", "16-mixed"), ("course", "bf16-mixed"), ("unet", "bf16-mixed")]
)
def test_a_step_waits_for_no_gpu(name, precision):
    train_a_step_within(waiting_is_an_error(), name, "cuda", precision)
