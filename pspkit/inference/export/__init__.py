"""Trained models as ONNX files, for programs that have no PyTorch, or as programs of `torch.export`; and measured.

    example inputs ─ graph (float32) ─ precision ─ file ─ comparison with PyTorch

`pspkit export` makes such a file, `pspkit.inference.runtime` runs one. A program of `torch.export` needs PyTorch, but
not pspkit.
"""

from collections.abc import Mapping
from pathlib import Path

import torch

from pspkit.errors import PspkitError, check_choice
from pspkit.inference.export.examples import example_sources
from pspkit.inference.export.graph import to_onnx, to_program, write_graph, write_program
from pspkit.inference.export.parts import PARTS, PartModule, frozen, preview_side
from pspkit.inference.export.precision import PRECISIONS, in_precision
from pspkit.inference.export.verdict import Verdict, compare
from pspkit.inference.runtime import open_program, open_session
from pspkit.losses.identity import IdentityLoss
from pspkit.psp import PSP

FORMATS = {"onnx": ".onnx", "torch": ".pt2"}  # and how their files' names end
EXAMPLES = 16  # inputs that calibrate and compare


def export(
    psp: PSP,
    out: str | Path,
    *,
    to: str = "onnx",
    part: str = "psp",
    precision: str = "float32",
    batch: int | None = None,
    task: str = "encode",
    domain: str = "heads",
    licence: str = "that of the model it was made from",
    identity: IdentityLoss | None = None,
) -> Verdict:
    """Writes a model, or a part of it, as a file that needs no pspkit, runs that, and compares both.

    Args:
        psp: in evaluation mode, on the CPU; it stays as it is.
        out: the file, replaced where it is there.
        to: a key of `FORMATS`: "onnx", for onnxruntime, or "torch", for `torch.export.load`.
        part: a key of `PARTS`.
        precision: one of `PRECISIONS`; only "float32" for "torch". "float16" stores the weights in half their size and
            computes in float32. "int8" computes convolutions in whole numbers whose ranges the examples set.
        batch: how many inputs the file takes at once; any number unless given.
        task: what the model was trained for, a key of `TASKS`.
        domain: a key of `DOMAINS`: where example inputs come from.
        licence: of the weights, in words; it is stored in the file.
        identity: compares people, for the loss of a precision; without it the loss is LPIPS alone.

    Returns:
        What the comparison found.

    Raises:
        PspkitError: no such format, part or precision, a decoder without preview, no example inputs for int8, a
            package of the extra `export` is missing, or the file does not give what PyTorch gives.
        CheckpointError: the file could not be written.
    """
    check_choice("to", to, tuple(FORMATS))
    check_choice("part", part, tuple(PARTS))
    check_choice("precision", precision, PRECISIONS if to == "onnx" else ("float32",))
    if batch is not None and batch < 1:
        raise PspkitError(f"batch: got {batch}, needs at least 1.")
    if part == "preview" and preview_side(psp) is None:
        raise PspkitError(f"part: the decoder, a {type(psp.decoder).__name__}, has no preview. Export another part.")
    sources = example_sources(psp, domain, task, EXAMPLES, needed=precision == "int8")
    found = PARTS[part]
    with torch.no_grad():
        inputs = sources if found.takes == "x" else psp.encode(sources)
    module, facts = PartModule(frozen(psp), found.run), _facts(psp, part, precision, task, domain, licence)
    if to == "torch":
        write_program(Path(out), to_program(module, inputs, batch), facts)
        run = open_program(out)
    else:
        model = to_onnx(module, inputs, found.takes, found.gives, batch)
        write_graph(Path(out), in_precision(model, precision, inputs), facts)
        run = open_session(out)
    return compare(psp, part, Path(out), run, inputs, batch, losses=precision != "float32", identity=identity)


def _facts(psp: PSP, part: str, precision: str, task: str, domain: str, licence: str) -> Mapping[str, str]:
    """What a file says about itself."""
    encoder, decoder = psp.encoder, psp.decoder
    facts = {"part": part, "task": task, "domain": domain, "precision": precision, "licence": licence}
    if PARTS[part].takes == "x":
        facts |= {"input_nc": str(encoder.input_nc), "input_size": str(encoder.input_size)}
        facts["x"] = "float32 (N, input_nc, input_size, input_size); pictures in [-1, 1], sketches and labels in [0, 1]"
    facts |= {"n_styles": str(decoder.n_styles), "style_dim": str(decoder.style_dim)}
    facts["w_plus"] = "float32 (N, n_styles, style_dim), the average latent included"
    if "picture" in PARTS[part].gives:
        facts |= {"picture": "float32 (N, 3, side, side), about [-1, 1], not clamped"}
    return facts


__all__ = ["FORMATS", "PARTS", "PRECISIONS", "Verdict", "export"]
