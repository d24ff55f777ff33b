"""Divides the pictures of a user's folder into pairs to learn from and pairs that are held out."""

import re
from typing import Any

import torch

from pspkit.config import TrainingConfig
from pspkit.data.folders import FolderPairs
from pspkit.data.tasks import PairDataset
from pspkit.errors import PspkitError

Pairs = tuple[PairDataset, PairDataset]  # to learn from, and held out


def divide(training: FolderPairs, validation: FolderPairs, config: TrainingConfig, group_by: str | None) -> Pairs:
    """Holds out a tenth of the pairs, but no more than `config.validation`.

    Args:
        training: all pairs, as training sees them; changed in place.
        validation: the same pairs, as validation sees them; changed in place.
        config: how many are held out at most, and the seed that chooses them.
        group_by: as `Domain.pairs` takes it.

    Raises:
        PspkitError: there are fewer than ten pictures, or `group_by` does not divide them.
    """
    held_out = min(config.validation, len(training) // 10)
    if not held_out:
        raise PspkitError(
            f"{training.source}: holds {len(training)} pictures, and at least 10 are needed, as a tenth is held out."
            " Add some, or give a folder of pictures to hold out, or validation='none' to learn all of them by heart."
        )
    groups: dict[Any, list[int]] = {}
    for index, pair in enumerate(training.pairs):
        groups.setdefault(_group(pair.name, group_by) if group_by else index, []).append(index)
    if len(groups) < 2:
        raise PspkitError(
            f"group_by: {group_by!r} puts all pictures into one group, so that none can be held out. Give another"
            " pattern."
        )
    shuffled = torch.randperm(len(groups), generator=torch.Generator().manual_seed(config.seed)).tolist()
    members, chosen = list(groups.values()), set()
    for place in shuffled[:-1]:
        if len(chosen) >= held_out:
            break
        chosen.update(members[place])
    training.pairs = [pair for i, pair in enumerate(training.pairs) if i not in chosen]
    validation.pairs = [pair for i, pair in enumerate(validation.pairs) if i in chosen]
    return training, validation


def _group(name: str, group_by: str) -> str:
    """The group of a picture, by its path below the folder."""
    if group_by == "folder":
        return name.rpartition("/")[0]
    try:
        found = re.search(group_by, name)
    except re.error as error:
        raise PspkitError(
            f"group_by: {group_by!r} is not a regular expression ({error}). Give 'folder', or one such as '(.+)_'."
        ) from error
    if not found:
        raise PspkitError(
            f"group_by: {group_by!r} does not match the name {name}. Give a pattern that matches every name."
        )
    return found[1] if found.groups() else found[0]
