"""Numbers and names on every command line, and files that no command writes over."""

import argparse
import os

import pytest

from pspkit.cli import _parser
from tests.cli.running import SAMPLES, names, run


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
    ],
    ids=" ".join,
)
def test_no_command_writes_over_its_input(line, photos, model, monkeypatch, capsys):
    monkeypatch.chdir(photos)
    (photos / "codes.safetensors").write_bytes(SAMPLES.read_bytes())
    (photos / "model").symlink_to(model)
    before = {path: path.read_bytes() for path in [*photos.rglob("*"), *model.rglob("*")] if path.is_file()}
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
            "--target: needs the folder",
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
