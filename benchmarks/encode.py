"""Encoding pictures to codes: pspkit's encoder and its fast path against the textbook form."""

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from benchmarks import textbook
from benchmarks.measure import arguments, compare
from pspkit.inference.export.graph import to_onnx, write_graph
from pspkit.inference.export.parts import PartModule
from pspkit.inference.export.precision import in_precision
from pspkit.inference.runtime import open_session
from pspkit.models.encoders import Encoder, GradualStyleEncoder
from pspkit.models.fast import FastEncoder, fast_encoder


def lively(encoder: Encoder) -> Encoder:
    """Gives every norm of an encoder statistics of its own; those of fresh norms do nothing. Frozen, in place."""
    encoder.eval().requires_grad_(False)
    for name, norm in encoder.named_modules():
        if isinstance(norm, nn.BatchNorm2d):
            nn.init.uniform_(norm.weight, 0.8, 1.2)
            if name.endswith("res_layer.4"):
                norm.weight *= 0.2  # small residuals, so that 24 of them do not blow the maps up
            nn.init.normal_(norm.bias, std=0.1)
            nn.init.normal_(norm.running_mean, std=0.1)
            nn.init.uniform_(norm.running_var, 0.8, 1.2)
    return encoder


def exported(encoder: FastEncoder, x: Tensor, folder: Path) -> dict[str, Callable[[], Tensor]]:
    """The encoder as `pspkit export` writes it, in float32 and in int8, whose ranges one input sets."""
    model = to_onnx(PartModule(encoder, lambda encoder, x: (encoder(x),)), x, "x", ("codes",))
    ways = {}
    for precision in ("float32", "int8"):
        write_graph(folder / f"{precision}.onnx", in_precision(model, precision, x[:1]), {})
        session = open_session(folder / f"{precision}.onnx")
        ways[f"onnxruntime, {precision}"] = lambda session=session: session(x)[0]
    return ways


def main() -> None:
    options = arguments(__doc__, size=256, batch=4, runs=5)
    torch.manual_seed(0)
    encoder = lively(GradualStyleEncoder(input_size=options.size))
    x = torch.rand(options.batch, 3, options.size, options.size) * 2 - 1
    exact, half = fast_encoder(encoder, torch.float32), fast_encoder(encoder)
    ways = {
        "textbook form, float32": lambda: textbook.encode(encoder, x),
        "pspkit, float32": lambda: encoder(x),
        "pspkit, fast path, float32": lambda: exact(x),
        "pspkit, fast path, bfloat16": lambda: half(x),
    }
    if shutil.which("c++"):  # torch.compile builds C++ on a CPU
        compiled = fast_encoder(encoder, compile=True)
        ways["pspkit, fast path, bfloat16, compiled"] = lambda: compiled(x)
    with torch.no_grad(), tempfile.TemporaryDirectory() as folder:
        ways |= exported(exact, x, Path(folder))
        compare(f"Encoding, {options.size} px, batch {options.batch}, ir_se 50, 18 styles", ways, options.runs)


if __name__ == "__main__":
    main()
