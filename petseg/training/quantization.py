"""Post-training quantization: a model for onnxruntime whose convolutions compute with 8-bit integers.

A weight w becomes round(w / scale), an integer of -128 to 127, with one scale per output channel. The scale of each
activation comes from its range over some images of the train split: *static* quantization (Jacob et al.: Quantization
and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference, CVPR 2018). Not every network gets
faster by it, so a file is written only where it is worth it: `Comparison.worthwhile`.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from petseg.data.datamodule import PetDataModule, PixelDataset
from petseg.errors import ModelError
from petseg.files import atomic_write
from petseg.inference.onnx import export_onnx
from petseg.metrics.confusion import class_map, confusion_matrices, mean_iou
from petseg.models import zoo
from petseg.training.benchmark.clock import alternate

#: At most so many points (hundredths) of mean IoU may be lost, and it must be so many times as fast.
POINTS: Final = 0.5
FASTER: Final = 1.5

#: Images of the train split from which the ranges of activations are taken.
IMAGES: Final = 128

BATCH: Final = 16
ROUNDS: Final = 20


@dataclass(frozen=True)
class Comparison:
    """The same network in float32 and int8.

    Attributes:
        mean_iou: of both on the validation split, float32 first.
        seconds: of both for one image on one core, one value per round.
    """

    mean_iou: tuple[float, float]
    seconds: tuple[list[float], list[float]]

    @property
    def points(self) -> float:
        """What int8 gains in mean IoU, in hundredths; below 0 what it loses."""
        return 100 * (self.mean_iou[1] - self.mean_iou[0])

    @property
    def speedup(self) -> float:
        """How many times as fast int8 is."""
        return median(self.seconds[0]) / median(self.seconds[1])

    @property
    def worthwhile(self) -> bool:
        """Whether int8 loses little and gains enough."""
        return self.points >= -POINTS and self.speedup >= FASTER

    def __str__(self) -> str:
        """One line for people."""
        return f"{self.points:+.2f} points of mean IoU on the validation split, {self.speedup:.2f} times as fast"


def export_int8(model: str | Path | None, out: Path, data: PetDataModule | None = None) -> Comparison:
    """Writes a model as ONNX in int8, where that is worth it on this machine.

    Args:
        model: as for `zoo.load`.
        out: where to, ending in `.onnx`.
        data: default: Oxford-IIIT Pet at the model's working size.

    Raises:
        ModelError: int8 loses too much or gains too little, or the extra `export` is missing.
        DataError: the data are not there.
    """
    if data is None:
        data = PetDataModule(image_size=zoo.card(model).size[0])
    with TemporaryDirectory() as folder:
        exported = export_onnx(zoo.card(model).name if model is None else model, Path(folder, "float32.onnx"))
        data.prepare_data()
        data.setup()
        quantized = quantize(exported, Path(folder, "int8.onnx"), data.datasets["train"])
        comparison = compare(exported, quantized, data.datasets["val"])
        if not comparison.worthwhile:
            raise ModelError(
                f"{out.name}: not written, since int8 is not worth it here: {comparison}; expected {-POINTS:+.2f} "
                f"points or more and {FASTER} times or more. Leave out --quantize."
            )
        with atomic_write(out) as partial:
            shutil.copy(quantized, partial)
    return comparison


def quantize(exported: Path, out: Path, images: PixelDataset) -> Path:
    """Writes an int8 copy of an ONNX file of `export_onnx`, with its metadata.

    Args:
        exported: the file.
        out: where to.
        images: for the ranges of activations; `IMAGES` of them are drawn, always the same.
    """
    onnx, tools = import_module("onnx"), import_module("onnxruntime.quantization")
    reader = type("Reader", (tools.CalibrationDataReader,), {"get_next": _reader(images)})()
    simpler = out.with_suffix(".simpler.onnx")
    tools.quant_pre_process(str(exported), str(simpler), skip_symbolic_shape=True)
    # unsigned activations and signed weights: the pair that processors multiply fastest
    kinds = {"activation_type": tools.QuantType.QUInt8, "weight_type": tools.QuantType.QInt8}
    tools.quantize_static(str(simpler), str(out), reader, per_channel=True, **kinds)
    graph = onnx.load(str(out))
    known = {entry.key for entry in graph.metadata_props}
    for entry in onnx.load(str(exported)).metadata_props:
        if entry.key not in known:
            graph.metadata_props.add(key=entry.key, value=entry.value)
    onnx.save_model(graph, str(out))
    return out


def compare(exported: Path, quantized: Path, validation: PixelDataset, rounds: int = ROUNDS) -> Comparison:
    """Scores both files, and times them in turns."""
    sessions = [_session(path) for path in (exported, quantized)]
    image = next(_batches(validation, 1))[0]
    ways = {str(index): lambda session=session: _seconds(session, image) for index, session in enumerate(sessions)}
    measured = alternate(ways, rounds)
    first, second = (_score(session, validation) for session in sessions)
    return Comparison((first, second), (measured["0"], measured["1"]))


def _reader(images: PixelDataset) -> Any:
    """A method that gives the next image of the calibration, None after the last."""
    rows = iter(torch.randperm(len(images), generator=torch.Generator().manual_seed(0))[:IMAGES].tolist())

    def get_next(self: Any) -> dict[str, NDArray[np.float32]] | None:
        row = next(rows, None)
        return None if row is None else {"image": _pixels(images[row].image)}

    return get_next


def _pixels(image: torch.Tensor) -> NDArray[np.float32]:
    """What the ONNX file takes, float32 (B, 3, H, W) in 0..1, of images uint8."""
    return (image.float() / 255).contiguous().numpy()


def _batches(dataset: PixelDataset, size: int = BATCH) -> Iterator[tuple[NDArray[np.float32], torch.Tensor]]:
    for rows in torch.arange(len(dataset)).split(size):
        batch = dataset.__getitems__(rows.tolist())
        yield _pixels(batch.image), batch.mask


def _session(path: Path) -> Any:
    """The file in onnxruntime, on one core, so that the number of cores does not matter."""
    runtime = import_module("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _seconds(session: Any, image: NDArray[np.float32]) -> float:
    start = time.process_time()  # of this process alone: others may keep the machine busy
    session.run(["logits"], {"image": image})
    return time.process_time() - start


def _score(session: Any, dataset: PixelDataset) -> float:
    """Mean IoU, pooled over all pixels of a split."""
    matrix = torch.zeros(3, 3, dtype=torch.int64)
    for image, mask in _batches(dataset):
        (logits,) = session.run(["logits"], {"image": image})
        matrix += confusion_matrices(class_map(torch.from_numpy(logits)), mask).sum(dim=0)
    return float(mean_iou(matrix))
