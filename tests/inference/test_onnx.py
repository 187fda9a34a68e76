"""`petseg.inference.onnx`: the ONNX file gives the same logits as the network."""

import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from photo_files import noise
from PIL import Image
from skimage.data import coffee

from petseg.apps.display import sample_photos
from petseg.errors import ModelError
from petseg.inference import onnx
from petseg.inference.onnx import export_onnx
from petseg.inference.predictor import resize_to_model
from petseg.models import zoo
from petseg.models.classifier import SIZE, load_classifier
from petseg.models.zoo import ModelCard

pytestmark = pytest.mark.slow


def session(path: Path) -> Any:
    import onnxruntime

    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


def weights(path: Path) -> list[Any]:
    """The tensors of floats that an ONNX file holds."""
    import onnx

    arrays = [onnx.numpy_helper.to_array(weight) for weight in onnx.load(path).graph.initializer]
    return [array for array in arrays if array.dtype.kind == "f"]


def test_onnxruntime_and_pytorch_give_the_same_logits_for_any_batch_size(model, exported):
    segmenter, _ = zoo.load(model)
    for size in (1, 2, 3):
        image = torch.rand(size, 3, 30, 48, generator=torch.Generator().manual_seed(size))
        (logits,) = session(exported).run(["logits"], {"image": image.numpy()})
        with torch.inference_mode():
            expected = segmenter(image).numpy()
        np.testing.assert_allclose(logits, expected, atol=1e-4)
        assert np.ptp(expected) > 0.1  # else any two networks would agree


def test_the_classifier_gives_the_probabilities_of_pytorchs_and_takes_a_third_of_the_bytes(tmp_path):
    for module in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(module)
    onnx.export_classifier(tmp_path / "classifier.onnx")
    photos = [*(load() for load in sample_photos().values()), Image.fromarray(coffee()), noise(90, 90)]
    images = torch.cat([resize_to_model(photo, SIZE) for photo in photos])
    (probabilities,) = session(tmp_path / "classifier.onnx").run(["probability"], {"image": images.numpy()})
    with torch.inference_mode():
        np.testing.assert_allclose(probabilities, load_classifier()(images), atol=1e-4)  # NaN of a drawing as well
    assert (tmp_path / "classifier.onnx").stat().st_size < 6_000_000


def test_the_export_is_one_file_with_the_card(model, exported):
    assert sorted(path.name for path in exported.parent.glob("tiny.*")) == ["tiny.onnx", "tiny.safetensors"]
    header = session(exported).get_modelmeta().custom_metadata_map
    assert ModelCard.from_header(header) == zoo.card(model)


def test_the_example_of_the_docstring_gives_a_class_map(exported, tmp_path):
    code = textwrap.dedent((onnx.__doc__ or "").partition("\n\n")[2]).replace("unet.onnx", str(exported))
    noise(70, 50).save(tmp_path / "my_dog.jpg")
    command = [sys.executable, "-c", f"{code}\nprint(class_map.shape, set(class_map.flat) <= {{0, 1, 2}})"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, encoding="utf-8", check=True)
    assert done.stdout.strip() == "(30, 48) True"


@pytest.mark.parametrize(
    ("option", "part", "changed"), [("half", 0.6, 1e-4), ("bytes_only", 0.35, 0.02)], ids=["float16", "8 bits"]
)
def test_smaller_weights_make_a_smaller_file_and_hardly_change_the_logits(option, part, changed, model, exported):
    small = export_onnx(model, model.with_name("small.onnx"), **{option: True})
    image = np.random.default_rng(0).random((2, 3, 30, 48), dtype=np.float32)
    (whole,), (coarse,) = (session(path).run(["logits"], {"image": image}) for path in (exported, small))
    assert np.abs(coarse - whole).mean() < changed * whole.std()
    assert sum(array.nbytes for array in weights(small)) < part * sum(array.nbytes for array in weights(exported))
    if option == "half":  # nothing was rounded: the weights are released in float16
        largest = max(weights(small), key=lambda array: array.size)
        stored = [value.numpy() for value in zoo.load(model)[0].state_dict().values()]
        assert any(np.array_equal(largest, value) for value in stored)
    small.unlink()


def test_a_name_that_is_not_one_of_an_onnx_file_is_refused(tmp_path, model):
    with pytest.raises(ModelError, match=r"^model\.pt: .*ends in \.onnx"):
        export_onnx(model, tmp_path / "model.pt")


def test_without_the_extra_the_remedy_is_named(model, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ModelError, match=r"pip install onnx onnxscript onnxruntime"):
        export_onnx(model, tmp_path / "tiny.onnx")
