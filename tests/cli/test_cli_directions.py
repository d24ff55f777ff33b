"""`pspkit directions`."""

import torch

from pspkit.cli import main
from pspkit.inference.directions import CONTRASTS, load_directions


def test_it_refuses_no_heads(tmp_path, capsys):
    assert main(["directions", "--count", "0", "--out", str(tmp_path / "ways")]) == 1
    assert capsys.readouterr().err == "pspkit: --count: got 0, needs 1 to 100000.\n"


def test_it_writes_every_direction(tmp_path, monkeypatch, capsys):
    class Psp(torch.nn.Module):
        encode = staticmethod(lambda images: images[:, :, :2, 0])
        encoder = type("Encoder", (), {"config": type("Config", (), {"input_size": 64})})

    monkeypatch.setattr("pspkit.inference.find_psp", lambda domain, task, model: Psp())
    out = tmp_path / "ways.safetensors"
    assert main(["directions", "--count", "2", "--device", "cpu", "--out", str(out)]) == 0
    assert set(load_directions(out)) == set(CONTRASTS)
    assert "turned left to turned right" in capsys.readouterr().out


def test_options_of_the_other_domain_are_refused(tmp_path, capsys):
    assert main(["directions", "--sheets", str(tmp_path), "--out", str(tmp_path / "ways")]) == 1
    assert "--sheets: is for photographs. Add --domain faces, or leave it out." in capsys.readouterr().err
    for options, words in (
        (["--model", "mine"], "--model: those of faces hang on their decoder alone."),
        (["--count", "99"], "--count: got 99, needs at least 100 faces for a fit."),
    ):
        assert main(["directions", "--domain", "faces", *options, "--out", str(tmp_path / "ways")]) == 1
        assert words in capsys.readouterr().err
