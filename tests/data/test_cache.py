import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from petseg.data import cache


def make(folder: Path, count: int = 5, size: int = 40) -> list[tuple[Path, Path]]:
    folder.mkdir(exist_ok=True)
    generator = np.random.default_rng(0)
    files = []
    for i in range(count):
        image, trimap = folder / f"{i}.jpg", folder / f"{i}.png"
        Image.fromarray(generator.integers(0, 256, (size, size + 8, 3), dtype=np.uint8)).save(image)
        Image.fromarray(generator.integers(1, 4, (size, size + 8), dtype=np.uint8)).save(trimap)
        files.append((image, trimap))
    return files


def open_pixels(files, tmp_path, size=16):
    return cache.open_pixels(files, size, tmp_path / "cache", "some", progress=False)


def made(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "cache").iterdir())


def test_pixels_are_what_decoding_each_file_gives(tmp_path):
    files = make(tmp_path / "files")
    pixels = open_pixels(files, tmp_path)
    assert isinstance(pixels.images, np.memmap)
    for i, pair in enumerate(files):
        image, mask = cache.decode(*pair, size=16)
        assert np.array_equal(pixels.images[i], image)
        assert np.array_equal(pixels.masks[i], mask)


def test_a_second_opening_decodes_nothing(tmp_path, monkeypatch):
    files = make(tmp_path / "files")
    first = np.array(open_pixels(files, tmp_path).images)
    monkeypatch.setattr(cache, "decode", lambda *_: pytest.fail("decoded again"))
    assert np.array_equal(open_pixels(files, tmp_path).images, first)


@pytest.mark.parametrize("change", ["content", "time", "size", "trimap"])
def test_a_change_rebuilds_and_leaves_no_stale_cache(tmp_path, change):
    files = make(tmp_path / "files")
    open_pixels(files, tmp_path)
    before = made(tmp_path)
    if change == "content":
        Image.new("RGB", (30, 30), "red").save(files[0][0])
    elif change == "time":
        os.utime(files[0][0], ns=(1, 1))
    elif change == "trimap":
        Image.new("L", (48, 40), 2).save(files[0][1])
    pixels = open_pixels(files, tmp_path, size=24 if change == "size" else 16)
    assert made(tmp_path) != before
    if change == "content":
        assert pixels.images[0, 0, 0, 0] > 250
    if change == "trimap":
        assert (pixels.masks[0] == 1).all()
    assert len(made(tmp_path)) == (2 if change == "size" else 1)


def test_a_draft_of_a_killed_process_is_never_trusted(tmp_path, monkeypatch):
    files = make(tmp_path / "files")
    whole = cache.decode

    def dies(image, trimap, size):
        if image.name == "3.jpg":
            raise KeyboardInterrupt
        return whole(image, trimap, size)

    monkeypatch.setattr(cache, "decode", dies)
    with pytest.raises(KeyboardInterrupt):
        open_pixels(files, tmp_path)
    assert made(tmp_path) == []
    monkeypatch.setattr(cache, "decode", whole)
    assert len(open_pixels(files, tmp_path).images) == 5


def test_a_process_that_finishes_second_uses_the_first_ones_cache(tmp_path, monkeypatch):
    files = make(tmp_path / "files")
    build = cache._decode_all

    def meanwhile(*arguments):
        build(*arguments)
        monkeypatch.setattr(cache, "_decode_all", build)
        open_pixels(files, tmp_path)  # the other process

    monkeypatch.setattr(cache, "_decode_all", meanwhile)
    assert len(open_pixels(files, tmp_path).masks) == 5
    assert len(made(tmp_path)) == 1


@pytest.mark.parametrize("kind", ["PNG", "GIF", "BMP"])
def test_a_file_is_read_by_its_content_whatever_its_name(tmp_path, kind):
    path, trimap = tmp_path / "a.jpg", tmp_path / "a.png"
    Image.new("RGB", (20, 10), (255, 0, 0)).save(path, format=kind)
    Image.new("L", (20, 10), 1).save(trimap)
    image, mask = cache.decode(path, trimap, 8)
    assert image.shape == (8, 8, 3)
    assert (image[..., 0] > 250).all()
    assert (mask == 0).all()


def test_masks_are_resized_without_inventing_labels(tmp_path):
    path, trimap = tmp_path / "a.jpg", tmp_path / "a.png"
    values = np.ones((90, 90), dtype=np.uint8)
    values[:, 45:] = 3  # bilinear resizing would put a 2 between 1 and 3
    Image.fromarray(values).save(trimap)
    Image.new("RGB", (90, 90)).save(path)
    _, mask = cache.decode(path, trimap, 32)
    assert set(np.unique(mask)) == {0, 2}


def test_images_are_resized_with_antialiasing(tmp_path):
    path, trimap = tmp_path / "a.png", tmp_path / "b.png"
    stripes = np.zeros((256, 256, 3), dtype=np.uint8)
    stripes[:, ::2] = 254  # without antialiasing every column would be 0 or 254
    Image.fromarray(stripes).save(path)
    Image.new("L", (256, 256), 1).save(trimap)
    image, _ = cache.decode(path, trimap, 16)
    assert abs(image[:, 1:-1].astype(int) - 127).max() <= 4


def test_a_missing_file_is_named_with_the_remedy(tmp_path):
    files = make(tmp_path / "files")
    files[2][0].unlink()
    with pytest.raises(cache.DataError, match=r"2\.jpg: missing.*petseg data oxford"):
        open_pixels(files, tmp_path)


@pytest.mark.parametrize("which", [0, 1])
def test_a_damaged_file_is_named_with_the_remedy(tmp_path, which):
    files = make(tmp_path / "files")
    files[2][which].write_bytes(b"no image")
    with pytest.raises(cache.DataError, match=r"2\.jpg: cannot be decoded.*petseg data oxford"):
        open_pixels(files, tmp_path)
    assert made(tmp_path) == []
