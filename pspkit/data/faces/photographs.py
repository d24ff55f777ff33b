"""Reads aligned photographs of people: those to learn from, and those that are kept to measure on."""

from pathlib import Path

import torch
from torch import Tensor

from pspkit.data.pictures import open_picture
from pspkit.errors import PspkitError

SIDE = 256  # pixels
KEPT = 3  # every third person is kept to measure on


def is_kept(names: list[str]) -> list[bool]:
    """Says which photographs are kept to measure on: those of every third person, in the order of their names.

    In a name of three parts, such as "smiling_002_03" of the London set, the middle one says who is shown. Any other
    name stands for a person as a whole.

    Args:
        names: stems of the files of one set.

    Returns:
        For each name, whether no training may learn from the photograph.
    """
    people = [_person(name) for name in names]
    kept = set(sorted(set(people))[KEPT - 1 :: KEPT])
    return [person in kept for person in people]


def _person(name: str) -> str:
    parts = name.split("_")
    return parts[1] if len(parts) == 3 else name


def read_photographs(folder: Path, kept: bool) -> tuple[list[str], Tensor]:
    """Reads one part of a set of photographs.

    Args:
        folder: holds aligned pictures of 256 px and nothing else.
        kept: True for those that are kept to measure on, False for those to learn from.

    Returns:
        The names of the files, and the pictures uint8 (N, 3, 256, 256).

    Raises:
        PspkitError: the folder holds no picture, or a picture of another size.
    """
    files = sorted(file for file in folder.iterdir() if file.is_file())
    if not files:
        raise PspkitError(f"{folder}: it holds no picture. Put aligned photographs there, or name another folder.")
    chosen = [file for file, is_it in zip(files, is_kept([file.stem for file in files]), strict=True) if is_it == kept]
    pictures = []
    for file in chosen:
        picture = open_picture(file)
        if tuple(picture.shape) != (3, SIDE, SIDE):
            raise PspkitError(f"{file}: got shape {tuple(picture.shape)}, needs (3, {SIDE}, {SIDE}). Align it first.")
        pictures.append(torch.as_tensor(picture))
    return [file.name for file in chosen], torch.stack(pictures)
