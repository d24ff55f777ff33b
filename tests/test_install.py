"""`pip install .` outside a clone: the command works there, on heads and on faces."""

import os
import shutil
import subprocess
import sys

import pytest
import torch

from pspkit.config import CONFIGS
from pspkit.course.run import ROOT
from pspkit.models.encoders import Encoder
from pspkit.models.mobile_stylegan import MobileStyleGAN
from pspkit.psp import PSP

NEEDED = ("pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE", "pspkit", "data/weights")


@pytest.fixture(scope="module")
def pspkit(tmp_path_factory):
    """Runs the installed package in a folder of its own: from arguments to what is printed."""
    folder = tmp_path_factory.mktemp("install")
    for name in NEEDED:
        source, target = ROOT / name, folder / "source" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(source, target) if source.is_dir() else shutil.copyfile(source, target)
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", "site", "./source"]
    installed = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if "setuptools" in installed.stderr:
        pytest.skip("no package index, which building a package needs")
    assert installed.returncode == 0, installed.stderr
    shutil.rmtree(folder / "source")

    def run(*arguments):
        environment = os.environ | {"PYTHONPATH": str(folder / "site"), "PSPKIT_CACHE": str(folder / "cache")}
        command = [sys.executable, *map(str, arguments)]
        result = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
        assert result.returncode == 0, result.stderr
        return result.stdout

    assert run("-c", "import pspkit; print(pspkit.__file__)").startswith(f"{folder / 'site'}")
    run("-m", "pspkit", "render", "--count", "2", "--size", "64", "--out", "heads")
    return run


@pytest.mark.slow
def test_heads_are_translated_by_the_weights_that_the_package_carries(pspkit):
    said = pspkit("-m", "pspkit", "translate", "--task", "encode", "--out", "answers", "heads/images")
    assert said == "2 files written to answers\n"


@pytest.mark.slow
def test_faces_are_translated_by_a_model_of_ones_own(pspkit, tmp_path):
    encoder = Encoder.from_config(CONFIGS["smoke"].encoder)
    decoder = MobileStyleGAN(style_dim=encoder.config.style_dim, n_mlp=1, channels=(8,) * 3)
    torch.manual_seed(0)
    PSP(encoder, decoder).save_pretrained(tmp_path)
    faces = ("--domain", "faces", "--task", "encode", "--model", tmp_path)
    said = pspkit("-m", "pspkit", "translate", *faces, "--out", "faces", "heads/images")
    assert "2 pictures refined by 20 steps" in said
    assert said.endswith("\n2 files written to faces\n")


@pytest.mark.slow
def test_the_package_carries_the_encoder_of_photographs(pspkit):
    code = "from pspkit.domains import get_domain; from pspkit.psp import load_encoder;"
    code += " print(load_encoder(get_domain('faces').encoder_path('encode')).n_styles)"
    assert pspkit("-c", code) == "16\n"
