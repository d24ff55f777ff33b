"""Reads the constants of a TensorFlow Lite file without TensorFlow: only the part of the format that weights need.

Such a file is a flatbuffer: tables that refer to their fields by offsets, all little-endian. A table begins with the
distance back to its list of fields. This list gives the distance of each field from the beginning of the table, or 0 if
the field is absent. The numbers of the fields are those of TensorFlow Lite's schema.

Source: the FlatBuffers format description ("FlatBuffers internals") and TensorFlow Lite's schema.fbs, version 3.
"""

import struct
from collections.abc import Iterator

import numpy as np

from pspkit.errors import AssetError

IDENTIFIER = b"TFL3"
DTYPES = {0: np.float32, 1: np.float16}  # TensorType of the schema; others hold shapes, not weights
# Fields of the schema's tables.
MODEL_SUBGRAPHS, MODEL_BUFFERS = 2, 4
SUBGRAPH_TENSORS, SUBGRAPH_OPERATORS = 0, 3
TENSOR_SHAPE, TENSOR_TYPE, TENSOR_BUFFER = 0, 1, 2
OPERATOR_INPUTS, OPERATOR_OUTPUTS = 1, 2
BUFFER_DATA = 0


def read_tflite(content: bytes) -> list[np.ndarray]:
    """Reads the weights of a network in the order in which its operators use them.

    An operator that only converts weights from half precision does not count as their use. A weight that is used twice
    is listed twice.

    Args:
        content: the bytes of a `.tflite` file with one subgraph.

    Returns:
        Float32 arrays in the layout of the file: (out, height, width, in) for a convolution, (1, height, width,
        channels) for a depthwise one.

    Raises:
        AssetError: the content is not such a file, or is damaged.
    """
    if content[4:8] != IDENTIFIER:
        raise AssetError("it is not a TensorFlow Lite file.")
    try:
        return list(_used_constants(_Table(content, _uint32(content, 0))))
    except (struct.error, IndexError, ValueError, KeyError) as error:
        raise AssetError(f"it is a damaged TensorFlow Lite file ({error}).") from error


def _used_constants(model: "_Table") -> Iterator[np.ndarray]:
    subgraph = model.tables(MODEL_SUBGRAPHS)[0]
    buffers = model.tables(MODEL_BUFFERS)
    constants = {}
    for number, tensor in enumerate(subgraph.tables(SUBGRAPH_TENSORS)):
        data = buffers[tensor.integer(TENSOR_BUFFER, "I")].array(BUFFER_DATA, np.uint8)
        dtype = DTYPES.get(tensor.integer(TENSOR_TYPE, "b"))
        if len(data) and dtype:
            shape = tensor.array(TENSOR_SHAPE, np.int32)
            constants[number] = data.view(dtype).astype(np.float32).reshape(shape)
    for operator in subgraph.tables(SUBGRAPH_OPERATORS):
        inputs = operator.array(OPERATOR_INPUTS, np.int32).tolist()
        if len(inputs) == 1 and inputs[0] in constants:  # It converts a weight to single precision.
            constants[int(operator.array(OPERATOR_OUTPUTS, np.int32)[0])] = constants[inputs[0]]
        else:
            yield from (constants[number] for number in inputs if number in constants)


class _Table:
    """One table of a flatbuffer."""

    def __init__(self, content: bytes, position: int) -> None:
        self.content, self.position = content, position

    def integer(self, field: int, kind: str) -> int:
        """Reads a number in the table itself, of a kind as `struct` names it; 0 if the field is absent."""
        position = self._field(field)
        return struct.unpack_from(f"<{kind}", self.content, position)[0] if position else 0

    def array(self, field: int, dtype: type) -> np.ndarray:
        """Reads a vector of numbers; an empty one if the field is absent."""
        start, length = self._vector(field)
        return np.frombuffer(self.content, dtype, length, start) if length else np.empty(0, dtype)

    def tables(self, field: int) -> list["_Table"]:
        """Reads a vector of tables."""
        start, length = self._vector(field)
        return [_Table(self.content, at + _uint32(self.content, at)) for at in range(start, start + 4 * length, 4)]

    def _vector(self, field: int) -> tuple[int, int]:
        position = self._field(field)
        if not position:
            return 0, 0
        start = position + _uint32(self.content, position)
        return start + 4, _uint32(self.content, start)

    def _field(self, number: int) -> int:
        fields = self.position - struct.unpack_from("<i", self.content, self.position)[0]
        (length,) = struct.unpack_from("<H", self.content, fields)
        if 4 + 2 * number >= length:
            return 0
        (distance,) = struct.unpack_from("<H", self.content, fields + 4 + 2 * number)
        return self.position + distance if distance else 0


def _uint32(content: bytes, position: int) -> int:
    return struct.unpack_from("<I", content, position)[0]
