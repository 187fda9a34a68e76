"""What is written of a result: pictures, formats, backgrounds, crops."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from petseg.apps.batch.output import Output, parse_background
from petseg.errors import PhotoError, SettingsError
from petseg.inference.segmentation import Segmentation
from petseg.labels import BACKGROUND, PET

GREY = (90, 90, 90)


def square(size: int = 100, left: int = 40, right: int = 60) -> Segmentation:
    """A grey photo with a square that is certainly a pet."""
    logits = np.zeros((3, size, size), dtype=np.float32)
    logits[BACKGROUND] = 50
    logits[:, left:right, left:right] = 0
    logits[PET, left:right, left:right] = 50
    return Segmentation(Image.new("RGB", (size, size), GREY), logits)


def written(result: Segmentation, folder: Path, **settings: Any) -> dict[str, Image.Image]:
    output = Output(**settings)
    output.write(result, output.files(folder, "cat"), "cat.jpg")
    return {path.name: Image.open(path) for path in folder.iterdir()}


def test_by_default_all_three_are_pngs_of_the_photos_size(tmp_path: Path) -> None:
    files = written(square(), tmp_path)
    assert {name: image.mode for name, image in files.items()} == {
        "cat.mask.png": "P",
        "cat.overlay.png": "RGB",
        "cat.cutout.png": "RGBA",
    }
    assert {image.size for image in files.values()} == {(100, 100)}
    assert np.array_equal(np.asarray(files["cat.mask.png"]), square().mask)


@pytest.mark.parametrize(("format", "name"), [("webp", "WEBP"), ("jpg", "JPEG")])
def test_the_format_is_that_of_overlay_and_cutout_and_the_mask_stays_a_palette(
    format: Any, name: str, tmp_path: Path
) -> None:
    files = written(square(), tmp_path, format=format, background="white")
    assert {file: image.format for file, image in files.items()} == {
        "cat.mask.png": "PNG",
        f"cat.overlay.{format}": name,
        f"cat.cutout.{format}": name,
    }
    np.testing.assert_allclose(np.asarray(files[f"cat.cutout.{format}"])[50, 50], GREY, atol=4)
    np.testing.assert_allclose(np.asarray(files[f"cat.cutout.{format}"])[5, 5], (255,) * 3, atol=4)


def test_a_webp_of_the_cutout_is_transparent(tmp_path: Path) -> None:
    image = written(square(), tmp_path, kinds=("cutout",), format="webp")["cat.cutout.webp"]
    assert image.mode == "RGBA"
    assert image.getpixel((5, 5))[3] == 0
    assert image.getpixel((50, 50))[3] == 255


def test_background_and_crop_shape_the_cutout_alone() -> None:
    output = Output(background="#ff8800", crop=True)
    cutout = output.draw(square(), "cutout")
    assert cutout.getpixel((0, 0)) == (255, 136, 0)
    assert cutout.width < 30
    assert output.draw(square(), "mask").size == output.draw(square(), "overlay").size == (100, 100)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"format": "jpg"}, "a JPEG cannot be transparent"),
        ({"kinds": ("mask",), "crop": True}, "Add --only cutout"),
        ({"kinds": ("overlay",), "background": "white"}, "Add --only cutout"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(settings: Any, words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        Output(**settings)


def test_an_overlay_may_be_a_jpeg_without_a_background() -> None:
    assert Output(kinds=("overlay",), format="jpg").files(Path("out"), "a")["overlay"].name == "a.overlay.jpg"


def test_a_photo_too_wide_for_webp_is_refused_with_a_remedy(tmp_path: Path) -> None:
    wide = Segmentation(Image.new("RGB", (16384, 2)), square().logits)
    with pytest.raises(PhotoError, match=r"cat.jpg: 16384 x 2 pixels; WEBP has at most 16383 "):
        written(wide, tmp_path, kinds=("overlay",), format="webp")


def test_a_background_is_blur_or_a_colour_or_the_image_of_a_file(tmp_path: Path) -> None:
    for text in ("blur", "orange", "#ff8800", "#f80", "rgb(255, 136, 0)"):
        assert parse_background(text) == text
    Image.new("RGB", (7, 5), "red").save(tmp_path / "beach.png")
    image = parse_background(str(tmp_path / "beach.png"))
    assert isinstance(image, Image.Image)
    assert image.size == (7, 5)


def test_any_other_background_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no image")
    with pytest.raises(SettingsError, match=r"--background text.png: not an image"):
        parse_background(str(tmp_path / "text.png"))
    for text in ("oragne", "#ff8800f", "x" * 5000, str(tmp_path / "none.jpg")):
        with pytest.raises(SettingsError, match=r"expected a colour \(orange, #ff8800\), blur or the file of an image"):
            parse_background(text)
