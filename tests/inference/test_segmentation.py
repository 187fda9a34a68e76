"""`Segmentation`: class map, probabilities, overlay and cut-out follow from the logits, at the photo's own size."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from photo_files import noise
from PIL import Image

from petseg.inference.segmentation import Segmentation, edge
from petseg.labels import BACKGROUND, BOUNDARY, PET, palette, palette_with_ink, rgb

COLORS = np.array([rgb(label) for label in range(3)], np.uint8)


def random_result(width: int, height: int) -> Segmentation:
    logits = np.random.default_rng(1).normal(0, 3, (3, 16, 24)).astype(np.float32)
    return Segmentation(noise(width, height), logits)


def sure_result(labels: Any, scale: int = 1, photo: Image.Image | None = None) -> Segmentation:
    """A segmentation that is certain of these labels (h, w), each `scale` pixels of the photo high and wide."""
    classes = np.kron(labels, np.ones((scale, scale), int))
    logits = 40 * np.eye(3, dtype=np.float32)[classes].transpose(2, 0, 1)  # (3, h, w)
    return Segmentation(photo or noise(*classes.shape[::-1]), np.ascontiguousarray(logits))


@pytest.mark.parametrize(
    ("region", "width", "expected"),
    [
        ("........ .######. .######. .######. ........", 1, "........ .######. .#....#. .######. ........"),
        ("........ .######. .######. .######. ........", 2, "........ .######. .######. .######. ........"),
        ("########### #####.##### ###########", 3, ".....#..... ..###.###.. .....#....."),  # a thin hole
        ("##### #####", 2, "..... ....."),  # the photo's frame is no edge
    ],
)
def test_the_edge_of_a_region_lies_within_its_width_of_the_outside(region, width, expected):
    drawn = np.array([[character == "#" for character in row] for row in region.split()])
    assert [("".join(".#"[value] for value in row)) for row in edge(drawn, width).astype(int)] == expected.split()


@pytest.mark.parametrize(("width", "height"), [(700, 600), (24, 16), (5, 4)])  # 600 rows are three strips
def test_logits_are_brought_back_first_and_the_class_map_is_taken_last(width, height):
    result = random_result(width, height)
    logits, size = torch.from_numpy(result.logits), (height, width)
    each = F.interpolate(logits[:, None], size=size, mode="bilinear", align_corners=False)[:, 0]
    assert np.array_equal(result.mask, each.argmax(dim=0).to(torch.uint8).numpy())
    torch.testing.assert_close(torch.from_numpy(result.probabilities), each.softmax(dim=0))
    together = F.interpolate(logits[None], size=size, mode="bilinear", align_corners=False)[0]
    torch.testing.assert_close(each, together, atol=1e-4, rtol=1e-4)


def test_fractions_count_pixels():
    assert sure_result([[0, 1, 1, 2]], scale=10).fractions == {"pet": 0.25, "background": 0.5, "boundary": 0.25}


def test_the_mask_image_has_labels_as_indices_and_the_class_colours():
    image = sure_result([[0, 1, 2]]).mask_image()
    assert (image.mode, np.asarray(image).tolist(), image.getpalette()[:9]) == ("P", [[0, 1, 2]], palette())
    assert np.array_equal(np.asarray(image.convert("RGB"))[0], COLORS)


def test_an_overlay_of_opacity_zero_is_the_photo():
    result = random_result(40, 30)
    for classes in (["pet"], ["pet", "background", "boundary"], []):
        assert result.overlay(0, classes).tobytes() == result.photo.tobytes()


def test_an_overlay_of_full_opacity_is_the_class_colours_with_an_outline():
    labels = np.full((9, 15), BACKGROUND)
    labels[1:8, 2:9] = PET
    labels[1:8, 9] = BOUNDARY
    expected = COLORS[labels]
    outline = labels == PET
    outline[2:7, 3:8] = False
    expected[outline] = palette_with_ink()[9:]  # one pixel wide on so small a photo
    assert np.array_equal(sure_result(labels).overlay(1, ["pet", "background", "boundary"]), expected)


def test_an_overlay_mixes_photo_and_colour_by_its_opacity_and_leaves_unnamed_classes_as_photographed():
    result = sure_result([[0, 1], [2, 1]], scale=20)
    overlay, photo = (np.asarray(image).astype(int) for image in (result.overlay(0.5), result.photo))
    assert np.array_equal(overlay[:, 20:], photo[:, 20:])
    np.testing.assert_allclose(overlay[2:18, 2:18], (photo[2:18, 2:18] + COLORS[PET]) / 2, atol=1)
    np.testing.assert_allclose(overlay[22:, 2:18], (photo[22:, 2:18] + COLORS[BOUNDARY]) / 2, atol=1)


def test_the_pets_edge_is_visible_without_colour():
    white = Image.new("RGB", (600, 600), "white")
    grey = np.asarray(sure_result([[1, 0]], photo=white).overlay().convert("L"), dtype=int)  # pet right of x = 300
    assert grey[300, 301] < grey[300, 500] - 40 < grey[300, 100] - 40


@pytest.mark.parametrize(
    "options",
    [{"opacity": -0.1}, {"opacity": 1.1}, {"opacity": float("nan")}, {"classes": ["cat"]}, {"classes": "pet"}],
)
def test_a_wrong_opacity_and_unknown_classes_are_refused(options):
    with pytest.raises(ValueError, match="expected"):
        sure_result([[0, 1]]).overlay(**options)


def test_a_cutout_is_opaque_on_the_pet_and_clear_off_it():
    result = sure_result([[0, 0, 1, 1]], scale=8)
    cutout, photo = np.asarray(result.cutout()), np.asarray(result.photo)
    assert cutout.shape == (8, 32, 4)
    assert (cutout[:, :15, 3] == 255).all()
    assert (cutout[:, 17:] == 0).all()  # the background cannot be brought back by dropping the alpha channel
    assert np.array_equal(cutout[:, :15, :3], photo[:, :15])


def test_without_a_matte_the_edge_is_soft_and_keeps_the_photos_colours():
    logits = np.array([[[3, -3]], [[-3, 3]], [[-20, -20]]], np.float32)  # from pet to background, never boundary
    result = Segmentation(noise(200, 1), logits)
    cutout = np.asarray(result.cutout(matte=False))[0]
    alpha = cutout[:, 3].astype(int)
    assert (alpha[0], alpha[-1]) == (255, 0)
    assert (np.diff(alpha) <= 0).all()
    assert 0 < np.abs(np.diff(alpha)).max() < 40
    assert alpha[99:101].mean() == pytest.approx(127.5, abs=1)  # as likely pet as not: half
    assert sure_result([[BOUNDARY]]).cutout(matte=False).getpixel((0, 0))[3] == 128
    visible = alpha > 0
    assert np.array_equal(cutout[visible, :3], np.asarray(result.photo)[0][visible])


@pytest.mark.parametrize("matte", [True, False])
def test_what_is_transparent_in_the_photo_stays_so(matte):
    photo_alpha = Image.fromarray(np.linspace(0, 255, 40 * 30).astype(np.uint8).reshape(30, 40))
    opaque = sure_result([[0]], photo=Image.new("RGB", (40, 30), "red"))
    result = replace(opaque, photo_alpha=photo_alpha)
    assert np.array_equal(result.cutout(matte=matte).getchannel("A"), photo_alpha)
    assert np.asarray(opaque.cutout(matte=matte).getchannel("A")).min() == 255


@pytest.mark.parametrize(
    ("label", "pixels", "found"),
    [(PET, 4, False), (PET, 5, True), (BOUNDARY, 2500, False)],  # 0.2 % of 2500 are 5
)
def test_a_pet_is_found_if_enough_pixels_are_certainly_pet(label, pixels, found):
    labels = np.full(2500, BACKGROUND)
    labels[:pixels] = label
    assert sure_result(labels.reshape(50, 50)).found == found
    uncertain = np.zeros((3, 50, 50), np.float32)
    uncertain[PET] = 1.5  # P(pet) is 0.69 everywhere
    assert not Segmentation(noise(9, 9), uncertain).found


@pytest.mark.parametrize(
    ("label", "probability", "found", "doubtful"),
    [
        (PET, None, True, False),  # nobody was asked
        (PET, 0.1, True, False),
        (PET, 0.099, False, True),
        (PET, float("nan"), True, False),  # a drawing
        (BACKGROUND, 0.0, False, False),  # nothing to doubt
        (BACKGROUND, 1.0, False, False),
    ],
)
def test_a_pet_is_found_if_it_was_segmented_and_looks_like_a_cat_or_a_dog(label, probability, found, doubtful):
    result = replace(sure_result(np.full((5, 5), label)), pet_probability=probability)
    assert (result.found, result.doubtful) == (found, doubtful)
    assert result.without_doubt().found == (label == PET)
    assert np.array_equal(result.without_doubt().alpha, result.alpha)
