"""`pspkit directions`."""

import torch

from pspkit.cli import main
from pspkit.inference.directions import CONTRASTS, load_directions


def test_it_refuses_no_heads(tmp_path, capsys):
    assert main(["directions", "--count", "0", "--out", str(tmp_path / "ways")]) == 1
    assert capsys.readouterr().err == "pspkit: --count: got 0, needs at least 1.\n"


def test_it_writes_every_direction(tmp_path, monkeypatch, capsys):
    class Psp(torch.nn.Module):
        encode = staticmethod(lambda images: images[:, :, :2, 0])
        encoder = type("Encoder", (), {"config": type("Config", (), {"input_size": 64})})

    monkeypatch.setattr("pspkit.inference.find_psp", lambda domain, task, model: Psp())
    out = tmp_path / "ways.safetensors"
    assert main(["directions", "--count", "2", "--device", "cpu", "--out", str(out)]) == 0
    assert list(load_directions(out)) == list(CONTRASTS)
    assert "turned left to turned right" in capsys.readouterr().out
