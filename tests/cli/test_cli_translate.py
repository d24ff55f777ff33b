"""`pspkit translate`."""

from dataclasses import replace

import pytest
import torch
from PIL import Image

from pspkit.config import CONFIGS
from pspkit.data.tasks import TASKS
from pspkit.errors import AssetError
from pspkit.models.encoders import Encoder, GradualStyleEncoder
from pspkit.models.stylegan2 import Generator
from pspkit.psp import PSP
from pspkit.storage.checkpoints import load_codes
from tests.cli.running import SAMPLES, names, pixels, run


def test_a_folder(model, photos, tmp_path, capsys):
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


def test_every_option_at_once(model, photos, tmp_path):
    arguments = ["translate", "--task", "super_resolution", "--model", model, "--factor", "4", "--variants", "2"]
    arguments += ["--layers", "0-2,5", "--alpha", "0.5", "--seed", "3", "--save-codes", "--side-by-side"]
    assert run(*arguments, "--out", tmp_path / "out", photos / "1.png") == 0
    assert names(tmp_path / "out") == ["1.png", "1.safetensors"]
    assert pixels(tmp_path / "out/1.png").shape == (16, 4 * 16, 3)
    own, *variants = load_codes(tmp_path / "out/1.safetensors")
    assert len(variants) == 2
    for variant in variants:
        assert [layer for layer in range(6) if not torch.equal(own[layer], variant[layer])] == [0, 1, 2, 5]


def test_some_left_out_is_exit_code_3_and_all_is_1(model, photos, tmp_path, capsys):
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
        (["--variants", "1", "--layers", "9"], "--layers: got '9', needs coarse, middle, numbers from 0 to 5"),
        (["--factor", "2"], "--factor: got 2, but encode has none."),
        (["--mask", "half"], "--mask: got 'half', but encode has none."),
        (["--from-photograph"], "--from-photograph: 'Encode' starts from a picture itself. Leave the option out."),
        (["--refine", "-1"], "--refine: got -1, needs at least 0."),
        (["--task", "super_resolution", "--refine", "5"], "--refine: got 5, but the input of super_resolution is not"),
        (["--tune", "-1"], "--tune: got -1, needs at least 0."),
        (["--task", "colorize", "--tune", "5"], "--tune: got 5, but the input of colorize is not"),
        (["--task", "sketch", "--paste"], "--task: sketch gives 1 channels"),
        (["--face", "2"], "--face: is about faces that are looked for, and none are."),
        (["--batch", "0"], "--batch: got 0, needs at least 1."),
        (["--task", "sketch"], "--task: sketch gives 1 channels, but the model takes 3."),
        (["--task", "paint"], "--task: got 'paint', needs one of 'encode'"),
        (["--model", "nowhere"], "nowhere: cannot be read (No such file or directory)."),
    ],
)
def test_refusals(options, message, model, photos, tmp_path, capsys):
    given = ["translate", "--task", "encode", "--model", model, "--out", tmp_path / "out", photos]
    assert run(*given, *options) == 1
    assert capsys.readouterr().err.startswith(f"pspkit: {message}")
    assert not (tmp_path / "out").exists()


def test_a_photograph_is_sketched_where_asked_for(photos, tmp_path, capsys):
    config = CONFIGS["smoke"]
    sketches = Encoder.from_config(replace(config.encoder, input_nc=1))
    PSP(sketches, Generator.from_config(config.decoder)).save_pretrained(tmp_path / "model")
    given = ["translate", "--task", "sketch", "--model", tmp_path / "model", "--side-by-side", photos / "0.png"]
    assert run(*given, "--from-photograph", "--out", tmp_path / "made") == 0
    assert "in colour" not in capsys.readouterr().out
    assert run(*given, "--out", tmp_path / "read") == 0
    assert "in colour, where a sketch of dark lines on white is expected" in capsys.readouterr().out
    made, read = (pixels(tmp_path / folder / "0.png")[:, :16] for folder in ("made", "read"))
    assert made.mean() > 200 > read.mean()  # lines on white paper; the photograph itself as grey


def test_faces_are_aligned_where_they_are_not(faces, tmp_path, capsys):
    pictures = [SAMPLES.parent / "collins.jpg", SAMPLES.parent / "collins_aligned.jpg"]
    given = ["translate", "--domain", "faces", "--task", "encode", "--refine", "0"]
    assert run(*given, "--out", tmp_path / "found", *pictures) == 0
    assert f"so it was aligned first; --aligned takes pictures as they are: {pictures[0]}\n" in capsys.readouterr().out
    near = [pixels(tmp_path / f"found/{name}.png") for name in ("collins", "collins_aligned")]
    assert run(*given, "--aligned", "--out", tmp_path / "as-they-are", *pictures) == 0
    assert "aligned first" not in capsys.readouterr().out
    far = pixels(tmp_path / "as-they-are/collins.png")
    assert abs(near[0] - near[1]).mean() < 0.5 * abs(far - near[1]).mean()
    assert run(*given, "--aligned", "--face", "2", "--out", tmp_path / "none", *pictures) == 1
    assert capsys.readouterr().err.startswith("pspkit: --face: is about faces that are looked for")


def test_an_answer_is_pasted_into_its_photograph(faces, tmp_path, capsys):
    photo = SAMPLES.parent / "collins.jpg"
    given = ["translate", "--domain", "faces", "--task", "encode", "--refine", "0", "--paste", "--out", tmp_path, photo]
    assert run(*given) == 0
    difference = abs(pixels(tmp_path / "collins.png") - pixels(photo)).max(-1)
    assert difference[80:160, 180:270].mean() > 1, "the face"
    assert difference[200:].max() == 0 and difference[:, :120].max() == 0, "all else"
    assert run(*given, "--side-by-side", "--overwrite") == 1
    assert "--paste: side_by_side is asked for, which does not go together" in capsys.readouterr().err


def test_a_picture_that_is_no_aligned_one_and_shows_no_face_is_left_out(model, tmp_path, capsys):
    Image.effect_noise((300, 200), 80).save(tmp_path / "noise.png")
    given = ["translate", "--domain", "faces", "--task", "encode", "--refine", "0", "--model", model]
    assert run(*given, "--out", tmp_path / "out", tmp_path / "noise.png") == 1
    assert "noise.png: no face found. A face must be seen from the front" in capsys.readouterr().out


def test_tuned_layers_are_kept_beside_the_codes(model, photos, tmp_path, capsys):
    given = ["translate", "--task", "encode", "--model", model, "--tune", "3", "--save-codes"]
    assert run(*given, "--out", tmp_path / "out", photos / "0.png") == 0
    assert names(tmp_path / "out") == ["0.png", "0.safetensors", "0.tuned.safetensors"]
    assert "1 picture tuned by 3 steps" in capsys.readouterr().out
    assert run("decode", "--model", model, "--out", tmp_path / "again", tmp_path / "out/0.safetensors") == 0
    assert abs(pixels(tmp_path / "again/0.png") - pixels(tmp_path / "out/0.png")).max() <= 1


def test_tasks_of_faces_without_an_encoder_need_a_model_of_ones_own(model, photos, tmp_path, capsys):
    given = ["translate", "--domain", "faces", "--task", "toonify", "--out", tmp_path / "out", photos]
    assert run(*given) == 1
    error = capsys.readouterr().err
    assert error.startswith("pspkit: --model: none is given, and no trained encoder for toonify comes with faces.")
    assert "Train one with pspkit.Run or `pspkit train`, and give the folder" in error
    assert run(*given, "--model", model) == 0
    assert "no face found in it, so it is taken as aligned" in "".join(capsys.readouterr())


def test_without_the_networks_that_find_faces_pictures_are_taken_as_aligned(
    model, photos, tmp_path, capsys, monkeypatch
):
    def fail():
        raise AssetError("face-landmarks: no network.")

    monkeypatch.setattr("pspkit.inference.align.FaceFinder", fail)
    given = ["translate", "--domain", "faces", "--task", "encode", "--model", model, "--out", tmp_path / "out", photos]
    assert run(*given) == 0
    assert "as nothing can look for faces. face-landmarks: no network." in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "steps"),
    [
        (["--domain", "heads", "--task", "encode"], 0),
        (["--domain", "faces", "--task", "encode"], 20),
        (["--domain", "faces", "--task", "super_resolution"], 0),
        (["--domain", "faces", "--task", "encode", "--refine", "3"], 3),
        (["--domain", "heads", "--task", "encode", "--refine", "3"], 3),
        (["--domain", "faces", "--task", "encode", "--refine", "0"], 0),
    ],
)
def test_photographs_of_faces_are_refined_unless_told_otherwise(options, steps, model, photos, tmp_path, capsys):
    assert run("translate", *options, "--model", model, "--out", tmp_path / "out", photos / "0.png") == 0
    out = capsys.readouterr().out
    assert ("refined by" in out) == bool(steps)
    assert f"1 picture refined by {steps} steps" in out or not steps


def test_the_help_names_every_task(capsys):
    with pytest.raises(SystemExit, match="0"):
        run("translate", "--help")
    out = " ".join(capsys.readouterr().out.split())
    assert [task for task in TASKS if task not in out] == []


def test_a_model_of_the_reference_draws_by_the_photographic_decoder_too(faces, tmp_path):
    torch.manual_seed(0)
    encoder = GradualStyleEncoder(n_styles=18, input_size=32, style_dim=512, map2style_width=8, widths=(4, 8, 12, 16))
    psp = PSP(encoder, Generator(1024, n_mlp=1, max_channels=4), torch.randn(18, 512))
    torch.save({"state_dict": psp.state_dict(), "latent_avg": psp.latent_avg}, tmp_path / "psp_ffhq_encode.pt")
    given = ["translate", "--domain", "faces", "--task", "encode", "--refine", "0", "--aligned", "--save-codes"]
    given += ["--model", tmp_path / "psp_ffhq_encode.pt", SAMPLES.parent / "collins_aligned.jpg"]
    assert run(*given, "--out", tmp_path / "own") == 0
    assert run(*given, "--decoder", "faces", "--out", tmp_path / "photographic") == 0
    own, photographic = (
        load_codes(tmp_path / name / "collins_aligned.safetensors") for name in ("own", "photographic")
    )
    assert own.shape == (1, 18, 512)
    torch.testing.assert_close(photographic, own[:, :16])
    assert pixels(tmp_path / "photographic/collins_aligned.png").shape == (1024, 1024, 3)
