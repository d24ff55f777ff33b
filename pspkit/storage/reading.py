"""Files read with care: ordinary files alone, and JSON of any content."""

import errno
import json
import os
import stat
from pathlib import Path
from typing import Any


def check_ordinary(path: Path | str) -> None:
    """Refuses what is no ordinary file: a pipe would be waited for, and a device read without end.

    Args:
        path: the file, or a link to it.

    Raises:
        OSError: it is something else, is not there, or its name cannot be one.
    """
    try:
        mode = os.stat(path).st_mode
    except ValueError as error:  # a zero byte
        raise OSError(errno.EINVAL, "its name holds a zero byte", str(path)) from error
    if not stat.S_ISREG(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "a pipe or a device"
        raise OSError(errno.EINVAL, f"it is {kind}, not a file", str(path))


def parse_json(text: str) -> Any:
    """The value that a JSON text stands for.

    Raises:
        ValueError: no JSON, nested too deeply, or with a number that is none.
    """
    try:
        return json.loads(text, parse_constant=_no_number)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def _no_number(name: str) -> None:
    raise ValueError(f"it holds {name}, which is no number")
