"""One folder with all that a GPU machine without a network needs: `make bundle DIR=DIR`.

It holds the package, tests/gpu, the benchmarks, the weights that a training starts from, and the pure-Python packages
that such a machine may lack, unpacked in `packages`. Weights are stored in half precision, and are float32 again once
they are loaded. There:

    cd DIR && make gpu PYTHON=python3
    cd DIR && PYTHONPATH=packages python3 -m tools.prepared --help
"""

import argparse
import io
import json
import pickle
import shutil
import sys
from importlib.metadata import distribution
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from pspkit.errors import PspkitError
from pspkit.losses import perceptual
from pspkit.models import mobile_facenet, mobile_stylegan
from pspkit.models.faces import parser as face_parser
from pspkit.storage.assets import fetch
from pspkit.storage.tfjs import GRAPH, read_constants

ROOT = Path(__file__).resolve().parents[1]
LIMIT = 55_000_000  # bytes of a whole bundle
FILES = ("Makefile", "pyproject.toml", "LICENSE", "conftest.py", "tests/reference.py")
TREES = {  # folder: which of its files
    "pspkit": ("*.py", "*.j2"),
    "benchmarks": ("*.py",),
    "tools": ("*.py",),
    "tests/gpu": ("*.py",),
    "tests/golden": ("official_*",),
}
WEIGHTS = ("heads-encode", "heads-identity", "heads-plain-64", "heads-toon-64")  # what a training starts from
DIRECTIONS = "data/weights/heads-directions.safetensors"
PACKAGES = (
    "lpips",
    "pytorch-optimizer",
    "shtab",
)  # pure Python; what they need in turn comes with PyTorch's own machines


def bundle(folder: Path) -> int:
    """Fills a folder.

    Args:
        folder: not there yet, or empty.

    Returns:
        The bytes of all its files.

    Raises:
        PspkitError: the folder holds something, or the bundle would be larger than `LIMIT`.
        AssetError: weights that are fetched could not be.
    """
    if folder.exists() and any(folder.iterdir()):
        raise PspkitError(f"{folder}: holds something already. Name another folder, or empty it.")
    files = [ROOT / file for file in (*FILES, DIRECTIONS)]
    for tree, patterns in TREES.items():
        files += [file for pattern in patterns for file in (ROOT / tree).rglob(pattern)]
    for file in files:
        _copy(file, folder / file.relative_to(ROOT))
    for name in WEIGHTS:
        source, target = ROOT / "data" / "weights" / name, folder / "data" / "weights" / name
        _copy(source / "config.json", target / "config.json")
        halve_tensors(source / "model.safetensors", target / "model.safetensors")
    for asset, halve in ASSETS.items():
        source = fetch(asset)
        halve(source, folder / "data" / "cache" / source.name)
    for name in PACKAGES:
        copy_package(name, folder / "packages")
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    if size > LIMIT:
        raise PspkitError(
            f"{folder}: {size / 1e6:.1f} MB, and a bundle may have {LIMIT / 1e6:.0f}. Leave something out."
        )
    return size


def copy_package(name: str, folder: Path) -> None:
    """Copies an installed package that is pure Python, as its wheel would be unpacked.

    Raises:
        PspkitError: it holds compiled code, which belongs to one version of Python.
    """
    for file in distribution(name).files or ():
        if file.suffix in (".so", ".pyd"):
            raise PspkitError(f"{name}: holds {file}, which is compiled. Carry a wheel of it instead.")
        if ".." not in file.parts and file.suffix != ".pyc":
            _copy(Path(file.locate()), folder / file)


def halve_tensors(source: Path, target: Path) -> None:
    """Writes a safetensors file in float16, its header's description as it was."""
    with safe_open(source, "pt") as file:
        names, metadata = file.keys(), file.metadata()
        tensors = {name: halved(file.get_tensor(name)) for name in names}
    target.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, target, metadata)


def halved(tensor: Tensor) -> Tensor:
    """The tensor in float16; as it is where it holds whole numbers, or some too large for that."""
    half = tensor.half() if tensor.is_floating_point() else tensor
    return half if half.isfinite().all() else tensor


def halve_graph(source: Path, target: Path) -> None:
    """Writes an inference graph of OpenVINO (XML, its constants in a `.bin` beside it) with constants in float16."""
    tree, values, written = ElementTree.parse(source), source.with_suffix(".bin").read_bytes(), io.BytesIO()
    for layer in tree.getroot().find("layers").iterfind("layer[@type='Const']"):
        entry = layer.find("data")
        start, size = int(entry.get("offset")), int(entry.get("size"))
        constant = values[start : start + size]
        if entry.get("element_type") == "f32":
            numbers = np.frombuffer(constant, "<f4")
            if np.abs(numbers).max(initial=0) < np.finfo(np.float16).max:
                constant = numbers.astype("<f2").tobytes()
                entry.set("element_type", "f16")
        written.write(b"\0" * (-written.tell() % 8))  # every constant begins at a multiple of its numbers' size
        entry.set("offset", str(written.tell()))
        entry.set("size", str(len(constant)))
        written.write(constant)
    target.parent.mkdir(parents=True, exist_ok=True)
    tree.write(target)
    target.with_suffix(".bin").write_bytes(written.getvalue())


def _halve_mobile_stylegan(source: Path, target: Path) -> None:
    for graph in source.rglob("*.xml"):
        halve_graph(graph, target / graph.relative_to(source))


def _halve_alexnet(source: Path, target: Path) -> None:
    """A pickle of arrays: of the same layers in float16, named as every version of numpy knows them."""
    with (source / perceptual.MEMBER).open("rb") as file:
        layers = perceptual._ArrayUnpickler(file).load()["AlexNet_0"]
    layers = {
        name: {part: np.asarray(value).astype(np.float16) for part, value in layer.items()}
        for name, layer in layers.items()
        if name.startswith("Conv_")
    }
    content = pickle.dumps({"AlexNet_0": layers}, protocol=3).replace(b"numpy._core.", b"numpy.core.")
    (target / perceptual.MEMBER).parent.mkdir(parents=True, exist_ok=True)
    (target / perceptual.MEMBER).write_bytes(content)


def _halve_mobile_facenet(source: Path, target: Path) -> None:
    import onnx

    model = onnx.load(source / mobile_facenet.MEMBER)
    for tensor in model.graph.initializer:
        values = onnx.numpy_helper.to_array(tensor)
        if values.dtype == np.float32:
            tensor.CopyFrom(onnx.numpy_helper.from_array(values.astype(np.float16), tensor.name))
    (target / mobile_facenet.MEMBER).parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, target / mobile_facenet.MEMBER)


def _halve_face_parser(source: Path, target: Path) -> None:
    """A graph model of TensorFlow.js, its constants spread over files of the names that they had."""
    source, target = source / face_parser.MEMBER, target / face_parser.MEMBER
    model = json.loads((source / GRAPH).read_text())
    paths = [path for group in model["weightsManifest"] for path in group["paths"]]
    content, entries = b"", []
    for name, array in read_constants(source, model):
        array = array.astype("<f2") if array.dtype == np.float32 else array
        entries.append({"name": name, "shape": list(array.shape), "dtype": array.dtype.name})
        content += array.tobytes()
    model["weightsManifest"] = [{"paths": paths, "weights": entries}]
    target.mkdir(parents=True)
    (target / GRAPH).write_text(json.dumps(model))
    part = -(-len(content) // len(paths))
    for number, path in enumerate(paths):
        (target / path).write_bytes(content[number * part : (number + 1) * part])


ASSETS = {
    mobile_stylegan.ASSET: _halve_mobile_stylegan,
    perceptual.ASSET: _halve_alexnet,
    mobile_facenet.ASSET: _halve_mobile_facenet,
    face_parser.ASSET: _halve_face_parser,
}


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.bundle", description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="a new folder")
    folder = parser.parse_args().folder
    with torch.no_grad():
        print(f"{folder}: {bundle(folder) / 1e6:.1f} MB")


if __name__ == "__main__":
    try:
        main()
    except PspkitError as error:
        sys.exit(f"pspkit: {error}")
