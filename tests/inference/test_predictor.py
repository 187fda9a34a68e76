"""`predictor`: class map, probabilities, overlay and cut-out follow from the logits, at the photo's own size."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from petseg.errors import ModelError, PhotoError
from petseg.inference.predictor import Predictor, Segmentation
from petseg.labels import BACKGROUND, BOUNDARY, COLORS, PET, palette, palette_with_ink, rgb
from petseg.models import zoo
from petseg.models.unet import UNet

MEAN, STD = (0.5, 0.4, 0.3), (0.25, 0.2, 0.125)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    network = UNet(channels=(4, 8))
    card = zoo.ModelCard("tiny", "unet", network.settings, MEAN, STD, size=(32, 48), parameters=1)
    return zoo.save(tmp_path_factory.mktemp("models") / "tiny.safetensors", network, card)


@pytest.fixture(scope="module")
def predictor(model: Path) -> Predictor:
    return Predictor(model, device="cpu")


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


def test_the_result_has_the_photos_own_upright_size(predictor: Predictor, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    noise(70, 50).save(tmp_path / "dog.jpg", exif=exif)
    result = predictor(tmp_path / "dog.jpg")
    assert result.photo.size == (50, 70)
    assert result.mask.shape == (70, 50)
    assert result.mask.dtype == np.uint8
    assert result.probabilities.shape == (3, 70, 50)
    assert result.probabilities.dtype == np.float32
    assert result.overlay().size == result.cutout().size == result.mask_image().size == (50, 70)
    assert result.model == "tiny"
    assert result.seconds > 0


@pytest.mark.parametrize("size", [(1, 1), (1, 90), (300, 1), (31, 17), (48, 32)])
def test_photos_of_any_size_are_segmented(predictor: Predictor, size: tuple[int, int]) -> None:
    result = predictor(noise(*size))
    assert result.mask.shape == size[::-1]
    assert result.overlay().size == result.cutout().size == size
    assert sum(result.shares.values()) == pytest.approx(1)


def test_a_photo_of_one_colour_is_normalised_as_on_paper(predictor: Predictor) -> None:
    image = predictor.prepare(Image.new("RGB", (100, 100), (255, 51, 0)))  # 1, 0.2, 0 of 1
    assert image.shape == (1, 3, 32, 48)
    assert image.dtype == torch.float32
    for channel, expected in enumerate(((1 - 0.5) / 0.25, (0.2 - 0.4) / 0.2, (0 - 0.3) / 0.125)):
        assert image[0, channel].unique().tolist() == pytest.approx([expected], abs=1e-6)


def test_a_photo_is_squeezed_without_aliasing(predictor: Predictor) -> None:
    stripes = np.zeros((320, 480, 3), np.uint8)
    stripes[:, ::2] = 255  # thinner than a pixel of the working size: they must come out grey
    image = predictor.prepare(Image.fromarray(stripes))[0] * torch.tensor(STD).view(3, 1, 1)
    grey = (image + torch.tensor(MEAN).view(3, 1, 1))[:, :, 2:-2]
    torch.testing.assert_close(grey, torch.full_like(grey, 0.5), atol=0.02, rtol=0)


def test_calling_with_one_look_is_the_three_steps_in_a_row(model: Path) -> None:
    predictor = Predictor(model, device="cpu", looks=1)
    photo = predictor.load_photo(noise(60, 40))
    logits = predictor.logits(predictor.prepare(photo))
    assert logits.shape == (1, 3, 32, 48)
    result = predictor(noise(60, 40))
    assert np.array_equal(result.logits, logits[0].numpy())
    assert result.logits.dtype == np.float32


def test_a_batch_gives_what_its_photos_give_alone(predictor: Predictor) -> None:
    images = [predictor.prepare(noise(60, 40)), predictor.prepare(noise(40, 60))]
    together = predictor.logits(torch.cat(images))
    apart = torch.cat([predictor.logits(image) for image in images])
    torch.testing.assert_close(together, apart, atol=1e-5, rtol=1e-4)


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


def test_shares_count_pixels() -> None:
    assert sure_result([[0, 1, 1, 2]], scale=10).shares == {"pet": 0.25, "background": 0.5, "boundary": 0.25}


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


def test_a_cutouts_edge_is_soft_and_keeps_the_photos_colours() -> None:
    logits = np.zeros((3, 1, 2), np.float32)
    logits[0] = [[3, -3]]  # from pet to background; the boundary stays unlikely
    logits[1] = [[-3, 3]]
    logits[2] = -20
    result = Segmentation(noise(200, 1), logits)
    cutout = np.asarray(result.cutout())[0]
    alpha = cutout[:, 3].astype(int)
    assert alpha[0] == 255
    assert alpha[-1] == 0
    assert (np.diff(alpha) <= 0).all()
    assert 0 < np.abs(np.diff(alpha)).max() < 40
    assert alpha[99:101].mean() == pytest.approx(127.5, abs=1)  # as likely pet as not: half
    visible = alpha > 0
    assert np.array_equal(cutout[visible, :3], np.asarray(result.photo)[0][visible])


def test_a_certain_boundary_is_half_see_through() -> None:
    assert sure_result([[2]]).cutout().getpixel((0, 0))[3] == 128


def test_saving_writes_three_files_and_no_others(tmp_path: Path) -> None:
    result = random_result(60, 40)
    paths = result.save(tmp_path / "new", "dog.of.mine")
    assert [path.name for path in paths] == [f"dog.of.mine.{kind}.png" for kind in ("mask", "overlay", "cutout")]
    assert sorted((tmp_path / "new").iterdir()) == sorted(paths)
    for path, drawn in zip(paths, (result.mask_image(), result.overlay(), result.cutout()), strict=True):
        with Image.open(path) as image:
            assert image.format == "PNG"
            assert image.mode == drawn.mode
            assert image.tobytes() == drawn.tobytes()


def test_asking_twice_works_once() -> None:
    result = random_result(20, 20)
    assert result.mask is result.mask
    assert result.probabilities is result.probabilities


def test_a_bad_photo_is_refused_by_its_name(predictor: Predictor) -> None:
    with pytest.raises(PhotoError, match=r"^rex\.jpg: not an image"):
        predictor(b"woof", name="rex.jpg")
    with pytest.raises(PhotoError, match="megapixels"):
        Predictor.load_photo(_limited(predictor, 10), noise(4, 4))


def _limited(predictor: Predictor, max_pixels: int) -> Predictor:
    limited = object.__new__(Predictor)
    limited.__dict__.update(vars(predictor), max_pixels=max_pixels)
    return limited


def test_an_unknown_device_or_model_is_refused(model: Path) -> None:
    for device in ("toaster", "cuda:99"):
        with pytest.raises(ModelError, match=rf"device {device}: not on this machine\. Choose "):
            Predictor(model, device=device)
    with pytest.raises(ModelError, match="no released model has this name"):
        Predictor("no-such-model")


def test_threads_share_a_predictor(predictor: Predictor) -> None:
    photos = [noise(60 + index, 40) for index in range(6)]
    expected = [predictor(photo).logits for photo in photos]
    found: dict[int, np.ndarray] = {}

    def work(index: int) -> None:
        found[index] = predictor(photos[index]).logits

    threads = [threading.Thread(target=work, args=(index,)) for index in range(len(photos))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for index, logits in enumerate(expected):
        np.testing.assert_allclose(found[index], logits, atol=1e-6)


def test_predicting_loads_neither_lightning_nor_the_data_rooms() -> None:
    heavy = ("lightning", "torchvision", "torchmetrics", "matplotlib", "petseg.data.datamodule", "petseg.data.cartoon")
    code = f"import sys, petseg.inference.predictor; print([name for name in {heavy} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
