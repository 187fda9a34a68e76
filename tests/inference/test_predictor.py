"""`Predictor`: a photo is decoded, resized and segmented, and the result has the photo's own size."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from photo_files import noise, turned
from PIL import Image
from skimage.data import coffee

from petseg.apps.cutouts import CutoutSettings
from petseg.apps.display import sample_photos
from petseg.errors import ModelError, PetsegWarning, PhotoError
from petseg.inference import predictor as predictor_module
from petseg.inference.predictor import Predictor
from petseg.inference.segmentation import Segmentation
from petseg.labels import BACKGROUND, PET
from petseg.models import zoo
from petseg.models.segmenter import Segmenter
from petseg.models.unet import UNet
from petseg.models.zoo import ModelCard


@pytest.fixture(scope="module")
def predictor(model: Path) -> Predictor:
    return Predictor(model, device="cpu")


def test_the_result_has_the_photos_own_upright_size(predictor, tmp_path):
    noise(70, 50).save(tmp_path / "dog.jpg", exif=turned(6))
    result = predictor(tmp_path / "dog.jpg")
    assert result.photo.size == result.mask_image().size == (50, 70)
    assert (result.mask.shape, result.mask.dtype) == ((70, 50), np.uint8)
    assert (result.probabilities.shape, result.probabilities.dtype) == ((3, 70, 50), np.float32)
    assert result.model == "tiny"
    assert result.seconds > 0


def test_a_photo_whose_size_pillow_refuses_is_segmented_and_cut_out(predictor, monkeypatch):
    photo = noise(70, 50)
    expected = CutoutSettings("white", crop=True).draw(predictor(photo).without_doubt())
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    result = predictor(photo)
    assert np.array_equal(CutoutSettings("white", crop=True).draw(result.without_doubt()), expected)


def test_a_photo_of_one_colour_is_prepared_as_on_paper(predictor):
    image = predictor.prepare(Image.new("RGB", (100, 100), (255, 51, 0)))
    assert image.shape == (1, 3, 30, 48)
    assert image.dtype == torch.float32
    for channel, expected in enumerate((1, 0.2, 0)):
        assert image[0, channel].unique().tolist() == pytest.approx([expected], abs=1e-6)


def test_a_photo_is_resized_without_aliasing(predictor):
    stripes = np.zeros((300, 480, 3), np.uint8)
    stripes[:, ::2] = 255  # thinner than a pixel of the working size: they must come out grey
    grey = predictor.prepare(Image.fromarray(stripes))[0, :, :, 2:-2]
    torch.testing.assert_close(grey, torch.full_like(grey, 0.5), atol=0.02, rtol=0)


def test_calling_with_one_pass_is_the_three_steps_in_a_row(model):
    predictor = Predictor(model, passes=1)
    photo = predictor.load_photo(noise(60, 40))
    logits = predictor.logits(predictor.prepare(photo))
    assert logits.shape == (1, 3, 30, 48)
    assert torch.equal(predictor.photo_logits(photo), logits[0])
    result = predictor(noise(60, 40))
    assert np.array_equal(result.logits, logits[0].numpy())
    assert result.logits.dtype == np.float32


def test_a_bad_photo_is_refused_by_its_name(predictor, model):
    with pytest.raises(PhotoError, match=r"^rex\.jpg: not an image"):
        predictor(b"woof", name="rex.jpg")
    with pytest.raises(PhotoError, match="megapixels"):
        Predictor(model, device="cpu", max_pixels=10).load_photo(noise(4, 4))


def test_an_unknown_device_or_model_is_refused(model):
    for device in ("toaster", "cuda:99"):
        with pytest.raises(ModelError, match=rf"^device {device}: [^\n]+\. Choose another, such as cpu\.$"):
            Predictor(model, device=device)
    with pytest.raises(ModelError, match=r"^device meta: .+\. Choose another, such as cpu\.$"):
        Predictor(model, device="meta")(noise(4, 4))  # it is only noticed when it computes
    with pytest.raises(ModelError, match="no released model has this name"):
        Predictor("no-such-model")


@pytest.mark.parametrize("device", ["cuda:99", "meta"])  # fails when the model is loaded; when a photo is segmented
def test_if_the_best_device_fails_the_cpu_goes_on_with_one_sentence_that_says_why(
    predictor, model, device, monkeypatch
):
    monkeypatch.setattr(predictor_module, "best_device", lambda: device)
    sentence = rf"^{device}: [^\n]+\. The CPU computes instead, slower\.$"
    photos = [noise(60 + index, 40) for index in range(8)]

    def segmented() -> list[Segmentation]:
        with ThreadPoolExecutor(4) as threads:
            return list(threads.map(Predictor(model), photos))

    with pytest.warns(PetsegWarning, match=sentence) as warned:
        results = segmented()
    assert len(warned) == 1
    for photo, result in zip(photos, results, strict=True):
        np.testing.assert_allclose(result.logits, predictor(photo).logits, atol=1e-6)


def test_a_model_with_other_classes_is_refused(tmp_path):
    segmenter = Segmenter(UNet(channels=(4, 8), num_classes=2))
    card = ModelCard.of(segmenter, name="two", size=(32, 32), classes=("cat", "dog"))
    with pytest.raises(ModelError, match=r"two: finds cat, dog; expected pet, background, boundary\."):
        Predictor(zoo.save(tmp_path / "two.safetensors", segmenter, card))


@pytest.fixture(scope="module")
def unet() -> Predictor:
    return Predictor("unet")


def test_a_cup_of_coffee_is_segmented_and_doubted(unet):
    result = unet(coffee())
    assert result.segmented
    assert result.doubtful
    assert result.pet_probability is not None
    assert not result.found
    unchecked = Predictor("unet", check_pet=False)(coffee())
    assert unchecked.found
    assert unchecked.pet_probability is None
    assert np.array_equal(unchecked.logits, result.logits)


@pytest.mark.parametrize("name", list(sample_photos()))
def test_no_sample_is_doubted(name, unet):
    result = unet(sample_photos()[name]())
    assert result.found
    assert np.isnan(result.pet_probability or 0) == name.startswith("cartoon")  # as drawings, these are not judged


@pytest.mark.parametrize(
    ("answers", "probability", "count"),
    [([0.02, 0.06, 0.04], 0.06, 3), ([0.02, 0.7, 0.9], 0.7, 2), ([float("nan"), 0.9, 0.9], float("nan"), 1)],
)
def test_the_whole_photo_and_each_part_is_asked_about_until_there_is_no_doubt(
    answers, probability, count, predictor, monkeypatch
):
    asked: list[tuple[int, ...]] = []

    def classifier(image: torch.Tensor) -> torch.Tensor:
        asked.append(tuple(image.shape))
        return torch.tensor([answers[len(asked) - 1]])

    monkeypatch.setattr(predictor_module, "load_classifier", lambda: classifier)
    logits = torch.zeros(3, 20, 20)
    logits[BACKGROUND] = 1
    logits[PET, 2:8, 2:8] = logits[PET, 12:18, 12:18] = 2  # two pets
    assert predictor.pet_probability(noise(60, 40), logits) == pytest.approx(probability, nan_ok=True)
    assert asked == [(1, 3, 224, 224)] * count


@pytest.mark.parametrize(("check_pet", "checks"), [(None, False), (True, True), (False, False)])
def test_a_model_of_your_own_is_checked_only_if_you_say_so(check_pet, checks, model):
    assert (Predictor(model, check_pet=check_pet)(noise(9, 9)).pet_probability is not None) == checks
