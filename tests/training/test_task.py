"""The loss, the sizes of the training's stages, and the task as a network with a recipe."""

from fractions import Fraction
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from petseg.data.augment import AugmentSettings
from petseg.data.datamodule import Batch
from petseg.errors import SettingsError
from petseg.metrics.confusion import class_map
from petseg.models.segmenter import EFFICIENTNET_LITE, IMAGENET
from petseg.models.unet import UNet
from petseg.training import depthwise
from petseg.training.loss import soft_dice_loss
from petseg.training.optimizer import one_cycle, size_at
from petseg.training.recipes import read_recipe, stages
from petseg.training.task import SegmentationTask


def task_with(*, channels=(4,), **settings) -> SegmentationTask:
    return SegmentationTask(UNet(channels=channels), **settings)


def logits_of(mask: torch.Tensor, certainty: float) -> torch.Tensor:
    return certainty * F.one_hot(mask, 3).movedim(-1, 1).float()


MASK = torch.tensor([[[0, 0, 1], [1, 1, 2], [1, 2, 1]]])


@pytest.mark.parametrize("classes", [1, 2, 3])
def test_soft_dice_of_a_perfect_prediction_is_zero_whichever_classes_occur(classes):
    mask = torch.arange(9).reshape(1, 3, 3) % classes
    for certainty in (50.0, 1000.0):  # at 1000 the probability of an absent class rounds to 0
        assert float(soft_dice_loss(logits_of(mask, certainty), mask)) == pytest.approx(0, abs=1e-6)


def test_soft_dice_of_equal_probabilities_is_the_fraction_on_paper():
    # probability 1/3 everywhere: overlap n_k / 3, total 9 / 3 + n_k, with n = 2, 5, 2 pixels per class
    expected = 1 - sum(2 * n / 3 / (3 + n) for n in (2, 5, 2)) / 3
    assert float(soft_dice_loss(torch.zeros(1, 3, 3, 3), MASK)) == pytest.approx(expected)


def test_loss_ranks_a_better_mask_lower():
    wrong = MASK.clone()
    wrong[0, 0, 0] = 2
    worse = wrong.clone()
    worse[0, 1, 1] = 0
    losses = [float(task_with().loss(logits_of(mask, 2.0), MASK)) for mask in (MASK, wrong, worse)]
    assert losses[0] < losses[1] < losses[2]


@pytest.mark.parametrize("weight", [1.0, 2.0])
def test_without_dice_the_loss_is_the_cross_entropy_that_counts_a_boundary_pixel_as_often_as_its_weight_says(weight):
    logits = torch.randn(1, 3, 3, 3)
    by_hand = F.cross_entropy(logits, MASK, reduction="none")
    counts = torch.where(MASK == 2, weight, 1.0)
    loss = task_with(dice_weight=0.0, boundary_weight=weight).loss(logits, MASK)
    torch.testing.assert_close(loss, (counts * by_hand).sum() / counts.sum())


@pytest.mark.parametrize("statistics", [None, EFFICIENTNET_LITE])
def test_images_are_normalised_as_the_network_says_and_by_imagenets_statistics_where_it_says_nothing(statistics):
    network = torch.nn.Conv2d(3, 3, 1)
    if statistics:
        network.statistics = statistics
    assert SegmentationTask(network).segmenter.statistics == (statistics or IMAGENET)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"sizes": (0.5, 1.0), "size_starts": (0.0,)}, "must have the same length, and size_starts must rise from 0"),
        ({"sizes": (), "size_starts": ()}, "must have the same length"),
        ({"sizes": (0.5, 1.0), "size_starts": (0.2, 0.5)}, "must rise from 0"),
        ({"sizes": (0.5, 0.75, 1.0), "size_starts": (0.0, 0.6, 0.3)}, "must rise from 0"),
        ({"sizes": (0.5, 1.0), "size_starts": (0.0, 5.0)}, "must rise from 0 and stay below 1"),
        ({"sizes": (0.0, 1.0), "size_starts": (0.0, 0.5)}, "every size must be above 0"),
        ({"sizes": (64, 128), "size_starts": (0.0, 0.5)}, "every size must be above 0 and at most 4"),
        ({"geometry_until": 1.5}, r"geometry_until=1\.5: must lie between 0 and 1, for instance 0\.8"),
        ({"augment": [AugmentSettings()] * 2}, "augment: lists 2 settings; must be 1, one for each cycle"),
        ({"restart_scale": -1.0}, r"restart_scale=-1\.0: must be finite and at least 0, for instance 0\.6"),
        ({"warmup": 2.0}, r"warmup=2\.0: must lie between 0 and 1, for instance 0\.2"),
        ({"learning_rate": -1.0}, r"learning_rate=-1\.0: must be finite and at least 0, for instance 0\.002"),
        ({"learning_rate": float("inf")}, "learning_rate=inf: must be finite and at least 0"),
        ({"weight_decay": -0.1}, "weight_decay=-0.1: must be finite and at least 0"),
        ({"dice_weight": float("nan")}, "dice_weight=nan: must be finite and at least 0"),
        ({"boundary_weight": -2.0}, "boundary_weight=-2.0: must be finite and at least 0"),
        ({"encoder_lr_scale": -0.1}, "encoder_lr_scale=-0.1: must be finite and at least 0"),
    ],
)
def test_impossible_settings_are_refused_in_one_sentence(settings, sentence):
    with pytest.raises(SettingsError, match=sentence):
        task_with(**settings)


@pytest.mark.parametrize(("warmup", "highest"), [(0.0, 1), (0.5, 4), (1.0, 8)])
def test_the_learning_rate_rises_for_its_fraction_of_the_steps_but_at_least_two_and_falls_in_the_last(warmup, highest):
    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))], 1e-2)
    schedule, rates = one_cycle(optimizer, 10, warmup), []
    for _ in range(10):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert rates.index(max(rates)) == highest
    assert max(rates) == pytest.approx(1e-2)


def test_a_stage_starts_after_its_fraction_of_the_epochs_whatever_the_rounding_of_floats():
    for epochs in range(1, 61):
        for percent in range(101):
            start = percent / 100
            first = -(-Fraction(percent, 100) * epochs // 1)  # epochs that are done before, rounded up
            sizes = [size_at(epoch, epochs, (0.5, 1.0), (0.0, start)) for epoch in range(epochs)]
            assert sizes == [0.5] * first + [1.0] * (epochs - first), (epochs, percent)


@pytest.mark.parametrize("epochs", [3, 7, 9, 25])
def test_stages_of_a_recipe_are_where_the_task_changes_its_size(epochs):
    recipe = read_recipe()
    recipe["trainer"]["max_epochs"] = epochs
    if epochs == 25:
        recipe["model"] |= {"sizes": [0.5, 1.0], "size_starts": [0.0, 0.28]}
        assert stages(recipe) == [(1, 64), (8, 128)]
    task = SegmentationTask.from_recipe(recipe)
    for epoch in range(epochs):
        task.trainer, task.epochs = SimpleNamespace(current_epoch=epoch), epochs
        shown = [size for first, size in stages(recipe) if first <= epoch + 1][-1]
        assert round(task.train_size * recipe["data"]["image_size"]) == shown


def trained_images(task: SegmentationTask, batch: Batch, epoch: int = 0, epochs: int = 10) -> torch.Tensor:
    """The images (B, 3, H, W) that the network of a task gets in a training step."""
    task.log = lambda *args, **settings: None  # type: ignore[method-assign]
    task.trainer, task.epochs = SimpleNamespace(current_epoch=epoch), epochs  # type: ignore[assignment]
    task.augment.settings = task.augmentation()
    seen = []
    task.network.register_forward_pre_hook(lambda network, inputs: seen.append(inputs[0]))
    task.training_step(batch, 0)
    return seen[0]


@pytest.mark.parametrize(("epoch", "moved"), [(0, True), (7, True), (8, False), (9, False)])
def test_the_last_epochs_keep_the_pixels_of_every_image(epoch, moved):
    image = torch.randint(0, 256, (4, 3, 16, 16), dtype=torch.uint8)
    batch = Batch(image, torch.zeros(4, 16, 16, dtype=torch.uint8), torch.arange(4))
    task = task_with(augment=AugmentSettings(degrees=15, scale_min=0.7), geometry_until=0.8)
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in IMAGENET)
    expected = (image / 255 - mean) / std
    assert torch.allclose(trained_images(task, batch, epoch), expected, atol=1e-5) != moved


def test_a_stage_keeps_the_aspect_ratio_of_the_images():
    batch = Batch(torch.zeros(2, 3, 24, 48), torch.zeros(2, 24, 48, dtype=torch.uint8), torch.arange(2))
    assert trained_images(task_with(sizes=(0.5,)), batch).shape == (2, 3, 12, 24)


def test_a_training_step_has_fast_gradients_of_depthwise_convolutions(monkeypatch):
    replaced = []
    apply = depthwise._Float32Gradients.apply
    monkeypatch.setattr(depthwise._Float32Gradients, "apply", lambda *args: (replaced.append(1), apply(*args))[1])
    batch = Batch(torch.zeros(2, 3, 8, 8), torch.zeros(2, 8, 8, dtype=torch.uint8), torch.arange(2))
    with torch.autocast("cpu", torch.bfloat16):
        trained_images(SegmentationTask(nn.Conv2d(3, 3, 5, padding=2, groups=3, bias=False)), batch)
    assert replaced


def test_a_task_can_overfit_one_batch():
    torch.manual_seed(0)
    task = task_with(channels=(8, 16))
    image = torch.rand(4, 3, 16, 16)
    mask = torch.randint(0, 3, (4, 4, 4)).repeat_interleave(4, 1).repeat_interleave(4, 2)
    optimizer = torch.optim.AdamW(task.network.parameters(), 1e-2)
    for _ in range(150):
        loss = task.loss(task(image), mask)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert (class_map(task(image)) == mask).float().mean() > 0.95
