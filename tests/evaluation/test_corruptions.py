import pytest
import torch

from petseg.evaluation.corruptions import CORRUPTIONS, OUTSIDE, STRENGTHS, rotated, rotated_mask


@pytest.fixture(scope="module")
def image():
    """Smooth, coloured, not symmetric: uint8 (2, 3, 32, 32)."""
    row, column = torch.meshgrid(torch.arange(32.0), torch.arange(32.0), indexing="ij")
    one = torch.stack([3 * row + 2 * column, 200 - 4 * row, 40 + 5 * column])
    return torch.stack([one, 0.5 * one + 30]).clamp(0, 255).to(torch.uint8)


@pytest.fixture(scope="module")
def mask():
    return torch.randint(0, 3, (2, 32, 32), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


def distance(a, b):
    return float((a.float() - b.float()).abs().mean())


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_shapes_and_types_stay_and_the_input_too_and_an_image_fares_the_same_alone(name, image, mask):
    before = image.clone()
    changed, labels = CORRUPTIONS[name](image, mask, "medium", seed=4)
    assert (changed.shape, changed.dtype) == (image.shape, torch.uint8)
    assert (labels.shape, labels.dtype) == (mask.shape, torch.uint8)
    assert torch.equal(image, before)
    assert not torch.equal(changed, image)
    assert torch.equal(changed[:1], CORRUPTIONS[name](image[:1], mask[:1], "medium", seed=4)[0])


@pytest.mark.parametrize("name", [name for name in CORRUPTIONS if name != "rotation"])
def test_stronger_is_farther_from_the_photo_and_the_mask_stays(name, image, mask):
    results = [CORRUPTIONS[name](image, mask, strength) for strength in STRENGTHS]
    distances = [distance(changed, image) for changed, _ in results]
    assert distances == sorted(distances)
    assert distances[0] < distances[2]
    assert all(torch.equal(labels, mask) for _, labels in results)


def test_noise_has_the_deviation_that_it_says_and_follows_the_seed(mask):
    grey = torch.full((2, 3, 64, 64), 128, dtype=torch.uint8)
    noise = CORRUPTIONS["noise"]
    changed, _ = noise(grey, mask, "medium", seed=1)
    assert float(changed.float().std()) == pytest.approx(noise.levels[1], rel=0.03)
    assert torch.equal(changed, noise(grey, mask, "medium", seed=1)[0])
    assert not torch.equal(changed, noise(grey, mask, "medium", seed=2)[0])


def test_blur_keeps_a_plain_picture_and_spreads_a_point_evenly(mask):
    plain = torch.full((1, 3, 32, 32), 77, dtype=torch.uint8)
    assert torch.equal(CORRUPTIONS["blur"](plain, mask, "strong")[0], plain)
    point = torch.zeros(1, 3, 33, 33, dtype=torch.uint8)
    point[..., 16, 16] = 255
    spread = CORRUPTIONS["blur"](point, mask, "mild")[0][0, 0]
    assert spread[16, 16] == round(255 / (2 * torch.pi))  # the Gaussian's peak at sigma 1
    assert torch.equal(spread, spread.T)
    assert torch.equal(spread, spread.flip(0))


def test_darkness_scales_and_low_contrast_keeps_the_mean(image, mask):
    dark, _ = CORRUPTIONS["darkness"](image, mask, "mild")
    assert distance(dark, image.float() / 2) <= 0.5
    flat, _ = CORRUPTIONS["low contrast"](image, mask, "strong")
    means = [pixels.float().mean(dim=(1, 2, 3)) for pixels in (flat, image)]
    torch.testing.assert_close(means[0], means[1], atol=0.5, rtol=0)
    assert flat[0].float().std() < 0.15 * image[0].float().std()


def test_a_quarter_turn_is_the_one_of_torch(image, mask):
    changed, labels = CORRUPTIONS["rotation"](image, mask, "strong")  # 90 degrees
    assert int((changed.int() - image.rot90(1, (2, 3)).int()).abs().max()) <= 1
    assert torch.equal(labels, mask.rot90(1, (1, 2)))


def test_photo_and_mask_turn_alike(mask):
    # a picture of its own mask: wherever the turned mask is certain, the turned picture shows it
    halves = torch.zeros(1, 64, 64, dtype=torch.uint8)
    halves[:, :, 20:] = 1
    picture = (200 * halves)[:, None].expand(1, 3, 64, 64)
    turned, labels = rotated(picture, 30), rotated_mask(halves, 30)
    known = (labels != OUTSIDE)[0]
    agree = (turned[0, 0] > 100) == (labels[0] == 1)
    assert float(agree[known].float().mean()) > 0.99


def test_corners_that_the_photo_leaves_are_outside_and_nothing_else_is():
    labels = rotated_mask(torch.zeros(1, 64, 64, dtype=torch.uint8), 45)[0]
    assert {int(labels[row, column]) for row in (0, -1) for column in (0, -1)} == {OUTSIDE}
    fraction = float((labels == OUTSIDE).float().mean())
    assert fraction == pytest.approx(1 - (2 * 2**0.5 - 2), abs=0.01)  # a square and the same turned by 45 degrees
    assert not (rotated_mask(torch.zeros(1, 64, 64, dtype=torch.uint8), 0) == OUTSIDE).any()


def test_a_turn_keeps_shapes_in_a_picture_that_is_not_square():
    # a disc stays a disc, and a quarter turn about the centre maps it onto itself
    row, column = torch.meshgrid(torch.arange(40) - 19.5, torch.arange(60) - 29.5, indexing="ij")
    disc = (row**2 + column**2 < 15**2).to(torch.uint8)[None]
    turned = rotated_mask(disc, 90)
    inside = turned != OUTSIDE
    assert float((turned == disc)[inside].float().mean()) > 0.99


def test_photos_of_floats_are_refused(image, mask):
    with pytest.raises(ValueError, match="uint8"):
        CORRUPTIONS["blur"](image.float() / 255, mask, "mild")
