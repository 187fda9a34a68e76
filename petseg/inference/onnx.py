"""A released model as one ONNX file, and the runtime that segments photos with it."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from petseg.errors import ModelError
from petseg.files import atomic_write
from petseg.inference.predictor import Predictor, resize_to_model
from petseg.models import zoo


class Normalised(nn.Module):
    """A network that takes pixels as they are: the card's normalisation becomes part of the graph.

    Args:
        network: from normalised pixels to logits.
        card: whose mean and std are used.
    """

    def __init__(self, network: nn.Module, card: zoo.ModelCard) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", torch.tensor(card.mean).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(card.std).view(1, 3, 1, 1))

    mean: Tensor
    std: Tensor

    def forward(self, image: Tensor) -> Tensor:
        """Logits, float32 (B, 3, h, w), of RGB pixels in 0..1, float32 (B, 3, h, w)."""
        logits: Tensor = self.network((image - self.mean) / self.std)
        return logits


def export_onnx(model: str | Path, out: str | Path) -> Path:
    """Writes a model as ONNX, whole or not at all.

    The graph takes `image`, float32 (batch, 3, h, w): RGB in 0..1, resized to the card's working size; and gives
    `logits`, float32 (batch, 3, h, w), in the order of `labels.CLASSES`. Any batch size works. The card travels in
    the file's metadata, field by field as in a weights file.

    Args:
        model: a released name, or a path that ends in `.safetensors`.
        out: where to, ending in `.onnx`; a file that is there is replaced.

    Returns:
        The path.

    Raises:
        ModelError: there is no such model, the name does not end in `.onnx`, or the extra `export` is missing.
    """
    out = Path(out)
    if out.suffix != ".onnx":
        raise ModelError(f"{out.name}: an ONNX file's name ends in .onnx. Rename it.")
    onnx = _extra("onnx")
    _extra("onnxscript")  # PyTorch's exporter needs it and would say so less plainly
    network, card = zoo.load(model)
    graph = _graph(Normalised(network, card).eval(), card.size)
    for key, value in card.to_header().items():
        graph.metadata_props.add(key=key, value=value)
    onnx.checker.check_model(graph)
    with atomic_write(out) as partial:
        onnx.save_model(graph, str(partial))
    return out


def _graph(network: nn.Module, size: tuple[int, int]) -> Any:
    """The network as an ONNX model with a free batch size."""
    example = torch.zeros(2, 3, *size)  # 2, as the exporter takes a size of 1 for a constant
    program = torch.onnx.export(
        network,
        (example,),
        input_names=["image"],
        output_names=["logits"],
        dynamic_shapes=({0: torch.export.Dim("batch")},),
        dynamo=True,
        verbose=False,
    )
    if program is None:
        raise RuntimeError("torch.onnx.export returns a program when it is given no file")
    return program.model_proto


class OnnxPredictor(Predictor):
    """A `Predictor` whose network runs in onnxruntime; threads may share one.

    Args:
        path: a file of `export_onnx`.
        max_pixels: the largest photo that is decoded.
        providers: onnxruntime's execution providers, in order of preference; default: the CPU.

    Raises:
        ModelError: the file is missing, damaged or without a card, or the extra `export` is missing.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        max_pixels: int = 40_000_000,
        providers: tuple[str, ...] = ("CPUExecutionProvider",),
    ) -> None:
        path = Path(path)
        runtime = _extra("onnxruntime")
        if not path.is_file():
            raise ModelError(f"{path.name}: no such file. Make it with `petseg export`.")
        try:
            self.session = runtime.InferenceSession(str(path), providers=list(providers))
        except Exception as error:  # onnxruntime raises its own types, which share no base
            raise ModelError(f"{path.name}: onnxruntime cannot read it. Export it again.") from error
        self.card = zoo.ModelCard.from_header(self.session.get_modelmeta().custom_metadata_map, path.name)
        self.max_pixels = max_pixels

    def prepare(self, photo: Any) -> Tensor:
        """Step 2: float32 (1, 3, h, w), RGB in 0..1 at the working size; the graph itself normalises."""
        return resize_to_model(photo, self.card.size)

    def logits(self, image: Tensor) -> Tensor:
        """Step 3: float32 (B, 3, h, w) of float32 (B, 3, h, w) as `prepare` gives it."""
        (scores,) = self.session.run(["logits"], {"image": image.numpy()})
        return torch.from_numpy(scores)


def _extra(module: str) -> Any:
    try:
        return import_module(module)
    except ImportError as error:
        raise ModelError(f'{module} is not installed. Run `pip install "petseg[export]"`.') from error
