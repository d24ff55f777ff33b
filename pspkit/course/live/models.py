"""The networks of the live page: exported once, then read from the cache."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import onnx
import torch
from torch import Tensor

from pspkit.domains import WEIGHTS
from pspkit.inference.export import graph, precision
from pspkit.inference.export.graph import to_onnx, write_graph
from pspkit.inference.export.parts import PARTS, PartModule, frozen
from pspkit.inference.export.precision import in_precision
from pspkit.inference.models import find_psp
from pspkit.models.mobile_stylegan import preview_weights
from pspkit.psp import PSP
from pspkit.storage.places import cache_folder

MAPS = ("c0", "c1", "c2", "c3", "p2", "p1")  # of the encoder: the four stages, and the pyramid's sums
FACE_SIDE = 128  # of the faces' preview, pixels: one of 256 takes twice as long, too long for a slider
TASKS = ("encode", "segmentation", "sketch")  # of the rendered heads, whose encoders the page has


def head_models() -> dict[str, Path]:
    """The networks of the rendered heads as ONNX files, their weights in half precision.

    Returns:
        By name: an encoder for each of `TASKS`, which gives codes and `MAPS`; "decoder", which gives the picture of
        every resolution; and "mapping".
    """
    encoders = {task: lambda path, task=task: _encoder(task, path) for task in TASKS}
    files = [WEIGHTS / f"heads-{task}" / "model.safetensors" for task in TASKS]
    return _exported("heads", encoders | {"decoder": _decoder, "mapping": lambda path: _mapping("heads", path)}, files)


def face_models() -> dict[str, Path]:
    """The networks of photographed faces as ONNX files: "decoder", which gives a preview, and "mapping"."""
    return _exported(
        "faces", {"decoder": _preview, "mapping": lambda path: _mapping("faces", path)}, [preview_weights()]
    )


def _exported(domain: str, makers: dict[str, Callable[[Path], None]], weights: list[Path]) -> dict[str, Path]:
    """The file of each maker, made where the cache has none of these weights, this module and this exporter."""
    digest = hashlib.sha256(f"{torch.__version__} {onnx.__version__}".encode())
    for file in (Path(__file__), Path(graph.__file__), Path(precision.__file__), *weights):
        digest.update(file.read_bytes())
    folder = cache_folder() / f"live-{domain}-{digest.hexdigest()[:12]}"
    paths = {name: folder / f"{name}.onnx" for name in makers}
    for name, path in paths.items():
        if not path.is_file():
            print(f"exporting {name} of {domain} for the live page ...", flush=True)
            makers[name](path)
    return paths


def encode_and_look(psp: PSP, x: Tensor) -> tuple[Tensor, ...]:
    """Codes as `PSP.encode`, and the feature maps on the way: `MAPS`."""
    fast = psp.encoder
    maps = fast.encoder.stages(x)
    levels = fast.encoder.pyramid(*maps[-3:])
    codes = torch.cat([blocks(level) for blocks, level in zip(fast.map2style, levels, strict=True)], 1)
    return codes + psp.latent_avg, *maps, *levels[1:]


def _encoder(task: str, path: Path) -> None:
    psp = frozen(find_psp("heads", task, device="cpu"))
    side = psp.encoder.input_size
    example = torch.zeros(1, psp.encoder.input_nc, side, side)
    model = to_onnx(PartModule(psp, encode_and_look), example, "x", ("w_plus", *MAPS), batch=1)
    write_graph(path, in_precision(model, "float16", example), {})


def _decoder(path: Path) -> None:
    psp = find_psp("heads", device="cpu")
    part = PARTS["decoder"]
    model = to_onnx(PartModule(psp, part.run), psp.latent_avg[None], part.takes, part.gives, batch=1)
    write_graph(path, in_precision(_with_skips(model), "float16", psp.latent_avg[None]), {})


def _preview(path: Path) -> None:
    psp = find_psp("faces", device="cpu")
    module = PartModule(psp, lambda psp, w_plus: (psp.decoder.preview(w_plus, FACE_SIDE),))
    model = to_onnx(module, psp.latent_avg[None], "w_plus", ("picture",), batch=1)
    write_graph(path, in_precision(model, "float16", psp.latent_avg[None]), {})


def _mapping(domain: str, path: Path) -> None:
    psp = find_psp(domain, device="cpu")
    example = torch.zeros(1, psp.decoder.style_dim)
    model = to_onnx(PartModule(psp, lambda psp, z: (psp.decoder.mapping(z),)), example, "z", ("w",), batch=1)
    write_graph(path, in_precision(model, "float16", example), {})


def _with_skips(model: onnx.ModelProto) -> onnx.ModelProto:
    """The decoder's graph with the picture that each resolution adds to as an output of its own: "rgb4", "rgb8" ..."""
    found = {}
    for value in onnx.shape_inference.infer_shapes(model).graph.value_info:
        shape = [entry.dim_value for entry in value.type.tensor_type.shape.dim]
        if len(shape) == 4 and shape[:2] == [1, 3] and shape[2] == shape[3] > 1:
            found[shape[2]] = value.name  # the last one of its side is the sum
    del found[model.graph.output[0].type.tensor_type.shape.dim[-1].dim_value]
    for side, name in sorted(found.items()):
        model.graph.node.append(onnx.helper.make_node("Identity", [name], [f"rgb{side}"]))
        output = onnx.helper.make_tensor_value_info(f"rgb{side}", onnx.TensorProto.FLOAT, [1, 3, side, side])
        model.graph.output.append(output)
    return model
