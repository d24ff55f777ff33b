"""Finds, in a folder of the user's, the photographs on which the figures of this project were measured.

They are not part of the repository. `data/photographs.json` names those that no training has seen, with checksums.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from pspkit.data.folders import list_pictures
from pspkit.errors import PspkitError
from pspkit.storage.places import PACKAGE

RECORD = PACKAGE.parent / "data" / "photographs.json"  # an installed package has none


@dataclass(frozen=True)
class PhotographSet:
    """Photographs to measure on, one of each person.

    Attributes:
        name: name of the set.
        files: the photographs.
        missing: number of recorded photographs that are not there.
        changed: number of photographs that differ from the recorded ones.
    """

    name: str
    files: tuple[Path, ...]
    missing: int = 0
    changed: int = 0

    @property
    def remark(self) -> str:
        """Why figures of this set cannot be compared with the published ones; empty if they can."""
        parts = [(self.missing, "missing"), (self.changed, "not as they were recorded")]
        return ", ".join(f"{count} photographs are {what}" for count, what in parts if count)


def find_photographs(folder: Path, aligned: bool = False) -> list[PhotographSet]:
    """Finds sets of photographs: each subfolder is one, or the folder itself if it has none.

    Of recorded sets, only those photographs are taken that no training of the project has seen. Any other folder is
    taken as a whole, and each of its pictures is taken to show another person.

    Args:
        folder: holds photographs, or folders of them.
        aligned: whether the pictures were aligned before. Their checksums and extensions are then not compared.

    Returns:
        The sets, in the order of their folders.

    Raises:
        PspkitError: there is no such folder, or it holds no pictures.
    """
    if not folder.is_dir():
        raise PspkitError(f"{folder}: no such folder. Name one that holds photographs, or folders of them.")
    known = json.loads(RECORD.read_text(encoding="utf-8")) if RECORD.is_file() else {}
    sets = []
    for inner in sorted(path for path in folder.iterdir() if path.is_dir()) or [folder]:
        recorded = {name: entry["kept"] for name, entry in known.items() if entry["folder"] == inner.name}
        found = {file.stem if aligned else file.name: file for file in list_pictures(inner)}
        sets += [_known_set(name, kept, found, aligned) for name, kept in recorded.items()]
        if not recorded:
            sets.append(PhotographSet(inner.name, tuple(found.values())))
    sets = [one for one in sets if one.files]
    if not sets:
        raise PspkitError(
            f"{folder}: it holds none of the photographs that are kept to measure on. data/README.md says where to get"
            " them."
        )
    return sets


def _known_set(name: str, kept: dict[str, str], found: dict[str, Path], aligned: bool) -> PhotographSet:
    sums = {Path(file).stem if aligned else file: checksum for file, checksum in kept.items()}
    files = tuple(found[file] for file in sums if file in found)
    changed = 0
    if not aligned:
        changed = sum(hashlib.sha256(file.read_bytes()).hexdigest() != sums[file.name] for file in files)
    return PhotographSet(name, files, len(kept) - len(files), changed)
