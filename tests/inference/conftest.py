"""A small model for the tests of this folder."""

from pathlib import Path

import pytest
import torch

from petseg.models import zoo
from petseg.models.segmenter import Segmenter
from petseg.models.unet import UNet
from petseg.models.zoo import ModelCard


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a tiny network with random weights, whose images are 30 x 48 pixels (height x width)."""
    torch.manual_seed(0)
    segmenter = Segmenter(UNet(channels=(4, 8)), mean=(0.5, 0.4, 0.3), std=(0.25, 0.2, 0.125))
    card = ModelCard.of(segmenter, name="tiny", size=(30, 48))
    return zoo.save(tmp_path_factory.mktemp("models") / "tiny.safetensors", segmenter, card)


@pytest.fixture(scope="session")
def exported(model: Path) -> Path:
    for module in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(module)
    from petseg.inference.onnx import export_onnx

    return export_onnx(model, model.with_name("tiny.onnx"))
