"""The tasks of pSp: what goes in, what should come out, and how a pair of both is made.

Source: Richardson et al. 2021, section 4.
"""

from pspkit.data.tasks.pairs import HeadPairs, PairDataset
from pspkit.data.tasks.registry import TASKS, Recipe, Task, get_task, register_task
from pspkit.data.tasks.transforms import MASKS, ToOneHot, bicubic_down, draw_mask

__all__ = [
    "MASKS",
    "TASKS",
    "HeadPairs",
    "PairDataset",
    "Recipe",
    "Task",
    "ToOneHot",
    "bicubic_down",
    "draw_mask",
    "get_task",
    "register_task",
]
