"""The check of a folder: what it finds, and that no file is read twice."""

import json
import multiprocessing
import os

import pytest
from PIL import Image
from test_folders import fill
from test_pictures import cut_in_half, empty_file

from pspkit.data import verdicts
from pspkit.data.folders import FolderPairs, list_pictures
from pspkit.data.verdicts import find_bad_pictures


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("PSPKIT_CACHE", str(folder))
    return folder


@pytest.fixture
def read(monkeypatch):
    """The names of the files that are decoded."""
    names, fault = [], verdicts._fault

    def noted(kind, decode, path):
        names.append(path.name)
        return fault(kind, decode, path)

    monkeypatch.setattr(verdicts, "_fault", noted)
    return names


def check(folder, **options):
    return find_bad_pictures(folder, list_pictures(folder), **options)


def test_every_file_is_read_once(tmp_path, read):
    fill(tmp_path, "a.png", "b/c.png")
    assert check(tmp_path) == check(tmp_path) == {}
    assert sorted(read) == ["a.png", "c.png"]
    FolderPairs(tmp_path, size=16)
    assert len(read) == 2


def test_only_new_and_changed_files_are_read_again(tmp_path, read):
    fill(tmp_path, "a.png", "b.png")
    check(tmp_path)
    fill(tmp_path, "c.png")
    os.utime(tmp_path / "b.png", ns=(1, 1))
    read.clear()
    check(tmp_path)
    assert sorted(read) == ["b.png", "c.png"]


def test_a_bad_file_is_named_every_time(tmp_path, read):
    path, reason = empty_file(tmp_path)
    first, second = check(tmp_path), check(tmp_path)
    assert first == second
    assert reason in first[path]
    assert first[path].startswith(f"{path}: ")
    assert read == ["a.png"]


def test_a_repaired_picture_is_looked_at_again(tmp_path):
    path, _ = empty_file(tmp_path)
    assert list(check(tmp_path)) == [path]
    fill(tmp_path, "a.png")
    assert check(tmp_path) == {}


def test_a_moved_folder_keeps_its_verdicts(tmp_path, read):
    empty_file(fill(tmp_path / "old", "b.png"))
    check(tmp_path / "old")
    (tmp_path / "old").rename(tmp_path / "new")
    read.clear()
    assert check(tmp_path / "new")[tmp_path / "new/a.png"].startswith(f"{tmp_path / 'new/a.png'}: ")
    assert read == []


def test_headers_alone_miss_truncated_files(tmp_path):
    fill(tmp_path, "a.png", side=64)
    cut_in_half(tmp_path / "a.png")
    assert check(tmp_path, decode=False) == {}
    assert list(check(tmp_path)) == [tmp_path / "a.png"]


def test_each_kind_has_verdicts_of_its_own(tmp_path):
    Image.new("L", (8, 8), 40).save(tmp_path / "a.png")
    assert check(tmp_path) == {}
    assert "has the value 40" in check(tmp_path, kind="labels")[tmp_path / "a.png"]


def test_a_folder_that_cannot_be_written_is_remembered_in_the_cache(tmp_path, cache, read, monkeypatch):
    fill(tmp_path, "a.png")

    def refusing(path):
        if path.is_relative_to(tmp_path):
            raise PermissionError(13, "Permission denied")
        return written(path)

    written = verdicts.replacing
    monkeypatch.setattr(verdicts, "replacing", refusing)
    check(tmp_path)
    check(tmp_path)
    assert read == ["a.png"]
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
    assert list(cache.glob("checked/*picture.json"))


def test_without_any_place_to_write_the_check_still_works(tmp_path, monkeypatch):
    fill(tmp_path, "a.png")
    (tmp_path / "file").touch()
    monkeypatch.setenv("PSPKIT_CACHE", str(tmp_path / "file" / "below"))

    def refusing(path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(verdicts, "replacing", refusing)
    assert check(tmp_path) == {}


@pytest.mark.parametrize("content", ["", "[]", '{"rules": {"format": 0}, "files": {}}', '{"rules": null}'])
def test_what_was_kept_under_other_rules_does_not_count(content, tmp_path, read):
    fill(tmp_path, "a.png")
    check(tmp_path)
    (tmp_path / ".pspkit-picture.json").write_text(content)
    assert check(tmp_path) == {}
    assert read == ["a.png", "a.png"]


def test_an_interrupted_check_goes_on_where_it_was(tmp_path, read, monkeypatch):
    fill(tmp_path, *(f"{number}.png" for number in range(4)))
    fault = verdicts._fault

    def interrupted(kind, decode, path):
        if path.name == "2.png":
            raise KeyboardInterrupt
        return fault(kind, decode, path)

    monkeypatch.setattr(verdicts, "_fault", interrupted)
    with pytest.raises(KeyboardInterrupt):
        check(tmp_path)
    kept = json.loads((tmp_path / ".pspkit-picture.json").read_text())["files"]
    assert sorted(kept) == ["0.png", "1.png"]
    monkeypatch.setattr(verdicts, "_fault", fault)
    read.clear()
    check(tmp_path)
    assert sorted(read) == ["2.png", "3.png"]


def _check_and_count(folder, queue):
    names, fault = [], verdicts._fault
    verdicts._fault = lambda kind, decode, path: names.append(path) or fault(kind, decode, path)
    check(folder)
    queue.put(len(names))


def test_of_several_processes_one_reads(tmp_path):
    fill(tmp_path, *(f"{number}.png" for number in range(20)))
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    processes = [context.Process(target=_check_and_count, args=(tmp_path, queue)) for _ in range(3)]
    for process in processes:
        process.start()
    assert sorted(queue.get(timeout=60) for _ in processes) == [0, 0, 20]
    for process in processes:
        process.join()
