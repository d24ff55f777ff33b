"""Source and target pairs of a task, the same ones for the same seed, epoch and index."""

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

    Targets and sources that are pictures are in [-1, 1].

    In training a pair is a function of (seed, epoch, index) alone: no matter how many workers load it, or whether the
    run was resumed. In validation it is a function of the index: no flips, and the options take turns.

    Args:
        task: a key of `TASKS`.
        recipe: the task's, for this sort of data.
        size: the sources' side, pixels.
        training: whether flips and options are random.
        seed: not negative.
        target_size: the targets' side; that of the sources unless given.
        fit: as `to_square`, of pictures that are none.
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
        ).share_memory_()  # loader processes that live on see it change

    def set_epoch(self, epoch: int) -> None:
        """Moves on to other random choices; call it before each epoch."""
        self._epoch.fill_(epoch)

    def pictures(self, index: int) -> tuple[Picture, Picture]:
        """The source and target pictures that the pair of this index is made from; torch's generator is seeded."""
        raise NotImplementedError

    def __getitem__(self, index: int) -> tuple[Tensor, ...]:
        if not 0 <= index < len(self):
            raise IndexError(index)
        with torch.random.fork_rng(devices=[]):
            # Not torch.manual_seed: it would also reseed the accelerator, behind the training loop's back.
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


class FacePairs(PairDataset):
    """Pairs of a task made from drawn faces. Each has a third part, the codes (n_styles, style_dim) of the target.

    There are no codes where source and target are mirrored apart: a mirrored face is another one.

    Args:
        items: the faces: each a mapping with `image` (3, S, S), uint8, `codes` (n_styles, style_dim) and, where they
            were made before, `labels` (S, S) uint8.
        task: a key of `TASKS`.
        size: the sources' side, pixels.
        training: whether the camera's faults, flips and options are random; there are no faults otherwise.
        seed: not negative.
        target_size: the targets' side; that of the sources unless given.

    Raises:
        PspkitError: an unknown task; on access, a source that cannot be made from a photograph.
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
        """The source, with a camera's faults, and the target of one face."""
        item = self.items[index]
        target = source = to_picture(item["image"])
        if self.task.source in item:
            return to_picture(item[self.task.source], self.task.source), target
        if self.training and self.recipe.faults:
            source = to_picture(augment(normalise(source)[None], torch.default_generator, self.recipe.faults)[0])
        return (source if self.task.source == "picture" else self.task.source_of(source)), target
