"""The tasks of pSp: what goes in, what should come out, and how a pair of both is made.

Source: Richardson et al. 2021, section 4.
"""

from pspkit.tasks.pairs import HeadPairs, PairDataset
from pspkit.tasks.registry import TASKS, LossWeights, Recipe, Task, get_task
from pspkit.tasks.transforms import MASKS, ToOneHot, bicubic_down, draw_mask

__all__ = [
    "MASKS",
    "TASKS",
    "HeadPairs",
    "LossWeights",
    "PairDataset",
    "Recipe",
    "Task",
    "ToOneHot",
    "bicubic_down",
    "draw_mask",
    "get_task",
]
