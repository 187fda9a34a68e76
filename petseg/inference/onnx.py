"""A released model as one ONNX file, for programs without PyTorch.

import json, numpy, onnxruntime
from PIL import Image, ImageOps

session = onnxruntime.InferenceSession("unet.onnx")
height, width = json.loads(session.get_modelmeta().custom_metadata_map["size"])
photo = ImageOps.exif_transpose(Image.open("my_dog.jpg")).convert("RGB")  # upright
photo = photo.resize((width, height), Image.Resampling.BILINEAR)
image = numpy.asarray(photo, dtype=numpy.float32).transpose(2, 0, 1)[None] / 255  # (1, 3, h, w)
(logits,) = session.run(["logits"], {"image": image})  # (1, 3, h, w)
class_map = logits[0].argmax(axis=0)  # (h, w): 0 pet, 1 background, 2 boundary
"""

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from petseg.errors import ModelError
from petseg.files import atomic_write
from petseg.models import zoo
from petseg.models.classifier import SIZE, load_classifier


def export_onnx(
    model: str | Path | None, out: str | Path, *, half: bool = False, bytes_only: bool = False, any_size: bool = False
) -> Path:
    """Writes a model as ONNX, whole or not at all, and returns the file's path.

    The graph takes `image`, float32 (batch, 3, h, w): RGB from 0 to 1, resized to the card's working size; and gives
    `logits`, float32 (batch, 3, h, w), in the order of `labels.CLASSES`. Any batch size works. The card travels in
    the file's metadata, field by field as in a weights file.

    `half` stores the weights in float16, as in a weights file: half the bytes and not one value changed. `bytes_only`
    stores those of convolutions as integers of 8 bits, with one scale per output channel: a quarter of the bytes. The
    network still computes in float32; see `int8` for one that does not.

    With `any_size`, an image may also be a multiple of the working size, as the first pass over small pets needs. This
    is not for a network that pads images of its working size. Raises ModelError if there is no such model, the name
    does not end in `.onnx`, or the extra `export` is missing.
    """
    out = Path(out)
    check_export(out)
    onnx = import_module("onnx")
    segmenter, card = zoo.load(model)
    graph = _graph(segmenter, card.size, fold=not half)
    if any_size:
        _free_size(graph.graph, onnx)
    if bytes_only:
        _quantize(graph.graph, onnx)
    if half:
        _halve(graph.graph, onnx)
    for key, value in card.to_header().items():
        graph.metadata_props.add(key=key, value=value)
    onnx.checker.check_model(graph)
    with atomic_write(out) as partial:
        onnx.save_model(graph, str(partial))
    return out


def export_classifier(out: Path) -> None:
    """Writes the classifier behind `Segmentation.pet_probability` as ONNX; its weights are integers of 8 bits.

    The graph takes `image`, float32 (batch, 3, 224, 224) from 0 to 1, and gives `probability`, float32 (batch,), as
    `PetClassifier` does. A file of `export_onnx` has no such second opinion.
    """
    onnx = import_module("onnx")
    graph = _graph(load_classifier(), SIZE, fold=False, output="probability")
    _quantize(graph.graph, onnx)  # exactly: they were stored as such integers
    onnx.checker.check_model(graph)
    with atomic_write(out) as partial:
        onnx.save_model(graph, str(partial))


def _graph(module: nn.Module, size: tuple[int, int], fold: bool, output: str = "logits") -> Any:
    """A module from images to one output as an ONNX model with a free batch size.

    `fold` merges each BatchNorm into the convolution before it, whose weights then are no longer float16 values;
    programs that run the file do the same when they load it.
    """
    example = torch.zeros(2, 3, *size)  # 2, because the exporter takes a size of 1 for a constant
    program: Any = torch.onnx.export(
        module,
        (example,),
        input_names=["image"],
        output_names=[output],
        dynamic_shapes=({0: torch.export.Dim("batch")},),
        dynamo=True,
        optimize=fold,
        verbose=False,
    )
    if not fold:
        optimizer = _extra("onnxscript").optimizer
        optimizer.fold_constants(program.model)
        optimizer.remove_unused_nodes(program.model)
    return program.model_proto


def _free_size(graph: Any, onnx: Any) -> None:
    """Has each enlargement multiply height and width, where the exporter wrote the size that came of it."""
    values = [*graph.input, *graph.output, *graph.value_info]
    shapes = {value.name: [side.dim_value for side in value.type.tensor_type.shape.dim] for value in values}
    for node in graph.node:
        if node.op_type == "Resize":
            (h, w), (H, W) = (shapes[name][2:] for name in (node.input[0], node.output[0]))
            scales = onnx.numpy_helper.from_array(
                np.array([1, 1, H / h, W / w], np.float32), f"{node.output[0]}.scales"
            )
            graph.initializer.append(scales)
            node.input[:] = [node.input[0], "", scales.name]
    for value in (*graph.input, *graph.output):
        for side, name in zip(value.type.tensor_type.shape.dim[2:], ("height", "width"), strict=True):
            side.dim_param = name
    del graph.value_info[:]


def _halve(graph: Any, onnx: Any) -> None:
    """Stores each float32 weight in float16 where that is exact, and casts it back when the network is loaded."""
    casts = []
    for weight in graph.initializer:
        name, values = weight.name, onnx.numpy_helper.to_array(weight)
        half = values.astype(np.float16)
        if values.dtype == np.float32 and np.array_equal(half.astype(np.float32), values):
            weight.CopyFrom(onnx.numpy_helper.from_array(half, f"{name}.half"))
            casts.append(onnx.helper.make_node("Cast", [weight.name], [name], to=onnx.TensorProto.FLOAT))
    _put_first(graph, casts)


def _quantize(graph: Any, onnx: Any) -> None:
    """Stores the weights of layers as integers of 8 bits with a scale per output channel; loading multiplies them."""
    nodes = []
    for weight in list(graph.initializer):
        name, values = weight.name, onnx.numpy_helper.to_array(weight)
        if values.dtype == np.float32 and values.ndim in (2, 4):  # (out, in) or (out, in, h, w)
            rows = values.reshape(len(values), -1)
            scales = np.maximum(np.abs(rows).max(axis=1) / 127, np.finfo(np.float32).tiny)
            integers = (rows / scales[:, None]).round().astype(np.int8).reshape(values.shape)
            scale = onnx.numpy_helper.from_array(scales, f"{name}.scale")
            weight.CopyFrom(onnx.numpy_helper.from_array(integers, f"{name}.int8"))
            graph.initializer.append(scale)
            nodes.append(onnx.helper.make_node("DequantizeLinear", [weight.name, scale.name], [name], axis=0))
    _put_first(graph, nodes)


def _put_first(graph: Any, nodes: Sequence[Any]) -> None:
    """Puts nodes before the others: they are stored in the order in which they run."""
    nodes = [*nodes, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)


def check_export(out: Path, *more: str) -> None:
    """Raises ModelError for another ending than ONNX's, or a missing library: its own message names no remedy."""
    if out.suffix != ".onnx":
        raise ModelError(f"{out.name}: an ONNX file's name ends in .onnx. Rename it.")
    for module in ("onnx", "onnxscript", *more):  # PyTorch's exporter needs onnxscript
        _extra(module)


def _extra(module: str) -> Any:
    try:
        return import_module(module)
    except ImportError as error:
        raise ModelError(f"{module} is not installed. Run `pip install onnx onnxscript onnxruntime`.") from error
