"""Source and target pairs of a task, the same ones for the same seed, epoch and index."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset
from torchvision.transforms import v2

from pspkit.data.heads.dataset import picture_key
from pspkit.data.pictures import Picture, to_picture
from pspkit.data.tasks.registry import Recipe, Task, get_task
from pspkit.data.tasks.transforms import normalise
from pspkit.errors import PspkitError
from pspkit.seeds import seed_of

ITEM_KEYS = {"picture": "image", "sketch": "sketch", "labels": "labels"}


class PairDataset(Dataset):
    """Pairs ready for training: source float32 (input_nc, size, size), target float32 (3, size, size) in [-1, 1].

    In training a pair is a function of (seed, epoch, index) alone: no matter how many workers load it, or whether the
    run was resumed. In validation it is a function of the index: no flips, and the options take turns.

    Args:
        task: a key of `TASKS`.
        recipe: the task's, for this sort of data.
        size: the pairs' side, pixels.
        training: whether flips and options are random.
        seed: not negative.
    """

    def __init__(self, task: Task, recipe: Recipe, size: int, training: bool, seed: int):
        self.task, self.recipe, self.size, self.training, self.seed = task, recipe, size, training, seed
        self._epoch = torch.zeros(
            (), dtype=torch.int64, device="cpu"
        ).share_memory_()  # loader processes that live on see it change

    def set_epoch(self, epoch: int) -> None:
        """Moves on to other random choices; call it before each epoch."""
        self._epoch.fill_(epoch)

    def pictures(self, index: int) -> tuple[Picture, Picture]:
        """The source and target pictures that the pair of this index is made from."""
        raise NotImplementedError

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        if not 0 <= index < len(self):
            raise IndexError(index)
        source, target = self.pictures(index)
        with torch.random.fork_rng(devices=[]):
            # Not torch.manual_seed: it would also reseed the accelerator, behind the training loop's back.
            torch.default_generator.manual_seed(self._seed(index))
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
        flips = self.training and self.recipe.flip != "never"
        geometry = v2.Compose([v2.Resize([self.size] * 2), v2.RandomHorizontalFlip(0.5 if flips else 0)])
        if self.recipe.flip == "apart":
            return geometry(source), geometry(target)
        return geometry(source, target)


class HeadPairs(PairDataset):
    """Pairs of a task made from rendered heads.

    Args:
        items: the heads: each a mapping with `image` (3, S, S), uint8 or float in [-1, 1], and, where the task asks
            for them, `labels` (S, S) uint8, `sketch` (1, S, S) in [0, 1], `front_view` and `toon` like `image`.
        task: a key of `TASKS`.
        size: the pairs' side, pixels.
        training: whether flips and options are random.
        seed: not negative.

    Raises:
        PspkitError: an unknown task; on access, a head without what the task needs.
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
        """The rendered source and target of one head."""
        item = self.items[index]
        keys = ITEM_KEYS[self.task.source], picture_key(self.recipe.target)
        for key in keys:
            if key not in item:
                raise PspkitError(f"heads: item {index} has no {key!r}, which {self.task_name} needs. Render it too.")
        return to_picture(item[keys[0]], self.task.source), to_picture(item[keys[1]])
