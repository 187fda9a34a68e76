import pytest
import torch
import torch.nn.functional as F
from scipy.ndimage import label

from petseg.data.augment import Augment, AugmentSettings
from petseg.data.collage import reflected

MOVES = {"degrees": 15.0, "scale_min": 0.7, "scale_max": 1.4, "shift": 0.1}
COLORS = {"brightness": 0.3, "contrast": 0.3, "saturation": 0.3}


def batch(count: int = 4, H: int = 32, W: int = 32) -> tuple[torch.Tensor, torch.Tensor]:
    """Images whose red channel is label / 2."""
    generator = torch.Generator().manual_seed(0)
    blocks = torch.randint(0, 3, (count, 4, 4), generator=generator, dtype=torch.uint8)
    mask = blocks.repeat_interleave(H // 4, 1).repeat_interleave(W // 4, 2)
    image = torch.rand(count, 3, H, W, generator=generator)
    image[:, 0] = mask / 2
    return image, mask


def augmented(*layers: torch.Tensor, seed: int = 0, size: float = 1.0, **settings: float) -> tuple[torch.Tensor, ...]:
    torch.manual_seed(seed)
    return Augment(AugmentSettings(**settings))(*layers, size=size)


def test_the_default_settings_change_no_bit():
    image, mask = batch()
    soft = torch.rand(4, 3, 32, 32)
    for before, after in zip((image, mask, soft), augmented(image, mask, soft), strict=True):
        assert torch.equal(before, after)


def test_mixed_precision_moves_every_pixel_to_the_same_place():
    settings = {**MOVES, **COLORS, "blur": 0.5, "collage": 0.25, "paste": 0.5}
    layers = (*batch(8), torch.rand(8, 3, 32, 32))
    exact = augmented(*layers, **settings)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = augmented(*layers, **settings)
    assert all(map(torch.equal, exact, mixed))


def test_without_geometry_every_pixel_keeps_its_value_but_for_the_flip():
    image, mask = batch(16)
    changed, labels = augmented(image, mask, flip=0.5, geometry=0.0, **MOVES)
    flipped = torch.tensor([not torch.equal(before, after) for before, after in zip(image, changed, strict=True)])
    assert 0 < flipped.sum() < 16
    assert torch.equal(changed, torch.where(flipped.view(-1, 1, 1, 1), image.flip(3), image))
    assert torch.equal(labels, torch.where(flipped.view(-1, 1, 1), mask.flip(2), mask))


def test_geometry_moves_about_its_fraction_of_the_examples_and_keeps_the_pixels_of_the_others():
    image, mask = batch(200, 16, 16)
    changed, _ = augmented(image, mask, geometry=0.3, **MOVES)
    same = [torch.equal(before, after) for before, after in zip(image, changed, strict=True)]
    assert 0.6 < sum(same) / 200 < 0.8


@pytest.mark.parametrize("shape", [(32, 32), (32, 64)])
def test_image_and_mask_stay_together_under_every_move(shape):
    image, mask = batch(64, *shape)
    changed, labels = augmented(image, mask, flip=0.5, stretch=1.3, paste=0.5, **MOVES)
    # away from the edges between labels, where the bilinear image lies between two of them
    values = labels[:, None].float()
    highest = F.max_pool2d(values, 5, 1, 2)
    inside = highest == -F.max_pool2d(-values, 5, 1, 2)
    assert inside.float().mean() > 0.2
    together = (changed[:, :1] - values / 2).abs()[inside] < 0.05
    assert together.float().mean() > 0.995


def test_soft_labels_move_with_the_image_and_its_mask():
    mask = torch.randint(0, 3, (8, 4, 4), dtype=torch.uint8).repeat_interleave(8, 1).repeat_interleave(8, 2)
    certain = F.one_hot(mask.long(), 3).movedim(-1, 1).float()
    settings = {**MOVES, **COLORS, "flip": 0.5, "stretch": 1.3, "paste": 0.5, "blur": 0.5}
    _, moved, soft = augmented(torch.rand(8, 3, 32, 32), mask, certain, **settings)
    assert (soft.argmax(dim=1) == moved).float().mean() > 0.97  # but for pixels between two labels


def test_a_turned_square_stays_a_square_in_an_image_that_is_wider_than_high():
    image, mask = torch.zeros(32, 3, 60, 120), torch.ones(32, 60, 120, dtype=torch.uint8)
    mask[:, 20:40, 50:70] = 0  # a pet of 20x20 in the middle
    _, labels = augmented(image, mask, degrees=180.0)
    pet = labels[:, :, 36:84] == 0  # (32, 60, 48), without its mirror images near the edges
    heights, widths = pet.any(dim=2).sum(dim=1), pet.any(dim=1).sum(dim=1)
    assert (pet.sum(dim=(1, 2)) - 400).abs().max() <= 20
    assert (heights - widths).abs().max() <= 1
    assert 20 <= heights.min() < 22
    assert 26 < heights.max() <= 29  # at 45 degrees it is as high as its diagonal


def test_labels_stay_labels_and_values_stay_between_0_and_1():
    image, mask = batch(32)
    changed, labels = augmented(image, mask, brightness=0.9, contrast=0.9, saturation=0.9, **MOVES)
    assert labels.dtype == torch.uint8
    assert set(labels.unique().tolist()) <= {0, 1, 2}
    assert changed.min() >= 0
    assert changed.max() <= 1


def test_each_example_is_changed_in_its_own_way_and_the_same_seed_gives_the_same_changes():
    image, mask = (layer.repeat_interleave(8, 0) for layer in batch(1))
    first, again, other = (augmented(image, mask, seed=seed, **MOVES, **COLORS)[0] for seed in (7, 7, 8))
    assert len({tuple(example.flatten().tolist()) for example in first}) == 8
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("mode", ["nearest", "bilinear"])
def test_where_a_gpu_cannot_mirror_the_positions_are_mirrored_instead(mode):
    layer, grid = torch.rand(2, 3, 5, 7), 7 * torch.rand(2, 40, 40, 2) - 3.5
    expected = F.grid_sample(layer, grid, mode, "reflection", align_corners=False)
    found = F.grid_sample(layer, reflected(grid, (5, 7)), mode, "zeros", align_corners=False)
    torch.testing.assert_close(found, expected)


def test_nothing_outside_the_image_is_filled_with_black():
    image, mask = torch.ones(16, 3, 32, 32), torch.full((16, 32, 32), 2, dtype=torch.uint8)
    changed, labels = augmented(image, mask, scale_min=0.5, scale_max=0.5, shift=0.4)
    torch.testing.assert_close(changed, torch.ones_like(changed))
    assert (labels == 2).all()


@pytest.mark.parametrize("settings", [{}, MOVES])
@pytest.mark.parametrize("size", [0.5, 0.75, 1.5])
def test_size_is_a_fraction_of_height_and_width(size, settings):
    image, mask = batch(H=32, W=64)
    changed, labels, soft = augmented(image, mask, torch.rand(4, 3, 32, 64), size=size, **settings)
    assert changed.shape == soft.shape == (4, 3, round(32 * size), round(64 * size))
    assert labels.shape == changed.shape[:1] + changed.shape[2:]


def test_stretch_changes_the_aspect_ratio_and_keeps_the_area():
    image = torch.zeros(200, 3, 64, 64)
    image[:, :, 22:42, 22:42] = 1
    changed, _ = augmented(image, torch.zeros(200, 64, 64, dtype=torch.uint8), stretch=1.5)
    wide, high = changed[:, 0, 32].sum(dim=1), changed[:, 0, :, 32].sum(dim=1)
    ratio = wide / high
    assert 1.3 < float(ratio.max()) < 1.6
    assert 0.62 < float(ratio.min()) < 0.77
    torch.testing.assert_close(wide * high, torch.full((200,), 400.0), atol=25, rtol=0)


def test_scale_enlarges_and_shift_moves_by_up_to_its_fraction_of_the_side():
    image, mask = torch.zeros(64, 3, 100, 100), torch.ones(64, 100, 100, dtype=torch.uint8)
    mask[:, 40:60, 40:60] = 0  # a pet of 20x20 in the middle
    _, labels = augmented(image, mask, scale_min=2.0, scale_max=2.0)
    assert ((labels == 0).sum(dim=(1, 2)) - 40 * 40).abs().max() <= 80
    _, labels = augmented(image, mask, shift=0.25)
    columns = torch.arange(100) + 0.5
    centre = ((labels == 0).any(dim=1) * columns).sum(dim=1) / (labels == 0).any(dim=1).sum(dim=1)
    assert 20 < (centre - 50).abs().max() < 26


def test_brightness_is_one_factor_per_image_contrast_keeps_its_mean_and_saturation_its_greys():
    image, mask = 0.3 + 0.2 * torch.rand(16, 3, 8, 8), torch.zeros(16, 8, 8, dtype=torch.uint8)
    factor = (augmented(image, mask, brightness=0.5)[0] / image).flatten(1)
    torch.testing.assert_close(factor, factor[:, :1].expand_as(factor))
    assert factor.std(dim=0).min() > 0.1
    mean = image.mean(dim=(1, 2, 3), keepdim=True)
    changed, _ = augmented(image, mask, contrast=0.5)
    torch.testing.assert_close(changed.mean(dim=(1, 2, 3), keepdim=True), mean)
    assert ((changed - mean) / (image - mean)).flatten(1).median(dim=1).values.std() > 0.1
    changed, _ = augmented(image, mask, saturation=0.5)
    torch.testing.assert_close(changed.mean(dim=1), image.mean(dim=1))
    assert (changed.std(dim=1) / image.std(dim=1)).flatten(1).median(dim=1).values.std() > 0.1


def test_blur_takes_detail_from_some_images_and_leaves_the_others():
    image = torch.rand(64, 3, 32, 32)
    changed, _ = augmented(image, torch.zeros(64, 32, 32, dtype=torch.uint8), seed=3, blur=0.5)
    same = (changed == image).flatten(1).all(dim=1)
    assert 0.3 < float(same.float().mean()) < 0.7
    assert (changed[~same].std(dim=(2, 3)) < image[~same].std(dim=(2, 3))).all()


def photos_of_a_pet(count: int = 16, side: int = 32) -> tuple[torch.Tensor, torch.Tensor]:
    """Images of one grey each with a pet that is red, in a ring of boundary that is blue, at the lower right."""
    grey = torch.linspace(0.2, 0.8, count).view(-1, 1, 1, 1)
    image = grey.expand(count, 3, side, side).clone()
    mask = torch.ones(count, side, side, dtype=torch.uint8)
    for value, start, end, color in ((2, 0.5, 0.95, (0, 0, 1)), (0, 0.55, 0.9, (1, 0, 0))):
        inside = slice(round(start * side), round(end * side))
        mask[:, inside, inside] = value
        image[:, :, inside, inside] = torch.tensor(color, dtype=image.dtype).view(1, 3, 1, 1)
    return image, mask


@pytest.mark.parametrize("setting", ["collage", "background", "mosaic"])
def test_composed_examples_have_the_labels_of_the_pixels_that_they_show(setting):
    image, mask = photos_of_a_pet(16, 64)
    soft = F.one_hot(mask.long(), 3).movedim(-1, 1).float()
    changed, labels, moved = augmented(image, mask, soft, **{setting: 0.75})
    red, blue = (changed[:, c] - changed[:, 1] > 0.5 for c in (0, 2))
    shown = torch.where(red, 0, torch.where(blue, 2, 1))
    assert (shown == labels).float().mean() > 0.97  # but for pixels between two labels
    assert (moved.argmax(dim=1) == labels).float().mean() > 0.97
    same = [torch.equal(before, after) for before, after in zip(image, changed, strict=True)]
    assert same == [False] * 12 + [True] * 4  # three quarters, however chance has it


@pytest.mark.parametrize("count", [3, 7])
def test_a_batch_keeps_its_number_of_examples_where_two_fractions_of_it_are_rounded_up(count):
    image, labels = augmented(*photos_of_a_pet(count), collage=0.5, background=0.5)
    assert len(image) == len(labels) == count


def test_a_collage_has_smaller_pets_and_several_on_a_background_without():
    image, mask = photos_of_a_pet(64, 64)
    _, labels = augmented(image, mask, collage=1.0)
    pets = [label(example.numpy() == 0)[1] for example in labels]
    assert {1, 2, 3} <= set(pets)
    assert (labels == 0).sum((1, 2)).float().quantile(0.25) < 0.4 * (mask[0] == 0).sum()


def test_a_background_has_no_pet_where_the_batch_has_room_without_one():
    image, mask = photos_of_a_pet(16, 64)
    _, labels = augmented(image, mask, background=0.5)
    assert (labels[:8] == 1).float().mean() > 0.99
    assert torch.equal(labels[8:], mask[8:])


def test_background_keeps_its_pixels_and_is_continued_by_its_mirror_images_so_that_a_blur_does_not_mean_background():
    place = torch.arange(64.0)
    image = torch.stack([place.expand(64, 64), place[:, None].expand(64, 64), torch.zeros(64, 64)])[None] / 64
    image, _ = augmented(image.expand(32, 3, 64, 64), torch.ones(32, 64, 64, dtype=torch.uint8), background=1.0)
    for steps in (64 * image[:, 0].diff(dim=2), 64 * image[:, 1].diff(dim=1)):
        assert set(steps.unique().tolist()) == {-1, 0, 1}  # between neighbours; 0 where it turns round
        assert 0 < (steps == 0).float().mean() < 0.1
    assert len(set(image.flatten(1).std(dim=1).tolist())) > 16  # each its own window


def test_a_mosaic_shows_four_images_at_half_their_size():
    image, mask = photos_of_a_pet(4, 33)
    changed, labels = augmented(image, mask, mosaic=0.25)
    assert changed.shape == image.shape
    assert [round(float(changed[0, 1, y, x]), 2) for y in (0, 17) for x in (0, 17)] == [0.2, 0.8, 0.6, 0.4]
    assert label((labels[0] == 0).numpy())[1] == 4


def test_paste_covers_a_rectangle_with_another_image_and_its_labels():
    count = 60
    number = torch.arange(count).float()
    image = (number / count).view(count, 1, 1, 1).expand(count, 3, 32, 32)
    mask = (torch.arange(count) % 3).to(torch.uint8).view(count, 1, 1).expand(count, 32, 32)
    changed, labels = augmented(image, mask, paste=0.5)
    pasted = changed[:, 0] != image[:, 0]
    covered = pasted.flatten(1).float().mean(dim=1)
    assert 0.25 < float((covered > 0).float().mean()) < 0.7
    assert float(covered.max()) <= 0.55
    assert torch.equal(labels, torch.where(pasted, mask.roll(1, 0), mask))
    for area in pasted[covered > 0]:
        rows, columns = area.any(dim=1), area.any(dim=0)
        assert torch.equal(area, rows[:, None] & columns[None, :])  # a rectangle


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ({"scale_min": 0}, r"scale_min=0, scale_max=1\.0: must be above 0"),
        ({"scale_min": 1.5}, r"scale_min=1\.5, scale_max=1\.0: .*scale_min not above scale_max"),
        ({"stretch": 0}, r"stretch=0: must be at least 1"),
        ({"degrees": -1}, r"degrees=-1: must lie between 0 and 180"),
        ({"flip": 1.5}, r"flip=1\.5: must lie between 0 and 1"),
        ({"collage": 0.7, "mosaic": 0.5}, r"collage, background and mosaic: together 1\.2, must be at most 1"),
        ({"brightness": -0.1}, r"brightness=-0\.1: must lie between 0 and 1"),
    ],
)
def test_impossible_settings_are_refused_in_one_sentence(setting, sentence):
    with pytest.raises(ValueError, match=sentence):
        AugmentSettings(**setting)
