"""Numbers and names on every command line, files that no command writes over, and options that none ignores."""

import argparse
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from pspkit.cli import _parser
from pspkit.cli.translate import NOT_EXPORTED, OF_FRAMES
from pspkit.config import CONFIGS
from pspkit.inference.directions import save_directions
from pspkit.psp import PSP
from pspkit.storage.checkpoints import save_codes
from tests.cli.running import SAMPLES, names, run

OVERWRITE = ("--overwrite", "--out")
KEEPING = ("--task", "encode", "--save-codes", "--overwrite")


def commands(parser, name=""):
    """Every command by its words."""
    inner = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    found = {} if inner else {name: parser}
    for action in inner:
        for word, choice in action.choices.items():
            found |= commands(choice, f"{name} {word}".strip())
    return found


def numbers():
    """Every option that takes a number: a command line in which all that is required stands, and the option."""
    for name, parser in commands(_parser()).items():
        needed = name.split()
        for action in parser._actions:
            if action.required:
                needed += [*action.option_strings[:1], "nothing"]
        for action in parser._actions:
            if action.type in (int, float) and action.nargs is None:
                yield pytest.param(needed, action.option_strings[0], id=f"{name} {action.option_strings[0]}")


@pytest.mark.parametrize(("line", "option"), numbers())
def test_no_option_takes_what_is_no_number(line, option, capsys):
    for value in ("nan", "-inf", "1e400", "9" * 5000, "x", ""):
        with pytest.raises(SystemExit, match="2"):
            run(*line, f"{option}={value}")
        said = capsys.readouterr().err
        assert f"argument {option}: got '" in said and ("finite" in said or "18 digits" in said)
    assert run(*line, f"{option}=-1000") == 1
    assert capsys.readouterr().err.startswith(f"pspkit: {option}: got -1000, needs ")


@pytest.mark.parametrize("name", ["a\nb.png", "a\x1b[31m.png", "a\udcff.png"])
def test_a_name_that_cannot_be_shown_is_refused_and_shown_escaped(name, tmp_path, capsys):
    assert run("translate", "--task", "encode", "--out", tmp_path / "out", name) == 1
    said = capsys.readouterr().err
    assert said.isascii() and said.count("\n") == 1 and "its name holds characters that cannot be shown" in said


def test_a_name_that_is_too_long_is_refused(capsys):
    with pytest.raises(SystemExit, match="2"):
        run("inspect", "n" * 300)
    assert "the name is too long" in capsys.readouterr().err


def test_a_folder_of_strange_names_loses_those_alone(model, photos, tmp_path, capsys):
    (photos / "0.png").rename(photos / "a\n\x1b[31m.png")
    os.mkfifo(photos / "pipe.png")
    (photos / "loop.png").symlink_to(photos / "loop.png")
    (photos / "1.png").rename(photos / ("n" * 251 + ".png"))
    given = ("translate", "--task", "encode", "--model", model, "--save-codes", "--out", tmp_path / "out", photos)
    assert run(*given) == 3
    said = capsys.readouterr().out
    assert "4 inputs left out:" in said and "\x1b" not in said
    for reason in (r"a\n\x1b[31m.png: its name", "pipe.png: cannot be read", "loop.png: cannot be read", "too long"):
        assert reason in said
    assert {"2.png", "2.safetensors"} <= set(names(tmp_path / "out"))


@pytest.mark.parametrize(
    "line",
    [
        ("mix", "0.png", "1.png", "--layers", "1", "--overwrite", "--out", "0.png"),
        ("mix", "0.png", "codes.safetensors:1", "--layers", "1", "--save-codes", "--overwrite", "--out", "codes.png"),
        ("project", "0.png", "--overwrite", "--out", "0.png"),
        ("pairs", "--task", "encode", "--source", ".", "--out", "0.png"),
        ("evaluate", "model/best", "--drawn", "1", "--json", "model/best/config.json"),
        ("directions", "--model", "model", "--out", "model/best/model.safetensors"),
        ("train", "--source", ".", "--out", "runs"),
        ("train", "--encoder", "model/best", "--out", "model"),
        ("train", "--source", "others", "--validation", ".", "--out", "runs"),
        ("train", "--source", "others", "--validation", "others", "--validation-target", ".", "--out", "runs"),
        ("edit", "0.png", "--direction", "smile", "--overwrite", "--out", "0.png"),
        ("edit", "codes.safetensors:1", "--direction", "smile", "--save-codes", "--overwrite", "--out", "codes.png"),
        ("edit", "0.png", "--direction", "way.safetensors:a", "--save-codes", "--overwrite", "--out", "way.png"),
        ("animate", "0.png", "film.webp", "--overwrite", "--out", "film.webp"),
        ("project", "0.png", "--start", "codes.safetensors:1", "--save-codes", "--overwrite", "--out", "codes.png"),
        ("labels", "0.png", "--preview", "0.png", "--out", "maps"),
        ("export", "codes.onnx", "--overwrite", "--out", "codes.onnx"),
        ("directions", "--domain", "faces", "--measured", "way.safetensors", "--out", "way.safetensors"),
        ("translate", *KEEPING, "--model", "model", "--out", "model/best", "model.png"),
        ("translate", *KEEPING, "--model", "model/best/model.safetensors", "--out", "model/best", "model.png"),
        ("translate", *KEEPING, "--model", "model", "--decoder", "inpaint", "--out", "inpaint", "model.png"),
        ("translate", "--task", "inpaint", "--model", "inpaint", "--mask", "masks", *OVERWRITE, "masks", "0.png"),
        ("translate", "--task", "encode", "--model", "model", "--frames", *OVERWRITE, "model", "film.webp"),
        ("decode", "own.safetensors", "--model", "inpaint", *OVERWRITE, "inpaint"),
    ],
    ids=" ".join,
)
def test_no_command_writes_over_its_input(line, photos, model, monkeypatch, capsys):
    monkeypatch.chdir(photos)
    (photos / "codes.safetensors").write_bytes(SAMPLES.read_bytes())
    shutil.copytree(model, "model")
    save_codes("own.safetensors", torch.zeros(1, 6, 64), "w_plus")
    save_directions("way.safetensors", {"a": torch.ones(16, 512)})
    PSP.from_config(replace(CONFIGS["smoke"], encoder=replace(CONFIGS["smoke"].encoder, input_nc=4))).save_pretrained(
        Path("inpaint")
    )
    for name in ("codes.onnx", "model.png", "masks/0.png", "others/a.png", "inpaint/own.png"):
        Path(name).parent.mkdir(exist_ok=True)
        shutil.copyfile("0.png", name)
    film = [Image.new("RGB", (64, 64), colour) for colour in ("red", "blue")]
    for name in ("film.webp", "model/film.webp"):
        film[0].save(name, save_all=True, append_images=film[1:])
    before = {path: path.read_bytes() for path in photos.rglob("*") if path.is_file()}
    assert run(*line) == 1
    said = capsys.readouterr().err
    assert "is read, or lies in a folder that is" in said or "or the other way round. Name another" in said
    assert {path: path.read_bytes() for path in before} == before


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (("pairs", "--task", "encode", "--source", "photos", "--size", "0"), "--size: got 0, needs 1 to 4096 pixels."),
        (
            ("train", "--profile", "smoke", "--target", "photos", "--out", "run"),
            "--target: it is given without the folder",
        ),
        (("train", "--profile", "smoke", "--lr", "2e3", "--out", "run"), "--lr: got 2000, needs 0 to 1000."),
        (("train", "--profile", "smoke", "--workers", "999", "--out", "run"), "--workers: got 999, needs 0 to 256."),
        (("train", "--profile", "smoke", "--loss", "l2=nan", "--out", "run"), "weight of the loss l2: got nan"),
        (("mix", f"{SAMPLES}:{'9' * 40}", "b.png", "--layers", "1", "--out", "a.png"), "has no row of 40 digits"),
    ],
)
def test_numbers_out_of_range_are_refused_with_the_range(line, message, photos, monkeypatch, capsys):
    monkeypatch.chdir(photos.parent)
    assert run(*line) == 1
    assert message in capsys.readouterr().err
    assert not (photos.parent / "run").exists()


def test_huge_layers_are_refused(model, photos, tmp_path, capsys):
    given = ("mix", photos / "0.png", photos / "1.png", "--model", model, "--out", tmp_path / "a.png")
    for layers in ("9" * 5000, f"0-{'9' * 30}", "0-99999999", ""):
        assert run(*given, "--layers", layers) == 1
        assert "--layers: got" in capsys.readouterr().err


FACE = f"{SAMPLES}:1"
GIVEN = {int: "2", float: "2.0"}  # for an option that takes a number


def ignored():
    """Command lines in which one option would have no effect: the line, and that option."""
    translate = commands(_parser())["translate"]
    for action in translate._actions[1:]:  # the first one asks for help
        line = [*action.option_strings[:1], *([] if action.nargs == 0 else [GIVEN.get(action.type, "stretch")])]
        if action.option_strings and action.dest not in OF_FRAMES:
            yield ["translate", "a.gif", "--task", "encode", "--frames", "--out", "out", *line], line[0]
        if action.dest in NOT_EXPORTED and action.dest != "frames":  # of the two, either may be named
            exported = ["--runtime", "onnx", "--model", "a.onnx"]
            yield ["translate", "a.png", "--task", "encode", *exported, "--out", "out", *line], line[0]
    for line in ("--layers fine", "--alpha 0.5", "--seed 3", "--face 2"):
        yield ["translate", "a.png", "--task", "encode", "--out", "out", *line.split()], line.split()[0]
    for line in ("--refine 5", "--aligned"):
        yield ["edit", FACE, "--direction", "smile", "--out", "a.png", *line.split()], line.split()[0]
        yield ["animate", FACE, FACE, "--out", "a.gif", *line.split()], line.split()[0]
    for line in ("--layers fine", "--step 0 1"):
        yield ["animate", FACE, FACE, "--out", "a.gif", *line.split()], line.split()[0]
    yield ["decode", FACE, "--domain", "faces", "--out", "out", "--step", "2"], "--step"
    yield ["evaluate", "--aligned"], "--aligned"
    for line in ("--count 200", "--seed 3"):
        yield (
            ["directions", "--domain", "faces", "--measured", str(SAMPLES), "--out", "a.safetensors", *line.split()],
            line.split()[0],
        )
    yield ["train", "--out", "run", "--from-photograph"], "--from-photograph"
    for name in ("target", "validation-target", "group-by", "fit", "on-bad-image"):
        yield ["train", "--out", "run", f"--{name}", "skip"], f"--{name}"


@pytest.mark.parametrize(("line", "option"), [pytest.param(*case, id=" ".join(case[0])) for case in ignored()])
def test_no_option_is_ignored(line, option, faces, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run(*line) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"pspkit: {option}: ")
    assert any(remedy in said for remedy in ("eave it out", "Leave one of them out", "Add --", "Give source"))
    assert names(tmp_path) == []
