"""`pspkit project`."""

import numpy as np
import pytest
import torch

from pspkit.models.stylegan2 import Generator
from pspkit.storage.checkpoints import load_codes
from tests.cli.running import SAMPLES, pixels, run


def test_it_starts_from_the_encoder_and_tells_both_errors(model, photos, tmp_path, capsys):
    out = tmp_path / "found.png"
    assert run("project", photos / "0.png", "--model", model, "--steps", "20", "--save-codes", "--out", out) == 0
    words = capsys.readouterr().out.split()
    before, after = (float(words[words.index(word) - 1]) for word in ("of", "after"))
    assert " ".join(words).startswith("mean squared error: ")
    assert "of the encoder's codes," in " ".join(words)
    assert after < before
    assert load_codes(out.with_suffix(".safetensors")).shape == (1, 6, 64)
    assert pixels(out).shape == (16, 16, 3)


def test_a_decoder_alone_starts_from_the_average(model, photos, tmp_path, capsys):
    Generator.from_pretrained(model / "best").save_pretrained(tmp_path / "decoder")
    given = ("project", photos / "0.png", "--model", tmp_path / "decoder", "--steps", "1")
    assert run(*given, "--out", tmp_path / "a.png") == 0
    assert "of the average face," in capsys.readouterr().out


def test_a_photograph_starts_from_the_encoder_that_comes_along(faces, tmp_path, capsys):
    given = ("project", "--domain", "faces", SAMPLES.parent / "collins_aligned.jpg", "--steps", "0")
    assert run(*given, "--out", tmp_path / "a.png") == 0
    assert "of the encoder's codes," in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--steps", "-1"], "--steps: got -1, needs at least 0."),
        (["--out", "found"], "--out: got found, needs a name that ends in .png."),
        (["--model", "nowhere"], "nowhere: cannot be read"),
    ],
)
def test_refusals(options, message, model, photos, tmp_path, capsys):
    assert run("project", photos / "0.png", "--model", model, "--out", tmp_path / "a.png", *options) == 1
    assert capsys.readouterr().err.startswith(f"pspkit: {message}")


def test_a_file_that_is_no_picture(model, tmp_path, capsys):
    assert run("project", tmp_path / "none.png", "--model", model, "--out", tmp_path / "a.png") == 1
    assert capsys.readouterr().err == f"pspkit: {tmp_path / 'none.png'}: no such file.\n"


def test_it_starts_from_codes_of_others(model, photos, tmp_path, capsys):
    np.save(tmp_path / "start.npy", torch.zeros(6, 64).numpy())
    given = ("project", photos / "0.png", "--model", model, "--steps", "0", "--save-codes", "--out", tmp_path / "a.png")
    assert run(*given, "--start", tmp_path / "start.npy") == 0
    assert f"of {tmp_path / 'start.npy'}," in capsys.readouterr().out
    assert not load_codes(tmp_path / "a.safetensors").any()
