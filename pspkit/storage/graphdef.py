"""Reads the constants of a frozen TensorFlow graph without TensorFlow: only the part of the format that weights need.

Such a file is a protocol buffer: a row of fields. Each field has a number that holds its tag and type, and a value. The
tags are those of TensorFlow's messages.

Source: the Protocol Buffers documentation ("Encoding"); TensorFlow's graph.proto, node_def.proto, attr_value.proto,
tensor.proto and tensor_shape.proto.
"""

from collections.abc import Iterator

import numpy as np

from pspkit.errors import AssetError

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5  # wire types
# Tags of the fields of messages.
GRAPH_NODE = 1
NODE_NAME, NODE_OPERATOR, NODE_INPUT, NODE_ATTRIBUTE = 1, 2, 3, 5
ENTRY_KEY, ENTRY_VALUE = 1, 2
ATTRIBUTE_TENSOR = 8
TENSOR_DTYPE, TENSOR_SHAPE, TENSOR_CONTENT, TENSOR_FLOATS = 1, 2, 4, 5
SHAPE_DIMENSION, DIMENSION_SIZE = 2, 1
FLOAT = 1  # DataType of float32

Value = int | memoryview


def read_graphdef(content: bytes) -> list[np.ndarray]:
    """Reads the weights of a network in the order in which its operators use them.

    Args:
        content: the bytes of a `.pb` file, a GraphDef whose variables were frozen into constants.

    Returns:
        Float32 arrays with at least one dimension, in the layout of the file: (height, width, in, out) for a
        convolution, (in, out) for a matrix.

    Raises:
        AssetError: the content is not such a file, or is damaged.
    """
    try:
        return list(_used_constants(memoryview(content)))
    except (IndexError, ValueError, KeyError, TypeError) as error:
        raise AssetError(f"it is not a TensorFlow graph, or a damaged one ({error}).") from error


def _used_constants(content: memoryview) -> Iterator[np.ndarray]:
    nodes = [list(_fields(value)) for tag, value in _fields(content) if tag == GRAPH_NODE]
    if not nodes:
        raise ValueError("it has no nodes")
    constants = {}
    for node in nodes:
        if _text(node, NODE_OPERATOR) == ["Const"]:
            array = _constant(node)
            if array is not None:
                constants[_text(node, NODE_NAME)[0]] = array
    for node in nodes:
        yield from (constants[name] for name in _text(node, NODE_INPUT) if name in constants)


def _constant(node: list[tuple[int, Value]]) -> np.ndarray | None:
    """The value of a constant; None if it does not hold floats, or only a single number."""
    entries = [dict(_fields(value)) for tag, value in node if tag == NODE_ATTRIBUTE]
    (attribute,) = (entry[ENTRY_VALUE] for entry in entries if entry[ENTRY_KEY] == b"value")
    tensor = dict(_fields(dict(_fields(attribute))[ATTRIBUTE_TENSOR]))
    dimensions = [value for tag, value in _fields(tensor.get(TENSOR_SHAPE, b"")) if tag == SHAPE_DIMENSION]
    shape = [dict(_fields(dimension)).get(DIMENSION_SIZE, 0) for dimension in dimensions]
    if tensor[TENSOR_DTYPE] != FLOAT or not shape:
        return None
    if TENSOR_CONTENT in tensor:
        return np.frombuffer(tensor[TENSOR_CONTENT], "<f4").reshape(shape)
    return np.full(shape, np.frombuffer(tensor[TENSOR_FLOATS], "<f4"), "<f4")  # one value for all


def _text(node: list[tuple[int, Value]], wanted: int) -> list[str]:
    return [bytes(value).decode() for tag, value in node if tag == wanted]


def _fields(message: memoryview) -> Iterator[tuple[int, Value]]:
    """Yields the tags and values of the fields of a message, in order."""
    position = 0
    while position < len(message):
        key, position = _varint(message, position)
        kind = key & 7
        if kind == VARINT:
            value, position = _varint(message, position)
        else:
            if kind == BYTES:
                length, position = _varint(message, position)
            else:
                length = {FIXED64: 8, FIXED32: 4}[kind]
            value, position = message[position : position + length], position + length
            if position > len(message):
                raise ValueError("it is cut off")
        yield key >> 3, value


def _varint(message: memoryview, position: int) -> tuple[int, int]:
    """Reads a whole number in groups of seven bits, the lowest first; returns it and the position behind it."""
    value = shift = 0
    while True:
        byte = message[position]
        value |= (byte & 0x7F) << shift
        position, shift = position + 1, shift + 7
        if byte < 0x80:
            return value, position
