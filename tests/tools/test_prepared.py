"""A training within a given time: interrupted, packed, unpacked, gone on with."""

import random
import subprocess
import sys

import pytest

from pspkit.errors import PspkitError
from tools import prepared
from tools.prepared import PIECE, pack, train, unpack


def test_a_folder_comes_back_from_its_pieces(tmp_path):
    folder = tmp_path / "run"
    (folder / "best").mkdir(parents=True)
    (folder / "best" / "model").write_bytes(random.Random(0).randbytes(250_000))
    (folder / "log.jsonl").write_text("{}\n")
    pieces = pack(folder, tmp_path / "pieces", limit=100_000)
    assert [piece.name for piece in pieces] == ["piece-000", "piece-001", "piece-002"]
    assert [piece.stat().st_size for piece in pieces[:2]] == [100_000, 100_000]
    unpack(tmp_path / "pieces", tmp_path / "again")
    for file in ("best/model", "log.jsonl"):
        assert (tmp_path / "again" / file).read_bytes() == (folder / file).read_bytes()
    (folder / "best" / "model").unlink()
    assert len(pack(folder, tmp_path / "pieces", limit=100_000)) == 1
    assert len(list((tmp_path / "pieces").iterdir())) == 1


def test_pieces_are_small_enough_to_be_sent():
    assert PIECE <= 15_000_000


def test_missing_and_damaged_pieces_are_refused(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "state").write_bytes(random.Random(0).randbytes(250_000))
    with pytest.raises(PspkitError, match="holds no pieces"):
        unpack(tmp_path, tmp_path / "again")
    with pytest.raises(PspkitError, match="nothing to pack"):
        pack(tmp_path / "none", tmp_path / "pieces")
    pieces = pack(tmp_path / "run", tmp_path / "pieces", limit=100_000)
    pieces[-1].write_bytes(pieces[-1].read_bytes()[:-1000])
    with pytest.raises(PspkitError, match="cannot be read"):
        unpack(tmp_path / "pieces", tmp_path / "again")
    pieces[1].unlink()
    with pytest.raises(PspkitError, match=r"holds piece-000, piece-002\. Get all of them"):
        unpack(tmp_path / "pieces", tmp_path / "again")


def stand_in(monkeypatch, program: str) -> None:
    """Lets a small program take the place of `pspkit`."""
    start = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", lambda command: start([sys.executable, "-c", program, *command[3:]]))


def test_the_time_is_handed_on(tmp_path, monkeypatch):
    stand_in(monkeypatch, "import pathlib, sys; pathlib.Path(sys.argv[4]).write_text(' '.join(sys.argv[1:]))")
    out = tmp_path / "run"
    assert train(["train", "--profile=smoke"], out, minutes=5) == 0
    assert out.read_text() == f"train --profile=smoke --out {out} --resume --minutes 5"


@pytest.mark.parametrize("answers", [True, False])
def test_one_that_goes_on_is_interrupted(tmp_path, monkeypatch, answers):
    program = (
        "import pathlib, signal, sys, time\n"
        "try:\n    time.sleep(600)\n"
        "except KeyboardInterrupt:\n    pathlib.Path(sys.argv[3]).write_text('saved')\n"
    )
    ignoring = "import signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN); time.sleep(600)"
    stand_in(monkeypatch, program if answers else ignoring)
    monkeypatch.setattr(prepared, "SAVING", 5.0)
    assert train(["train"], tmp_path / "run", minutes=0) == 0
    assert (tmp_path / "run").exists() == answers


def test_a_training_that_fails_says_so(tmp_path, monkeypatch):
    stand_in(monkeypatch, "raise SystemExit(3)")
    assert train(["train"], tmp_path / "run", minutes=1) == 3
