"""Weights and codes on disk.

files.py reads and writes without running anything a file brings; foreign.py says whose weights a file holds, nvidia.py
knows NVIDIA's names; layouts.py works out a model's sizes from its tensors; pretrained.py turns files into models and
back; codes.py keeps codes together with their space.
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
