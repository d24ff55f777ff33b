"""Reads the constants of a TensorFlow.js graph model without TensorFlow: only the part of the format that weights need.

Such a model is a folder. `model.json` holds the graph and a list of its constants, and files beside it hold their
numbers, one constant after the other.

Source: TensorFlow.js, the format "graph-model" (`GraphModel` and `WeightsManifestConfig` of its documentation).
"""

import json
from collections.abc import Iterator
from math import prod
from pathlib import Path

import numpy as np

from pspkit.errors import AssetError

GRAPH = "model.json"
DTYPES = {"float32": np.dtype("<f4"), "float16": np.dtype("<f2"), "int32": np.dtype("<i4"), "bool": np.dtype("?")}


def read_tfjs(folder: Path) -> list[tuple[str, np.ndarray]]:
    """Reads the weights of a network in the order in which its operators use them.

    Args:
        folder: holds `model.json` and the files that it names.

    Returns:
        Names, and float32 arrays in the layout of the file: (height, width, in, out) for a convolution, (height, width,
        channels, multiplier) for a depthwise one. Single numbers and whole numbers are left out: they are not weights.

    Raises:
        AssetError: the folder holds no such model, or it is damaged.
    """
    try:
        model = json.loads((folder / GRAPH).read_text(encoding="utf-8"))
        constants = {
            name: array.astype(np.float32)
            for name, array in read_constants(folder, model)
            if array.ndim and array.dtype.kind == "f"
        }
        used = [name for node in model["modelTopology"]["node"] for name in node.get("input", ()) if name in constants]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise AssetError(f"it is not a graph model of TensorFlow.js that can be read ({error}).") from error
    return [(name, constants[name]) for name in used]


def read_constants(folder: Path, model: dict) -> Iterator[tuple[str, np.ndarray]]:
    """Yields the names and values of all constants, in the order of the files.

    Args:
        folder: holds the files of numbers.
        model: the content of `model.json`.
    """
    for group in model["weightsManifest"]:
        content, position = b"".join((folder / path).read_bytes() for path in group["paths"]), 0
        for entry in group["weights"]:
            array = np.frombuffer(content, DTYPES[entry["dtype"]], prod(entry["shape"]), position)
            position += array.nbytes
            yield entry["name"], array.reshape(entry["shape"])
