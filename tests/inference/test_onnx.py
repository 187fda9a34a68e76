"""`petseg.inference.onnx`: the ONNX file gives the same logits as the network, and the same `Segmentation`."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from petseg.errors import ModelError
from petseg.inference.onnx import OnnxPredictor, export_onnx
from petseg.inference.predictor import Predictor
from petseg.models import zoo
from petseg.models.unet import UNet


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    network = UNet(channels=(4, 8))
    card = zoo.ModelCard(
        "tiny", "unet", network.settings, (0.5, 0.4, 0.3), (0.25, 0.2, 0.125), size=(30, 48), parameters=1
    )
    return zoo.save(tmp_path_factory.mktemp("models") / "tiny.safetensors", network, card)


@pytest.fixture(scope="module")
def exported(model: Path) -> Path:
    for module in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(module)
    return export_onnx(model, model.with_name("tiny.onnx"))


def noise(width: int, height: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8))


def test_onnx_and_pytorch_give_the_same_segmentation(model: Path, exported: Path) -> None:
    photo = noise(70, 50)
    pytorch = Predictor(model, device="cpu")
    ours, theirs = pytorch(photo), OnnxPredictor(exported)(photo)
    np.testing.assert_allclose(theirs.logits, ours.logits, atol=1e-4)
    assert (theirs.mask == ours.mask).mean() > 0.999
    assert theirs.model == ours.model == "tiny"
    assert np.ptp(ours.logits) > 0.1  # else any two networks would agree


def test_the_batch_is_free(exported: Path) -> None:
    predictor = OnnxPredictor(exported)
    images = [predictor.prepare(noise(60 + index, 40)) for index in range(3)]
    together = predictor.logits(torch.cat(images))
    assert together.shape == (3, 3, 30, 48)
    apart = torch.cat([predictor.logits(image) for image in images])
    torch.testing.assert_close(together, apart, atol=1e-5, rtol=1e-4)


def test_the_graph_takes_pixels_as_they_are(exported: Path) -> None:
    image = OnnxPredictor(exported).prepare(Image.new("RGB", (9, 9), (255, 51, 0)))
    assert image[0, :, 0, 0].tolist() == pytest.approx([1, 0.2, 0])


def test_the_card_travels_in_the_file(model: Path, exported: Path) -> None:
    assert OnnxPredictor(exported).card == zoo.card(model)


def test_the_export_is_one_file(exported: Path) -> None:
    assert sorted(path.name for path in exported.parent.iterdir()) == ["tiny.onnx", "tiny.safetensors"]


def test_what_is_no_exported_model_is_refused(tmp_path: Path, model: Path) -> None:
    pytest.importorskip("onnxruntime")
    (tmp_path / "notes.onnx").write_text("dear diary")
    with pytest.raises(ModelError, match=r"^notes\.onnx: onnxruntime cannot read it"):
        OnnxPredictor(tmp_path / "notes.onnx")
    with pytest.raises(ModelError, match=r"^gone\.onnx: no such file"):
        OnnxPredictor(tmp_path / "gone.onnx")
    with pytest.raises(ModelError, match=r"ends in \.onnx"):
        export_onnx(model, tmp_path / "model.pt")


def test_without_the_extra_the_remedy_is_named(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("onnx", "onnxruntime"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ModelError, match=r'pip install "petseg\[export\]"'):
        export_onnx(model, tmp_path / "tiny.onnx")
    with pytest.raises(ModelError, match=r'pip install "petseg\[export\]"'):
        OnnxPredictor(tmp_path / "tiny.onnx")
