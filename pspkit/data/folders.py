"""Folders of the user's pictures: listed, paired by name, checked before a training starts, and read as pairs.

`data/PICTURES.md` is the table of what becomes of each kind of file.
"""

import os
import unicodedata
import warnings
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch

from pspkit.config import LIMITS
from pspkit.data.labels import looks_like_a_parsers
from pspkit.data.pictures import Picture, open_picture, picture_formats
from pspkit.data.tasks import PairDataset, get_task
from pspkit.data.verdicts import find_bad_pictures
from pspkit.errors import PspkitError, check_choice, check_number, shown, told_once

CHOICES = ("stop", "skip")
# Endings of photographs, films and drawings that Pillow does not read without plugins.
UNREAD = (
    *(".heic", ".heif", ".cr2", ".cr3", ".nef", ".arw", ".dng", ".orf", ".rw2", ".raf", ".exr", ".hdr", ".jxl", ".svg"),
    *(".pdf", ".eps", ".xcf", ".psb", ".mp4", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".npy", ".zip"),
)


class Pair(NamedTuple):
    """Two files of the same name; if there is only one folder, the target is the source."""

    name: str
    source: Path
    target: Path


def list_pictures(folder: Path | str) -> list[Path]:
    """Lists every picture file below a folder in the order of their names, without hidden files and folders.

    Raises:
        PspkitError: there is no such folder, or no picture in it.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise PspkitError(f"{folder}: {'it is a file, not a folder' if folder.exists() else 'no such folder'}.")
    found, seen = [], set()
    for parent, folders, files in os.walk(folder, followlinks=True):
        if (real := os.path.realpath(parent)) in seen:  # a link that leads back to a folder above
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [Path(parent, name) for name in files if not name.startswith(".")]
    found = [path for path in found if path.suffix.lower() in picture_formats()]
    if not found:
        unread = count_unread([folder])
        also = f" {unread_in_words(unread)}" if unread else ""
        raise PspkitError(
            f"{folder}: it holds no pictures. Pillow's formats are read, such as .png, .jpg, .webp and .tif.{also}"
        )
    return sorted(found, key=lambda path: path.relative_to(folder).as_posix())


def count_unread(folders: Iterable[Path | str]) -> dict[str, int]:
    """Counts, by extension, the pictures and films in folders whose formats are not read."""
    names = [
        name.lower()
        for folder in folders
        if Path(folder).is_dir()
        for _, _, files in os.walk(folder)
        for name in files
        if not name.startswith(".")
    ]
    found = Counter(Path(name).suffix for name in names)
    return {
        extension: found[extension] for extension in UNREAD if found[extension] and extension not in picture_formats()
    }


def unread_in_words(unread: Mapping[str, int]) -> str:
    """Writes what `count_unread` found as a sentence."""
    counts = ", ".join(f"{count} {extension}" for extension, count in unread.items())
    return f"left out, because their formats are not read: {counts}. Convert them to PNG or JPEG."


def name_in(folder: Path, path: Path) -> str:
    """A file's path below a folder, without its extension."""
    # Accented letters get one form: macOS stores them in two parts, other systems in one.
    return unicodedata.normalize("NFC", path.relative_to(folder).with_suffix("").as_posix())


def pictures_by_name(folder: Path) -> dict[str, Path]:
    """Every picture file below a folder by its name, as `name_in` gives it.

    Raises:
        PspkitError: as `list_pictures`; also if two files share a name.
    """
    named: dict[str, Path] = {}
    for path in list_pictures(folder):
        twin = named.setdefault(name_in(folder, path), path)
        if twin is not path:
            raise PspkitError(
                f"{shown(twin)} and {shown(path)} share a name, so that neither can be paired. Keep one of them."
            )
    return named


def pair_by_name(source: Path | str, target: Path | str, on_bad_image: str = "stop") -> list[Pair]:
    """Pairs the files of two folders by their paths without extension.

    Args:
        source: the folder of sources.
        target: the folder of targets.
        on_bad_image: "stop" refuses files without a partner, "skip" leaves them out with a warning.

    Raises:
        PspkitError: a file has no partner, or two files of one folder share a name.
    """
    check_choice("on_bad_image", on_bad_image, CHOICES)
    sources, targets = pictures_by_name(Path(source)), pictures_by_name(Path(target))
    lonely = [f"{shown(sources[name])} (nothing in {target})" for name in sources if name not in targets]
    lonely += [f"{shown(targets[name])} (nothing in {source})" for name in targets if name not in sources]
    pairs = [Pair(name, path, targets[name]) for name, path in sources.items() if name in targets]
    if lonely:
        have = "picture has" if len(lonely) == 1 else "pictures have"
        _refuse(on_bad_image, f"{len(lonely)} {have} no partner of the same name", lonely)
    if not pairs:
        raise PspkitError(
            f"{source}, {target}: no two pictures have the same name. Give both files of a pair one name."
        )
    return pairs


class FolderPairs(PairDataset):
    """Pairs of a task made from folders of pictures.

    Every file is checked once; see `pspkit.data.verdicts`. A file that turns out bad later, because a disk fails or
    because of `decode_all=False`, stops the run. With "skip", the next good pair takes its place, the same one in every
    run. Worker processes that are spawned get the pairs as names in shared memory.

    Args:
        source: the folder of the pictures, sketches or label maps, with all its subfolders.
        target: the folder of the pictures that belong to them and have the same names. Without it, each picture is its
            own target.
        task: a key of `TASKS`.
        size: the sources' side, pixels.
        training: whether flips and options are random.
        seed: seed of these, not negative.
        target_size: side of the targets; that of the sources unless given.
        from_photograph: whether the folder holds aligned photographs of faces, from which sketches or label maps are
            made. Each photograph is then its own target.
        on_bad_image: "stop" raises an error that names unusable pictures; "skip" leaves them out with a warning.
        decode_all: whether the check decodes whole files instead of reading only their headers. The first time, this
            takes minutes for tens of thousands of files.
        fit: how pictures become square: "pad", "crop" or "stretch"; they are stretched unless given.

    Attributes:
        pairs: names and files, in order.

    Raises:
        PspkitError: pictures cannot be used, the task is unknown, or its targets are missing.

    Source: Richardson et al. 2021, section 4.
    """

    def __init__(
        self,
        source: Path | str,
        target: Path | str | None = None,
        *,
        task: str = "encode",
        size: int = 256,
        training: bool = True,
        seed: int = 0,
        target_size: int | None = None,
        from_photograph: bool = False,
        on_bad_image: str = "stop",
        decode_all: bool = True,
        fit: str | None = None,
    ):
        found = get_task(task)
        check_choice("on_bad_image", on_bad_image, CHOICES)
        check_number("size", size, *LIMITS["size"], whole=True, unit="pixels")
        check_number("seed", seed, *LIMITS["seed"], whole=True)
        super().__init__(found, found.folders, size, training, seed, target_size, fit)
        self.on_bad_image, self.from_photograph = on_bad_image, from_photograph
        if from_photograph:
            found.check_from_photograph()
            if target is not None:
                raise PspkitError(
                    "target: a folder is given, but with from_photograph each photograph is its own target. Leave one"
                    " of them out."
                )
        if target is None and self.recipe.target == "partner" and not from_photograph:
            made = ", or from_photograph=True, which makes them" if found.from_photograph else ""
            raise PspkitError(
                f"target: {task} needs a second folder, with the pictures that belong to the {found.source}{made}."
            )
        if target is not None and self.recipe.flip == "apart":
            raise PspkitError(
                f"target: {task} learns from one folder and its mirror images."
                " For two folders of true pairs train 'encode'."
            )
        self.source, self.target = Path(source), None if target is None else Path(target)
        if self.target and found.source != "picture" and self.source.resolve() == self.target.resolve():
            raise PspkitError(
                f"target: {source} is also the folder of the {found.source}, and {task} needs one folder of these and"
                " another of the pictures that belong to them. Give both."
            )
        if self.target is None:
            self.pairs = [self._own_target(path) for path in list_pictures(self.source)]
        else:
            self.pairs = pair_by_name(self.source, self.target, on_bad_image)
        if unread := count_unread(filter(None, (self.source, self.target))):
            warnings.warn(unread_in_words(unread), stacklevel=2)
        self._drop_bad(decode_all)
        if self._kind == "labels":
            self._doubt_order()
        self._went_bad = torch.zeros(len(self.pairs), dtype=torch.bool).share_memory_()

    def __len__(self) -> int:
        return len(self.pairs)

    @property
    def n_substituted(self) -> int:
        """How many pairs turned out bad since the start and were replaced, in all loader processes."""
        return int(self._went_bad.sum())

    def pictures(self, index: int) -> tuple[Picture, Picture]:
        """Returns the source and target of a pair, or of the next good one."""
        for number in range(index, index + len(self)):
            pair = self.pairs[number % len(self)]
            try:
                source = open_picture(pair.source, self._kind)
                if self.from_photograph:
                    return self.task.source_of(source), source
                return source, source if pair.target == pair.source else open_picture(pair.target)
            except PspkitError as error:
                if self.on_bad_image == "stop":
                    raise
                if not self._went_bad[number % len(self)]:
                    self._went_bad[number % len(self)] = True
                    warnings.warn(f"skipped: {error}", stacklevel=2)
        raise PspkitError(
            f"{self.pairs[0].source.parent}: none of its {len(self)} pictures can be read any more. Put them back."
        )

    @property
    def _kind(self) -> str:
        """The kind of the files in the first folder."""
        return "picture" if self.from_photograph else self.task.source

    def _own_target(self, path: Path) -> Pair:
        return Pair(name_in(self.source, path), path, path)

    def __getstate__(self) -> dict[str, Any]:
        """Packs all that a spawned worker needs; the pairs go into shared memory as names, however many there are."""
        folders = [self.source, self.target] if self.target else [self.source]
        files = [pair[1 : 1 + len(folders)] for pair in self.pairs]
        names = [str(path.relative_to(folder)) for paths in files for folder, path in zip(folders, paths, strict=True)]
        packed = torch.frombuffer(bytearray(os.fsencode("\0".join(names))), dtype=torch.uint8)
        return self.__dict__ | {"pairs": packed.share_memory_()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__ |= state
        names = os.fsdecode(self.pairs.numpy().tobytes()).split("\0")
        if self.target is None:
            self.pairs = [self._own_target(self.source / name) for name in names]
        else:
            both = zip(names[::2], names[1::2], strict=True)
            self.pairs = [self._own_target(self.source / a)._replace(target=self.target / b) for a, b in both]

    def _doubt_order(self) -> None:
        """Warns if the maps show faces only when their numbers are read in another order."""
        looked_at = [open_picture(pair.source, "labels").as_subclass(torch.Tensor) for pair in self.pairs[:16]]
        if sum(map(looks_like_a_parsers, looked_at)) > len(looked_at) / 2:
            warnings.warn(
                f"{self.source}: these maps show faces only if their numbers are in the order of face parsers. Convert"
                " them with `pspkit labels --label-order parser`, and look at the preview.",
                stacklevel=3,
            )

    def _drop_bad(self, decode_all: bool) -> None:
        bad = find_bad_pictures(self.source, [pair.source for pair in self.pairs], self._kind, decode_all)
        if self.target is not None:
            bad |= find_bad_pictures(self.target, [pair.target for pair in self.pairs], decode=decode_all)
        if not bad:
            return
        _refuse(self.on_bad_image, f"{len(bad)} picture{'s' if len(bad) > 1 else ''} cannot be used", told_once(bad))
        self.pairs = [pair for pair in self.pairs if pair.source not in bad and pair.target not in bad]
        if not self.pairs:
            raise PspkitError(
                f"None of the {len(bad)} pictures can be used, the first for this reason: {next(iter(bad.values()))}"
            )


def _refuse(on_bad_image: str, what: str, which: Iterable[str], shown: int = 5) -> None:
    which = list(which)
    message = "\n  ".join([f"{what}:", *which[:shown]])
    if len(which) > shown:
        message += f"\n  and {len(which) - shown} more"
    if on_bad_image == "skip":
        warnings.warn(f"skipped: {message}", stacklevel=2)
        return
    raise PspkitError(f"{message}\nRepair them, take them away, or leave them out with on_bad_image='skip'.")
