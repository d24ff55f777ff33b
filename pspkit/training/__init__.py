"""Training: one loop, what is trained with it, and what it keeps on disk."""

from pspkit.training.loop import Report, RunningAverage, Strategy, Trainer
from pspkit.training.run import Run

__all__ = ["Report", "Run", "RunningAverage", "Strategy", "Trainer"]
