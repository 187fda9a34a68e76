"""Post-training quantization: a model for onnxruntime whose convolutions compute with 8-bit integers.

A weight w becomes round(w / scale), an integer of -128 to 127, with one scale per output channel. The scale of each
activation comes from its range over some images of the train split: *static* quantization (Jacob et al.: Quantization
and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference, CVPR 2018). It does not speed up every
network, so a file is written only if it is worthwhile.
"""

import shutil
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Final, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from petseg.errors import ModelError
from petseg.files import atomic_write
from petseg.inference.onnx import export_onnx
from petseg.metrics.confusion import mean_iou, split_matrices

#: int8 may lose at most so many points (hundredths) of mean IoU, and must be at least so many times as fast.
MAX_POINTS: Final = 0.5
MIN_SPEEDUP: Final = 1.5


class Comparison(NamedTuple):
    """A network in int8 against the same in float32."""

    points: float  # what int8 gains in mean IoU on the validation split, in hundredths; below 0 what it loses
    speedup: float  # how many times as fast it is, for one image on one core

    @property
    def worthwhile(self) -> bool:
        """Whether int8 loses little and gains enough."""
        return self.points >= -MAX_POINTS and self.speedup >= MIN_SPEEDUP

    def __str__(self) -> str:
        """One line for people."""
        return f"{self.points:+.2f} points of mean IoU on the validation split, {self.speedup:.2f} times as fast"


def export_int8(
    model: str | Path | None, out: Path, images: Tensor, validation: Iterable[Sequence[Tensor]]
) -> Comparison:
    """Writes a model as ONNX in int8, if that is worthwhile; arguments as for `export_onnx`, `quantize`, `compare`.

    Raises ModelError if int8 loses too much or gains too little, or the extra `export` is missing.
    """
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:  # Windows removes no file that is open
        exported = export_onnx(model, Path(folder, "float32.onnx"))
        quantized = quantize(exported, Path(folder, "int8.onnx"), images)
        comparison = compare(exported, quantized, validation)
        if not comparison.worthwhile:
            raise ModelError(
                f"{out.name}: not written, because int8 is not worthwhile here: {comparison}; expected "
                f"{-MAX_POINTS:+.2f} points or more and {MIN_SPEEDUP} times or more. Leave out --quantize."
            )
        with atomic_write(out) as partial:
            shutil.copy(quantized, partial)
    return comparison


def calibration_rows(count: int) -> list[int]:
    """128 random rows of a split of `count` images, always the same: enough for the ranges of the activations."""
    return torch.randperm(count, generator=torch.Generator().manual_seed(0))[:128].tolist()


def quantize(exported: Path, out: Path, images: Tensor) -> Path:
    """Writes an int8 copy of a file of `export_onnx`, with its metadata.

    `images`, uint8 (N, 3, H, W), are of the train split and give the ranges of the activations; see `calibration_rows`.
    """
    onnx, tools = import_module("onnx"), import_module("onnxruntime.quantization")
    feeds = iter([{"image": _pixels(image)} for image in images.split(1)])
    reader = type("Reader", (tools.CalibrationDataReader,), {"get_next": lambda self: next(feeds, None)})()
    simplified = out.with_suffix(".simplified.onnx")
    tools.quant_pre_process(str(exported), str(simplified), skip_symbolic_shape=True)
    # unsigned activations and signed weights: the pair that processors multiply fastest
    kinds = {"activation_type": tools.QuantType.QUInt8, "weight_type": tools.QuantType.QInt8}
    tools.quantize_static(str(simplified), str(out), reader, per_channel=True, **kinds)
    graph = onnx.load(str(out))
    onnx.helper.set_model_props(graph, {p.key: p.value for p in onnx.load(str(exported)).metadata_props})
    onnx.save_model(graph, str(out))
    return out


def compare(exported: Path, quantized: Path, validation: Iterable[Sequence[Tensor]], rounds: int = 20) -> Comparison:
    """Scores both files on batches of the validation split (see `split_matrices`), and times them in turns."""
    ways = [_on_one_core(path) for path in (exported, quantized)]
    image = next(iter(validation))[0][:1]
    seconds: tuple[list[float], list[float]] = ([], [])
    for _ in range(1 + rounds):
        for times, segment in zip(seconds, ways, strict=True):
            times.append(_seconds(partial(segment, image)))
    float32, int8 = (median(times[1:]) for times in seconds)  # the first round also takes memory
    scores = [float(mean_iou(split_matrices(segment, validation).sum(dim=0))) for segment in ways]
    return Comparison(100 * (scores[1] - scores[0]), float32 / int8)


def _seconds(call: Callable[[], object]) -> float:
    """Mean time of a call in this process alone, over a tenth of a second: others may keep the machine busy."""
    start, calls = time.process_time(), 0
    while (taken := time.process_time() - start) < 0.1:  # the clock of Windows ticks 64 times a second
        call()
        calls += 1
    return taken / calls


def _on_one_core(path: Path) -> Callable[[Tensor], Tensor]:
    """The file as a function from images uint8 to logits, on one core, so that the number of cores does not matter."""
    runtime = import_module("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return lambda image: torch.from_numpy(session.run(["logits"], {"image": _pixels(image)})[0])


def _pixels(image: Tensor) -> NDArray[np.float32]:
    """What the ONNX file takes, float32 (B, 3, H, W) from 0 to 1, of images uint8."""
    return (image.float() / 255).contiguous().numpy()
