"""Writes files whole or not at all, by any number of processes at once.

Each writer has its own folder beside the target, with a unique name, and writes a file in it. Once that file is
complete and on the disk, it takes the place of the target in one step of the file system. The next process that writes
into the same folder removes what a killed process left behind. This includes the temporary files of other libraries,
because they lie in the writer's folder.
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

from pspkit.errors import PspkitError

PART = re.compile(r"\.pspkit-(\w+)-(\d+)-\w+\.part")
STALE_SECONDS = 3600  # after which an untouched file of another machine counts as abandoned

_swept: set[Path] = (
    set()
)  # folders that this process has cleaned, so that a folder of 70,000 pictures is listed only once


def check_kept(out: Path, *inputs: Path | str | None) -> None:
    """Refuses a file that would replace an input, or a file in a folder that is one.

    Args:
        out: the file that is to be written.
        inputs: files and folders that are read; None for those that are not given.

    Raises:
        PspkitError: names the file.
    """
    if not os.path.lexists(out):
        return
    place = Path(os.path.realpath(out))
    for given in filter(None, inputs):
        if place.is_relative_to(os.path.realpath(given)):
            raise PspkitError(f"{out}: is read, or lies in a folder that is, and would be replaced. Name another file.")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Gives a file of the same name to write to. It replaces `path` at the end, or disappears on failure.

    The file is on the disk before it replaces the target. A power cut therefore leaves no empty file, which the next
    run would take for a result.

    Args:
        path: the target; its folder must be there already.

    Raises:
        OSError: the file could not be written; an older one at `path` is kept.
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
    """Makes a folder beside `path` for this writer alone, and removes it at the end.

    After a kill, the next writer removes it.

    Raises:
        OSError: the folder could not be made.
    """
    _sweep(path.parent)
    folder = path.with_name(f".pspkit-{_machine()}-{os.getpid()}-{token_hex(4)}.part")
    try:
        folder.mkdir()
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _sweep(folder: Path) -> None:
    """Removes what killed processes left in a folder."""
    folder = folder.absolute()
    if folder in _swept:
        return
    _swept.add(folder)
    for entry in os.scandir(folder):
        if (found := PART.fullmatch(entry.name)) and _is_left_behind(Path(entry), found[1], int(found[2])):
            shutil.rmtree(entry, ignore_errors=True)  # another process may sweep, too


def _is_left_behind(part: Path, machine: str, process: int) -> bool:
    if machine == _machine():
        try:
            os.kill(process, 0)  # only asks whether there is one
        except ProcessLookupError:
            return True
        except OSError:  # The process belongs to another user.
            return False
        return False
    try:
        changed = max(entry.stat().st_mtime for entry in (part, *part.iterdir()))
        return time.time() - changed > STALE_SECONDS
    except OSError:  # It was swept meanwhile.
        return False


def _machine() -> str:
    """A short name for this machine. Several machines may share a folder, and their process numbers overlap."""
    return hashlib.sha256(platform.node().encode()).hexdigest()[:8]
