"""Weights and codes on disk.

files.py reads and writes without running anything a file brings; layouts.py works out a model's sizes from the
reference's tensors; pretrained.py turns files into models and back; codes.py keeps codes together with their space.
"""

from pspkit.storage.checkpoints.codes import load_codes, read_codes, save_codes
from pspkit.storage.checkpoints.pretrained import (
    BODY,
    Checkpoint,
    Differences,
    Pretrained,
    compare,
    load_backbone_weights,
    read_checkpoint,
)

__all__ = [
    "BODY",
    "Checkpoint",
    "Differences",
    "Pretrained",
    "compare",
    "load_backbone_weights",
    "load_codes",
    "read_checkpoint",
    "read_codes",
    "save_codes",
]
