"""Exported models: they give what PyTorch gives, in every precision as near as it can be, and say what they are."""

import onnx
import pytest
import torch

from pspkit.config import CONFIGS
from pspkit.errors import CheckpointError, PspkitError
from pspkit.inference.export import export, verdict
from pspkit.inference.export.examples import example_sources
from pspkit.inference.export.graph import to_onnx, write_graph
from pspkit.inference.export.parts import PARTS, PartModule, frozen
from pspkit.inference.export.precision import in_precision
from pspkit.inference.runtime import OnnxPSP, open_program, open_session
from pspkit.models.encoders import Encoder
from pspkit.models.mobile_stylegan import MobileStyleGAN, Readout
from pspkit.models.stylegan2 import Generator
from pspkit.psp import PSP
from tests.examples import make_psp

pytest.importorskip("onnxruntime", reason="no onnxruntime here: pip install 'pspkit[export]'")


@pytest.fixture(scope="module")
def psp():
    return make_psp().requires_grad_(False)


@pytest.fixture(scope="module")
def exported(psp, tmp_path_factory):
    """The whole model's file, and what its comparison found."""
    path = tmp_path_factory.mktemp("export") / "psp.onnx"
    return path, export(psp, path, licence="MIT")


@pytest.fixture(scope="module")
def sources(psp):
    return example_sources(psp, "heads", "encode", 4, needed=True)


def test_a_file_agrees_with_pytorch_for_any_number_of_inputs(psp, exported, sources):
    path, found = exported
    assert found.error < 1e-4
    assert "the largest difference to PyTorch is" in str(found)
    onnx_psp = OnnxPSP(path)
    for count in (1, 3):
        codes = onnx_psp.encode(sources[:count])
        torch.testing.assert_close(codes, psp.encode(sources[:count]), rtol=1e-3, atol=1e-4)
        torch.testing.assert_close(onnx_psp.decode(codes), psp.decode(codes), rtol=1e-3, atol=1e-4)


def test_a_file_says_what_it_is(exported):
    facts = {entry.key: entry.value for entry in onnx.load(exported[0]).metadata_props}
    assert facts["part"] == "psp" and facts["task"] == "encode" and facts["licence"] == "MIT"
    assert facts["input_size"] == "64" and facts["n_styles"] == "6" and facts["precision"] == "float32"
    assert "[-1, 1]" in facts["picture"]
    assert b".venv" not in exported[0].read_bytes() and b"pspkit/" not in exported[0].read_bytes()  # nobody's paths


@pytest.mark.parametrize(("precision", "size", "error"), [("float16", 0.6, 0.01), ("int8", 0.5, 0.5)])
def test_fewer_bits_make_a_smaller_file_that_gives_nearly_the_same(precision, size, error, exported, sources, tmp_path):
    path = tmp_path / "small.onnx"
    model = in_precision(onnx.load(exported[0]), precision, sources)
    write_graph(path, model, {"part": "psp", "n_styles": "6", "style_dim": "64", "input_nc": "3", "input_size": "64"})
    assert path.stat().st_size < size * exported[0].stat().st_size
    full, small = OnnxPSP(exported[0]).encode(sources), OnnxPSP(path).encode(sources)
    assert (small - full).norm() < error * full.norm()
    quantized = {node.op_type for node in onnx.load(path).graph.node} >= {"QuantizeLinear", "DequantizeLinear"}
    assert quantized == (precision == "int8")


def test_a_fixed_batch_and_a_preview(tmp_path):
    torch.manual_seed(0)
    decoder = MobileStyleGAN(style_dim=16, n_mlp=1, channels=(8, 8, 8)).eval()
    decoder.readouts["16"] = Readout(8)
    decoder.readouts["16"].weight.normal_()
    config = CONFIGS["smoke"].encoder
    encoder = Encoder.from_config(type(config)(**{**vars(config), "n_styles": decoder.n_styles, "style_dim": 16}))
    psp = PSP(encoder, decoder).eval().requires_grad_(False)
    codes = torch.randn(2, decoder.n_styles, 16)
    part = PARTS["preview"]
    model = to_onnx(PartModule(frozen(psp), part.run), codes, part.takes, part.gives, batch=2)
    write_graph(tmp_path / "preview.onnx", model, {})
    session = open_session(tmp_path / "preview.onnx")
    torch.testing.assert_close(session(codes)[0], decoder.preview(codes, 16), rtol=1e-3, atol=1e-4)
    with pytest.raises(Exception, match="index: 0 Got: 1 Expected: 2"):
        session(codes[:1])


def test_a_program_of_torch_export_agrees_for_any_number_of_inputs(psp, sources, tmp_path):
    path = tmp_path / "psp.pt2"
    assert export(psp, path, to="torch").error < 1e-4
    run = open_program(path)
    for count in (1, 3):
        codes, pictures = run(sources[:count])
        torch.testing.assert_close(codes, psp.encode(sources[:count]), rtol=1e-3, atol=1e-4)
        torch.testing.assert_close(pictures, psp.decode(codes), rtol=1e-3, atol=1e-4)
    assert b".venv" not in path.read_bytes() and b"pspkit/" not in path.read_bytes()  # nobody's paths
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(CheckpointError, match=r"psp\.pt2: not a program of torch\.export, or cut off"):
        open_program(path)


def test_a_file_that_gives_something_else_is_reported(psp, exported, sources):
    honest = open_session(exported[0])
    with pytest.raises(PspkitError, match="differ from PyTorch's by"):
        verdict.compare(psp, "psp", exported[0], lambda x: tuple(y + 1 for y in honest(x)), sources, None, False, None)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"to": "tflite"}, "to: got 'tflite', needs one of 'onnx', 'torch'"),
        ({"to": "torch", "precision": "int8"}, "precision: got 'int8', needs one of 'float32'"),
        ({"part": "head"}, "part: got 'head', needs one of 'psp'"),
        ({"precision": "int4"}, "precision: got 'int4', needs one of 'float32'"),
        ({"batch": 0}, "batch: got 0, needs at least 1."),
        ({"part": "preview"}, "part: the decoder, a Generator, has no preview."),
        ({"task": "sketch"}, "task: sketch gives 1 channels, but the model takes 3."),
    ],
)
def test_what_cannot_be_exported_is_refused(arguments, message, psp, tmp_path):
    with pytest.raises(PspkitError, match=f"^{message}"):
        export(psp, tmp_path / "psp.onnx", **arguments)
    assert not (tmp_path / "psp.onnx").exists()


def test_int8_needs_inputs_to_calibrate_on(tmp_path):
    config = CONFIGS["smoke"]
    encoder = Encoder.from_config(type(config.encoder)(**{**vars(config.encoder), "input_nc": 1}))
    psp = PSP(encoder, Generator.from_config(config.decoder)).eval()
    with pytest.raises(PspkitError, match="int8 is calibrated on inputs, and faces brings none for sketch"):
        export(psp, tmp_path / "psp.onnx", task="sketch", domain="faces", precision="int8")


def test_other_files_are_no_models_to_run(exported, tmp_path):
    (tmp_path / "cut.onnx").write_bytes(exported[0].read_bytes()[:1000])
    with pytest.raises(CheckpointError, match=r"cut\.onnx: not an ONNX file, or cut off"):
        OnnxPSP(tmp_path / "cut.onnx")
    model = onnx.load(exported[0])
    write_graph(tmp_path / "encoder.onnx", model, {"part": "encoder"})
    with pytest.raises(CheckpointError, match=r"encoder\.onnx: holds encoder, and a whole pSp is needed"):
        OnnxPSP(tmp_path / "encoder.onnx")
