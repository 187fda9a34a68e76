"""The cut-out as its owner wants it: background, crop, edge, file; and the sentences about a photo."""

import threading
import warnings
from collections import Counter
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from PIL import Image

from petseg.apps import cutouts, edge
from petseg.apps.cutouts import BACKGROUNDS, EDGES, CutoutSettings, encode, pet_frame, pet_middle
from petseg.apps.display import compared
from petseg.apps.edits import Stroke
from petseg.errors import ModelError, PhotoError, PhotoWarning, SettingsError
from petseg.inference import matting
from petseg.inference.segmentation import Segmentation
from petseg.labels import BACKGROUND, PET

BLUE, GREEN = (40, 60, 200), (30, 160, 60)


def square(size: int = 200, left: int = 60, right: int = 140, **more: Any) -> Segmentation:
    """A blue square, certainly a pet, on green."""
    logits = np.zeros((3, size, size), dtype=np.float32)
    logits[BACKGROUND] = 50
    logits[:, left:right, left:right] = 0
    logits[PET, left:right, left:right] = 50
    photo = Image.new("RGB", (size, size), GREEN)
    photo.paste(BLUE, (left, left, right, right))
    return Segmentation(photo, logits, **more)


def opacity(result: Segmentation, **settings: Any) -> np.ndarray:
    return np.asarray(CutoutSettings(**settings).draw(result))[..., 3]


def test_the_default_is_the_cutout_of_the_result():
    result = square()
    assert np.array_equal(np.asarray(CutoutSettings().draw(result)), np.asarray(result.cutout()))


def test_a_colour_or_an_image_stands_behind_the_pet_and_fills_the_frame():
    stripes = Image.new("RGB", (400, 20), "red")
    stripes.paste("blue", (0, 0, 200, 20))
    orange = (255, 136, 0)
    for background, left, right in (
        ("#ff8800", orange, orange),
        ("rgb(255, 136, 0)", orange, orange),  # as a browser writes it
        (stripes, (0, 0, 255), (255, 0, 0)),
    ):
        for crop in (False, True):
            picture = CutoutSettings(background, crop).draw(square())
            assert picture.mode == "RGB"
            W, H = picture.size
            assert picture.getpixel((W // 2, H // 2)) == BLUE
            assert (picture.getpixel((0, 0)), picture.getpixel((W - 1, H - 1))) == (left, right)


def test_a_blurred_background_is_that_of_the_photo_without_the_pet():
    pixels = np.asarray(CutoutSettings("blur").draw(square())).astype(int)
    assert np.abs(pixels[:40] - GREEN).max() <= 2
    assert tuple(pixels[100, 100]) == BLUE


def test_a_crop_shows_all_of_the_pet_and_a_margin():
    result = square()
    cutout = CutoutSettings(crop=True).cut(result)
    left, top, right, bottom = cutout.frame
    assert 50 <= left <= 57
    assert 143 <= right <= 150
    assert (left, right) == (top, bottom)
    assert cutout.image.size == cutout.alpha.shape[::-1] == (right - left, bottom - top)
    assert CutoutSettings().cut(result).frame == (0, 0, 200, 200)


def test_a_crop_ends_at_the_photos_frame_and_without_a_pet_it_is_the_whole_photo():
    alpha = np.zeros((50, 80), np.uint8)
    assert pet_frame(alpha) == (0, 0, 80, 50)
    alpha[20:50, 40:80] = 255
    assert pet_frame(alpha) == (38, 18, 80, 50)


@pytest.mark.slow
@pytest.mark.parametrize("size", [200, 2000])
def test_an_edge_moves_by_the_same_fraction_of_a_photo_of_any_size(size):
    result = square(200)
    large = Segmentation(result.photo.resize((size, size), Image.Resampling.NEAREST), result.logits)
    widths = [(opacity(large, grow=grow)[size // 2] > 127).sum() / size for grow in (-10, 0, 10)]
    np.testing.assert_allclose(np.diff(widths), 0.02, atol=0.006)  # 10 per mille on both sides


def test_a_grown_edge_shows_the_photo_and_neither_black_nor_a_halo():
    grown = np.asarray(CutoutSettings(grow=10).draw(square(400, 120, 280)))
    near = grown[200, 117:119]  # beyond the square, within its growth
    assert (near[:, 3] > 200).all()
    np.testing.assert_allclose(near[:, :3], np.tile(GREEN, (2, 1)), atol=25)
    assert (grown[grown[..., 3] == 0] == 0).all()


def test_a_soft_edge_keeps_the_pets_colour():
    row = np.asarray(CutoutSettings(feather=8).draw(square(400, 120, 280)))[200]
    faint = (row[:, 3] > 10) & (row[:, 3] < 100)
    assert faint.sum() >= 4
    assert np.abs(row[faint, :3].astype(int) - BLUE).max() < 60  # green is 100 away
    assert np.all(np.diff(row[:200, 3].astype(int)) >= 0)


def test_no_edge_makes_visible_what_is_transparent_in_the_photo():
    clear = Image.new("L", (200, 200), 255)
    clear.paste(0, (0, 0, 200, 100))
    alpha = opacity(square(photo_alpha=clear), grow=10, feather=10)
    assert alpha[:100].max() == 0
    assert alpha[110, 100] == 255
    assert opacity(square(left=0, right=0), grow=10, feather=10).max() == 0  # no pet, nothing to grow


def test_a_shadow_lies_below_the_pet_and_leaves_the_pet_as_it_is():
    plain, shadowed = (
        np.asarray(CutoutSettings(shadow=shadow).draw(square(400, 120, 280))) for shadow in (False, True)
    )
    opaque = plain[..., 3] == 255
    assert np.array_equal(plain[opaque], shadowed[opaque])
    below, above, far = shadowed[286, 200], shadowed[114, 200], shadowed[340, 200]
    assert tuple(below[:3]) == (0, 0, 0)
    assert 30 < below[3] < 128
    assert above[3] < below[3] / 2
    assert far[3] == plain[286, 200, 3] == 0
    dark, light = (
        np.asarray(CutoutSettings("white", shadow=shadow).draw(square()))[145, 100] for shadow in (True, False)
    )
    assert (dark < light).all()


def test_matte_and_edge_are_computed_once_for_picture_frame_and_middle(monkeypatch):
    calls = Counter[str]()
    for module, name in ((matting, "matte"), (edge, "moved_edge")):
        original = getattr(module, name)
        monkeypatch.setattr(module, name, lambda *given, f=original, n=name: calls.update([n]) or f(*given))
    compared("rex.jpg", square(), CutoutSettings("blur", crop=True, grow=3, feather=2))
    assert calls == {"matte": 1, "moved_edge": 1}


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"format": "jpg"}, "a JPEG cannot be transparent. Choose webp or png, or a background such as white"),
        ({"format": "gif"}, "format 'gif': expected one of png, webp, jpg"),
        ({"background": "#ff"}, "colour '#ff': not a colour"),
        ({"grow": 11}, "grow 11: expected -10 to 10, per mille"),
        ({"feather": -1}, "feather -1: expected 0 to 10, per mille"),
    ],
)
def test_impossible_settings_are_one_sentence(settings, words):
    with pytest.raises(SettingsError, match=words):
        CutoutSettings(**settings)


@pytest.mark.parametrize(("format", "name"), [("png", "PNG"), ("webp", "WEBP")])
def test_a_file_has_its_format_and_stays_transparent(format, name):
    with Image.open(BytesIO(encode(CutoutSettings(format=format).draw(square()), format))) as image:
        assert (image.format, image.mode, image.getpixel((5, 5))[3]) == (name, "RGBA", 0)


def test_a_picture_too_large_for_its_format_is_refused_with_a_remedy():
    for format, title, most in (("webp", "WEBP", 16383), ("jpg", "JPEG", 65500)):
        words = f"rex.jpg: {most + 1} x 2 pixels; {title} has at most {most} per side. Choose the format png"
        with pytest.raises(PhotoError, match=words):
            encode(Image.new("RGB", (most + 1, 2)), format, "rex.jpg")  # type: ignore[arg-type]


def test_the_middle_of_the_pet_has_half_of_it_on_each_side():
    alpha = np.zeros((10, 100), np.uint8)
    assert pet_middle(alpha) == 0.5
    alpha[:, 20:41] = 255
    assert pet_middle(alpha) == pytest.approx(0.305)
    alpha[:, 20:] = 0
    alpha[:, :3] = 255
    assert pet_middle(alpha) == 0.15  # where the line is seen


def test_a_stroke_that_is_dragged_far_out_of_the_photo_covers_what_it_crosses():
    message = {"keep": True, "radius": 0.05, "points": [[0.4, 0.5], [99, 0.5]]}
    covered = Stroke.from_message(message).covered((200, 100))
    assert covered[50, 80:].all()
    assert not covered[:35].any()


@pytest.mark.parametrize(
    "wrong",
    [
        *({"radius": radius} for radius in (None, 0, 3)),
        *({"points": points} for points in ([["a", 1]], 1, [], [[0.5, 0.5]] * 5001)),
    ],
)
def test_a_stroke_that_no_brush_of_ours_draws_is_a_sentence(wrong):
    stroke = {"keep": False, "radius": 0.05, "points": [[0.4, 0.5], [0.6, 0.5]]}
    assert Stroke.from_message(stroke) == Stroke(False, 0.05, [(0.4, 0.5), (0.6, 0.5)])
    for message in (stroke | wrong, {}):
        with pytest.raises(SettingsError, match="stroke"):
            Stroke.from_message(message)


def test_each_choice_of_an_app_is_one_of_a_cutout_and_without_an_image_of_ones_own_the_background_is_transparent():
    own = Image.new("RGB", (8, 8), "green")
    expected = {"transparent": None, "white": "white", "color": "#123456", "blur": "blur", "image": own}
    for choice in BACKGROUNDS:
        settings = CutoutSettings.chosen(choice, "#123456", own, False, "png", "softer", True)
        assert settings == CutoutSettings(expected[choice], feather=EDGES["softer"][1], shadow=True)
    assert CutoutSettings.chosen("image", "#123456", None, True, "png", "as found", False) == CutoutSettings(crop=True)
    with pytest.raises(SettingsError, match="edge 'hard': expected one of tighter, as found, looser, softer"):
        CutoutSettings.chosen("white", "", None, False, "png", "hard", False)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (PhotoError("a.jpg: the file is empty."), "a.jpg: the file is empty."),
        (ModelError("unet: damaged."), "unet: damaged."),
        (MemoryError(), "a.jpg: too large for the memory of this machine. Shrink it and try again."),
        (KeyError("x"), "a.jpg: could not be segmented (KeyError: 'x'). Try another photo."),
    ],
)
def test_every_error_is_a_sentence(error, expected):
    assert cutouts.sentence(error, "a.jpg") == expected


def test_each_thread_gets_its_own_notes_each_time_and_other_warnings_are_still_shown(recwarn):
    meeting = threading.Barrier(3)
    taken: dict[str, list[list[str]]] = {}

    def work(name: str) -> None:
        taken[name] = []
        for _ in range(2):
            meeting.wait()
            warnings.warn(f"{name} is animated.", PhotoWarning, stacklevel=1)
            meeting.wait()
            taken[name].append(take_notes())

    with cutouts.photo_notes() as take_notes:
        threads = [threading.Thread(target=work, args=(name,)) for name in "abc"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        warnings.warn("old", RuntimeWarning, stacklevel=1)
        assert take_notes() == []
    assert [str(warning.message) for warning in recwarn] == ["old"]
    assert taken == {name: [[f"{name} is animated."]] * 2 for name in "abc"}
