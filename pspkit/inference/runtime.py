"""An exported model at work: pSp by onnxruntime, on the CPU and without PyTorch's layers."""

from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import onnx
import torch
from torch import Tensor

from pspkit.errors import CheckpointError, PspkitError, check_tensor
from pspkit.psp import mix_codes

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

Run = Callable[[Tensor], tuple[Tensor, ...]]  # one input to all outputs


def open_session(path: str | Path, model: onnx.ModelProto | None = None) -> Run:
    """A graph, ready to run on as many threads as PyTorch uses.

    Args:
        path: the file, whose graph has one input.
        model: a part of the file's graph, to run that alone.

    Raises:
        CheckpointError: the file cannot be read.
        PspkitError: onnxruntime is missing.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise PspkitError(
            "runtime: the package onnxruntime is missing. Install it with: pip install 'pspkit[export]'."
        ) from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    source = model.SerializeToString() if model else str(path)
    try:
        session: InferenceSession = onnxruntime.InferenceSession(source, options, ["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises a dozen kinds
        raise CheckpointError(f"{path}: onnxruntime cannot read it ({str(error).splitlines()[0]}).") from error
    name = session.get_inputs()[0].name
    return lambda x: tuple(map(torch.from_numpy, session.run(None, {name: x.numpy(force=True)})))


def open_program(path: str | Path) -> Run:
    """A program that `pspkit export --to torch` wrote, ready to run.

    Raises:
        CheckpointError: the file cannot be read.
    """
    try:
        program = torch.export.load(path)
    except Exception as error:  # a damaged archive raises whatever its reader stumbles on
        raise CheckpointError(f"{path}: not a program of torch.export, or cut off. Write it again.") from error
    run = program.module()
    return lambda x: run(x)


class OnnxPSP:
    """A pSp that `pspkit export` wrote, with the methods of `PSP` that inference uses.

    The file's graph is cut at the codes: its first part encodes, its second part decodes. It has no mapping network.

    Args:
        path: a file of the part "psp", for any number of inputs at once.

    Raises:
        CheckpointError: the file cannot be read, or holds something else.
    """

    def __init__(self, path: str | Path):
        try:
            model = onnx.load(path)
        except Exception as error:  # what a damaged file makes protobuf raise is not told
            raise CheckpointError(
                f"{path}: not an ONNX file, or cut off. Write it again with `pspkit export`."
            ) from error
        facts = {entry.key: entry.value for entry in model.metadata_props}
        if facts.get("part") != "psp":
            raise CheckpointError(
                f"{path}: holds {facts.get('part', 'a model of another program')}, and a whole pSp is needed. Write"
                " one with `pspkit export`."
            )
        if not model.graph.input[0].type.tensor_type.shape.dim[0].dim_param:
            raise CheckpointError(f"{path}: takes a fixed number of inputs. Export it without --batch.")
        cut = onnx.utils.Extractor(model)
        encoder, decoder = cut.extract_model(["x"], ["w_plus"]), cut.extract_model(["w_plus"], ["picture"])
        for node in decoder.graph.node:  # the whole graph reads the number of inputs off x
            node.input[:] = ["w_plus" if name == "x" else name for name in node.input]
        n_styles, style_dim = int(facts["n_styles"]), int(facts["style_dim"])
        side = model.graph.output[1].type.tensor_type.shape.dim[-1].dim_value
        self._encode, self._decode = open_session(path, encoder), open_session(path, decoder)
        self.facts = facts
        self.input_nc, self.iterations = int(facts["input_nc"]), 0  # an encoder that corrects its answer has no file
        self.encoder = SimpleNamespace(input_nc=self.input_nc, input_size=int(facts["input_size"]))
        self.decoder = SimpleNamespace(n_styles=n_styles, style_dim=style_dim, size=side, synthesis=self.decode)
        self.latent_avg = torch.zeros(n_styles, style_dim)  # for its type and device: codes hold the average already

    def eval(self) -> "OnnxPSP":
        """Itself: it is never in training."""
        return self

    def encode(self, x: Tensor) -> Tensor:
        """As `PSP.encode`."""
        side = self.encoder.input_size
        check_tensor("x", x, ("N", self.encoder.input_nc, side, side))
        return self._encode(x)[0]

    def decode(self, w_plus: Tensor) -> Tensor:
        """As `PSP.decode`, with the stored noise."""
        check_tensor("w_plus", w_plus, ("N", self.decoder.n_styles, self.decoder.style_dim))
        return self._decode(w_plus)[0]

    def mix(self, w_plus: Tensor, reference: Tensor, layers: Sequence[int], alpha: float = 1.0) -> Tensor:
        """As `PSP.mix`, of a reference that is given."""
        return mix_codes(w_plus, reference, layers, alpha)
