from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F

from petseg.data.augment import AugmentSettings
from petseg.data.datamodule import Batch
from petseg.errors import SettingsError
from petseg.metrics.confusion import class_map
from petseg.models import architectures, zoo
from petseg.models.segmenter import IMAGENET
from petseg.models.zoo import ModelCard
from petseg.training.loss import soft_dice_loss
from petseg.training.task import SegmentationTask


class PixelNet(torch.nn.Conv2d):
    """The smallest kind of network: each pixel for itself."""

    statistics = IMAGENET

    def __init__(self, num_classes: int = 3, dilation: int = 1) -> None:
        super().__init__(3, num_classes, 3, padding=dilation, dilation=dilation)
        self.settings = {"num_classes": num_classes, "dilation": dilation}


def logits_of(mask: torch.Tensor, certainty: float) -> torch.Tensor:
    return certainty * F.one_hot(mask, 3).movedim(-1, 1).float()


MASK = torch.tensor([[[0, 0, 1], [1, 1, 2], [1, 2, 1]]])


def test_class_map_takes_the_largest_logit():
    assert torch.equal(class_map(logits_of(MASK, 3.0)), MASK.to(torch.uint8))


def test_soft_dice_of_a_certain_and_right_prediction_is_zero():
    assert float(soft_dice_loss(logits_of(MASK, 50.0), MASK)) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("classes", [1, 2, 3])
def test_soft_dice_of_a_perfect_prediction_is_zero_whichever_classes_occur(classes):
    mask = torch.arange(9).reshape(1, 3, 3) % classes
    assert float(soft_dice_loss(logits_of(mask, 50.0), mask)) == pytest.approx(0, abs=1e-6)


def test_soft_dice_of_equal_probabilities_is_the_fraction_on_paper():
    # probability 1/3 everywhere: overlap n_k / 3, total 9 / 3 + n_k, with n = 2, 5, 2 pixels a class
    expected = 1 - sum(2 * n / 3 / (3 + n) for n in (2, 5, 2)) / 3
    assert float(soft_dice_loss(torch.zeros(1, 3, 3, 3), MASK)) == pytest.approx(expected)


def test_loss_ranks_a_better_mask_lower():
    task = SegmentationTask(channels=(4,))
    wrong = MASK.clone()
    wrong[0, 0, 0] = 2
    worse = wrong.clone()
    worse[0, 1, 1] = 0
    losses = [float(task.loss(logits_of(mask, 2.0), MASK)) for mask in (MASK, wrong, worse)]
    assert losses == sorted(losses)
    assert losses[0] < losses[1] < losses[2]


def test_loss_without_dice_is_the_cross_entropy():
    logits = torch.randn(1, 3, 3, 3)
    task = SegmentationTask(channels=(4,), dice_weight=0.0)
    torch.testing.assert_close(task.loss(logits, MASK), F.cross_entropy(logits, MASK))


def test_the_weight_of_the_boundary_counts_its_pixels_that_often():
    logits = torch.randn(1, 3, 3, 3)
    twice = SegmentationTask(channels=(4,), dice_weight=0.0, boundary_weight=2.0)
    by_hand = F.cross_entropy(logits, MASK, reduction="none")
    weight = 1.0 + (MASK == 2)
    torch.testing.assert_close(twice.loss(logits, MASK), (weight * by_hand).sum() / weight.sum())


def test_with_a_weight_above_one_the_best_guess_for_a_pixel_in_doubt_is_boundary():
    # of ten pixels alike, four are boundary and six background: unweighted the loss is least at 40 % boundary
    mask = torch.tensor([[[2] * 4 + [1] * 6]])
    shares = [0.3, 0.4, 0.5, 0.6]
    guesses = [torch.tensor([1e-9, 1 - share, share]).log().view(1, 3, 1, 1).expand(1, 3, 1, 10) for share in shares]
    best = {}
    for weight in (1.0, 1.5):
        task = SegmentationTask(channels=(4,), dice_weight=0.0, boundary_weight=weight)
        losses = [float(task.loss(guess, mask)) for guess in guesses]
        best[weight] = shares[losses.index(min(losses))]
    assert best == {1.0: 0.4, 1.5: 0.5}


def test_uint8_and_float_images_give_the_same_logits():
    task = SegmentationTask(channels=(4, 8)).eval()
    image = torch.randint(0, 256, (2, 3, 16, 16), dtype=torch.uint8)
    torch.testing.assert_close(task(image), task(image.float() / 255))


def test_normalised_images_of_mean_colour_are_zero():
    task = SegmentationTask(channels=(4,)).eval()
    seen = []
    task.network.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    task(task.segmenter.mean.expand(1, 3, 8, 8))
    torch.testing.assert_close(seen[0], torch.zeros(1, 3, 8, 8))


@pytest.mark.parametrize(
    "stages",
    [
        {"sizes": (0.5, 1.0), "size_starts": (0.0,)},
        {"sizes": (), "size_starts": ()},
        {"sizes": (0.5, 1.0), "size_starts": (0.2, 0.5)},
        {"sizes": (0.5, 0.75, 1.0), "size_starts": (0.0, 0.6, 0.3)},
    ],
)
def test_stages_that_do_not_fit_are_refused_in_one_sentence(stages):
    with pytest.raises(ValueError, match=r"must be of one length, and size_starts must rise from 0"):
        SegmentationTask(channels=(4,), **stages)


def test_a_task_can_overfit_one_batch():
    torch.manual_seed(0)
    task = SegmentationTask(channels=(8, 16), augment=AugmentSettings())
    image, mask = torch.rand(4, 3, 16, 16), torch.randint(0, 3, (4, 4, 4)).repeat_interleave(4, 1)
    mask = mask.repeat_interleave(4, 2)
    optimizer = torch.optim.AdamW(task.network.parameters(), 1e-2)
    for _ in range(150):
        loss = task.loss(task(image), mask)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert (class_map(task(image)) == mask).float().mean() > 0.95


@pytest.mark.parametrize(("epoch", "moved"), [(0, True), (7, True), (8, False), (9, False)])
def test_the_last_epochs_keep_the_pixels_of_every_image(epoch, moved):
    settings = AugmentSettings(flip=0, brightness=0, contrast=0, saturation=0)
    task = SegmentationTask(channels=(4,), augment=settings, geometry_until=0.8)
    task.log = lambda *args, **settings: None  # type: ignore[method-assign]
    task.trainer = SimpleNamespace(current_epoch=epoch, max_epochs=10, sanity_checking=False)  # type: ignore[assignment]
    seen = []
    task.network.register_forward_pre_hook(lambda network, inputs: seen.append(inputs[0]))
    image = torch.randint(0, 256, (4, 3, 16, 16), dtype=torch.uint8)
    task.training_step(Batch(image, torch.zeros(4, 16, 16, dtype=torch.uint8), torch.arange(4)), 0)
    assert torch.allclose(seen[0], (image / 255 - task.segmenter.mean) / task.segmenter.std, atol=1e-5) != moved


@pytest.mark.parametrize("name", ["geometry_until"])
def test_a_fraction_out_of_range_is_refused(name):
    with pytest.raises(SettingsError, match=rf"{name}=1\.5: must lie between 0 and 1"):
        SegmentationTask(channels=(4,), **{name: 1.5})


def test_an_entry_in_networks_is_all_that_a_new_kind_of_network_needs(tmp_path, monkeypatch):
    monkeypatch.setitem(architectures.NETWORKS, "pixel-net", PixelNet)
    monkeypatch.setitem(zoo.NETWORKS, "pixel-net", f"{PixelNet.__module__}.PixelNet")
    task = SegmentationTask(architecture="pixel-net", network_settings={"dilation": 2}, encoder_lr_scale=0)
    assert task.network.settings == {"num_classes": 3, "dilation": 2}
    image = torch.rand(1, 3, 8, 8)
    card = ModelCard.of(task.segmenter, name="pixels", size=(8, 8))
    segmenter, card = zoo.load(zoo.save(tmp_path / "pixels.safetensors", task.segmenter, card))
    torch.testing.assert_close(segmenter(image), task.eval()(image), atol=2e-3, rtol=2e-3)  # float16


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"architecture": "resnet"}, "architecture=resnet: petseg knows unet, pretrained-unet"),
        ({"network_settings": {"depth": 3}}, "unet has no setting 'depth'; it has in_channels, "),
    ],
)
def test_a_kind_of_network_or_a_setting_that_does_not_exist_is_one_sentence(settings, sentence):
    with pytest.raises(SettingsError, match=sentence):
        SegmentationTask(**settings)
