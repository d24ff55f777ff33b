"""Where files of pspkit lie: in a clone of the project, or beside an installed package."""

import os
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]


def cache_folder() -> Path:
    """What can be fetched or made again: PSPKIT_CACHE, else data/cache of the clone, else ~/.cache/pspkit."""
    if chosen := os.environ.get("PSPKIT_CACHE"):
        return Path(chosen).expanduser().absolute()
    clone = _clone()
    return clone / "data" / "cache" if clone else Path.home() / ".cache" / "pspkit"


def shipped_weights() -> Path:
    """The weights of the rendered heads: data/weights of the clone, else the copy that the wheel carries."""
    clone = _clone()
    return clone / "data" / "weights" if clone else PACKAGE / "weights"


def _clone() -> Path | None:
    """The clone that the package is imported from; None where it is installed."""
    return PACKAGE.parent if (PACKAGE.parent / "pyproject.toml").is_file() else None
