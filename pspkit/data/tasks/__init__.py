"""The tasks of pSp: what goes in, what should come out, and how pairs of both are made.

Source: Richardson et al. 2021, section 4.
"""

from pspkit.data.tasks.pairs import FacePairs, HeadPairs, PairDataset
from pspkit.data.tasks.registry import TASKS, Recipe, Task, get_task, register_task
from pspkit.data.tasks.transforms import FITS, MASKS, ToOneHot, bicubic_down, draw_mask

__all__ = [
    "FITS",
    "MASKS",
    "TASKS",
    "FacePairs",
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
