"""Puts the trained weights into a wheel, so that `pip install .` gives a command that works anywhere.

All else about the package stands in pyproject.toml.
"""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

WEIGHTS = Path("data/weights")


class BuildWithWeights(build_py):
    """Copies data/weights to pspkit/weights of what is built; an editable install reads them where they are."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            return
        if not WEIGHTS.is_dir():
            raise FileNotFoundError(f"{WEIGHTS}: no weights here. Build from a whole clone of the project.")
        for pattern in ("**/*.safetensors", "**/config.json"):
            for source in sorted(WEIGHTS.glob(pattern)):
                target = Path(self.build_lib, "pspkit", "weights", source.relative_to(WEIGHTS))
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, target)


setup(cmdclass={"build_py": BuildWithWeights})
