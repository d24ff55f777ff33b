"""`doctor`: what this machine has, what is missing, and the command that gets it."""

import argparse
import os
import platform
import shutil
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version

from pspkit.cli.parsing import add_command

PACKAGES = ("torch", "torchvision", "numpy", "pillow", "safetensors", "lpips", "onnx")
EXTRAS = {  # what is installed by an extra of the package, and what it is for
    "jupyterlab": ("course", "the notebooks and their pages"),
    "onnxruntime": ("export", "exported models"),
    "playwright": ("browser", "the tests in a browser"),
}
PROGRAMS = {"ffmpeg": "films as .mp4", "npm": "the face parser and the live pages"}


def add(commands: argparse._SubParsersAction) -> None:
    """Adds the command."""
    add_command(
        commands,
        "doctor",
        _doctor,
        "say what this machine has, what is missing, and how to get it",
        """Prints the versions, the devices, the cache and what it holds. After each thing that is missing stands the
        command that gets it. Nothing is fetched.""",
    )


def _doctor(arguments: argparse.Namespace) -> None:
    sections = {
        "versions": _versions(),
        "devices": _devices(),
        "cache": _cache(),
        "assets": _assets(),
        "extras": _extras(),
        "programs": _programs(),
    }
    for heading, lines in sections.items():
        print(heading)
        for line in lines:
            print(f"  {line}")


def _versions() -> Iterator[str]:
    from pspkit import __version__

    yield f"pspkit {__version__}, Python {platform.python_version()}, {platform.platform()}"
    yield ", ".join(f"{name} {_version(name) or 'missing'}" for name in PACKAGES)


def _devices() -> Iterator[str]:
    from pspkit.device import available_devices, choose_device, native_precision

    for device in available_devices():
        chosen = ", which is used unless --device or PSPKIT_DEVICE names another" if device == choose_device() else ""
        yield f"{device}, computes in {native_precision(device)}{chosen}"


def _cache() -> Iterator[str]:
    from pspkit.storage.places import cache_folder

    folder = cache_folder()
    there = folder
    while not there.exists():
        there = there.parent
    free = f"{shutil.disk_usage(there).free / 1e9:.0f} GB free"
    yield f"{folder}, {free}" if os.access(there, os.W_OK) else f"{folder}: cannot be written. Set PSPKIT_CACHE."


def _assets() -> Iterator[str]:
    from pspkit.storage.asset_table import ASSETS
    from pspkit.storage.assets import is_cached

    for name, asset in ASSETS.items():
        yield _line(name, is_cached(name), asset.purpose, f"pspkit assets get {name}")


def _extras() -> Iterator[str]:
    for name, (extra, purpose) in EXTRAS.items():
        yield _line(name, _version(name), purpose, f"pip install 'pspkit[{extra}]'")


def _programs() -> Iterator[str]:
    for name, purpose in PROGRAMS.items():
        yield _line(name, shutil.which(name), purpose, "install it by your system's package manager")


def _line(name: str, there: object, purpose: str, remedy: str) -> str:
    return f"{name}: {'there' if there else 'missing'} ({purpose}){'' if there else f'. To get it: {remedy}'}"


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
