"""The command as a whole, and `pspkit course`."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import pspkit
from pspkit import PspkitError, cli
from pspkit.cli import main
from pspkit.course import run as course


def test_version(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["--version"])
    assert capsys.readouterr().out == f"pspkit {pspkit.__version__}\n"


@pytest.mark.parametrize("arguments", [["--help"], ["train", "--help"], ["translate", "--help"]])
def test_help_does_not_wait_for_torch(arguments):
    script = f"import sys, pspkit.cli as c\ntry:\n  c.main({arguments})\nfinally:\n  print('torch' in sys.modules)"
    result = subprocess.run(
        [sys.executable, "-c", script],
        env=os.environ | {"PYTHONPATH": str(course.ROOT)},
        capture_output=True,
        text=True,
    )
    assert "usage: pspkit" in result.stdout
    assert result.stdout.endswith("False\n")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_completes_commands_and_options(shell, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--print-completion", shell])
    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert "translate" in said and "train-decoder" in said and "side-by-side" in said


@pytest.mark.parametrize("arguments", [[], ["assets"], ["course"], ["unknown"]])
def test_an_incomplete_command_shows_the_usage(arguments, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    assert "usage: pspkit" in capsys.readouterr().err


def test_a_refusal_is_one_message_and_exit_code_1(capsys):
    assert main(["assets", "get", "nothing"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("pspkit: 'nothing': no such asset. There are mobile-stylegan,")


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("only: got 3", "--only: got 3"),
        ("in_place: got 3", "--in-place: got 3"),
        ("cell 3: failed. Run with in_place='yes'.", "cell 3: failed. Run with --in-place yes."),
        ("a model: it has mode='ir'", "a model: it has mode='ir'"),
    ],
)
def test_an_argument_is_named_as_an_option(said, shown, monkeypatch, capsys):
    def failing(**_):
        raise PspkitError(said)

    monkeypatch.setattr(course, "run", failing)
    assert main(["course", "run"]) == 1
    assert capsys.readouterr().err == f"pspkit: {shown}\n"


def test_every_module_of_a_command_is_in_the_list():
    files = Path(cli.__file__).parent.glob("*.py")
    modules = {file.stem for file in files if "\ndef add(commands" in file.read_text(encoding="utf-8")}
    assert modules == {command.__name__.rpartition(".")[2] for command in cli.COMMANDS}


def test_course_run_passes_its_options(monkeypatch):
    asked = {}
    monkeypatch.setattr(course, "run", lambda **options: asked.update(options))
    assert main(["course", "run", "--only", "00", "--only", "03", "--in-place"]) == 0
    assert asked == {"only": ["00", "03"], "in_place": True}


def test_an_interrupt_ends_without_a_traceback(monkeypatch, capsys):
    def interrupted():
        raise KeyboardInterrupt

    monkeypatch.setattr(course, "site", interrupted)
    assert main(["course", "site"]) == 130
    assert capsys.readouterr().err == ""


def test_a_failing_course_is_exit_code_1(monkeypatch, capsys):
    def failing():
        raise PspkitError("00_start_here.ipynb, cell 3 failed.")

    monkeypatch.setattr(course, "site", failing)
    assert main(["course", "site"]) == 1
    assert capsys.readouterr().err == "pspkit: 00_start_here.ipynb, cell 3 failed.\n"


@pytest.mark.parametrize("command", ["translate", "mix", "project", "decode"])
def test_an_incomplete_command_shows_its_usage(command, capsys):
    with pytest.raises(SystemExit, match="2"):
        main([command])
    assert f"usage: pspkit {command}" in capsys.readouterr().err
