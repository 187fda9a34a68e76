import struct

import numpy as np
import pytest
from PIL import Image, ImageOps
from PIL.ExifTags import Base

from petseg.data.decode import decode
from petseg.errors import DataError


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


def test_a_photo_whose_other_exif_is_broken_is_turned(tmp_path):
    width_as_text = struct.pack("<HHI4s", Base.ImageWidth, 2, 4, b"abc\0")
    exif = b"Exif\0\0II*\0\x08\0\0\0\2\0" + width_as_text + struct.pack("<HHIHH", Base.Orientation, 3, 1, 6, 0)
    pair = tmp_path / "a.jpg", tmp_path / "a.png"
    Image.fromarray(np.repeat(np.uint8([0, 255]), 8)[None, :, None].repeat(8, 0).repeat(3, 2)).save(
        pair[0], exif=exif + bytes(4)
    )
    Image.new("L", (16, 8), 1).save(pair[1])
    image, _ = decode(*pair, 8)
    assert image[0].max() < 50  # the dark side, which was stored on the left
    assert image[-1].min() > 200


@pytest.mark.parametrize("name", ["2.jpg", "2.png"])
def test_a_file_with_more_pixels_than_memory_is_named_with_the_remedy(tmp_path, name):
    pair = tmp_path / "2.jpg", tmp_path / "2.png"
    Image.new("RGB", (48, 40), "red").save(pair[0])
    Image.new("L", (48, 40), 1).save(pair[1])
    content = pair[1].read_bytes()
    (tmp_path / name).write_bytes(content[:16] + b"\x7f\xff\xff\xff" * 2 + content[24:])
    with pytest.raises(
        DataError,
        match=rf"{name}: cannot be read \(.+\)\. If the data are your own, .* delete it and run `petseg data oxford`",
    ):
        decode(*pair, 16)
