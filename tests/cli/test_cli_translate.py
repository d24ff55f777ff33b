"""`pspkit translate`."""

import pytest
import torch

from pspkit.data.tasks import TASKS
from pspkit.errors import AssetError
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
        (["--refine", "-1"], "--refine: got -1, needs at least 0."),
        (["--task", "super_resolution", "--refine", "5"], "--refine: got 5, but the input of super_resolution is not"),
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


def test_faces_have_an_encoder_and_pictures_that_are_not_aligned_are_remarked_on(faces, tmp_path, capsys):
    folder = SAMPLES.parent
    pictures = [folder / "collins.jpg", folder / "collins_aligned.jpg"]
    assert run("translate", "--domain", "faces", "--task", "encode", "--out", tmp_path, *pictures) == 0
    assert names(tmp_path) == ["collins.png", "collins_aligned.png"]
    said = "".join(capsys.readouterr())
    assert f"align the picture before, by `pspkit align`: {pictures[0]}\n" in said


def test_tasks_of_faces_without_an_encoder_need_a_model_of_ones_own(model, photos, tmp_path, capsys):
    given = ["translate", "--domain", "faces", "--task", "colorize", "--out", tmp_path / "out", photos]
    assert run(*given) == 1
    error = capsys.readouterr().err
    assert error.startswith("pspkit: --model: none is given, and no trained encoder for colorize comes with faces.")
    assert "Train one on a folder of pictures with pspkit.Run or `pspkit train`, and give the folder" in error
    assert run(*given, "--model", model) == 0
    assert "no face found in it" in "".join(capsys.readouterr())


def test_without_the_networks_that_find_faces_nothing_is_remarked_on(model, photos, tmp_path, capsys, monkeypatch):
    def fail():
        raise AssetError("face-landmarks: no network.")

    monkeypatch.setattr("pspkit.inference.align.FaceFinder", fail)
    given = ["translate", "--domain", "faces", "--task", "encode", "--model", model, "--out", tmp_path / "out", photos]
    assert run(*given) == 0
    assert "nothing looks whether the pictures are aligned. face-landmarks: no network." in capsys.readouterr().err


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
