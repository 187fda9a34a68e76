"""Distillation: soft labels are the teachers' probabilities, move with the image, and have the weight that is set."""

from copy import deepcopy

import lightning as L
import pytest
import torch
import torch.nn.functional as F
from lightning.pytorch.callbacks import ModelCheckpoint

from petseg.data.augment import AugmentSettings
from petseg.models import zoo
from petseg.models.unet import UNet
from petseg.training.distillation import Distillation, soft_labels
from petseg.training.ema import WarmupEMA
from petseg.training.task import SegmentationTask


@pytest.fixture(scope="module")
def module(cartoons, ready):
    return ready(cartoons, image_size=32, batch_size=8)


def both_ways(model, image):
    """Mean probabilities of an image uint8 (1, 3, H, W) and its mirror image."""
    segmenter, card = zoo.load(model)
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (card.mean, card.std))
    views = [segmenter.network((view - mean) / std).softmax(1) for view in (image / 255, image.flip(3) / 255)]
    return ((views[0] + views[1].flip(3)) / 2).detach()


@pytest.mark.parametrize("count", [1, 2])
def test_soft_labels_are_the_mean_of_all_teachers_over_an_image_and_its_mirror_image(
    count, module, small_model, tmp_path
):
    segmenter, card = zoo.load(small_model)
    torch.nn.init.normal_(segmenter.network.head.weight)
    teachers = [small_model, zoo.save(tmp_path / "other.safetensors", segmenter, card)][:count]
    train = module.datasets["train"]
    soft = soft_labels([zoo.load(teacher)[0] for teacher in teachers], train, batch_size=7)
    assert soft.shape == (len(train), 3, 32, 32)
    assert (soft.sum(dim=1, dtype=torch.int64) - 255).abs().max() <= 2  # rounding
    expected = torch.stack([both_ways(teacher, train[5].image) for teacher in teachers]).mean(0)
    torch.testing.assert_close(soft[5:6] / 255, expected, atol=0.004, rtol=0)


@pytest.mark.parametrize("weight", [0.0, 0.25, 1.0])
def test_the_loss_is_weighed_between_hard_and_soft_labels(module, weight):
    task = SegmentationTask(UNet(channels=(4,)), augment=AugmentSettings(flip=0.5, brightness=0.3))
    task.log = lambda *args, **settings: None  # type: ignore[method-assign]
    task.trainer = L.Trainer(barebones=True, accelerator="cpu", max_epochs=1)
    batch = module.datasets["train"].__getitems__([2, 9])
    torch.manual_seed(1)
    teacher = torch.randint(0, 256, (len(module.datasets["train"]), 3, 32, 32), dtype=torch.uint8)
    task.use_soft_labels(teacher, weight)
    torch.manual_seed(7)
    found = task.training_step(batch, 0)
    torch.manual_seed(7)
    image, mask, soft = task.augment(batch.image / 255, batch.mask, teacher[[2, 9]] / 255)
    logits = task(image)
    expected = (1 - weight) * task.loss(logits, mask) + weight * F.cross_entropy(logits, soft)
    torch.testing.assert_close(found, expected)


class Spy(L.Callback):
    """Keeps the soft labels of each step and the averaged student at the end of each epoch."""

    def __init__(self):
        self.labels, self.weights, self.students = [], [], []

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        self.task = pl_module
        self.labels.append(pl_module._soft)
        self.weights.append(pl_module._soft_weight)

    def on_train_epoch_end(self, trainer, pl_module):
        average = next(callback for callback in trainer.callbacks if isinstance(callback, WarmupEMA)).average
        self.students.append(deepcopy(average.segmenter).eval())

    def joined(self, epochs, teacher, split):
        """Soft labels of the teacher and of the student after so many epochs: the rounded mean of both."""
        both = [soft_labels([model], split).int() for model in (teacher, self.students[epochs - 1])]
        return ((sum(both) + 1) // 2).to(torch.uint8)


def three_steps(teacher, module, spy, *more, checkpoint=None, callbacks=None, **settings):
    """Trains a tiny student for three epochs of one step; it joins with the second. Returns it."""
    trainer = L.Trainer(
        max_epochs=3, limit_train_batches=1, limit_val_batches=0, accelerator="cpu", logger=False,
        enable_progress_bar=False, enable_checkpointing=bool(more),
        callbacks=[*(callbacks or (Distillation(str(teacher), 0.3, join=0.3), WarmupEMA(0.5))), spy, *more],
    )  # fmt: skip
    task = SegmentationTask(UNet(channels=(4,)), learning_rate=0.05, **settings)
    trainer.fit(task, module, ckpt_path=checkpoint)
    return task


def test_the_student_joins_with_its_average_of_that_time_also_when_the_training_is_resumed_later(
    module, small_model, tmp_path
):
    spy = Spy()
    task = three_steps(small_model, module, spy, ModelCheckpoint(tmp_path, "{epoch}", save_top_k=-1))
    assert spy.weights == [0.3] * 3
    assert task._soft is None  # they are freed
    teacher, split = zoo.load(small_model)[0], module.datasets["train"]
    assert spy.labels[0].equal(soft_labels([teacher], split))
    expected = spy.joined(1, teacher, split)
    assert spy.labels[1].equal(expected)
    assert spy.labels[2].equal(expected)
    assert not expected.equal(spy.labels[0])
    assert not expected.equal(spy.joined(2, teacher, split))
    resumed = Spy()
    more = ModelCheckpoint(tmp_path / "resumed")
    three_steps(small_model, module, resumed, more, checkpoint=tmp_path / "epoch=1.ckpt")
    assert len(resumed.labels) == 1
    assert resumed.labels[0].equal(expected)


def test_where_the_learning_rate_restarts_the_student_joins_again_with_its_average_of_that_time(module, small_model):
    spy = Spy()
    three_steps(small_model, module, spy, restarts=(0.6,))
    teacher, split = zoo.load(small_model)[0], module.datasets["train"]
    for epochs in (1, 2):
        assert spy.labels[epochs].equal(spy.joined(epochs, teacher, split))
    assert not spy.labels[1].equal(spy.labels[2])


def test_the_callbacks_of_a_training_that_was_stopped_begin_anew_with_the_next(module, small_model):
    class Fails(L.Callback):
        def on_train_epoch_end(self, trainer, pl_module):
            if trainer.current_epoch == 1 and not ends:
                ends.append(1)
                raise ZeroDivisionError

    ends, fresh, spy = [], Spy(), Spy()
    taught, average = Distillation(str(small_model), join=0.3), WarmupEMA(0.5)
    with pytest.raises(ZeroDivisionError):
        three_steps(small_model, module, Spy(), restarts=(0.6,), callbacks=(Fails(), taught, average))
    assert taught._student
    for callbacks in ((taught, average, spy), (Distillation(str(small_model), join=0.3), WarmupEMA(0.5), fresh)):
        torch.manual_seed(0)
        three_steps(small_model, module, callbacks[-1], restarts=(0.6,), callbacks=callbacks[:-1])
    assert all(labels.equal(others) for labels, others in zip(spy.labels, fresh.labels, strict=True))
    weights, others = (spied.students[-1].state_dict() for spied in (spy, fresh))
    assert all(weights[key].equal(others[key]) for key in weights)


def test_a_training_that_fails_leaves_no_teacher_to_the_next(module, small_model):
    class Fails(L.Callback):
        def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
            raise ZeroDivisionError

    spy = Spy()
    with pytest.raises(ZeroDivisionError):
        three_steps(small_model, module, Fails(), callbacks=(Distillation(str(small_model)), spy))
    assert spy.task._soft is None


def test_a_training_without_a_teacher_is_refused():
    with pytest.raises(ValueError, match=r"teacher=\[\]: must name at least one model"):
        Distillation([])


@pytest.mark.parametrize("setting", ["weight", "join"])
def test_an_impossible_fraction_is_refused(setting):
    with pytest.raises(ValueError, match=rf"{setting}=1\.5: must lie between 0 and 1"):
        Distillation(**{setting: 1.5})
