"""Files written whole or not at all, by any number of processes at once.

Each writer gets a file of its own beside the target, under a name that no other writer has. When the file is complete,
it takes the target's place in one step of the file system. What a killed process left behind is removed by the next
process that writes into the same folder.
"""

import hashlib
import os
import platform
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex

PART = re.compile(r"\.pspkit-(\w+)-(\d+)-\w+\.part")
STALE_SECONDS = 3600  # after which an untouched file of another machine counts as left behind

_swept: set[Path] = set()  # folders that this process has cleaned; a folder of 70,000 pictures is listed once


@contextmanager
def replacing(path: Path, durable: bool = False) -> Iterator[Path]:
    """A file beside `path` to write into; it takes the place of `path` at the end, or disappears on failure.

    Args:
        path: the target; its folder is there already.
        durable: whether to wait until the file is on the disk, so that it also survives a power cut. That is for
            states and weights; it would make a folder of pictures slow.

    Raises:
        OSError: it could not be written; what stood at `path` is untouched.
    """
    _sweep(path.parent)
    part = path.with_name(f".pspkit-{_machine()}-{os.getpid()}-{token_hex(4)}.part")  # short, however long the name is
    try:
        part.touch(exist_ok=False)
        yield part
        if durable:
            _flush(part)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def _sweep(folder: Path) -> None:
    """Removes what dead processes left in a folder."""
    folder = folder.absolute()
    if folder in _swept:
        return
    _swept.add(folder)
    for entry in os.scandir(folder):
        if (found := PART.fullmatch(entry.name)) and _is_left_behind(Path(entry), found[1], int(found[2])):
            with suppress(OSError):  # another process may sweep too
                os.unlink(entry)


def _is_left_behind(part: Path, machine: str, process: int) -> bool:
    if machine == _machine():
        try:
            os.kill(process, 0)  # asks only whether there is one
        except ProcessLookupError:
            return True
        except OSError:  # it belongs to another user
            return False
        return False
    try:
        return time.time() - part.stat().st_mtime > STALE_SECONDS
    except FileNotFoundError:
        return False


def _machine() -> str:
    """A short name for this machine: folders may be shared by several, whose process numbers overlap."""
    return hashlib.sha256(platform.node().encode()).hexdigest()[:8]


def _flush(part: Path) -> None:
    with part.open("r+b") as file:
        os.fsync(file.fileno())
