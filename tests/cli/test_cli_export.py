"""`pspkit export`, and `pspkit translate` with what it wrote."""

import subprocess
import sys

import numpy as np
import pytest

from tests.cli.running import names, pixels, run

pytest.importorskip("onnxruntime", reason="no onnxruntime here: pip install 'pspkit[export]'")


def test_an_exported_model_translates_like_the_one_it_was_made_from(model, photos, tmp_path, capsys):
    path = tmp_path / "psp.onnx"
    assert run("export", model / "best", "--to", "onnx", "--out", path) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"{path}: ") and "ms by the file and" in out
    assert run("export", model / "best", "--out", path) == 1
    assert "is there already" in capsys.readouterr().err

    given = ["translate", "--task", "encode", "--save-codes", photos]
    assert run(*given, "--model", model, "--out", tmp_path / "torch") == 0
    assert run(*given, "--model", path, "--runtime", "onnx", "--out", tmp_path / "onnx") == 0
    assert names(tmp_path / "onnx") == names(tmp_path / "torch")
    for name in ("0.png", "1.png", "2.png"):
        assert np.abs(pixels(tmp_path / "onnx" / name) - pixels(tmp_path / "torch" / name)).max() <= 1


def test_an_exported_program_runs_without_the_package(model, tmp_path, capsys):
    path = tmp_path / "encoder.pt2"
    assert run("export", model / "best", "--to", "torch", "--part", "encoder", "--out", path) == 0
    assert "the largest difference to PyTorch" in capsys.readouterr().out
    script = f"""
import sys, torch
facts = {{"pspkit.json": ""}}
program = torch.export.load({str(path)!r}, extra_files=facts)
print(*program.module()(torch.zeros(3, 3, 64, 64))[0].shape, "pspkit" in sys.modules, facts["pspkit.json"])
"""
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=tmp_path)
    assert found.stdout.startswith("3 ") and " False {" in found.stdout and '"task": "encode"' in found.stdout, found


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("export --to torch --out psp.onnx", "--out: got psp.onnx, needs a name that ends in .pt2."),
        ("export --to torch --precision int8 --out psp.pt2", "--precision: got 'int8', needs one of 'float32'."),
        ("export --out psp.pt", "--out: got psp.pt, needs a name that ends in .onnx."),
        ("export --to tflite --out psp.onnx", "--to: got 'tflite', needs one of 'onnx', 'torch'."),
        ("translate --task encode --runtime onnx --out out x.png", "--runtime: onnx runs a file. Make one by"),
        ("translate --task encode --runtime tf --out out x.png", "--runtime: got 'tf', needs one of 'torch'"),
        (
            "translate --task encode --runtime onnx --model psp.onnx --variants 2 --out out x.png",
            "--variants: is not in an exported file.",
        ),
        (
            "translate --task encode --runtime onnx --model psp.onnx --out out x.png",
            "psp.onnx: not an ONNX file, or cut off.",
        ),
    ],
)
def test_refusals(arguments, message, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run(*arguments.split()) == 1
    assert capsys.readouterr().err.startswith(f"pspkit: {message}")
    assert names(tmp_path) == []
