import pytest
import torch

from petseg.data.augment import Augment, AugmentSettings

STILL = {"flip": 0.0, "degrees": 0.0, "scale_min": 1.0, "scale_max": 1.0, "shift": 0.0}
PALE = {"brightness": 0.0, "contrast": 0.0, "saturation": 0.0}


def batch(count: int = 4, size: int = 32) -> tuple[torch.Tensor, torch.Tensor]:
    """Images whose red channel says what the mask says: label / 2."""
    generator = torch.Generator().manual_seed(0)
    blocks = torch.randint(0, 3, (count, 4, 4), generator=generator, dtype=torch.uint8)
    mask = blocks.repeat_interleave(size // 4, 1).repeat_interleave(size // 4, 2)
    image = torch.rand(count, 3, size, size, generator=generator)
    image[:, 0] = mask / 2
    return image, mask


def test_settings_of_nothing_change_nothing():
    image, mask = batch()
    changed, labels = Augment(AugmentSettings(**STILL, **PALE))(image, mask)
    torch.testing.assert_close(changed, image)
    assert torch.equal(labels, mask)


def test_a_certain_flip_mirrors_image_and_mask():
    image, mask = batch()
    changed, labels = Augment(AugmentSettings(**{**STILL, "flip": 1.0}, **PALE))(image, mask)
    torch.testing.assert_close(changed, image.flip(3))
    assert torch.equal(labels, mask.flip(2))


def test_without_geometry_every_pixel_keeps_its_value_but_for_the_flip():
    torch.manual_seed(0)
    image, mask = batch(16)
    changed, labels = Augment(AugmentSettings(geometry=0.0, **PALE))(image, mask)
    for before, after, old, new in zip(image, changed, mask, labels, strict=True):
        flipped = not torch.allclose(before, after, atol=1e-6)
        torch.testing.assert_close(after, before.flip(2) if flipped else before)
        assert torch.equal(new, old.flip(1) if flipped else old)


def test_geometry_moves_about_its_fraction_of_the_examples_and_keeps_the_pixels_of_the_others():
    torch.manual_seed(0)
    image, mask = batch(200, 16)
    changed, _ = Augment(AugmentSettings(flip=0.0, geometry=0.3, **PALE))(image, mask)
    same = torch.tensor(
        [torch.allclose(before, after, atol=1e-6) for before, after in zip(image, changed, strict=True)]
    )
    assert 0.6 < float(same.float().mean()) < 0.8


def test_a_bilinear_move_blurs_which_is_why_some_images_are_not_moved():
    torch.manual_seed(0)
    image = torch.rand(64, 3, 32, 32)
    changed, _ = Augment(AugmentSettings(flip=0.0, **PALE))(image, torch.zeros(64, 32, 32, dtype=torch.uint8))
    assert float(changed.std()) < 0.9 * float(image.std())


def test_image_and_mask_stay_together_under_every_move():
    torch.manual_seed(0)
    image, mask = batch(64)
    changed, labels = Augment(AugmentSettings(**PALE))(image, mask)
    # away from the edges between labels, where the bilinear image lies between two of them
    values = labels[:, None].float()
    highest = torch.nn.functional.max_pool2d(values, 5, 1, 2)
    inside = highest == -torch.nn.functional.max_pool2d(-values, 5, 1, 2)
    assert inside.float().mean() > 0.2
    together = (changed[:, :1] - values / 2).abs()[inside] < 0.05
    assert together.float().mean() > 0.999


def test_labels_stay_labels():
    torch.manual_seed(0)
    image, mask = batch(16)
    _, labels = Augment()(image, mask)
    assert labels.dtype == torch.uint8
    assert set(labels.unique().tolist()) <= {0, 1, 2}


def test_each_example_is_changed_in_its_own_way():
    torch.manual_seed(0)
    image, mask = batch(1)
    changed, _ = Augment()(image.repeat(8, 1, 1, 1), mask.repeat(8, 1, 1))
    assert len({tuple(one.flatten().tolist()) for one in changed}) == 8


def test_the_same_seed_gives_the_same_changes():
    image, mask = batch()
    results = []
    for _ in range(2):
        torch.manual_seed(7)
        results.append(Augment()(image, mask)[0])
    assert torch.equal(*results)


def test_values_stay_between_0_and_1():
    torch.manual_seed(0)
    image, mask = batch(32)
    changed, _ = Augment(AugmentSettings(brightness=0.9, contrast=0.9, saturation=0.9))(image, mask)
    assert changed.min() >= 0
    assert changed.max() <= 1


def test_nothing_outside_the_picture_is_filled_with_black():
    torch.manual_seed(0)
    image, mask = torch.ones(16, 3, 32, 32), torch.full((16, 32, 32), 2, dtype=torch.uint8)
    changed, labels = Augment(AugmentSettings(scale_min=0.5, scale_max=0.5, shift=0.4, **PALE))(image, mask)
    torch.testing.assert_close(changed, torch.ones_like(changed))
    assert (labels == 2).all()


@pytest.mark.parametrize("size", [16, 24, 48])
def test_size_sets_height_and_width(size):
    image, mask = batch()
    changed, labels = Augment()(image, mask, size)
    assert changed.shape == (4, 3, size, size)
    assert labels.shape == (4, size, size)


def test_a_scale_of_a_half_shows_the_picture_at_half_its_size():
    image, mask = torch.zeros(1, 3, 64, 64), torch.ones(1, 64, 64, dtype=torch.uint8)
    mask[:, 16:48, 16:48] = 0  # a pet of 32x32 in the middle
    half = AugmentSettings(**{**STILL, "scale_min": 0.5, "scale_max": 0.5}, **PALE)
    _, labels = Augment(half)(image, mask)
    assert (labels[0, 24:40, 24:40] == 0).all()
    assert (labels[0, 18:46, 18:46] == 0).sum() == 16 * 16


def test_stretch_changes_the_aspect_ratio_and_keeps_the_area():
    torch.manual_seed(0)
    image = torch.zeros(200, 3, 64, 64)
    image[:, :, 22:42, 22:42] = 1
    settings = AugmentSettings(**STILL, **PALE, stretch=1.5)
    changed, _ = Augment(settings)(image, torch.zeros(200, 64, 64, dtype=torch.uint8))
    wide, high = changed[:, 0, 32].sum(dim=1), changed[:, 0, :, 32].sum(dim=1)
    ratio = wide / high
    assert 1.3 < float(ratio.max()) < 1.6
    assert 0.62 < float(ratio.min()) < 0.77
    torch.testing.assert_close(wide * high, torch.full((200,), 400.0), atol=25, rtol=0)


def test_blur_takes_detail_from_some_pictures_and_leaves_the_others():
    torch.manual_seed(3)
    image = torch.rand(64, 3, 32, 32)
    mask = torch.zeros(64, 32, 32, dtype=torch.uint8)
    changed, _ = Augment(AugmentSettings(**STILL, **PALE, blur=0.5))(image, mask)
    same = (changed - image).abs().amax(dim=(1, 2, 3)) < 1e-5
    assert 0.3 < float(same.float().mean()) < 0.7
    assert (changed[~same].std(dim=(2, 3)) < image[~same].std(dim=(2, 3))).all()


def test_paste_covers_a_rectangle_with_another_picture_and_its_labels():
    torch.manual_seed(0)
    count = 60
    number = torch.arange(count).float()
    image = (number / count).view(count, 1, 1, 1).expand(count, 3, 32, 32)
    mask = (torch.arange(count) % 3).to(torch.uint8).view(count, 1, 1).expand(count, 32, 32)
    settings = AugmentSettings(**STILL, **PALE, paste=0.5)
    changed, labels = Augment(settings)(image, mask)
    pasted = (changed[:, 0] - image[:, 0]).abs() > 1e-6
    covered = pasted.flatten(1).float().mean(dim=1)
    assert 0.25 < float((covered > 0).float().mean()) < 0.7
    assert float(covered.max()) <= 0.55
    other = mask.roll(1, 0)
    assert torch.equal(labels, torch.where(pasted, other, mask))
    for one in pasted[covered > 0]:
        rows, columns = one.any(dim=1), one.any(dim=0)
        assert torch.equal(one, rows[:, None] & columns[None, :])  # a rectangle


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ({"scale_min": 0}, r"scale_min=0, scale_max=1\.4: must be above 0"),
        ({"scale_min": 1.5}, r"scale_min=1\.5, scale_max=1\.4: .*scale_min not above scale_max"),
        ({"stretch": 0}, r"stretch=0: must be at least 1"),
        ({"degrees": -1}, r"degrees=-1: must lie between 0 and 180"),
        *(
            ({name: 1.5}, rf"{name}=1\.5: must lie between 0 and 1")
            for name in ("flip", "geometry", "shift", "blur", "paste")
        ),
        *(({name: -0.1}, rf"{name}=-0\.1: must lie") for name in ("brightness", "contrast", "saturation")),
    ],
)
def test_impossible_settings_are_refused_in_one_sentence(setting, sentence):
    with pytest.raises(ValueError, match=sentence):
        AugmentSettings(**setting)
