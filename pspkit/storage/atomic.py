"""Files written whole or not at all, by any number of processes at once.

Each writer gets a folder of its own beside the target, under a name that no other writer has, and in it a file to
write. When that is complete and on the disk, it takes the target's place in one step of the file system. What a killed
process left behind is removed by the next process that writes into the same folder, the temporary files of other
libraries included, because they lie in the writer's folder.
"""

import hashlib
import os
import platform
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex

PART = re.compile(r"\.pspkit-(\w+)-(\d+)-\w+\.part")
STALE_SECONDS = 3600  # after which an untouched file of another machine counts as left behind

_swept: set[Path] = set()  # folders that this process has cleaned; a folder of 70,000 pictures is listed once


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A file of the same name to write into; it takes the place of `path` at the end, or disappears on failure.

    The file is on the disk before it takes that place. A power cut therefore leaves no empty file, which a second run
    would take for a result.

    Args:
        path: the target; its folder is there already.

    Raises:
        OSError: it could not be written; what stood at `path` is untouched.
    """
    with folder_beside(path) as folder:
        part = folder / path.name
        part.touch()
        yield part
        with part.open("r+b") as file:
            os.fsync(file.fileno())
        os.replace(part, path)


@contextmanager
def folder_beside(path: Path) -> Iterator[Path]:
    """A folder of this writer's own beside `path`, which goes away at the end, and at the latest after a kill.

    Raises:
        OSError: it could not be made.
    """
    _sweep(path.parent)
    folder = path.with_name(f".pspkit-{_machine()}-{os.getpid()}-{token_hex(4)}.part")
    try:
        folder.mkdir()
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _sweep(folder: Path) -> None:
    """Removes what dead processes left in a folder."""
    folder = folder.absolute()
    if folder in _swept:
        return
    _swept.add(folder)
    for entry in os.scandir(folder):
        if (found := PART.fullmatch(entry.name)) and _is_left_behind(Path(entry), found[1], int(found[2])):
            shutil.rmtree(entry, ignore_errors=True)  # another process may sweep too


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
        changed = max(entry.stat().st_mtime for entry in (part, *part.iterdir()))
        return time.time() - changed > STALE_SECONDS
    except OSError:  # swept meanwhile
        return False


def _machine() -> str:
    """A short name for this machine: folders may be shared by several, whose process numbers overlap."""
    return hashlib.sha256(platform.node().encode()).hexdigest()[:8]
