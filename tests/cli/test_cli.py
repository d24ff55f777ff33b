"""The command as a whole, and `pspkit course`."""

import os
import subprocess
import sys

import pytest

import pspkit
from pspkit import PspkitError, course
from pspkit.cli import main


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
