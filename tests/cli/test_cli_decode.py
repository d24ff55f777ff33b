"""`pspkit decode`."""

import numpy as np
import torch

from pspkit.storage.checkpoints import save_codes
from tests.cli.running import SAMPLES, names, pixels, run


def test_codes_that_translate_saved(model, photos, tmp_path, capsys):
    given = ("translate", "--task", "encode", "--model", model, "--save-codes", "--out", tmp_path / "out", photos)
    assert run(*given) == 0
    codes = sorted((tmp_path / "out").glob("*.safetensors"))
    assert run("decode", *codes, "--model", model, "--out", tmp_path / "again") == 0
    assert capsys.readouterr().out.endswith(f"3 files written to {tmp_path / 'again'}\n")
    for name in ("0.png", "1.png", "2.png"):
        assert np.abs(pixels(tmp_path / "out" / name) - pixels(tmp_path / "again" / name)).max() <= 1


def test_generated_faces(faces, tmp_path):
    assert run("decode", f"{SAMPLES}:2", "--domain", "faces", "--out", tmp_path) == 0
    assert names(tmp_path) == ["codes-2.png"]
    assert pixels(tmp_path / "codes-2.png").shape == (1024, 1024, 3)


def test_some_left_out_is_exit_code_3_and_all_is_1(model, tmp_path, capsys):
    save_codes(tmp_path / "good.safetensors", torch.randn(1, 64), "w")
    given = ("decode", "--model", model, "--out", tmp_path / "out")
    assert run(*given, tmp_path / "good.safetensors", SAMPLES) == 3
    assert "1 input left out:\n" in capsys.readouterr().out
    assert run(*given, SAMPLES, tmp_path / "none.safetensors") == 1


def test_two_files_of_one_picture(model, tmp_path, capsys):
    for folder in ("a", "b"):
        save_codes(tmp_path / folder / "codes.safetensors", torch.randn(1, 64), "w")
    given = [tmp_path / folder / "codes.safetensors" for folder in ("a", "b")]
    assert run("decode", *given, "--model", model, "--out", tmp_path / "out") == 1
    assert f"{given[0]} and {given[1]} would both become {tmp_path / 'out/codes.png'}" in capsys.readouterr().err


def test_codes_and_directions_of_others(faces, tmp_path, capsys):
    torch.manual_seed(0)
    codes, way = torch.randn(2, 18, 512), torch.randn(1, 512)
    torch.save(codes, tmp_path / "latents.pt")
    np.save(tmp_path / "age.npy", way.numpy())
    moved = ("--direction", tmp_path / "age.npy", "--step", 2)
    for out, options in (("plain", ()), ("older", moved)):
        assert run("decode", tmp_path / "latents.pt", "--domain", "faces", *options, "--out", tmp_path / out) == 0
        assert names(tmp_path / out) == ["latents-0.png", "latents-1.png"]
    assert "the photographic decoder takes the first 16" in capsys.readouterr().out
    with torch.no_grad():
        expected = faces.synthesis(codes[:1, :16] + 2 * way)[0].clamp(-1, 1).add(1).mul(127.5).permute(1, 2, 0)
    assert abs(pixels(tmp_path / "older/latents-0.png") - expected.numpy()).max() <= 1


def test_a_step_without_a_direction(model, tmp_path, capsys):
    assert run("decode", "a.npy", "--step", 1, "--model", model, "--out", tmp_path) == 1
    assert "--step: is about a direction, and there is none. Add --direction NAME." in capsys.readouterr().err
