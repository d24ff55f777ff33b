"""Weights and codes on disk. (Being written.)"""

from pathlib import Path
from typing import Self


class Pretrained:
    """`save_pretrained` and `from_pretrained` for a module whose `config` says how to build it."""

    @classmethod
    def from_config(cls, config) -> Self:
        """The module that a configuration describes, with fresh weights."""
        return cls(**vars(config))

    def save_pretrained(self, folder: str | Path) -> None:
        raise NotImplementedError

    @classmethod
    def from_pretrained(cls, path: str | Path) -> Self:
        raise NotImplementedError
