"""`pspkit mix`."""

import numpy as np
import pytest
import torch

from pspkit.storage.checkpoints import load_codes, save_codes
from tests.cli.running import SAMPLES, names, pixels, run


def test_two_pictures(model, photos, tmp_path, capsys):
    mixed, own = tmp_path / "mixed.png", tmp_path / "own"
    given = ("mix", photos / "0.png", photos / "1.png", "--model", model, "--out", mixed)
    assert run(*given, "--layers", "coarse", "--side-by-side", "--save-codes") == 0
    assert capsys.readouterr().out == f"{mixed}\n{mixed.with_suffix('.safetensors')}\n"
    assert pixels(mixed).shape == (16, 3 * 16, 3)
    assert run("translate", "--task", "encode", "--model", model, "--save-codes", "--out", own, photos) == 0
    first, second = (load_codes(own / f"{number}.safetensors")[0] for number in range(2))
    expected = torch.cat([second[:3], first[3:]])
    torch.testing.assert_close(load_codes(mixed.with_suffix(".safetensors"))[0], expected, atol=1e-5, rtol=1e-4)
    assert np.abs(pixels(mixed)[:, :16] - pixels(own / "0.png")).max() <= 1


def test_a_picture_and_codes(model, photos, tmp_path):
    codes = tmp_path / "codes.safetensors"
    save_codes(codes, torch.randn(2, 64), "z")
    assert (
        run("mix", photos / "0.png", f"{codes}:1", "--layers", "1", "--model", model, "--out", tmp_path / "a.png") == 0
    )
    assert pixels(tmp_path / "a.png").shape == (16, 16, 3)


def test_generated_faces(faces, tmp_path):
    given = ("mix", f"{SAMPLES}:0", f"{SAMPLES}:3", "--domain", "faces", "--layers", "fine", "--alpha", "0.25")
    assert run(*given, "--save-codes", "--out", tmp_path / "mixed.png") == 0
    first, second = load_codes(SAMPLES, "w")[[0, 3]]
    (codes,) = load_codes(tmp_path / "mixed.safetensors")
    torch.testing.assert_close(codes, torch.stack([first] * 7 + [first.lerp(second, 0.25)] * 9))
    with torch.no_grad():
        drawn = (faces.synthesis(codes[None])[0].clamp(-1, 1) + 1) * 127.5
    assert np.abs(pixels(tmp_path / "mixed.png") - drawn.movedim(0, -1).numpy()).max() < 1


def test_photographs_are_mixed_by_the_encoder_that_comes_along(faces, tmp_path):
    people = [SAMPLES.parent / f"{name}_aligned.jpg" for name in ("collins", "hopper")]
    given = ("mix", "--domain", "faces", *people, "--layers", "fine", "--save-codes", "--out", tmp_path / "mixed.png")
    assert run(*given) == 0
    assert load_codes(tmp_path / "mixed.safetensors").shape == (1, 16, 512)


@pytest.mark.parametrize(
    ("second", "options", "message"),
    [
        (SAMPLES, [], f"{SAMPLES}: holds 8 faces. Name one, as in {SAMPLES}:0."),
        (f"{SAMPLES}:8", [], f"{SAMPLES}: has rows 0 to 7, and no row 8."),
        (
            f"{SAMPLES}:1",
            ["--layers", "16"],
            "--layers: got '16', needs coarse, middle, fine, numbers from 0 to 15",
        ),
        (f"{SAMPLES}:1", ["--out", "mixed.jpg"], "--out: got mixed.jpg, needs a name that ends in .png."),
        (f"{SAMPLES}:1", ["--domain", "moon"], "--domain: got 'moon', needs one of 'heads', 'faces', 'objects'."),
        (
            "face.png",
            ["--task", "toonify"],
            "--model: none is given, and no trained encoder for toonify comes with faces.",
        ),
    ],
)
def test_refusals(second, options, message, faces, tmp_path, capsys):
    given = ["mix", f"{SAMPLES}:0", second, "--domain", "faces", "--layers", "0", "--out", tmp_path / "mixed.png"]
    assert run(*given, *options) == 1
    assert capsys.readouterr().err.startswith(f"pspkit: {message}")
    assert names(tmp_path) == []


def test_codes_of_another_decoder(model, tmp_path, capsys):
    given = ("mix", f"{SAMPLES}:0", f"{SAMPLES}:1", "--model", model, "--layers", "0", "--out", tmp_path / "a.png")
    assert run(*given) == 1
    assert "codes of shape (512,), but the decoder takes 6 of 64. Name the domain" in capsys.readouterr().err


def test_results_are_left_alone_unless_told(model, photos, tmp_path, capsys):
    given = ["mix", photos / "0.png", photos / "1.png", "--layers", "0", "--model", model, "--save-codes"]
    (tmp_path / "a.safetensors").touch()
    assert run(*given, "--out", tmp_path / "a.png") == 1
    assert f"{tmp_path / 'a.safetensors'}: is there already." in capsys.readouterr().err
    assert run(*given, "--out", tmp_path / "a.png", "--overwrite") == 0


def test_a_name_in_capitals_is_a_picture_too(model, photos, tmp_path):
    given = ("mix", photos / "0.png", photos / "1.png", "--layers", "0", "--model", model, "--device", "cpu")
    assert run(*given, "--out", tmp_path / "MIXED.PNG") == 0
    assert pixels(tmp_path / "MIXED.PNG").shape == (16, 16, 3)
