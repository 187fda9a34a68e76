import os
import pickle
import shutil
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from petseg.data import cache
from petseg.errors import DataError


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
    with pytest.raises(DataError, match=r"2\.jpg: missing.*petseg data oxford"):
        open_pixels(files, tmp_path)


def chunk(kind: bytes, content: bytes, check: int | None = None) -> bytes:
    """A chunk of a PNG; with another check sum than its own if asked for."""
    own = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", own if check is None else check)


def png(header: bytes = struct.pack(">IIBBBBB", 4, 4, 8, 0, 0, 0, 0), rest: bytes = b"") -> bytes:
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + rest


DAMAGED = {
    "no image": b"no image",
    "empty": b"",
    "cut off in its header": png()[:20],
    "header without sizes": png(header=b""),
    "wrong check sum": png(rest=chunk(b"gAMA", bytes(4), check=1)),
    "pixels that are not compressed": png(rest=chunk(b"IDAT", b"pixels, but raw") + chunk(b"IEND", b"")),
    "too few pixels": png(rest=chunk(b"IDAT", zlib.compress(bytes(3))) + chunk(b"IEND", b"")),
    "no pixels": png(rest=chunk(b"IEND", b"")),
    "colour profile that is cut off": png(rest=chunk(b"iCCP", b"name") + chunk(b"IEND", b"")),
    "more pixels than memory": png(header=struct.pack(">IIBBBBB", 2**31 - 1, 2**31 - 1, 8, 0, 0, 0, 0)),
    "chunk of letters that do not exist": png(rest=chunk(b"\x00\x01\x02\x03", b"")),
}


@pytest.mark.parametrize("damage", DAMAGED)
@pytest.mark.parametrize("which", [0, 1])
def test_a_damaged_file_of_any_kind_is_named_with_the_remedy(tmp_path, which, damage):
    files = make(tmp_path / "files")
    files[2][which].write_bytes(DAMAGED[damage])
    name = files[2][which].name
    with pytest.raises(DataError, match=rf"{name}: cannot be read \(.+\)\. Delete it and run `petseg data oxford`"):
        open_pixels(files, tmp_path)
    assert made(tmp_path) == []


def test_all_damaged_files_are_named_at_once(tmp_path):
    files = make(tmp_path / "files")
    for path in (files[1][0], files[3][1]):
        path.write_bytes(b"no image")
    with pytest.raises(DataError, match=r"(?s)1\.jpg: cannot be read.*3\.png: cannot be read"):
        open_pixels(files, tmp_path)


def test_of_many_damaged_files_the_first_are_named_and_the_others_counted(tmp_path):
    files = make(tmp_path / "files", count=12)
    for image, _ in files:
        image.write_bytes(b"no image")
    with pytest.raises(DataError, match=r"(?s)0\.jpg.*9\.jpg.*\.\.\. and 2 more files\."):
        open_pixels(files, tmp_path)


def test_a_trimap_with_another_value_is_named_with_the_value(tmp_path):
    files = make(tmp_path / "files")
    Image.new("L", (48, 40), 7).save(files[4][1])
    with pytest.raises(DataError, match=r"4\.png: holds the values 7; .*petseg data oxford"):
        open_pixels(files, tmp_path)


def test_two_data_folders_of_the_same_source_and_size_keep_their_caches(tmp_path, monkeypatch):
    one, other = make(tmp_path / "one"), make(tmp_path / "other")
    open_pixels(one, tmp_path)
    open_pixels(other, tmp_path)
    assert len(made(tmp_path)) == 2
    monkeypatch.setattr(cache, "decode", lambda *_: pytest.fail("decoded again"))
    open_pixels(one, tmp_path)
    open_pixels(other, tmp_path)


def test_a_cache_that_another_process_removes_just_before_it_is_opened_is_built_again(tmp_path, monkeypatch):
    files = make(tmp_path / "files")
    wanted = np.array(open_pixels(files, tmp_path).images)
    opened, removals = cache.Pixels.open, []

    def after_a_removal(folder):
        if not removals:
            removals.append(shutil.rmtree(folder))
        return opened(folder)

    monkeypatch.setattr(cache.Pixels, "open", after_a_removal)
    assert np.array_equal(open_pixels(files, tmp_path).images, wanted)
    assert len(removals) == 1


def test_a_cache_that_is_removed_again_and_again_is_one_sentence(tmp_path, monkeypatch):
    def removed(folder):
        raise FileNotFoundError(folder)

    monkeypatch.setattr(cache.Pixels, "open", removed)
    with pytest.raises(DataError, match=r"removed by another process 3 times.*PETSEG_CACHE_DIR"):
        open_pixels(make(tmp_path / "files"), tmp_path)


def test_pickled_pixels_are_a_path_that_opens_the_same_pixels(tmp_path):
    pixels = open_pixels(make(tmp_path / "files", count=40), tmp_path)
    pickled = pickle.dumps(pixels)
    assert len(pickled) < 1_000 < pixels.masks.nbytes
    copy = pickle.loads(pickled)
    assert isinstance(copy.images, np.memmap)
    assert np.array_equal(copy.images, pixels.images)
    assert np.array_equal(copy.masks, pixels.masks)


def test_pixels_in_memory_are_pickled_whole():
    pixels = cache.Pixels(np.ones((2, 4, 4, 3), np.uint8), np.zeros((2, 4, 4), np.uint8))
    copy = pickle.loads(pickle.dumps(pixels))
    assert np.array_equal(copy.images, pixels.images)
    assert np.array_equal(copy.masks, pixels.masks)
