"""The folder for a GPU machine: small enough, and complete."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from pspkit.errors import PspkitError
from pspkit.losses.perceptual import load_lpips
from pspkit.models.faces.parser import load_face_parser
from pspkit.models.mobile_facenet import load_mobile_facenet
from pspkit.models.mobile_stylegan import load_mobile_stylegan
from tools import bundle as module
from tools.bundle import bundle, copy_package, halve_tensors


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("bundle") / "made"
    size = bundle(folder)
    assert size == sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    return folder


def run_in(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess:
    """Runs Python in a bundle, with nothing on its path but what the bundle says."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PSPKIT", "PYTHON"))}
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=folder, env=clean | variables, capture_output=True, text=True)


def test_it_is_small_and_has_neither_notebooks_nor_history(folder):
    files = [file for file in folder.rglob("*") if file.is_file()]
    assert sum(file.stat().st_size for file in files) < 55e6
    assert not any(file.suffix in (".ipynb", ".pyc") or ".git" in file.parts for file in files)


def test_it_is_complete(folder):
    """Everything is imported from the bundle, and the weights are read from it."""
    program = """if True:
        import lpips, pspkit, pytorch_optimizer
        from pspkit.domains import get_domain
        from pspkit.losses.perceptual import load_lpips
        from pspkit.models.faces.parser import load_face_parser
        from pspkit.models.mobile_facenet import load_mobile_facenet
        from pspkit.models.mobile_stylegan import load_mobile_stylegan
        load_lpips(), load_mobile_facenet(), load_mobile_stylegan(), load_face_parser()
        get_domain("heads").psp("encode")
        get_domain("heads").identity("cpu")
        print(pspkit.__file__, lpips.__file__, pytorch_optimizer.__file__)
    """
    done = run_in(folder, "-c", program, PYTHONPATH="packages")
    assert done.returncode == 0, done.stderr
    assert all(Path(file).resolve().is_relative_to(folder) for file in done.stdout.split())


@pytest.mark.slow
def test_its_rehearsal_runs(folder):
    tests = "tests/gpu/test_gradients.py::test_gradient_penalty tests/gpu/test_inference.py::test_precision_and_recall"
    options = ("--size", "smoke", "--device", "cpu", "--minutes", "15", "--tests", tests)
    done = run_in(folder, "-m", "benchmarks.gpu", *options)
    assert done.returncode == 0, done.stdout + done.stderr
    results = json.loads((folder / "benchmarks" / "results" / "gpu-cpu.json").read_text())
    assert results["tests"]["passed"] == 2
    assert not results["stopped"]
    assert not {"failed", "left_out"} & results.keys()
    assert [entry for entry in results["measurements"] if "failed" in entry] == []
    measured = {entry["what"] for entry in results["measurements"]}
    assert len(measured) == 5
    tables = run_in(folder, "-m", "benchmarks.tables")
    assert all(f"**{what[0].upper()}{what[1:]}**" in tables.stdout for what in measured)


@pytest.mark.parametrize("load", [load_mobile_stylegan, load_mobile_facenet, load_lpips, load_face_parser])
def test_halved_weights_are_near(folder, load, monkeypatch):
    exact = load().state_dict()
    monkeypatch.setenv("PSPKIT_CACHE", str(folder / "data" / "cache"))
    halved = load().state_dict()
    assert exact.keys() == halved.keys()
    for name, tensor in exact.items():
        assert halved[name].dtype == tensor.dtype
        torch.testing.assert_close(halved[name], tensor, rtol=1e-3, atol=1e-6 * tensor.abs().max().item() + 1e-7)


def test_what_does_not_fit_into_half_precision_stays(tmp_path):
    tensors = {"small": torch.tensor([0.5, -2.0]), "large": torch.tensor([1e6]), "count": torch.tensor(3)}
    save_file(tensors, tmp_path / "before.safetensors", {"format": "pspkit"})
    halve_tensors(tmp_path / "before.safetensors", tmp_path / "after.safetensors")
    after = load_file(tmp_path / "after.safetensors")
    assert {name: tensor.dtype for name, tensor in after.items()} == {
        "small": torch.float16,
        "large": torch.float32,
        "count": torch.int64,
    }
    assert all(np.array_equal(after[name], tensors[name]) for name in tensors)


def test_refusals(folder, tmp_path, monkeypatch):
    with pytest.raises(PspkitError, match="holds something already"):
        bundle(folder)
    with pytest.raises(PspkitError, match=r"numpy: holds .*compiled"):
        copy_package("numpy", tmp_path)
    monkeypatch.setattr(module, "LIMIT", 10)
    with pytest.raises(PspkitError, match="a bundle may have 0"):
        bundle(tmp_path / "large")
