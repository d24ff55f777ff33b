"""Pairs of source and target for a task; the same seed, epoch and index give the same pair."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset
from torchvision.transforms import v2

from pspkit.data.faces.augment import augment
from pspkit.data.heads.dataset import picture_key
from pspkit.data.pictures import Picture, to_picture
from pspkit.data.tasks.registry import Recipe, Task, get_task
from pspkit.data.tasks.transforms import FITS, normalise, to_square
from pspkit.errors import PspkitError, check_choice
from pspkit.seeds import seed_of

ITEM_KEYS = {"picture": "image", "sketch": "sketch", "labels": "labels"}


class PairDataset(Dataset):
    """Pairs ready for training: source float32 (input_nc, size, size), target float32 (3, target_size, target_size).

    Targets, and sources that are pictures, are in [-1, 1].

    In training, a pair depends only on (seed, epoch, index), no matter how many workers load it, or whether the run was
    resumed. In validation it depends only on the index: nothing is flipped, and the options take turns.

    Args:
        task: a key of `TASKS`.
        recipe: the recipe of the task for this kind of data.
        size: side of the sources, pixels.
        training: whether flips and options are random.
        seed: seed of these, not negative.
        target_size: side of the targets; that of the sources unless given.
        fit: how pictures become square, as `to_square` takes it.
    """

    def __init__(
        self,
        task: Task,
        recipe: Recipe,
        size: int,
        training: bool,
        seed: int,
        target_size: int | None = None,
        fit: str | None = None,
    ):
        check_choice("fit", fit, (None, *FITS))
        self.fit = fit
        self.task, self.recipe, self.size, self.training, self.seed = task, recipe, size, training, seed
        self.target_size = target_size or size
        self._epoch = torch.zeros(
            (), dtype=torch.int64, device="cpu"
        ).share_memory_()  # shared, so that loader processes see it change

    def set_epoch(self, epoch: int) -> None:
        """Moves on to other random choices; call it before each epoch."""
        self._epoch.fill_(epoch)

    def pictures(self, index: int) -> tuple[Picture, Picture]:
        """Returns the pictures from which source and target of a pair are made; torch's generator is seeded."""
        raise NotImplementedError

    def __getitem__(self, index: int) -> tuple[Tensor, ...]:
        if not 0 <= index < len(self):
            raise IndexError(index)
        with torch.random.fork_rng(devices=[]):
            # Not torch.manual_seed, which would also change the seed of the accelerator that the training uses.
            torch.default_generator.manual_seed(self._seed(index))
            source, target = self.pictures(index)
            source, target = self._geometry(source, target)
            return self.task.make_source(source, *self._option(index)), normalise(target)

    def _seed(self, index: int) -> int:
        return seed_of(self.seed, int(self._epoch), index) if self.training else seed_of(index)

    def _option(self, index: int) -> tuple[Any, ...]:
        options = self.recipe.options
        if not options:
            return ()
        return (options[int(torch.randint(len(options), ())) if self.training else index % len(options)],)

    def _geometry(self, source: Picture, target: Picture) -> tuple[Picture, Picture]:
        source, target = to_square(source, self.fit), to_square(target, self.fit)
        flips = self.training and self.recipe.flip != "never"
        mirror = v2.RandomHorizontalFlip(0.5 if flips else 0)
        source, target = v2.Resize([self.size] * 2)(source), v2.Resize([self.target_size] * 2)(target)
        return (mirror(source), mirror(target)) if self.recipe.flip == "apart" else mirror(source, target)


class HeadPairs(PairDataset):
    """Pairs of a task made from rendered heads.

    Args:
        items: the heads. Each is a mapping with `image` (3, S, S), uint8 or float in [-1, 1], and with what the task
            needs of `labels` (S, S) uint8, `sketch` (1, S, S) in [0, 1], and `front_view` and `toon`, both like
            `image`.
        task: a key of `TASKS`.
        size: side of the pairs, pixels.
        training: whether flips and options are random.
        seed: seed of these, not negative.

    Raises:
        PspkitError: the task is unknown; or, on access, a head lacks what the task needs.
    """

    def __init__(
        self,
        items: Sequence[Mapping[str, Any]] | Dataset,
        task: str,
        size: int = 64,
        training: bool = True,
        seed: int = 0,
    ):
        found = get_task(task)
        super().__init__(found, found.heads, size, training, seed)
        self.items, self.task_name = items, task

    def __len__(self) -> int:
        return len(self.items)

    def pictures(self, index: int) -> tuple[Picture, Picture]:
        """Returns the rendered source and target of a head."""
        item = self.items[index]
        keys = ITEM_KEYS[self.task.source], picture_key(self.recipe.target)
        for key in keys:
            if key not in item:
                raise PspkitError(f"heads: item {index} has no {key!r}, which {self.task_name} needs. Render it, too.")
        return to_picture(item[keys[0]], self.task.source), to_picture(item[keys[1]])


class FacePairs(PairDataset):
    """Pairs of a task made from drawn faces. Each has a third part, the codes (n_styles, style_dim) of the target.

    If source and target are mirrored independently, there are no codes: a mirrored face has others.

    Args:
        items: the faces. Each is a mapping with `image` (3, S, S), uint8, `codes` (n_styles, style_dim) and, if they
            were made before, `labels` (S, S) uint8.
        task: a key of `TASKS`.
        size: side of the sources, pixels.
        training: whether faults of a camera, flips and options are random; otherwise there are no faults.
        seed: seed of these, not negative.
        target_size: side of the targets; that of the sources unless given.

    Raises:
        PspkitError: the task is unknown; or, on access, its source cannot be made from a photograph.
    """

    def __init__(
        self,
        items: Sequence[Mapping[str, Any]] | Dataset,
        task: str,
        size: int = 128,
        training: bool = True,
        seed: int = 0,
        target_size: int | None = None,
    ):
        found = get_task(task)
        super().__init__(found, found.faces, size, training, seed, target_size)
        self.items = items

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> tuple[Tensor, ...]:
        pair = super().__getitem__(index)
        return pair if self.recipe.flip == "apart" else (*pair, self.items[index]["codes"])

    def pictures(self, index: int) -> tuple[Picture, Picture]:
        """Returns the source of a face, with the faults of a camera, and its target."""
        item = self.items[index]
        target = source = to_picture(item["image"])
        if self.task.source in item:
            return to_picture(item[self.task.source], self.task.source), target
        if self.training and self.recipe.faults:
            source = to_picture(augment(normalise(source)[None], torch.default_generator, self.recipe.faults)[0])
        return (source if self.task.source == "picture" else self.task.source_of(source)), target
