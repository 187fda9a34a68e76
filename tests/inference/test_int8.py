"""int8 for onnxruntime: nearly the same numbers, written only if it is worthwhile."""

import shutil
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from petseg.errors import ModelError
from petseg.inference import int8
from petseg.inference.int8 import Comparison
from petseg.metrics.confusion import mean_iou, split_matrices
from petseg.models import zoo
from petseg.models.zoo import ModelCard

for module in ("onnx", "onnxscript", "onnxruntime"):
    pytest.importorskip(module)
import onnxruntime  # noqa: E402

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("points", "times", "worthwhile"), [(-0.4, 1.6, True), (1.0, 1.5, True), (-0.6, 3.0, False), (0.0, 1.4, False)]
)
def test_int8_is_worthwhile_within_half_a_point_and_from_one_and_a_half_times(points, times, worthwhile):
    assert Comparison(points, times).worthwhile is worthwhile


@pytest.fixture(scope="module")
def images() -> Tensor:
    return torch.randint(0, 256, (12, 3, 30, 48), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


@pytest.fixture(scope="module")
def validation(images: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Two batches of images and masks."""
    masks = images.sum(dim=1, dtype=torch.int64) % 3
    return [(images[:8], masks[:8]), (images[8:], masks[8:])]


def test_int8_gives_nearly_the_logits_of_float32_and_keeps_the_card(model, exported, images, validation):
    quantized = int8.quantize(exported, model.with_name("tiny8.onnx"), images)
    sessions = [onnxruntime.InferenceSession(str(path)) for path in (exported, quantized)]
    float32, rounded = (session.run(["logits"], {"image": (images / 255).numpy()})[0] for session in sessions)
    assert 0 < np.abs(rounded - float32).mean() < 0.05 * np.ptp(float32)
    assert ModelCard.from_header(sessions[1].get_modelmeta().custom_metadata_map) == zoo.card(model)


def test_a_file_against_itself_gains_no_point_and_one_that_answers_otherwise_its_difference(
    model, exported, images, validation, monkeypatch
):
    clock = time.process_time
    monkeypatch.setattr(time, "process_time", lambda: clock() // 0.015625 * 0.015625)  # as on Windows
    same = int8.compare(exported, exported, validation, rounds=2)
    assert (same.points, same.speedup > 0) == (0, True)
    segmenter, _ = zoo.load(model)
    ways = {"float32": segmenter, "int8": lambda image: segmenter(image).flip(1)}  # pet and boundary exchanged
    monkeypatch.setattr(int8, "_on_one_core", ways.get)
    monkeypatch.setattr(int8, "_seconds", lambda call: 3.0 if call.func is segmenter else 1.5)
    scores = [float(mean_iou(split_matrices(way, validation).sum(dim=0))) for way in ways.values()]
    compared = int8.compare("float32", "int8", validation, rounds=2)
    assert compared.points == pytest.approx(100 * (scores[1] - scores[0])) != 0
    assert compared.speedup == 2


@pytest.mark.parametrize("times", [0.7, 1.7])
def test_a_file_is_written_only_if_it_is_worthwhile(model, exported, images, validation, tmp_path, monkeypatch, times):
    paths: list[Path] = []
    monkeypatch.setattr(int8, "export_onnx", lambda model, path: shutil.copy(exported, path))
    monkeypatch.setattr(int8, "compare", lambda *files: paths.extend(files[:2]) or Comparison(-0.1, times))
    out = tmp_path / "int8.onnx"
    if times > 1.5:
        assert int8.export_int8(model, out, images, validation).speedup == pytest.approx(times)
    else:
        with pytest.raises(ModelError, match=r"^int8\.onnx: not written, .*: -0\.10 points .*, 0\.70 times as fast"):
            int8.export_int8(model, out, images, validation)
    assert out.is_file() == (times > 1.5)
    assert len(set(paths)) == 2  # float32 is compared with int8, not with itself
