"""Reads files with care: only ordinary files, and JSON whatever its content."""

import errno
import json
import os
import stat
from pathlib import Path
from typing import Any


def check_ordinary(path: Path | str) -> None:
    """Refuses anything but an ordinary file: reading a pipe would wait, and reading a device would never end.

    Args:
        path: the file, or a link to it.

    Raises:
        OSError: it is something else, it is not there, or its name is not possible.
    """
    try:
        mode = os.stat(path).st_mode
    except ValueError as error:  # The name holds a zero byte.
        raise OSError(errno.EINVAL, "its name holds a zero byte", str(path)) from error
    if not stat.S_ISREG(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "a pipe or a device"
        raise OSError(errno.EINVAL, f"it is {kind}, not a file", str(path))


def parse_json(text: str) -> Any:
    """Parses a JSON text.

    Raises:
        ValueError: the text is not JSON, is nested too deeply, or holds NaN or an infinity.
    """
    try:
        return json.loads(text, parse_constant=_no_number)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def _no_number(name: str) -> None:
    raise ValueError(f"it holds {name}, which is not a number")
