"""Training an encoder: the loop, what it keeps on disk, and the run that a command line describes."""

from pspkit.training.objective import Objective
from pspkit.training.run import Run
from pspkit.training.trainer import Report, Trainer

__all__ = ["Objective", "Report", "Run", "Trainer"]
