"""Graphs in fewer bits: weights in half, or convolutions in whole numbers."""

import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor

from pspkit.errors import PspkitError
from pspkit.inference.export.graph import INSTALL

PRECISIONS = ("float32", "float16", "int8")
SMALL = 1024  # numbers below which a weight stays as it is


def in_precision(model: onnx.ModelProto, precision: str, examples: Tensor) -> onnx.ModelProto:
    """A graph in one of `PRECISIONS`.

    Args:
        model: in float32, with one input; it is used up.
        precision: "float16" stores weights in half and computes in float32, which every runtime does equally fast;
            "int8" computes convolutions in 8 bits, and stores what is left in half.
        examples: inputs (N, ...), from which int8 takes the ranges of the maps.

    Raises:
        PspkitError: onnxruntime, which chooses the ranges, is missing.
    """
    if precision == "int8":
        model = _quantized(model, examples)
    return model if precision == "float32" else _halved(model)


def _halved(model: onnx.ModelProto) -> onnx.ModelProto:
    """Weights in float16, each followed by a cast that a runtime does once, when it loads the file."""
    graph, casts = model.graph, []
    for index, weight in enumerate(graph.initializer):
        if weight.data_type != TensorProto.FLOAT or np.prod(weight.dims) < SMALL:
            continue
        name = weight.name
        half = numpy_helper.from_array(numpy_helper.to_array(weight).astype(np.float16), f"{name}_half")
        graph.initializer[index].CopyFrom(half)
        casts.append(helper.make_node("Cast", [half.name], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    return model


def _quantized(model: onnx.ModelProto, examples: Tensor) -> onnx.ModelProto:
    """Convolutions of 8-bit maps and weights, the weights with a scale for each output channel."""
    try:
        from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static
    except ImportError as error:
        raise PspkitError(f"export: the package {error.name} is missing. {INSTALL}") from error

    class Examples(CalibrationDataReader):
        def __init__(self) -> None:
            name = model.graph.input[0].name
            self.feeds: Iterator = iter([{name: example[None].numpy()} for example in examples])

        def get_next(self) -> dict[str, np.ndarray] | None:
            return next(self.feeds, None)

    with tempfile.TemporaryDirectory() as folder, _no_advice():
        path = Path(folder) / "int8.onnx"
        quantize_static(
            model,
            path,
            Examples(),
            per_channel=True,
            op_types_to_quantize=["Conv"],
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
        return onnx.load(path)


@contextmanager
def _no_advice() -> Iterator[None]:
    """Without the root logger's warnings: the quantizer there recommends a step that the exporter has done."""
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)
