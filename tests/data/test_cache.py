import io
import multiprocessing
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from petseg.data import cache
from petseg.errors import DataError


def make(folder: Path, count: int = 5) -> list[tuple[Path, Path]]:
    """Random images and trimaps of 40 x 48 pixels."""
    folder.mkdir(exist_ok=True)
    generator = np.random.default_rng(0)
    files = [(folder / f"{i}.jpg", folder / f"{i}.png") for i in range(count)]
    for image, trimap in files:
        Image.fromarray(generator.integers(0, 256, (40, 48, 3), dtype=np.uint8)).save(image)
        Image.fromarray(generator.integers(1, 4, (40, 48), dtype=np.uint8)).save(trimap)
    return files


@pytest.fixture
def files(tmp_path):
    return make(tmp_path / "files")


def open_pixels(files, tmp_path, size=16):
    return cache.open_pixels(files, size, tmp_path / "cache", "some", progress=False)


def caches(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "cache").iterdir())


def test_pixels_are_what_decoding_each_file_gives(files, tmp_path):
    pixels = open_pixels(files, tmp_path)
    assert isinstance(pixels.images, np.memmap)
    for i, pair in enumerate(files):
        image, mask = cache.decode(*pair, size=16)
        assert np.array_equal(pixels.images[i], image)
        assert np.array_equal(pixels.masks[i], mask)


def test_two_data_folders_of_one_name_keep_their_caches_and_a_second_opening_decodes_nothing(
    files, tmp_path, monkeypatch
):
    first = open_pixels(files, tmp_path).images[:]
    second = make(tmp_path / "second")
    open_pixels(second, tmp_path)
    assert len(caches(tmp_path)) == 2
    monkeypatch.setattr(cache, "decode", lambda *_: pytest.fail("decoded again"))
    open_pixels(second, tmp_path)
    assert np.array_equal(open_pixels(files, tmp_path).images, first)


@pytest.mark.parametrize("change", ["content", "time", "size", "trimap"])
def test_a_change_rebuilds_and_leaves_no_outdated_cache(files, tmp_path, change):
    open_pixels(files, tmp_path)
    before = caches(tmp_path)
    if change == "content":
        Image.new("RGB", (30, 30), "red").save(files[0][0])
    elif change == "time":
        os.utime(files[0][0], ns=(1, 1))
    elif change == "trimap":
        Image.new("L", (48, 40), 2).save(files[0][1])
    pixels = open_pixels(files, tmp_path, size=24 if change == "size" else 16)
    assert caches(tmp_path) != before
    if change == "content":
        assert pixels.images[0, 0, 0, 0] > 250
    if change == "trimap":
        assert (pixels.masks[0] == 1).all()
    assert len(caches(tmp_path)) == (2 if change == "size" else 1)


def test_an_interrupted_process_leaves_no_cache(files, tmp_path, monkeypatch):
    def interrupted(image, trimap, size):
        if image.name == "3.jpg":
            raise KeyboardInterrupt
        return decode(image, trimap, size)

    decode = cache.decode
    monkeypatch.setattr(cache, "decode", interrupted)
    with pytest.raises(KeyboardInterrupt):
        open_pixels(files, tmp_path)
    assert caches(tmp_path) == []


def test_processes_that_decode_the_same_split_at_once_need_no_lock(tmp_path):
    files = make(tmp_path / "files", count=60)
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=open_pixels, args=(files, tmp_path)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert len(caches(tmp_path)) == 1
    pixels = open_pixels(files, tmp_path)
    assert all(np.array_equal(pixels.images[i], cache.decode(*pair, size=16)[0]) for i, pair in enumerate(files))


def test_an_existing_cache_costs_one_look_at_each_file(tmp_path, monkeypatch):
    """On a network drive each look is a round trip; a path that is resolved costs one for each folder above it."""
    looks = []
    for name in ("stat", "lstat"):
        call = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *args, call=call, **more: looks.append(args) or call(*args, **more))
    counts = []
    for count in (10, 30):
        files = make(tmp_path / f"{count}", count)
        open_pixels(files, tmp_path)
        looks.clear()
        open_pixels(files, tmp_path)
        counts.append(len(looks))
    assert counts[1] - counts[0] == 2 * 20  # 20 more images and trimaps


@pytest.mark.parametrize("kind", ["PNG", "GIF", "BMP"])
def test_a_file_is_read_by_its_content_whatever_its_name(tmp_path, kind):
    path, trimap = tmp_path / "a.jpg", tmp_path / "a.png"
    Image.new("RGB", (20, 10), (255, 0, 0)).save(path, format=kind)
    Image.new("L", (20, 10), 1).save(trimap)
    image, mask = cache.decode(path, trimap, 8)
    assert image.shape == (8, 8, 3)
    assert (image[..., 0] > 250).all()
    assert (mask == 0).all()


def test_images_are_resized_with_antialiasing_and_masks_without_inventing_labels(tmp_path):
    path, trimap = tmp_path / "a.png", tmp_path / "b.png"
    stripes = np.zeros((256, 256, 3), dtype=np.uint8)
    stripes[:, ::2] = 254  # without antialiasing every column would be 0 or 254
    Image.fromarray(stripes).save(path)
    halves = np.ones((256, 256), dtype=np.uint8)
    halves[:, 125:] = 3  # bilinear resizing would put a 2 between 1 and 3
    Image.fromarray(halves).save(trimap)
    image, mask = cache.decode(path, trimap, 16)
    assert abs(image[:, 1:-1].astype(int) - 127).max() <= 4
    assert set(np.unique(mask)) == {0, 2}


def test_a_missing_file_is_named_with_the_remedy(files, tmp_path):
    files[2][0].unlink()
    with pytest.raises(DataError, match=r"2\.jpg: missing.*petseg data oxford"):
        open_pixels(files, tmp_path)


def png() -> bytes:
    buffer = io.BytesIO()
    Image.new("L", (64, 64), 1).save(buffer, "PNG")
    return buffer.getvalue()


DAMAGED = {
    "no image": b"no image",
    "empty": b"",
    "cut off in its header": png()[:20],
    "cut off in its pixels": png()[:50],
    "wrong checksum": png().replace(b"IDAT", b"IDAU"),
    "more pixels than memory": png()[:16] + b"\x7f\xff\xff\xff" * 2 + png()[24:],
}


@pytest.mark.parametrize("damage", DAMAGED)
@pytest.mark.parametrize("which", [0, 1])
def test_a_damaged_file_of_any_kind_is_named_with_the_remedy(files, tmp_path, which, damage):
    files[2][which].write_bytes(DAMAGED[damage])
    name = files[2][which].name
    with pytest.raises(DataError, match=rf"{name}: cannot be read \(.+\)\. Delete it and run `petseg data oxford`"):
        open_pixels(files, tmp_path)
    assert caches(tmp_path) == []


def test_all_damaged_files_are_named_at_once(files, tmp_path):
    files[1][0].write_bytes(b"no image")
    Image.new("L", (48, 40), 7).save(files[3][1])
    with pytest.raises(DataError, match=r"(?s)1\.jpg: cannot be read.*3\.png: has the values 7; .*petseg data oxford"):
        open_pixels(files, tmp_path)


def test_pickled_pixels_are_a_path_that_opens_the_same_pixels_and_those_in_memory_are_pickled_whole(files, tmp_path):
    mapped = open_pixels(files, tmp_path)
    assert len(pickle.dumps(mapped)) < 1_000 < mapped.masks.nbytes
    for pixels in (mapped, cache.Pixels(np.ones((2, 4, 4, 3), np.uint8), np.zeros((2, 4, 4), np.uint8))):
        copy = pickle.loads(pickle.dumps(pixels))
        assert isinstance(copy.images, np.memmap) == (pixels is mapped)
        assert np.array_equal(copy.images, pixels.images)
        assert np.array_equal(copy.masks, pixels.masks)
