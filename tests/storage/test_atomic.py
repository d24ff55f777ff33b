"""Files written whole or not at all, also by several processes at once and by processes that are killed."""

import os
import subprocess
import sys
import textwrap
import time

import pytest

from pspkit.storage import atomic
from pspkit.storage.atomic import replacing

PROLOGUE = "import os, sys, time\nfrom pathlib import Path\nfrom pspkit.storage.atomic import replacing\n"


@pytest.fixture(autouse=True)
def no_folder_is_swept_yet(monkeypatch):
    monkeypatch.setattr(atomic, "_swept", set())


def python(code, *arguments, **options):
    command = [sys.executable, "-c", PROLOGUE + textwrap.dedent(code), *map(str, arguments)]
    return subprocess.Popen(command, **options)


def kill_while_writing(target):
    """What a killed process leaves: a folder with half a file."""
    process = python(
        """
        with replacing(Path(sys.argv[1])) as part:
            part.write_text("half")
            print("ready", flush=True)
            time.sleep(60)
        """,
        target,
        stdout=subprocess.PIPE,
    )
    assert process.stdout.readline() == b"ready\n"
    process.kill()
    process.wait()
    (left,) = target.parent.glob(".*.part")
    return left


def test_the_whole_file_takes_the_place(tmp_path):
    target = tmp_path / "a.txt"
    target.write_text("old")
    with replacing(target) as part:
        part.write_text("new")
        assert target.read_text() == "old"
    assert target.read_text() == "new"
    assert list(tmp_path.iterdir()) == [target]


def test_an_interrupt_leaves_what_stood_there(tmp_path):
    target = tmp_path / "a.txt"
    target.write_text("old")
    with pytest.raises(KeyboardInterrupt), replacing(target) as part:
        part.write_text("half")
        raise KeyboardInterrupt
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_two_writers_of_one_name_do_not_meet(tmp_path):
    target = tmp_path / "a.txt"
    with replacing(target) as first:
        first.write_text("first")
        with replacing(target) as second:
            second.write_text("second")
        assert target.read_text() == "second"
    assert target.read_text() == "first"


def test_processes_that_write_one_file_leave_one_whole(tmp_path):
    target = tmp_path / "a.txt"
    code = """
        for _ in range(40):
            with replacing(Path(sys.argv[1])) as part:
                part.write_text(sys.argv[2] * 10_000)
        """
    processes = [python(code, target, letter) for letter in "ab"]
    assert [process.wait() for process in processes] == [0, 0]
    assert target.read_text() in ("a" * 10_000, "b" * 10_000)
    assert list(tmp_path.iterdir()) == [target]


def test_what_a_killed_process_left_is_swept(tmp_path):
    left = kill_while_writing(tmp_path / "a.txt")
    with replacing(tmp_path / "b.txt"):
        assert not left.exists()


def test_what_a_library_left_beside_the_half_file_goes_too(tmp_path):
    """The library safetensors writes into a file of its own first, as big as the model."""
    left = kill_while_writing(tmp_path / "a.txt")
    (left / ".tmpAbCdEf").write_text("half of a model")
    with replacing(tmp_path / "b.txt") as part:
        part.write_text("x")
    assert [path.name for path in tmp_path.iterdir()] == ["b.txt"]


def test_what_a_living_process_writes_stays(tmp_path):
    with replacing(tmp_path / "a.txt") as part:
        atomic._swept.clear()
        with replacing(tmp_path / "b.txt"):
            assert part.exists()


def test_what_another_machine_writes_stays_for_an_hour(tmp_path, monkeypatch):
    left = kill_while_writing(tmp_path / "a.txt")
    monkeypatch.setattr(atomic.platform, "node", lambda: "another")
    with replacing(tmp_path / "b.txt"):
        assert left.exists()
    atomic._swept.clear()
    old = time.time() - 2 * atomic.STALE_SECONDS
    for path in (*left.iterdir(), left):
        os.utime(path, (old, old))
    with replacing(tmp_path / "c.txt"):
        assert not left.exists()


def test_the_longest_name_can_be_written(tmp_path):
    target = tmp_path / ("n" * 251 + ".txt")
    with replacing(target) as part:
        part.write_text("x")
    assert target.read_text() == "x"
