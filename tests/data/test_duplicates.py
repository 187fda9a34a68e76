import numpy as np
import pytest

from petseg.data.cartoons import cartoon
from petseg.data.duplicates import Pair, Photo, duplicate_pairs, duplicates, leaked_test_photos, thumbnails


@pytest.fixture(scope="module")
def photos():
    breeds = ("Duskpoint", "Inkwell", "Marmalade", "dotty_hound", "ginger_corgi")
    return np.stack([np.asarray(cartoon(f"{breed}_{i}")[0]) for i, breed in enumerate(breeds, start=1)])


def pairs_of(images, **settings):
    return [pair[:2] for pair in duplicate_pairs(thumbnails(images), **settings)]


def test_a_thumbnail_holds_the_grey_means_of_blocks():
    image = np.zeros((1, 32, 32, 3), dtype=np.uint8)
    image[0, :2, :2, 1] = 100  # a green block of 2x2 pixels
    image[0, 2, 0, 0] = 200  # one red pixel of four
    small = thumbnails(image)
    assert small.shape == (1, 16, 16)
    assert small[0, :2, 0] == pytest.approx([0.587 * 100, 0.299 * 50], rel=1e-5)
    assert small[0].sum() == pytest.approx(58.7 + 14.95, rel=1e-5)


def test_a_photo_with_noise_in_other_light_or_of_another_size_is_found_and_no_other_is(photos):
    noise = np.random.default_rng(0).integers(-4, 5, photos[1].shape)
    noisy = np.clip(photos[1] + noise, 0, 255).astype(np.uint8)
    darker = (photos[3] * 0.8).astype(np.uint8)
    assert pairs_of(np.concatenate([photos, noisy[None], darker[None]])) == [(1, 5), (3, 6)]
    large = photos.repeat(2, axis=1).repeat(2, axis=2)
    small = np.concatenate([thumbnails(photos), thumbnails(large[:1])])
    assert [pair[:2] for pair in duplicate_pairs(small)] == [(0, 5)]


@pytest.mark.parametrize("block", [1, 2, 3, 7, 100])
def test_pairs_do_not_depend_on_how_the_products_are_cut(photos, block):
    images = np.concatenate([photos, photos[::-1], photos[1:2]])
    whole = pairs_of(images)
    assert len(whole) == 7  # five pairs, and the last photo with both of its kind
    assert pairs_of(images, block=block) == whole


def test_plain_pictures_match_nothing():
    grey = np.full((3, 16, 16, 3), 90, dtype=np.uint8)
    assert pairs_of(grey) == []
    grey[:, 0, 0] += 1  # one grey level in one pixel is noise
    assert pairs_of(grey) == []


def test_a_leak_is_a_pair_with_one_photo_in_test_and_its_test_photo_counts_once():
    train, val = Photo("train", 0, "a"), Photo("val", 1, "b")
    test, other = Photo("test", 7, "c"), Photo("test", 3, "d")
    pairs = [Pair(*two, 1.0) for two in ((train, val), (train, test), (val, test), (val, other), (test, other))]
    assert [leaked_test_photos([pair]) for pair in pairs] == [[], [7], [7], [3], []]
    assert leaked_test_photos(pairs) == [3, 7]


def test_duplicates_are_named_with_their_splits(cartoons, ready):
    data = ready(cartoons, image_size=64)
    images = data.datasets["test"].pixels.images
    pixels = np.array(data.datasets["train"].pixels.images)
    pixels[data.datasets["train"].rows[2]] = images[4]
    for split in ("train", "val"):  # both are rows of one array
        data.datasets[split].pixels = type(data.datasets[split].pixels)(pixels, data.datasets[split].pixels.masks)
    (pair,) = duplicates(data)
    assert pair.first == Photo("train", 2, data.examples["train"][2].name)
    assert pair.second == Photo("test", 4, data.examples["test"][4].name)


@pytest.mark.real_data
def test_oxford_holds_43_photos_twice_and_23_of_them_in_trainval_and_test(oxford_pairs):
    pairs = oxford_pairs
    assert len(pairs) == 43
    assert len(leaked_test_photos(pairs)) == 23
    assert sum(pair.correlation > 0.985 for pair in pairs) == 42
    names = {frozenset((pair.first.name, pair.second.name)) for pair in pairs}
    assert {frozenset(two) for two in (("Bombay_146", "Bombay_82"), ("Abyssinian_151", "Abyssinian_99"))} <= names
