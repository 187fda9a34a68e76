"""`Segmentation`: class map, probabilities, overlay and cut-out follow from the logits, at the photo's own size."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from petseg.inference.segmentation import Segmentation, edge
from petseg.labels import BACKGROUND, BOUNDARY, COLORS, PET, palette, palette_with_ink, rgb


def noise(width: int, height: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8))


def random_result(width: int, height: int, h: int = 16, w: int = 24) -> Segmentation:
    logits = np.random.default_rng(1).normal(0, 3, (3, h, w)).astype(np.float32)
    return Segmentation(noise(width, height), logits)


def sure_result(labels: Any, scale: int = 1, photo: Image.Image | None = None) -> Segmentation:
    """A segmentation that is certain of these labels (h, w), each `scale` pixels of the photo high and wide."""
    classes = np.repeat(np.repeat(np.array(labels), scale, axis=0), scale, axis=1)
    logits = 40 * np.eye(3, dtype=np.float32)[classes].transpose(2, 0, 1)  # (3, h, w)
    H, W = classes.shape
    return Segmentation(photo or noise(W, H), np.ascontiguousarray(logits))


def drawn(rows: list[str]) -> np.ndarray:
    return np.array([[character == "#" for character in row] for row in rows])


def test_the_edge_of_a_region_is_what_lies_within_its_width_of_the_outside() -> None:
    region = drawn(["........", ".######.", ".######.", ".######.", "........"])
    assert np.array_equal(edge(region), drawn(["........", ".######.", ".#....#.", ".######.", "........"]))
    assert np.array_equal(edge(region, 2), region)


def test_a_hole_thinner_than_the_width_has_its_edge_beside_it_and_no_second_line() -> None:
    region = drawn(["###########", "#####.#####", "###########"])
    assert np.array_equal(edge(region, 3), drawn([".....#.....", "..###.###..", ".....#....."]))


def test_the_frame_of_the_photo_is_no_edge() -> None:
    assert not edge(np.ones((4, 5), bool), 2).any()


def test_logits_are_brought_back_first_and_the_class_map_is_taken_last() -> None:
    for width, height in ((700, 600), (24, 16), (5, 4)):  # 600 rows are three strips
        result = random_result(width, height)
        logits, size = torch.from_numpy(result.logits), (height, width)
        each = F.interpolate(logits[:, None], size=size, mode="bilinear", align_corners=False)[:, 0]
        assert np.array_equal(result.mask, each.argmax(dim=0).to(torch.uint8).numpy())
        torch.testing.assert_close(torch.from_numpy(result.probabilities), each.softmax(dim=0))
        together = F.interpolate(logits[None], size=size, mode="bilinear", align_corners=False)[0]
        torch.testing.assert_close(each, together, atol=1e-4, rtol=1e-4)


def test_the_first_of_equal_logits_wins() -> None:
    ties = np.array([[0, 5, 5, 5, 1], [0, 5, 1, 5, 5], [0, 5, 5, 1, 5]], np.float32)[:, None]  # (3, 1, 5)
    assert Segmentation(noise(5, 1), ties).mask.tolist() == [[0, 0, 0, 0, 1]]


def test_probabilities_sum_to_one_and_rank_the_mask_first() -> None:
    result = random_result(300, 280)
    np.testing.assert_allclose(result.probabilities.sum(axis=0), 1, atol=1e-5)
    assert (result.probabilities >= 0).all()
    assert (result.probabilities.argmax(axis=0) == result.mask).mean() > 0.9999  # softmax may round two into a tie


def test_fractions_count_pixels() -> None:
    assert sure_result([[0, 1, 1, 2]], scale=10).fractions == {"pet": 0.25, "background": 0.5, "boundary": 0.25}


def test_the_mask_image_holds_labels_in_the_class_colours() -> None:
    result = sure_result([[0, 1, 2]])
    image = result.mask_image()
    assert image.mode == "P"
    assert np.asarray(image).tolist() == [[0, 1, 2]]
    assert image.getpalette()[:9] == palette()
    assert np.asarray(image.convert("RGB"))[0].tolist() == [list(rgb(label)) for label in range(len(COLORS))]


def test_an_overlay_of_opacity_zero_is_the_photo() -> None:
    result = random_result(40, 30)
    for classes in (["pet"], ["pet", "background", "boundary"], []):
        assert result.overlay(0, classes).tobytes() == result.photo.tobytes()


def test_an_overlay_of_full_opacity_is_the_class_colours_with_an_outline() -> None:
    labels = np.full((9, 15), BACKGROUND)
    labels[1:8, 2:9] = PET
    labels[1:8, 9] = BOUNDARY
    overlay = np.asarray(sure_result(labels).overlay(1, ["pet", "background", "boundary"]))
    expected = np.array([rgb(label) for label in range(3)], np.uint8)[labels]
    inner = np.zeros_like(labels, bool)
    inner[2:7, 3:8] = True
    expected[(labels == PET) & ~inner] = palette_with_ink()[9:]  # one pixel wide on so small a photo
    assert np.array_equal(overlay, expected)


def test_an_overlay_mixes_photo_and_colour_by_its_opacity() -> None:
    white = Image.new("RGB", (30, 30), "white")
    overlay = sure_result([[0]], scale=30, photo=white).overlay(0.5)
    expected = [(255 + channel) / 2 for channel in rgb(PET)]
    np.testing.assert_allclose(overlay.getpixel((15, 15)), expected, atol=1)


def test_an_overlay_leaves_unnamed_classes_as_photographed() -> None:
    result = sure_result([[0, 1], [2, 1]], scale=20)
    overlay, photo = np.asarray(result.overlay()), np.asarray(result.photo)
    assert np.array_equal(overlay[:, 20:], photo[:, 20:])
    assert (overlay[:, :20] != photo[:, :20]).any(axis=2).mean() > 0.95


def test_the_pets_edge_is_seen_without_colour() -> None:
    white = Image.new("RGB", (600, 600), "white")
    grey = np.asarray(sure_result([[1, 0]], photo=white).overlay().convert("L"), dtype=int)  # pet right of x = 300
    inside, edge, outside = grey[300, 500], grey[300, 301], grey[300, 100]
    assert edge < inside - 40 < outside - 40


def test_wrong_opacity_or_classes_are_refused() -> None:
    result = sure_result([[0, 1]])
    for opacity in (-0.1, 1.1, float("nan")):
        with pytest.raises(ValueError, match="expected 0 "):
            result.overlay(opacity)
    for classes in (["cat"], "pet"):
        with pytest.raises(ValueError, match="expected some of"):
            result.overlay(classes=classes)


def test_a_cutout_is_opaque_on_the_pet_and_clear_off_it() -> None:
    result = sure_result([[0, 0, 1, 1]], scale=8)
    cutout = np.asarray(result.cutout())
    photo = np.asarray(result.photo)
    assert cutout.shape == (8, 32, 4)
    assert (cutout[:, :15, 3] == 255).all()
    assert (cutout[:, 17:] == 0).all()  # what is cut off cannot be brought back by dropping the alpha channel
    assert np.array_equal(cutout[:, :15, :3], photo[:, :15])


def test_without_a_matte_the_edge_is_soft_and_keeps_the_photos_colours() -> None:
    logits = np.zeros((3, 1, 2), np.float32)
    logits[0] = [[3, -3]]  # from pet to background; the boundary stays unlikely
    logits[1] = [[-3, 3]]
    logits[2] = -20
    result = Segmentation(noise(200, 1), logits)
    cutout = np.asarray(result.cutout(matte=False))[0]
    alpha = cutout[:, 3].astype(int)
    assert alpha[0] == 255
    assert alpha[-1] == 0
    assert (np.diff(alpha) <= 0).all()
    assert 0 < np.abs(np.diff(alpha)).max() < 40
    assert alpha[99:101].mean() == pytest.approx(127.5, abs=1)  # as likely pet as not: half
    visible = alpha > 0
    assert np.array_equal(cutout[visible, :3], np.asarray(result.photo)[0][visible])


def test_without_a_matte_a_certain_boundary_is_half_see_through() -> None:
    assert sure_result([[2]]).cutout(matte=False).getpixel((0, 0))[3] == 128


@pytest.mark.parametrize("matte", [True, False])
def test_what_is_see_through_in_the_photo_stays_so(matte: bool) -> None:
    given = Image.fromarray(np.linspace(0, 255, 40 * 30).astype(np.uint8).reshape(30, 40))
    result = sure_result([[0]], photo=Image.new("RGB", (40, 30), "red"))
    shown = replace(result, photo_alpha=given)
    assert np.array_equal(shown.cutout(matte=matte).getchannel("A"), given)
    assert np.asarray(result.cutout(matte=matte).getchannel("A")).min() == 255


def test_a_pet_is_found_if_enough_pixels_are_surely_pet() -> None:
    labels = np.full((50, 50), BACKGROUND)
    assert not sure_result(labels).found
    assert not sure_result(np.full((50, 50), BOUNDARY)).found
    labels[10, 10:14] = PET  # 4 of 2500 pixels: less than 0.2 %
    assert not sure_result(labels).found
    labels[10, 10:15] = PET
    assert sure_result(labels).found
    unsure = np.zeros((3, 50, 50), np.float32)
    unsure[PET] = 1.5  # P(pet) is 0.69 everywhere
    assert not Segmentation(noise(9, 9), unsure).found


def test_asking_twice_works_once() -> None:
    result = random_result(20, 20)
    assert result.mask is result.mask
    assert result.probabilities is result.probabilities
