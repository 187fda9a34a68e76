from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps
from PIL.ExifTags import Base

from petseg.data.decode import decode
from petseg.errors import DataError


@pytest.fixture
def pair(tmp_path) -> tuple[Path, Path]:
    """A photo and its trimap, 48 x 40."""
    Image.new("RGB", (48, 40), "red").save(tmp_path / "2.jpg")
    Image.new("L", (48, 40), 1).save(tmp_path / "2.png")
    return tmp_path / "2.jpg", tmp_path / "2.png"


@pytest.mark.parametrize("kind", ["PNG", "GIF", "BMP"])
def test_a_file_is_read_by_its_content_whatever_its_name(tmp_path, kind):
    path, trimap = tmp_path / "a.jpg", tmp_path / "a.png"
    Image.new("RGB", (20, 10), (255, 0, 0)).save(path, format=kind)
    Image.new("L", (20, 10), 1).save(trimap)
    image, mask = decode(path, trimap, 8)
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
    image, mask = decode(path, trimap, 16)
    assert abs(image[:, 1:-1].astype(int) - 127).max() <= 4
    assert set(np.unique(mask)) == {0, 2}


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photo_with_an_exif_orientation_and_its_trimap_are_turned_alike(tmp_path, orientation):
    upright = np.zeros((8, 6, 3), dtype=np.uint8)
    upright[:2, :4] = 255  # unlike its mirror images
    inverse = {6: 8, 8: 6}.get(orientation, orientation)
    for name, array in (("a.png", upright), ("b.png", np.where(upright[..., 0] == 255, 1, 2).astype(np.uint8))):
        image, exif = Image.fromarray(array), Image.Exif()
        image.save(tmp_path / f"upright-{name}")
        image.getexif()[Base.Orientation], exif[Base.Orientation] = inverse, orientation
        stored = ImageOps.exif_transpose(image)
        stored.save(tmp_path / name, **({"exif": exif} if name == "a.png" else {}))
    expected = decode(tmp_path / "upright-a.png", tmp_path / "upright-b.png", 24)
    assert all(map(np.array_equal, decode(tmp_path / "a.png", tmp_path / "b.png", 24), expected))


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("damage", ["more pixels than memory", "cut off in its pixels"])
def test_a_damaged_file_is_named_with_the_remedy(pair, which, damage):
    content = pair[1].read_bytes()  # a PNG
    huge = content[:16] + b"\x7f\xff\xff\xff" * 2 + content[24:]
    pair[which].write_bytes(huge if damage == "more pixels than memory" else content[:50])
    name = pair[which].name
    with pytest.raises(DataError, match=rf"{name}: cannot be read \(.+\)\. Delete it and run `petseg data oxford`"):
        decode(*pair, 16)
