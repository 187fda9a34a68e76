import os
import stat
from pathlib import Path

import numpy as np
import pytest
from disks import make_read_only
from PIL import Image

from petseg.data import cache
from petseg.data.cache import LISTED
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
        Image.new("RGB", (48, 40), "red").save(files[0][0])
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


def test_all_damaged_files_are_named_at_once_and_a_missing_one_before_them(files, tmp_path):
    files[1][0].write_bytes(b"no image")
    Image.new("L", (48, 40), 7).save(files[3][1])
    with pytest.raises(
        DataError, match=r"(?s)1\.jpg: cannot be read.*3\.png: has the values 7; .*petseg data oxford.*--dir"
    ):
        open_pixels(files, tmp_path)
    files[2][0].unlink()
    with pytest.raises(DataError, match=r"2\.jpg: missing.*petseg data oxford.*--dir"):
        open_pixels(files, tmp_path)


def test_of_many_damaged_files_the_first_are_named_and_the_others_counted(files, tmp_path):
    files = [files[0]] * (LISTED + 3)
    files[0][0].write_bytes(b"no image")
    with pytest.raises(DataError, match=r"and 3 more files\.$") as error:
        open_pixels(files, tmp_path)
    assert str(error.value).count("cannot be read") == LISTED


@pytest.mark.parametrize("name", ["images.npy", "checksums.json"])
def test_a_cache_that_was_damaged_is_decoded_again_and_said(files, tmp_path, capsys, name):
    path = Path(open_pixels(files, tmp_path).images.filename).parent / name
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    pixels = open_pixels(files, tmp_path)
    assert "damaged, so the images are decoded again" in capsys.readouterr().err
    assert np.array_equal(pixels.images[-1], cache.decode(*files[-1], size=16)[0])
    open_pixels(files, tmp_path)
    assert capsys.readouterr().err == ""


def test_a_read_only_cache_folder_is_used_and_where_it_lacks_something_the_variable_is_named(files, disk):
    open_pixels(files, disk)
    make_read_only(disk)
    assert len(open_pixels(files, disk).images) == len(files)
    with pytest.raises(DataError, match=r"\(Read-only file system\).*PETSEG_CACHE_DIR"):
        open_pixels(files, disk, size=24)


@pytest.mark.parametrize("umask", [0o022, 0o002, 0o077])
def test_a_cache_is_open_to_others_as_the_umask_says(files, tmp_path, umask):
    before = os.umask(umask)
    try:
        folder = Path(open_pixels(files, tmp_path).images.filename).parent
    finally:
        os.umask(before)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o777 & ~umask
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o666 & ~umask}
