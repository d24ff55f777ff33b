"""Files written whole or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A file beside `path` to write into; it takes the place of `path` at the end, or disappears on failure.

    Raises:
        OSError: it could not be written; what stood at `path` is untouched.
    """
    part = path.with_name(path.name + ".part")
    try:
        part.unlink(missing_ok=True)  # of a process that was killed
        part.touch()
        yield part
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
