"""The places of pspkit's files: in a clone of the project, or beside an installed package."""

import os
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]


def cache_folder() -> Path:
    """The folder of files that can be fetched or made again.

    It is PSPKIT_CACHE if that is set, else data/cache of the clone, else ~/.cache/pspkit.
    """
    if chosen := os.environ.get("PSPKIT_CACHE"):
        return Path(chosen).expanduser().absolute()
    clone = _clone()
    return clone / "data" / "cache" if clone else Path.home() / ".cache" / "pspkit"


def shipped_weights() -> Path:
    """The folder of the weights that ship: data/weights of the clone, else the copy in the wheel."""
    clone = _clone()
    return clone / "data" / "weights" if clone else PACKAGE / "weights"


def _clone() -> Path | None:
    """The clone from which the package is imported; None if it is installed."""
    return PACKAGE.parent if (PACKAGE.parent / "pyproject.toml").is_file() else None
