"""Modules to programs of `torch.export` and to ONNX graphs, and both to files."""

import io
import json
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import onnx
import torch
from torch import Tensor, nn
from torch.export import ExportedProgram

from pspkit.errors import PspkitError
from pspkit.storage.checkpoints.files import write_bytes

OPSET = 20  # the newest that every runtime of the last two years reads
FACTS = "pspkit.json"  # what a program's file says about itself, inside of it
TRACES = ("stack_trace", "nn_module_stack", "source_fn_stack", "torch_fn", "from_node")
INSTALL = "Install it with: pip install 'pspkit[export]'."


def to_program(module: nn.Module, example: Tensor, batch: int | None = None) -> ExportedProgram:
    """The program of a module that takes one tensor, as `to_onnx` has it."""
    example = example[:1].repeat(batch or 2, *[1] * (example.ndim - 1))  # a batch of 1 would be taken for a constant
    free = None if batch else ({0: torch.export.Dim("batch")},)
    with torch.no_grad(), _quiet():
        # Strict: its tracer sees that no gradient is needed, and takes the branches that are made for compilers.
        return torch.export.export(module, (example,), dynamic_shapes=free, strict=True)


def to_onnx(
    module: nn.Module, example: Tensor, takes: str, gives: Sequence[str], batch: int | None = None
) -> onnx.ModelProto:
    """The graph of a module that takes one tensor.

    Args:
        module: in evaluation mode; it gives a tuple of tensors.
        example: an input, (N, ...); its first dimension is free in the graph unless `batch` is given.
        takes: name of the input.
        gives: names of the outputs.
        batch: how many inputs the graph takes at once; any number unless given.

    Raises:
        PspkitError: a package of the extra `export` is missing.
    """
    program = to_program(module, example, batch)
    with torch.no_grad(), _quiet():
        try:
            graph = torch.onnx.export(
                program, dynamo=True, input_names=[takes], output_names=list(gives), opset_version=OPSET, verbose=False
            )
        except ImportError as error:
            raise PspkitError(f"export: the package {error.name} is missing. {INSTALL}") from error
    model = graph.model_proto
    for entry in [*model.graph.node, *model.graph.value_info, *model.graph.input, *model.graph.output]:
        del entry.metadata_props[:]  # where in whose files each operation stands
    for weight in model.graph.initializer:
        del weight.metadata_props[:]
    return model


def write_graph(path: Path, model: onnx.ModelProto, facts: Mapping[str, str]) -> None:
    """Writes a graph whole or not at all, with facts about it as its metadata.

    Raises:
        CheckpointError: it could not be written; the file that stood there is untouched.
    """
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, dict(facts))
    model.producer_name = "pspkit"
    write_bytes(path, model.SerializeToString())


def write_program(path: Path, program: ExportedProgram, facts: Mapping[str, str]) -> None:
    """Writes a program whole or not at all, with facts about it in `FACTS`; it is loaded by `torch.export.load`.

    Raises:
        CheckpointError: as `write_graph`.
    """
    for module in program.graph_module.modules():
        for node in getattr(getattr(module, "graph", None), "nodes", ()):
            for trace in TRACES:  # where in whose files each operation stands
                node.meta.pop(trace, None)
    file = io.BytesIO()
    with _quiet():
        torch.export.save(program, file, extra_files={FACTS: json.dumps(dict(facts))})
    write_bytes(path, file.getvalue())


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporter's remarks on its own workings."""
    loggers = [logging.getLogger(name) for name in ("onnxscript", "onnx_ir", "torch.onnx")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)
