"""Checks the pictures of a folder: every file is read once, and the verdicts are kept beside the files.

A folder that was checked holds a hidden file such as `.pspkit-picture.json`. It says of every picture its size, when it
was changed, and what is wrong with it, if anything. The next start, and every other process of the same training, reads
this file, and checks only pictures that are new or have changed. If the folder cannot be written, the file lies in the
cache.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

import PIL
from filelock import FileLock
from tqdm.auto import tqdm

from pspkit.data.pictures import check_header, open_picture
from pspkit.errors import PspkitError, shown
from pspkit.storage.atomic import replacing
from pspkit.storage.places import cache_folder
from pspkit.storage.reading import check_ordinary, parse_json

# Verdicts of another version do not count, nor do those of another Pillow, which may read other files.
RULES = {"format": 2, "pillow": PIL.__version__}


class Verdict(NamedTuple):
    """The result of checking one file."""

    size: int  # bytes
    changed: int  # when it was changed, nanoseconds
    fault: str  # what is wrong with it, as an error says it after the name of the file; empty if nothing is


def find_bad_pictures(
    folder: Path, paths: Sequence[Path], kind: str = "picture", decode: bool = True
) -> dict[Path, str]:
    """Finds the files of a folder that cannot be used; each is read only once until it changes.

    If there are several processes, one of them checks, and the others wait for its verdicts.

    Args:
        folder: the folder.
        paths: files below it.
        kind: "picture", "sketch" or "labels".
        decode: whether to decode whole files. Otherwise only headers are read, and truncated files are not found.

    Returns:
        From each such file to the reason.
    """
    index = f".pspkit-{kind if decode else 'header'}.json"
    with _alone(folder):
        known = _read(folder / index) or _read(_in_cache(folder, index))
        names = {path: path.relative_to(folder).as_posix() for path in paths}
        states = {path: _state(path) for path in paths}
        due = [path for path in paths if known.get(names[path], (0, 0))[:2] != states[path]]
        try:
            for path, fault in _faults(due, kind, decode):
                known[names[path]] = Verdict(*states[path], fault)
        finally:  # An interrupted check later goes on from here.
            if due:
                _keep(known, folder, index)
    return {path: f"{shown(path)}{known[name].fault}" for path, name in names.items() if known[name].fault}


def _faults(paths: Sequence[Path], kind: str, decode: bool) -> Iterator[tuple[Path, str]]:
    with ThreadPoolExecutor() as pool:
        try:
            faults = pool.map(partial(_fault, kind, decode), paths)
            yield from zip(paths, tqdm(faults, "checking pictures", len(paths), delay=2, leave=False), strict=True)
        finally:
            pool.shutdown(cancel_futures=True)


def _fault(kind: str, decode: bool, path: Path) -> str:
    try:
        if decode:
            open_picture(path, kind)
        else:
            check_header(path)
    except PspkitError as error:
        return str(error).removeprefix(shown(path))
    return ""


def _state(path: Path) -> tuple[int, int]:
    try:
        stat = path.stat()
    except OSError:  # A broken link; the error comes when it is opened.
        return -1, -1
    return stat.st_size, stat.st_mtime_ns


def _read(index: Path) -> dict[str, Verdict]:
    """Reads a file of verdicts; returns none if it is missing, damaged, or made under other rules."""
    try:
        check_ordinary(index)
        content = parse_json(index.read_text(encoding="utf-8"))
        if content["rules"] != RULES:
            return {}
        return {name: Verdict(*verdict) for name, verdict in content["files"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _keep(verdicts: dict[str, Verdict], folder: Path, index: str) -> None:
    content = json.dumps({"rules": RULES, "files": verdicts})
    for file in (folder / index, _in_cache(folder, index)):
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            with replacing(file) as part:
                part.write_text(content, encoding="utf-8")
        except OSError:  # The disk is read-only or full; the verdicts then hold for this time only.
            continue
        return


def _in_cache(folder: Path, name: str) -> Path:
    place = hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:16]
    return cache_folder() / "checked" / f"{place}{name}"


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Lets one process in at a time; or all, if no lock can be written."""
    lock = FileLock(_in_cache(folder, ".lock"))
    try:
        Path(lock.lock_file).parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except OSError:
        yield
        return
    try:
        yield
    finally:
        lock.release()
