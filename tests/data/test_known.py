"""The record of the photographs that figures were measured on."""

import hashlib
import json
from pathlib import Path

import pytest

from pspkit.data.faces import known
from pspkit.data.faces.known import RECORD, find_photographs
from pspkit.data.faces.photographs import is_kept
from pspkit.errors import PspkitError
from tests.examples import SAMPLES


@pytest.fixture
def record(tmp_path, monkeypatch):
    """Two sets in one folder, of the drawn faces."""
    content = {name: (SAMPLES / f"{name}.jpg").read_bytes() for name in ("face_0", "face_1", "face_2")}
    sums = {name: hashlib.sha256(file).hexdigest() for name, file in content.items()}
    folder = tmp_path / "photographs" / "trip"
    folder.mkdir(parents=True)
    for name, file in content.items():
        (folder / f"{name}.jpg").write_bytes(file)
    entries = {
        "calm": {"folder": "trip", "kept": {"face_0.jpg": sums["face_0"]}, "learned": {"face_2.jpg": sums["face_2"]}},
        "glad": {"folder": "trip", "kept": {"face_1.jpg": sums["face_1"], "face_9.jpg": "0"}, "learned": {}},
    }
    path = tmp_path / "record.json"
    path.write_text(json.dumps(entries))
    monkeypatch.setattr(known, "RECORD", path)
    return folder


def test_only_kept_photographs_are_taken(record):
    calm, glad = find_photographs(record.parent)
    assert (calm.name, [file.name for file in calm.files], calm.remark) == ("calm", ["face_0.jpg"], "")
    assert [file.name for file in glad.files] == ["face_1.jpg"] and glad.remark == "1 photographs are missing"


def test_the_folder_of_a_set_is_taken_as_well(record):
    assert [one.name for one in find_photographs(record)] == ["calm", "glad"]


def test_a_changed_photograph_is_remarked_on(record):
    (record / "face_0.jpg").write_bytes((SAMPLES / "face_3.jpg").read_bytes())
    assert find_photographs(record)[0].remark == "1 photographs are not as they were recorded"


def test_aligned_ones_are_known_by_their_names(record):
    (record / "face_0.jpg").rename(record / "face_0.png")
    assert find_photographs(record, aligned=True)[0].files[0].name == "face_0.png"


def test_another_folder_is_taken_whole(record):
    record.rename(record.with_name("mine"))
    (mine,) = find_photographs(record.parent)
    assert mine.name == "mine" and len(mine.files) == 3


def test_nothing_to_find_is_refused(record, tmp_path):
    with pytest.raises(PspkitError, match="no such folder"):
        find_photographs(tmp_path / "nowhere")
    (record / "face_0.jpg").unlink()
    (record / "face_1.jpg").unlink()
    with pytest.raises(PspkitError, match="none of the photographs that are kept"):
        find_photographs(record)


def test_the_record_keeps_every_third_person():
    sets = json.loads(RECORD.read_text(encoding="utf-8"))
    assert {name: (len(entry["kept"]), len(entry["learned"])) for name, entry in sets.items()} == {
        "london": (26, 52),
        "london_smiling": (26, 52),
        "portraits": (50, 100),
    }
    for entry in sets.values():
        names = sorted([*entry["kept"], *entry["learned"]])
        assert [name in entry["kept"] for name in names] == is_kept([Path(name).stem for name in names])
