"""`pspkit translate`, `mix`, `project` and `decode`: what they print, write and refuse."""

import numpy as np
import pytest
import torch
from PIL import Image

from pspkit import domains
from pspkit.checkpoints import load_codes, save_codes
from pspkit.cli import main
from pspkit.config import CONFIGS
from pspkit.course import ROOT
from pspkit.encoders import Encoder
from pspkit.mobile_stylegan import MobileStyleGAN
from pspkit.psp import PSP
from pspkit.stylegan2 import Generator
from pspkit.tasks import TASKS

SAMPLES = ROOT / "data/samples/codes.safetensors"  # eight faces, one w each


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """The folder of a training, as `translate --model` takes it."""
    torch.manual_seed(0)
    config, folder = CONFIGS["smoke"], tmp_path_factory.mktemp("run")
    PSP(Encoder.from_config(config.encoder), Generator.from_config(config.decoder)).save_pretrained(folder / "best")
    return folder


@pytest.fixture
def photos(tmp_path):
    (tmp_path / "photos").mkdir()
    for number in range(3):
        blots = np.random.default_rng(number).integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(blots).resize((64, 64)).save(tmp_path / f"photos/{number}.png")
    return tmp_path / "photos"


@pytest.fixture
def faces(monkeypatch):
    """A decoder of the photographic one's shape that is there at once."""
    torch.manual_seed(0)
    decoder = MobileStyleGAN(n_mlp=1, channels=(8,) * 8).eval()
    monkeypatch.setattr(domains, "load_mobile_stylegan", lambda: decoder)
    return decoder


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def pixels(path):
    with Image.open(path) as picture:
        return np.array(picture).astype(int)


def run(*arguments):
    return main([*map(str, arguments)])


class TestTranslate:
    def test_a_folder(self, model, photos, tmp_path, capsys):
        arguments = ("translate", "--task", "encode", "--model", model, "--out", tmp_path / "out", photos)
        assert run(*arguments, "--batch", "2") == 0
        assert capsys.readouterr().out == f"3 files written to {tmp_path / 'out'}\n"
        assert names(tmp_path / "out") == ["0.png", "1.png", "2.png"]
        assert run(*arguments) == 0
        out = capsys.readouterr().out
        assert "3 inputs skipped, the results are there already: " in out
        assert out.endswith(f"0 files written to {tmp_path / 'out'}\n")
        assert run(*arguments, "--overwrite") == 0
        assert "3 files written" in capsys.readouterr().out

    def test_every_option_at_once(self, model, photos, tmp_path):
        arguments = ["translate", "--task", "super_resolution", "--model", model, "--factor", "4", "--variants", "2"]
        arguments += ["--layers", "0-2,5", "--alpha", "0.5", "--seed", "3", "--save-codes", "--side-by-side"]
        assert run(*arguments, "--out", tmp_path / "out", photos / "1.png") == 0
        assert names(tmp_path / "out") == ["1.png", "1.safetensors"]
        assert pixels(tmp_path / "out/1.png").shape == (16, 4 * 16, 3)
        own, *variants = load_codes(tmp_path / "out/1.safetensors")
        assert len(variants) == 2
        for variant in variants:
            assert [layer for layer in range(6) if not torch.equal(own[layer], variant[layer])] == [0, 1, 2, 5]

    def test_some_left_out_is_exit_code_3_and_all_is_1(self, model, photos, tmp_path, capsys):
        (photos / "1.png").write_bytes(b"bad")
        arguments = ("translate", "--task", "encode", "--model", model, "--out", tmp_path / "out")
        assert run(*arguments, photos) == 3
        out = capsys.readouterr().out
        assert f"1 input left out:\n  {photos / '1.png'}: cannot be read" in out
        assert out.endswith(f"2 files written to {tmp_path / 'out'}\n")
        assert run(*arguments, photos / "1.png", photos / "9.png") == 1
        assert "2 inputs left out:" in capsys.readouterr().out

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (["--layers", "fine"], "--layers: is about variants, and there are none. Add --variants N."),
            (["--alpha", "0.5"], "--alpha: is about variants, and there are none."),
            (["--variants", "1", "--layers", "9"], "layers: got '9', needs coarse, middle, numbers from 0 to 5"),
            (["--factor", "2"], "factor: got 2, but encode has none."),
            (["--mask", "half"], "mask: got 'half', but encode has none."),
            (["--batch", "0"], "batch: got 0, needs at least 1."),
            (["--task", "sketch"], "task: sketch gives 1 channels, but the model takes 3."),
            (["--task", "paint"], "task: got 'paint', needs one of 'encode'"),
            (["--model", "nowhere"], "nowhere: cannot be read (No such file or directory)."),
        ],
    )
    def test_refusals(self, options, message, model, photos, tmp_path, capsys):
        given = ["translate", "--task", "encode", "--model", model, "--out", tmp_path / "out", photos]
        assert run(*given, *options) == 1
        assert capsys.readouterr().err.startswith(f"pspkit: {message}")
        assert not (tmp_path / "out").exists()

    def test_faces_need_a_model_of_ones_own(self, model, photos, tmp_path, capsys):
        given = ["translate", "--domain", "faces", "--task", "encode", "--out", tmp_path / "out", photos]
        assert run(*given) == 1
        error = capsys.readouterr().err
        assert error.startswith("pspkit: faces: no trained encoder for encode comes with it. Train one")
        assert "pspkit train --domain faces --task encode --source PICTURES --out DIR" in error
        assert run(*given, "--model", model) == 0

    def test_the_help_names_every_task(self, capsys):
        with pytest.raises(SystemExit, match="0"):
            run("translate", "--help")
        out = " ".join(capsys.readouterr().out.split())
        assert [task for task in TASKS if task not in out] == []


class TestMix:
    def test_two_pictures(self, model, photos, tmp_path, capsys):
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

    def test_a_picture_and_codes(self, model, photos, tmp_path):
        codes = tmp_path / "codes.safetensors"
        save_codes(codes, torch.randn(2, 64), "z")
        assert (
            run("mix", photos / "0.png", f"{codes}:1", "--layers", "1", "--model", model, "--out", tmp_path / "a.png")
            == 0
        )
        assert pixels(tmp_path / "a.png").shape == (16, 16, 3)

    def test_generated_faces(self, faces, tmp_path):
        given = ("mix", f"{SAMPLES}:0", f"{SAMPLES}:3", "--domain", "faces", "--layers", "fine", "--alpha", "0.25")
        assert run(*given, "--save-codes", "--out", tmp_path / "mixed.png") == 0
        first, second = load_codes(SAMPLES, "w")[[0, 3]]
        (codes,) = load_codes(tmp_path / "mixed.safetensors")
        torch.testing.assert_close(codes, torch.stack([first] * 7 + [first.lerp(second, 0.25)] * 9))
        with torch.no_grad():
            drawn = (faces.synthesis(codes[None])[0].clamp(-1, 1) + 1) * 127.5
        assert np.abs(pixels(tmp_path / "mixed.png") - drawn.movedim(0, -1).numpy()).max() < 1

    @pytest.mark.parametrize(
        ("second", "options", "message"),
        [
            (SAMPLES, [], f"{SAMPLES}: holds 8 faces. Name one, as in {SAMPLES}:0."),
            (f"{SAMPLES}:8", [], f"{SAMPLES}: has rows 0 to 7, and no row 8."),
            (f"{SAMPLES}:1", ["--layers", "16"], "layers: got '16', needs coarse, middle, fine, numbers from 0 to 15"),
            (f"{SAMPLES}:1", ["--out", "mixed.jpg"], "--out: got mixed.jpg, needs a name that ends in .png."),
            (f"{SAMPLES}:1", ["--domain", "moon"], "domain: got 'moon', needs one of 'heads', 'faces', 'objects'."),
            ("face.png", [], "faces: no trained encoder for encode comes with it."),
        ],
    )
    def test_refusals(self, second, options, message, faces, tmp_path, capsys):
        given = ["mix", f"{SAMPLES}:0", second, "--domain", "faces", "--layers", "0", "--out", tmp_path / "mixed.png"]
        assert run(*given, *options) == 1
        assert capsys.readouterr().err.startswith(f"pspkit: {message}")
        assert names(tmp_path) == []

    def test_codes_of_another_decoder(self, model, tmp_path, capsys):
        given = ("mix", f"{SAMPLES}:0", f"{SAMPLES}:1", "--model", model, "--layers", "0", "--out", tmp_path / "a.png")
        assert run(*given) == 1
        assert "codes of shape (512,), but the decoder takes 6 of 64. Name the domain" in capsys.readouterr().err

    def test_results_are_left_alone_unless_told(self, model, photos, tmp_path, capsys):
        given = ["mix", photos / "0.png", photos / "1.png", "--layers", "0", "--model", model, "--save-codes"]
        (tmp_path / "a.safetensors").touch()
        assert run(*given, "--out", tmp_path / "a.png") == 1
        assert f"{tmp_path / 'a.safetensors'}: is there already." in capsys.readouterr().err
        assert run(*given, "--out", tmp_path / "a.png", "--overwrite") == 0


class TestProject:
    def test_it_starts_from_the_encoder_and_tells_both_errors(self, model, photos, tmp_path, capsys):
        out = tmp_path / "found.png"
        assert run("project", photos / "0.png", "--model", model, "--steps", "20", "--save-codes", "--out", out) == 0
        words = capsys.readouterr().out.split()
        before, after = (float(words[words.index(word) - 1]) for word in ("of", "after"))
        assert " ".join(words).startswith("mean squared error: ")
        assert "of the encoder's codes," in " ".join(words)
        assert after < before
        assert load_codes(out.with_suffix(".safetensors")).shape == (1, 6, 64)
        assert pixels(out).shape == (16, 16, 3)

    def test_a_decoder_alone_starts_from_the_average(self, model, photos, tmp_path, capsys):
        Generator.from_pretrained(model / "best").save_pretrained(tmp_path / "decoder")
        given = ("project", photos / "0.png", "--model", tmp_path / "decoder", "--steps", "1")
        assert run(*given, "--out", tmp_path / "a.png") == 0
        assert "of the average face," in capsys.readouterr().out

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (["--steps", "-1"], "steps: got -1, needs at least 0."),
            (["--out", "found"], "--out: got found, needs a name that ends in .png."),
            (["--model", "nowhere"], "nowhere: cannot be read"),
        ],
    )
    def test_refusals(self, options, message, model, photos, tmp_path, capsys):
        assert run("project", photos / "0.png", "--model", model, "--out", tmp_path / "a.png", *options) == 1
        assert capsys.readouterr().err.startswith(f"pspkit: {message}")

    def test_a_file_that_is_no_picture(self, model, tmp_path, capsys):
        assert run("project", tmp_path / "none.png", "--model", model, "--out", tmp_path / "a.png") == 1
        assert capsys.readouterr().err == f"pspkit: {tmp_path / 'none.png'}: no such file.\n"


class TestDecode:
    def test_codes_that_translate_saved(self, model, photos, tmp_path, capsys):
        given = ("translate", "--task", "encode", "--model", model, "--save-codes", "--out", tmp_path / "out", photos)
        assert run(*given) == 0
        codes = sorted((tmp_path / "out").glob("*.safetensors"))
        assert run("decode", *codes, "--model", model, "--out", tmp_path / "again") == 0
        assert capsys.readouterr().out.endswith(f"3 files written to {tmp_path / 'again'}\n")
        for name in ("0.png", "1.png", "2.png"):
            assert np.abs(pixels(tmp_path / "out" / name) - pixels(tmp_path / "again" / name)).max() <= 1

    def test_generated_faces(self, faces, tmp_path):
        assert run("decode", f"{SAMPLES}:2", "--domain", "faces", "--out", tmp_path) == 0
        assert names(tmp_path) == ["codes-2.png"]
        assert pixels(tmp_path / "codes-2.png").shape == (1024, 1024, 3)

    def test_some_left_out_is_exit_code_3_and_all_is_1(self, model, tmp_path, capsys):
        save_codes(tmp_path / "good.safetensors", torch.randn(1, 64), "w")
        given = ("decode", "--model", model, "--out", tmp_path / "out")
        assert run(*given, tmp_path / "good.safetensors", SAMPLES) == 3
        assert "1 input left out:\n" in capsys.readouterr().out
        assert run(*given, SAMPLES, tmp_path / "none.safetensors") == 1

    def test_two_files_of_one_picture(self, model, tmp_path, capsys):
        for folder in ("a", "b"):
            save_codes(tmp_path / folder / "codes.safetensors", torch.randn(1, 64), "w")
        given = [tmp_path / folder / "codes.safetensors" for folder in ("a", "b")]
        assert run("decode", *given, "--model", model, "--out", tmp_path / "out") == 1
        assert f"{given[0]} and {given[1]} would both become {tmp_path / 'out/codes.png'}" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["translate", "mix", "project", "decode"])
def test_an_incomplete_command_shows_its_usage(command, capsys):
    with pytest.raises(SystemExit, match="2"):
        run(command)
    assert f"usage: pspkit {command}" in capsys.readouterr().err
