"""int8 for onnxruntime: nearly the same numbers, written only where it is worth it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from petseg import cli
from petseg.data.datamodule import PetDataModule
from petseg.errors import ModelError
from petseg.inference.onnx import export_onnx
from petseg.models import zoo
from petseg.models.segmenter import Segmenter
from petseg.models.unet import UNet
from petseg.models.zoo import ModelCard
from petseg.training import quantization
from petseg.training.quantization import Comparison

for module in ("onnx", "onnxscript", "onnxruntime"):
    pytest.importorskip(module)


def comparison(lost: float, times: float) -> Comparison:
    return Comparison((0.75, 0.75 - lost), ([2.0 * times, 3.0 * times, 9.0], [2.0, 3.0, 9.0]))


@pytest.mark.parametrize(
    ("lost", "times", "worthwhile"), [(0.004, 1.6, True), (-0.01, 1.5, True), (0.006, 3.0, False), (0.0, 1.4, False)]
)
def test_int8_is_worth_it_within_half_a_point_and_from_one_and_a_half_times(
    lost: float, times: float, worthwhile: bool
) -> None:
    found = comparison(lost, times)
    assert found.speedup == pytest.approx(times)
    assert found.points == pytest.approx(-100 * lost)
    assert found.worthwhile is worthwhile


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    segmenter = Segmenter(UNet(channels=(4, 8)))
    card = ModelCard.of(segmenter, name="tiny", size=(32, 32))
    return zoo.save(tmp_path_factory.mktemp("models") / "tiny.safetensors", segmenter, card)


@pytest.fixture
def data(cartoons: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PetDataModule:
    monkeypatch.setenv("PETSEG_CACHE_DIR", str(tmp_path / "cache"))
    return PetDataModule("oxford", cartoons, image_size=32, progress=False)


def test_logits_are_nearly_those_of_float32_and_the_card_travels_along(model: Path, data: PetDataModule) -> None:
    data.prepare_data()
    data.setup()
    exported = export_onnx(model, model.with_name("tiny.onnx"))
    quantized = quantization.quantize(exported, model.with_name("tiny8.onnx"), data.datasets["train"])
    image = next(quantization._batches(data.datasets["val"]))[0]
    sessions = [quantization._session(path) for path in (exported, quantized)]
    whole, found = (session.run(["logits"], {"image": image})[0] for session in sessions)
    assert 0 < np.abs(found - whole).mean() < 0.05 * np.ptp(whole)
    assert ModelCard.from_header(sessions[1].get_modelmeta().custom_metadata_map) == zoo.card(model)
    scored = quantization.compare(exported, quantized, data.datasets["val"], rounds=2)
    assert abs(scored.points) < 10
    assert [len(times) for times in scored.seconds] == [2, 2]


def test_what_is_not_worth_it_is_not_written_and_the_reason_is_told(
    model: Path, data: PetDataModule, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quantization, "compare", lambda *arguments: comparison(0.001, 0.7))
    with pytest.raises(ModelError, match=r"^small\.onnx: not written, .*: -0\.10 points .*, 0\.70 times as fast"):
        quantization.export_int8(model, tmp_path / "small.onnx", data)
    assert not (tmp_path / "small.onnx").exists()
    monkeypatch.setattr(quantization, "compare", lambda *arguments: comparison(0.001, 1.7))
    assert quantization.export_int8(model, tmp_path / "small.onnx", data).speedup == pytest.approx(1.7)
    assert (tmp_path / "small.onnx").is_file()


def test_a_file_named_int8_is_compared_with_float32_and_not_with_itself(
    model: Path, data: PetDataModule, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[Path] = []
    monkeypatch.setattr(
        quantization,
        "compare",
        lambda exported, quantized, _: compared.extend((exported, quantized)) or comparison(0, 2),
    )
    quantization.export_int8(model, tmp_path / "int8.onnx", data)
    assert len(set(compared)) == 2


def test_half_and_int8_exclude_each_other(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["export", "--half", "--quantize", "int8", "--out", str(tmp_path / "a.onnx")])
    assert "not allowed with" in capsys.readouterr().err
