"""How fast the released models are in onnxruntime, in float32 and in int8, and what int8 costs in mean IoU."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

from petseg.inference.int8 import Comparison, calibration_rows, compare, quantize
from petseg.inference.onnx import export_onnx
from petseg.models import zoo
from petseg.models.zoo import ModelCard
from petseg.training.benchmark.epoch import opened
from petseg.training.benchmark.row import Row, Spread
from petseg.training.benchmark.settings import Settings
from petseg.training.task import SegmentationTask


def int8_row(settings: Settings) -> Row:
    """Milliseconds for one image on one core, float32 and int8 in turns."""
    title = "one image in onnxruntime on one core, float32 and int8"
    if find_spec("onnxruntime") is None or find_spec("onnxscript") is None:
        return Row(title, "ms", {"float32": None, "int8": None}, note="unmeasured here: it needs the extra export")
    values, notes = {}, []
    with TemporaryDirectory() as folder:
        for model in settings.models or [_untrained(settings, Path(folder))]:
            comparison = _compared(model, Path(folder), settings)
            name = Path(model).stem
            for kind, times in zip(("float32", "int8"), comparison.seconds, strict=True):
                values[f"{name}, {kind}"] = Spread.of([1e3 * value for value in times])
            notes.append(f"{name} in int8: {comparison}")
    return Row(title, "ms", values, note="; ".join(notes))


def _compared(model: str | Path, folder: Path, settings: Settings) -> Comparison:
    data = opened(settings)
    exported = export_onnx(model, folder / "float32.onnx")
    train = data.datasets["train"]
    images = train.__getitems__(calibration_rows(len(train))).image
    quantized = quantize(exported, folder / "int8.onnx", images)
    return compare(exported, quantized, data.val_dataloader(), rounds=4 * settings.rounds)


def _untrained(settings: Settings, folder: Path) -> Path:
    """The file of a network of the recipe's, with random weights."""
    segmenter = SegmentationTask.from_recipe(settings.recipe).segmenter
    card = ModelCard.of(segmenter, name="untrained", size=(settings.size, settings.size))
    return zoo.save(folder / "untrained.safetensors", segmenter, card)
