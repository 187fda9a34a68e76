"""Ways from the working size to the photo's original size, and their comparison."""

import numpy as np
import pytest
import torch
from PIL import Image

from petseg import course
from petseg.errors import DataError
from petseg.inference.predictor import Predictor
from petseg.labels import BACKGROUND, PET
from petseg.upkeep.fullsize.__main__ import compare, main
from petseg.upkeep.fullsize.guided import guided_filter
from petseg.upkeep.fullsize.photos import halves, in_a_wider_frame, pairs
from petseg.upkeep.fullsize.ways import WAYS, own_shape, two_in_proportion


@pytest.mark.parametrize(
    ("part", "seen"),
    [((128, 128), (128, 128)), ((500, 375), (112, 144)), ((375, 500), (144, 112)), ((2, 900), (256, 64))],
)
def test_a_pass_in_own_proportions_keeps_them_and_costs_no_more_pixels(part, seen):
    assert own_shape(part, 128) == seen


def test_the_second_pass_in_proportion_sees_the_pet_as_wide_as_it_is(small_model):
    photo = Image.new("RGB", (400, 100))
    seen = []

    class Spy(Predictor):
        def logits(self, image):
            seen.append(tuple(image.shape))
            logits = torch.zeros(1, 3, *image.shape[-2:])
            logits[:, BACKGROUND] = 20
            logits[:, PET, 10:20, 10:20] = 40
            return logits

    two_in_proportion(Spy(small_model), photo)  # square once resized, the pet is four times as wide as high
    assert seen == [(1, 3, 32, 32), (1, 3, 16, 64)]


def test_a_guided_filter_leaves_what_is_the_same_everywhere_and_sums_to_one():
    pixels = np.random.default_rng(0).integers(0, 256, (90, 120, 3), dtype=np.uint8)
    flat = torch.tensor([0.7, 0.2, 0.1]).view(3, 1, 1).expand(3, 32, 32)
    found = guided_filter(flat, Image.fromarray(pixels), side=64)
    torch.testing.assert_close(found, flat[:, :1, :1].expand(3, 90, 120), atol=1e-4, rtol=0)


def test_a_guided_filter_takes_the_photos_edge_for_that_of_the_mask():
    pixels = np.zeros((64, 64, 3), np.uint8)
    pixels[:, 32:] = 255
    ramp = torch.linspace(-4, 4, 32).expand(32, 32)
    probabilities = torch.stack([ramp, -ramp, -9 + 0 * ramp]).softmax(dim=0)
    found = guided_filter(probabilities, Image.fromarray(pixels), side=64, radius=8, epsilon=1e-4)[PET]
    step = found[30, 1:] - found[30, :-1]
    assert int(step.argmax()) == 31  # between columns 31 and 32
    assert float(step.max()) > 4 * float(step.median())


def test_a_photo_in_a_wider_frame_keeps_its_labels_and_is_surrounded_by_background():
    photo = Image.fromarray(np.full((60, 80, 3), 200, np.uint8))
    label = torch.full((60, 80), PET, dtype=torch.uint8)
    scene, labels = in_a_wider_frame((photo, label), 2.0)
    assert scene.size == labels.shape[::-1] == (160, 120)
    assert int((labels == PET).sum()) == 60 * 80
    assert int((labels == BACKGROUND).sum()) == 160 * 120 - 60 * 80


def test_without_photos_the_comparison_is_one_sentence(monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("PETSEG_FULLSIZE_DIR", str(tmp_path))
    assert main(["--out", str(tmp_path / "out.json")]) == 1
    assert "Set PETSEG_FULLSIZE_DIR to the folder that holds it." in capsys.readouterr().err
    assert not (tmp_path / "out.json").exists()


@pytest.mark.real_data
def test_two_passes_make_better_masks_of_pets_far_away_than_one(request):
    root = request.getfixturevalue("fullsize") / "oxford-iiit-pet"
    names = halves(root)["reported"][:8]
    scenes = [in_a_wider_frame(pair, 2.0) for pair in pairs(root, names)]
    found = compare(Predictor("unet"), scenes, {way: WAYS[way] for way in ("bilinear", "two passes")})
    assert found["two passes"]["mean_iou"] > found["bilinear"]["mean_iou"] + 0.02


@pytest.mark.parametrize("value", [0, 4])
def test_a_trimap_with_another_value_is_one_sentence(tmp_path, value):
    for folder in ("images", "annotations/trimaps"):
        (tmp_path / folder).mkdir(parents=True)
    Image.new("RGB", (8, 8)).save(tmp_path / "images" / "cat.jpg")
    trimap = np.full((8, 8), 2, np.uint8)
    trimap[0, 0] = value
    Image.fromarray(trimap).save(tmp_path / "annotations" / "trimaps" / "cat.png")
    with pytest.raises(DataError, match=rf"cat\.png: cannot be used as a trimap\. .*holds the values .*{value}"):
        list(pairs(tmp_path, ["cat"]))


def test_the_record_names_the_ways_that_are_compared():
    for half in ("chosen on", "reported"):
        scenes = [scene for scene in course.refinement()[half].values() if isinstance(scene, dict)]
        assert all(list(scene) == list(WAYS) for scene in scenes)
